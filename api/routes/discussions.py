"""Serves the discussions of markets: threads, replies, edits, reactions and reports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from zmart import errors as zmart_errors

from .. import parameters, response_docs, schemas
from ..auth.signed_in import SECURITY, FromSignedIn, SignedInWallet
from ..dependencies import FromDatabase
from ..reads import pagination, statements
from ..reads.database import ReadDatabase

#: The weight of a post in the wallet's allowance per minute.
_WEIGHT = {"weight": 10}
_CREATION = {"weight": 10, "idempotent": True}
_NOT_FOUND = "Discussion not found"

View = Annotated[
    Literal["threads", "all"],
    QueryParameter(description="Threads with their first replies, or all posts as a flat list."),
]
Replies = Annotated[int, QueryParameter(ge=0, le=100, description="Replies shown with each thread, oldest first.")]
After = Annotated[
    str, QueryParameter(pattern="^[0-9]{1,18}$", max_length=18, description="Replies after the post with this id.")
]
PostName = Annotated[str, PathParameter(description="A post's id.")]
MarketOrPost = Annotated[str, PathParameter(description="A market's id or address.")]


@get(
    "/api/markets/{market:str}/discussions",
    tags=["discussions"],
    summary="List the posts under a market",
    responses=response_docs.read_responses(404),
)
async def list_market_discussions(
    database: FromDatabase,
    market: parameters.MarketName,
    view: View = "threads",
    replies: Replies = 20,
    limit: parameters.ClampedPageLimit = 50,
    offset: parameters.Offset = 0,
    cursor: parameters.CursorText = None,
) -> Response[schemas.Threads | schemas.Discussions]:
    """List threads, the newest first, each with its first replies; or all posts individually."""
    page = pagination.PageRequest.of(view, parameters.clamp(limit, parameters.MAX_PAGE), offset, cursor)
    return await _list_posts(database, market, page, replies)


@get(
    "/api/discussions/{name:str}",
    tags=["discussions"],
    summary="List all posts under a market",
    responses=response_docs.read_responses(404),
)
async def list_discussions(
    database: FromDatabase,
    name: MarketOrPost,
    limit: parameters.ClampedPageLimit = 50,
    offset: parameters.Offset = 0,
    cursor: parameters.CursorText = None,
) -> Response[schemas.Discussions]:
    """List every post individually, the newest first, without deleted ones."""
    page = pagination.PageRequest.of("all", parameters.clamp(limit, parameters.MAX_PAGE), offset, cursor)
    return await _list_posts(database, name, page, 0)


@get(
    "/api/discussions/{name:str}/replies",
    tags=["discussions"],
    summary="List a thread's replies",
    responses=response_docs.read_responses(404),
)
async def list_replies(
    database: FromDatabase, name: PostName, after: After = "0", limit: parameters.PageLimit = 50
) -> Response[schemas.Replies]:
    """List replies in the order of their creation; for the next page, send the last one's id as `after`."""
    return await database.answer(
        statements.compose("replies"),
        {"number": _number(name), "after": int(after), "limit": limit, "sort": "replies"},
        missing=_NOT_FOUND,
    )


@get(
    "/api/discussions/{name:str}/edits",
    tags=["discussions"],
    summary="List earlier texts of a post",
    responses=response_docs.read_responses(404),
)
async def list_edits(database: FromDatabase, name: PostName) -> Response[schemas.Edits]:
    """List the post's earlier versions, the latest edit first."""
    return await database.answer(statements.compose("edits"), {"number": _number(name)}, missing=_NOT_FOUND)


@post(
    "/api/markets/{market:str}/discussions",
    tags=["discussions"],
    summary="Create a post under a market",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 413),
    opt=_CREATION,
)
async def post_under_market(
    database: FromDatabase, signed_in: FromSignedIn, market: parameters.MarketName, data: schemas.NewPost
) -> schemas.PostResult:
    """Create a post under the market, or a reply to another post of it (`parent_id`)."""
    return await _create_post(database, signed_in, market, data)


@post(
    "/api/discussions",
    tags=["discussions"],
    summary="Create a post",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 413),
    opt=_CREATION,
)
async def post_discussion(
    database: FromDatabase, signed_in: FromSignedIn, data: schemas.NewMarketPost
) -> schemas.PostResult:
    """Create a post or a reply, with the market in the body."""
    return await _create_post(database, signed_in, data.market_id, data)


@patch(
    "/api/discussions/{name:str}",
    tags=["discussions"],
    summary="Edit your own post",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 413),
    opt=_WEIGHT,
)
async def edit_discussion(
    database: FromDatabase, signed_in: FromSignedIn, name: PostName, data: schemas.ChangedPost
) -> schemas.PostResult:
    """Replace the post's text. Its earlier text is stored and can be read."""
    number = _number(name)
    await signed_in.run(statements.compose("edit_comment"), {"number": number, "content": data.content})
    return schemas.PostResult(message="Discussion edited", discussion=await _read_post(database, number))


@delete(
    "/api/discussions/{name:str}",
    tags=["discussions"],
    summary="Delete your own post",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404),
)
async def delete_discussion(signed_in: FromSignedIn, name: PostName) -> schemas.Ack:
    """Delete the post's text; replies to it stay."""
    await signed_in.run(statements.compose("delete_comment"), {"number": _number(name)})
    return schemas.Ack(message="Discussion deleted successfully")


@post(
    ["/api/markets/{market:str}/discussions/{name:str}/vote", "/api/discussions/{name:str}/vote"],
    tags=["discussions"],
    summary="Rate a post up or down",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 413),
)
async def vote_on_discussion(
    database: FromDatabase, signed_in: FromSignedIn, name: PostName, data: schemas.Reaction
) -> schemas.PostResult:
    """Set the wallet's reaction. There is one per wallet; another one replaces it, null removes it."""
    number = _number(name)
    await signed_in.run(statements.compose("react"), {"number": number, "vote": data.vote})
    return schemas.PostResult(message="Vote recorded", discussion=await _read_post(database, number))


@post(
    ["/api/markets/{market:str}/discussions/{name:str}/flag", "/api/discussions/{name:str}/flag"],
    tags=["discussions"],
    summary="Report a post",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409, 413),
)
async def flag_discussion(signed_in: FromSignedIn, name: PostName, data: schemas.PostReport) -> schemas.Ack:
    """Report the post, once per wallet. The number of reports is shown, but not the wallets."""
    await signed_in.run(statements.compose("flag_comment"), {"number": _number(name), "reason": data.reason})
    return schemas.Ack(message="Discussion reported")


async def _list_posts(database: ReadDatabase, market: str, page: pagination.PageRequest, replies: int) -> Response[Any]:
    more = {"replies": replies} if page.sort == "threads" else {}
    return await database.answer(
        posts_statement(page),
        {"market": parameters.market(market), **page.parameters(), **more},
        missing=parameters.market_not_found_message(market),
    )


def posts_statement(page: pagination.PageRequest) -> str:
    """Return the statement for a page of a market's threads, or of all its posts."""
    beyond = statements.part("where_post_before") if page.cursor else ""
    return statements.compose("threads" if page.sort == "threads" else "discussions", beyond=beyond)


async def _create_post(
    database: ReadDatabase, signed_in: SignedInWallet, market: str, data: schemas.NewPost
) -> schemas.PostResult:
    parent = data.parent_id or data.parent_id_camel
    row = await signed_in.run(
        statements.compose("post_comment"),
        {
            "market": parameters.market(market),
            "content": data.content,
            "parent_no": None if parent is None else int(parent),
        },
    )
    assert row is not None
    return schemas.PostResult(message="Discussion created successfully", discussion=await _read_post(database, row[0]))


async def _read_post(database: ReadDatabase, number: int) -> schemas.Discussion:
    answer = await database.read(statements.compose("discussion"), {"number": number}, missing=_NOT_FOUND)
    return msgspec.json.decode(answer.body, type=schemas.Discussion)


def _number(name: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) <= 18):
        raise zmart_errors.NotFound(_NOT_FOUND)
    return int(name)


HANDLERS = [
    list_market_discussions,
    list_discussions,
    list_replies,
    list_edits,
    post_under_market,
    post_discussion,
    edit_discussion,
    delete_discussion,
    vote_on_discussion,
    flag_discussion,
]
