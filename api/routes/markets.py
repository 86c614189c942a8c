"""Lists markets, and returns one market with its trades, ballots and statistics."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import pagination, statements

Sort = Annotated[pagination.MarketSort, QueryParameter(description="Order of the list.")]
Kind = Annotated[schemas.BallotKind, QueryParameter(name="type", description="The kind of ballots.")]
CategoryFilter = Annotated[
    str | None, QueryParameter(description="Exact match; the page is empty for a category that does not exist.")
]


@get(
    ["/api/markets", "/markets"],
    tags=["markets"],
    summary="List markets",
    responses=response_docs.read_responses(),
)
async def list_markets(
    database: FromDatabase,
    in_state: parameters.StateText = None,
    category: CategoryFilter = None,
    creator: parameters.WalletFilter = None,
    q: parameters.SearchText = None,
    sort: Sort = "newest",
    limit: parameters.ClampedPageLimit = 20,
    offset: parameters.Offset = 0,
    cursor: parameters.CursorText = None,
) -> Response[schemas.MarketPage]:
    """List the markets whose creation is known."""
    filters: dict[str, Any] = {
        "state_code": parameters.state_code(in_state) if in_state is not None else None,
        "category": category,
        "creator": parameters.wallet(creator, field="creator") if creator is not None else None,
    }
    conditions = {"state_code": "where_state"}
    filter_parts = [conditions.get(name, f"where_{name}") for name in filters if filters[name] is not None]
    page = pagination.PageRequest.of(sort, parameters.clamp(limit, parameters.MAX_PAGE), offset, cursor)
    search = pagination.Search(q) if q is not None else None
    return await database.page(
        pagination.MARKETS,
        pagination.markets_statement(pagination.MARKET_SORTS[sort], filter_parts, page, search),
        {**filters, **page.parameters(), **(search.parameters() if search else {})},
        varying=page.varying,
    )


@get(
    ["/api/markets/{market:str}", "/markets/{market:str}"],
    tags=["markets"],
    summary="Get a market",
    responses=response_docs.read_responses(404),
)
async def show_market(database: FromDatabase, market: parameters.MarketName) -> Response[schemas.Market]:
    """Return the whole row, without a wrapper."""
    return await database.answer(
        statements.compose("market"),
        {"market": parameters.market(market)},
        varying="market",
        missing=parameters.market_not_found_message(market),
    )


@get(
    "/api/markets/{market:str}/trades",
    tags=["markets"],
    summary="List a market's trades",
    responses=response_docs.read_responses(404),
)
async def list_market_trades(
    database: FromDatabase,
    market: parameters.MarketName,
    limit: parameters.ClampedTradeLimit = 50,
    offset: parameters.Offset = 0,
    cursor: parameters.CursorText = None,
) -> Response[schemas.MarketTradePage]:
    """List trades, the latest on chain first."""
    page = pagination.PageRequest.of("trades", parameters.clamp(limit, parameters.MAX_TRADES), offset, cursor)
    return await database.page(
        pagination.TRADES,
        pagination.trades_statement(["where_market"], page),
        {"market": parameters.market(market), **page.parameters()},
        varying=("market", *page.varying),
        missing=parameters.market_not_found_message(market),
    )


@get(
    "/api/markets/{market:str}/votes",
    tags=["markets"],
    summary="List a market's ballots and its tally",
    responses=response_docs.read_responses(404),
)
async def list_market_votes(
    database: FromDatabase,
    market: parameters.MarketName,
    kind: Kind = "proposal",
    limit: parameters.VoteLimit = 100,
    offset: parameters.Offset = 0,
) -> Response[schemas.MarketVotes]:
    """List ballots, the latest first; for disputes, likes and dislikes mean agree and disagree."""
    return await database.answer(
        statements.compose("market_votes"),
        {
            "market": parameters.market(market),
            "kind": kind,
            "limit": limit,
            "offset": offset,
        },
        varying="market",
        missing=parameters.market_not_found_message(market),
    )


@get(
    ["/api/votes/{market:str}", "/votes/{market:str}"],
    tags=["markets"],
    summary="Get a market's tallies",
    responses=response_docs.read_responses(404),
)
async def count_votes(database: FromDatabase, market: parameters.MarketName) -> Response[schemas.VoteCounts]:
    """Return both tallies: ballots cast on chain and in the API, each wallet once."""
    return await database.answer(
        statements.compose("vote_counts"),
        {"market": parameters.market(market)},
        varying="market",
        missing=parameters.market_not_found_message(market),
    )


@get(
    "/api/markets/{market:str}/stats",
    tags=["markets"],
    summary="Get a market's trading totals",
    responses=response_docs.read_responses(404),
)
async def show_market_stats(database: FromDatabase, market: parameters.MarketName) -> Response[schemas.MarketStats]:
    """Return volumes in lamports, and the numbers of trades and traders."""
    return await database.answer(
        statements.compose("market_stats"),
        {"market": parameters.market(market)},
        varying="market",
        missing=parameters.market_not_found_message(market),
    )


HANDLERS = [list_markets, show_market, list_market_trades, list_market_votes, count_votes, show_market_stats]
