"""Serves moderation: the queue of reports, decisions of MODERATOR_WALLETS, and the public log of decisions."""

from __future__ import annotations

import re
from typing import Annotated

from litestar import Response, get, post
from litestar.params import PathParameter, QueryParameter

from zmart import errors as zmart_errors

from .. import errors, parameters, response_docs, schemas
from ..auth.signed_in import SECURITY, FromSignedIn, SignedInWallet
from ..dependencies import FromDatabase
from ..reads import statements

_WEIGHT = {"weight": 5}
#: Above every seq.
_END = (1 << 63) - 1

_QUEUE_CURSOR = re.compile(r"([0-9]{1,9})-([0-9]{1,18})", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")

PostName = Annotated[str, PathParameter(description="A post's id.")]
Digest = Annotated[str, PathParameter(description="The SHA-256 of the image: 64 hexadecimal digits.")]
EventSlug = Annotated[str, PathParameter(description="The slug of an event, or one that it had before.")]
Before = Annotated[
    int, QueryParameter(ge=1, le=_END, description="Decisions before this log entry: `next_before` of a page.")
]


@get(
    "/api/moderation/queue",
    tags=["moderation"],
    summary="List reported posts",
    security=SECURITY,
    responses=response_docs.problems(401, 403),
)
async def show_moderation_queue(
    signed_in: FromSignedIn, limit: parameters.PageLimit = 50, cursor: parameters.CursorText = None
) -> Response[schemas.ModerationQueue]:
    """List posts with reports that no decision has followed yet, the most reported first; for moderators only.

    A post that is reported while you read moves up, and may be missing on a later page: read the first page again.
    """
    moderator = _require_moderator(signed_in)
    flags, number = _queue_place(cursor)
    row = await moderator.run(
        statements.compose("moderation_queue"), {"limit": limit, "flags": flags, "number": number}
    )
    assert row is not None, "a moderator has a queue"
    return Response(row[0].encode(), media_type="application/json", headers={"cache-control": "no-store"})


@post(
    "/api/moderation/posts/{name:str}",
    tags=["moderation"],
    summary="Decide about a post",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409, 413),
    opt=_WEIGHT,
)
async def moderate_post(signed_in: FromSignedIn, name: PostName, data: schemas.PostDecision) -> schemas.Decided:
    """Hide, restore or erase a post, or dismiss its reports; the decision is public. For moderators only.

    A hidden post is in no response and no message; hiding the first post of a thread hides the thread. Erasing removes
    its text and earlier texts for good; their digests stay in the log.
    """
    moderator = _require_moderator(signed_in)
    if not (name.isascii() and name.isdigit() and len(name) <= 18):
        raise zmart_errors.NotFound("Discussion not found")
    row = await moderator.run(
        statements.compose("moderate_comment"), {"number": int(name), "action": data.action, "reason": data.reason}
    )
    assert row is not None
    return schemas.Decided(message="Decision recorded", seq=row[0])


@post(
    "/api/moderation/wallets/{wallet:str}",
    tags=["moderation"],
    summary="Ban a wallet, or lift its ban",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 409, 413),
    opt=_WEIGHT,
)
async def moderate_wallet(
    signed_in: FromSignedIn, wallet: parameters.Wallet, data: schemas.WalletDecision
) -> schemas.Decided:
    """Ban a wallet from posting, rating, reporting and describing, or lift its ban. For moderators only.

    The wallet can still trade, vote, sign in, read and follow streams, and delete its own posts.
    """
    row = await _require_moderator(signed_in).run(
        statements.compose("moderate_wallet"),
        {"wallet": parameters.wallet(wallet), "action": data.action, "reason": data.reason},
    )
    assert row is not None
    return schemas.Decided(message="Decision recorded", seq=row[0])


@post(
    "/api/moderation/images/{digest:str}",
    tags=["moderation"],
    summary="Decide about an image",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409, 413),
    opt=_WEIGHT,
)
async def moderate_image(signed_in: FromSignedIn, digest: Digest, data: schemas.ImageDecision) -> schemas.Decided:
    """Hide, restore or erase an image, wherever it is shown; the decision is public. For moderators only.

    Copies in browsers and proxies stay until they expire there: the address of an image never changes.
    """
    moderator = _require_moderator(signed_in)
    if not _DIGEST.fullmatch(digest):
        raise zmart_errors.NotFound("No market shows an image with this digest.")
    row = await moderator.run(
        statements.compose("moderate_image"), {"digest": digest, "action": data.action, "reason": data.reason}
    )
    assert row is not None
    return schemas.Decided(message="Decision recorded", seq=row[0])


@post(
    "/api/moderation/events/{slug:str}",
    tags=["moderation"],
    summary="Decide about an event",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409, 413),
    opt=_WEIGHT,
)
async def moderate_event(signed_in: FromSignedIn, slug: EventSlug, data: schemas.EventDecision) -> schemas.Decided:
    """Hide or restore an event, not its markets; the decision is public. For moderators only."""
    row = await _require_moderator(signed_in).run(
        statements.compose("moderate_event_group"), {"slug": slug, "action": data.action, "reason": data.reason}
    )
    assert row is not None
    return schemas.Decided(message="Decision recorded", seq=row[0])


@get(
    "/api/moderation/log",
    tags=["moderation"],
    summary="List decisions of moderators",
    responses=response_docs.read_responses(),
)
async def list_moderation_log(
    database: FromDatabase, before: Before = _END, limit: parameters.PageLimit = 50
) -> Response[schemas.ModerationLog]:
    """List decisions with their reasons, the newest first; everybody can read them."""
    return await database.answer(statements.compose("moderation_log"), {"before": before, "limit": limit})


def _queue_place(cursor: str | None) -> tuple[int, int]:
    """Return the reports and the number of the last post of a page; raise InvalidParameter for another text."""
    if cursor is None:
        return (1 << 31) - 1, _END
    found = _QUEUE_CURSOR.fullmatch(cursor)
    if found is None:
        raise errors.InvalidParameter("cursor", "use next_cursor of a response, or omit it")
    return int(found[1]), int(found[2])


def _require_moderator(signed_in: SignedInWallet) -> SignedInWallet:
    if not signed_in.is_moderator:
        raise errors.Forbidden("This wallet is not a moderator. MODERATOR_WALLETS of the server names the moderators.")
    return signed_in


HANDLERS = [
    show_moderation_queue,
    moderate_post,
    moderate_wallet,
    moderate_image,
    moderate_event,
    list_moderation_log,
]
