"""Returns activity as readable text: of the whole platform, of a market, or of a wallet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import pagination, statements

NewestType = Annotated[
    Literal["trade", "resolution", "creation"] | None,
    QueryParameter(
        name="type", description="Only these kinds; without it, half are trades and a quarter is of each other kind."
    ),
]

#: The events of each type that are not trades, as in marts.activity.
_EVENTS: Mapping[str, tuple[str, ...]] = {
    "resolution": ("MarketResolved", "MarketFinalized", "MarketCancelled"),
    "creation": ("MarketCreated",),
}
#: At least the greatest limit, so that the planner expects only a few rows.
_BOUND = "101"


@get("/api/markets/activity", tags=["markets"], summary="List recent events", responses=response_docs.read_responses())
async def list_newest_activity(
    database: FromDatabase, of_type: NewestType = None, limit: parameters.PageLimit = 20
) -> Response[schemas.NewestActivities]:
    """List the latest first by the chain's clock: a mixture of trades, resolutions and creations, or one type."""
    types = ("trade", *_EVENTS) if of_type is None else (of_type,)
    shares = {"trades": (limit + 1) // 2, "others": (limit + 3) // 4} if of_type is None else {}
    kinds = " union all ".join(select_newest(name) for name in types)
    return await database.answer(
        statements.compose("newest_activity", kinds=kinds),
        {"limit": limit, "trades": limit, "others": limit, **shares},
    )


@get(
    "/api/markets/{market:str}/activity",
    tags=["markets"],
    summary="List a market's events",
    responses=response_docs.read_responses(404),
)
async def list_market_activity(
    database: FromDatabase,
    market: parameters.MarketName,
    limit: parameters.PageLimit = 20,
    cursor: parameters.CursorText = None,
) -> Response[schemas.MarketActivity]:
    """List every event of the market, the latest on chain first."""
    page = pagination.PageRequest.of("activity", limit, 0, cursor)
    return await database.answer(
        pagination.activity_statement("market", page),
        {"market": parameters.market(market), **page.parameters()},
        missing=parameters.market_not_found_message(market),
    )


@get(
    "/api/users/{wallet:str}/activity",
    tags=["wallets"],
    summary="List a wallet's events",
    responses=response_docs.read_responses(),
)
async def list_wallet_activity(
    database: FromDatabase,
    wallet: parameters.Wallet,
    limit: parameters.PageLimit = 20,
    cursor: parameters.CursorText = None,
) -> Response[schemas.WalletActivity]:
    """List every event in which the wallet acted, the latest on chain first."""
    page = pagination.PageRequest.of("activity", limit, 0, cursor)
    return await database.answer(
        pagination.activity_statement("wallet", page), {"wallet": parameters.wallet(wallet), **page.parameters()}
    )


def select_newest(of_type: str) -> str:
    """Return the SQL that selects the newest activities of one type."""
    if of_type not in _EVENTS:
        return statements.part("newest_trades", bound=_BOUND)
    events = ", ".join(f"'{event}'" for event in _EVENTS[of_type])
    return statements.part("newest_events", bound=_BOUND, events=events)


HANDLERS = [list_newest_activity, list_market_activity, list_wallet_activity]
