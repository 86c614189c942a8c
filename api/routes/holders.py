"""Lists the holders of a market's shares."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import pagination

SideFilter = Annotated[
    schemas.Side | None,
    QueryParameter(name="side", description="Only holders of YES, or of NO, sorted by their shares."),
]


@get(
    "/api/markets/{market:str}/holders",
    tags=["markets"],
    summary="List a market's holders",
    responses=response_docs.read_responses(404),
)
async def list_holders(
    database: FromDatabase,
    market: parameters.MarketName,
    side: SideFilter = None,
    limit: parameters.PageLimit = 20,
    cursor: parameters.CursorText = None,
) -> Response[schemas.Holders]:
    """List the largest first, by shares of the side or of both together."""
    page = pagination.PageRequest.of(f"holders_{side or 'both'}", limit, 0, cursor)
    return await database.answer(
        pagination.holders_statement(side, page),
        {"market": parameters.market(market), **page.parameters()},
        missing=parameters.market_not_found_message(market),
    )


HANDLERS = [list_holders]
