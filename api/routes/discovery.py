"""Helps users find markets: the most traded ones, categories, and related markets."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import statements

FewMarkets = Annotated[int, QueryParameter(ge=1, le=20, description="Number of markets, best first.")]


@get(
    "/api/markets/trending",
    tags=["markets"],
    summary="List the most traded markets",
    responses=response_docs.read_responses(),
)
async def list_trending(database: FromDatabase, limit: FewMarkets = 3) -> Response[schemas.TrendingMarkets]:
    """List ACTIVE markets by volume and traders of the day up to the newest event, by the chain's clock."""
    return await database.answer(statements.compose("trending"), {"limit": limit})


@get(
    "/api/markets/categories",
    tags=["markets"],
    summary="List the largest categories",
    responses=response_docs.read_responses(),
)
async def list_categories(database: FromDatabase) -> Response[schemas.Categories]:
    """List at most five categories; `trend` is the growth in the week up to the newest event."""
    return await database.answer(statements.compose("categories"), {})


@get(
    "/api/markets/{market:str}/related",
    tags=["markets"],
    summary="List similar markets",
    responses=response_docs.read_responses(404),
)
async def list_related(
    database: FromDatabase, market: parameters.MarketName, limit: FewMarkets = 3
) -> Response[schemas.RelatedMarkets]:
    """List the newest ACTIVE markets, those of the same category first; empty if the market is not known."""
    return await database.answer(
        statements.compose("related"), {"market": parameters.market(market), "limit": limit}, varying="market"
    )


HANDLERS = [list_trending, list_categories, list_related]
