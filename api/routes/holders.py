"""Lists the holders of a market's shares."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from .. import errors, parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import pagination

OutcomeFilter = Annotated[
    schemas.Side | None,
    QueryParameter(name="outcome", description="Only holders of YES, or of NO, sorted by their shares."),
]
#: The name of the filter before; `side` is buying or selling elsewhere.
EarlierFilter = Annotated[
    schemas.Side | None, QueryParameter(name="side", description="The earlier name of outcome; use that.")
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
    outcome: OutcomeFilter = None,
    side: EarlierFilter = None,
    limit: parameters.PageLimit = 20,
    cursor: parameters.CursorText = None,
) -> Response[schemas.Holders]:
    """List the largest first, by shares of the outcome or of both together."""
    if outcome is not None and side is not None:
        raise errors.InvalidParameter("side", "expected outcome alone")
    outcome = outcome or side
    page = pagination.PageRequest.of(f"holders_{outcome or 'both'}", limit, 0, cursor)
    return await database.answer(
        pagination.holders_statement(outcome, page),
        {"market": parameters.market(market), **page.parameters()},
        missing=parameters.market_not_found_message(market),
    )


HANDLERS = [list_holders]
