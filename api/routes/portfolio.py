"""Returns the value and the profit of a wallet's positions."""

from __future__ import annotations

from litestar import Response, get

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import statements


@get(
    "/api/users/{wallet:str}/portfolio",
    tags=["wallets"],
    summary="List a wallet's positions with their profit",
    responses=response_docs.read_responses(),
)
async def show_portfolio(
    database: FromDatabase,
    wallet: parameters.Wallet,
    limit: parameters.VoteLimit = 100,
    offset: parameters.Offset = 0,
) -> Response[schemas.Portfolio]:
    """Return positions, the latest traded first, and sums over all of them; empty for a wallet without any."""
    return await database.answer(
        statements.compose("portfolio"),
        {"wallet": parameters.wallet(wallet), "limit": limit, "offset": offset},
    )


HANDLERS = [show_portfolio]
