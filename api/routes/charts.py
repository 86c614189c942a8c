"""Returns a market's price history and candles."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..candle_window import CandleWindow
from ..dependencies import FromDatabase
from ..reads import pagination, statements

HistoryLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="Number of newest trades.")]
CandleLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="Number of candles, the newest of the window.")]
IntervalText = Annotated[str, QueryParameter(name="interval", max_length=20, description="1m, 5m, 1h or 1d.")]
Begin = Annotated[
    str | None,
    QueryParameter(name="from", max_length=40, description="Start of the window: Unix seconds or ISO 8601 (UTC)."),
]
End = Annotated[
    str | None,
    QueryParameter(name="to", max_length=40, description="End of the window, exclusive; default: the newest event."),
]
Fill = Annotated[bool, QueryParameter(description="Also candles without a trade; they carry the previous close.")]


@get(
    "/api/markets/{market:str}/price-history",
    tags=["markets"],
    summary="Get a market's price per trade",
    responses=response_docs.read_responses(404),
)
async def show_price_history(
    database: FromDatabase, market: parameters.MarketName, limit: HistoryLimit = 100
) -> Response[schemas.PriceHistory]:
    """Return YES and NO in percent: 50 to 50 at creation, then the newest trades, the latest last."""
    page = pagination.PageRequest.of("trades", limit, 0, None)
    return await database.answer(
        price_history_statement(page),
        {"market": parameters.market(market), "limit": limit},
        missing=parameters.market_not_found_message(market),
    )


@get(
    "/api/markets/{market:str}/candles",
    tags=["markets"],
    summary="Get a market's candles",
    responses=response_docs.read_responses(404),
)
async def list_candles(
    database: FromDatabase,
    market: parameters.MarketName,
    interval: IntervalText = "1h",
    begin: Begin = None,
    end: End = None,
    limit: CandleLimit = 200,
    fill: Fill = True,
) -> Response[schemas.Candles]:
    """List the newest candles of a window, the latest last; for older ones, send the first `bucket_at` as `to`."""
    window = CandleWindow.parse(interval, begin, end)
    return await database.answer(
        candles_statement(is_filled=fill),
        {"market": parameters.market(market), "limit": limit, **window.parameters()},
        missing=parameters.market_not_found_message(market),
    )


def price_history_statement(page: pagination.PageRequest) -> str:
    """Return the statement for the newest prices of a market."""
    return statements.compose("price_history", bound=page.bound)


def candles_statement(*, is_filled: bool) -> str:
    """Return the statement for a window of candles, with or without those that have no trade."""
    return statements.compose("candles", buckets=candle_buckets(is_filled=is_filled))


def candle_buckets(*, is_filled: bool) -> str:
    """Return the part that lists the starts of a market's candles."""
    return statements.part("buckets_filled" if is_filled else "buckets_traded")


HANDLERS = [show_price_history, list_candles]
