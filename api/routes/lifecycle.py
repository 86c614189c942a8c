"""Returns the steps of a market's life and its next deadline."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import statements

TimelineLimit = Annotated[int, QueryParameter(ge=1, le=500, description="Number of newest steps.")]


@get(
    "/api/markets/{market:str}/lifecycle",
    tags=["markets"],
    summary="Get a market's life and its next deadline",
    responses=response_docs.read_responses(404),
)
async def show_lifecycle(
    database: FromDatabase, market: parameters.MarketName, limit: TimelineLimit = 200
) -> Response[schemas.Lifecycle]:
    """List the steps in the chain's order, and deadlines by the current configuration, as the program computes them."""
    return await database.answer(
        statements.compose(
            "lifecycle",
            dispute_end=_after("m.resolution_proposed_at", "s.dispute_period"),
            voting_end=_after("m.dispute_initiated_at", "s.voting_window"),
        ),
        {"market": parameters.market(market), "limit": limit},
        missing=parameters.market_not_found_message(market),
    )


def _after(instant: str, seconds: str) -> str:
    return statements.part("after_seconds", instant=instant, seconds=seconds)


HANDLERS = [show_lifecycle]
