"""Returns the leaderboard, a wallet's profit by day, and the sums of the platform."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import statements

PeriodName = Annotated[schemas.Period, QueryParameter(description="Days back from the newest event.")]
RankedBy = Annotated[schemas.RankedBy, QueryParameter(name="by", description="The value that decides the rank.")]
Days = Annotated[int, QueryParameter(ge=1, le=1000, description="Number of newest days with events.")]


@get("/api/leaderboard", tags=["wallets"], summary="List the best wallets", responses=response_docs.read_responses())
async def show_leaderboard(
    database: FromDatabase,
    period: PeriodName = "all",
    by: RankedBy = "profit",
    limit: parameters.PageLimit = 20,
    offset: parameters.Offset = 0,
) -> Response[schemas.Leaderboard]:
    """List wallets by realized profit, volume, trades, or share of decided positions won."""
    return await database.answer(
        statements.compose("leaderboard", rank=f"{by}_rank"),
        {"period": period, "by": by, "limit": limit, "offset": offset},
    )


@get(
    "/api/users/{wallet:str}/pnl-history",
    tags=["wallets"],
    summary="Get a wallet's profit by day",
    responses=response_docs.read_responses(),
)
async def show_pnl_history(
    database: FromDatabase, wallet: parameters.Wallet, limit: Days = 365
) -> Response[schemas.PnlHistory]:
    """List realized profit and its running sum by day in UTC; empty for a wallet without any."""
    return await database.answer(
        statements.compose("pnl_history"), {"wallet": parameters.wallet(wallet), "limit": limit}
    )


@get("/api/stats", tags=["status"], summary="Get the platform's totals", responses=response_docs.read_responses())
async def show_platform(database: FromDatabase) -> Response[schemas.Platform]:
    """Return trades, traders, fees and open interest by period."""
    return await database.answer(statements.compose("platform"), {})


HANDLERS = [show_leaderboard, show_pnl_history, show_platform]
