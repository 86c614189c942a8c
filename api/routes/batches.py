"""Reads many things in one call and one snapshot: markets of a page, candles, positions of wallets, quotes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State

from zmart import errors as zmart_errors
from zmart.settings import Cluster

from .. import candle_window, errors, parameters, quoting, response_docs, schemas
from ..auth.signed_in import find_wallet
from ..dependencies import FromDatabase, FromServices
from ..reads import row_pages, statements
from .charts import candle_buckets

#: The most candles, or positions, that one call returns.
MOST_ROWS: Final = 10_000
#: A call that reads a page of things costs as much as five that read one; it changes nothing.
_OPTIONS: Final[dict[str, Any]] = {"weight": 5, "is_read": True}


@post(
    "/api/markets/batch",
    tags=["markets"],
    summary="Get up to 100 markets",
    status_code=200,
    responses=response_docs.problems(401, 413),
    opt=_OPTIONS,
    security=[{}, {"access_token": []}],
)
async def batch_markets(
    request: Request[Any, Any, State],
    database: FromDatabase,
    services: FromServices,
    data: schemas.MarketBatchRequest,
) -> Response[schemas.MarketBatch]:
    """Return markets in the order of the request, with their newest prices and your own positions, in one snapshot.

    The positions are those of the wallet of the access token or API key; without one there are none.
    """
    wallet = await find_wallet(request, services.auth)
    names = _market_names(data.markets)
    return await database.page(
        row_pages.ListSpec("markets", market_rows_statement(data.points)),
        markets_statement(data.points),
        {"market_names": names, "wallet": wallet},
    )


@post(
    "/api/candles/batch",
    tags=["markets"],
    summary="Get candles of several markets",
    status_code=200,
    responses=response_docs.problems(413),
    opt=_OPTIONS,
)
async def batch_candles(database: FromDatabase, data: schemas.CandleBatchRequest) -> Response[schemas.CandleBatch]:
    """Return the newest candles of the same window for each market, in the order of the request, in one snapshot."""
    window = candle_window.CandleWindow.parse(data.interval, data.from_at, data.to_at)
    names = _market_names(data.markets)
    _require_few_rows(data.limit, names)
    return await database.answer(
        candles_statement(is_filled=data.fill),
        {"market_names": names, "limit": data.limit, **window.parameters()},
    )


@post(
    "/api/positions/batch",
    tags=["wallets"],
    summary="Get positions of several wallets",
    status_code=200,
    responses=response_docs.problems(413),
    opt=_OPTIONS,
)
async def batch_positions(
    database: FromDatabase, data: schemas.PositionBatchRequest
) -> Response[schemas.PositionBatch]:
    """Return each wallet's positions in the order of the request, in one snapshot; all of it is public chain data."""
    names = " ".join(dict.fromkeys(parameters.wallet(name, field="wallets") for name in data.wallets))
    _require_few_rows(data.limit, names)
    market = None if data.market is None else _market_name(data.market, field="market")
    return await database.answer(
        positions_statement(is_of_one_market=market is not None),
        {"wallet_names": names, "limit": data.limit, **({} if market is None else {"market": market})},
    )


@post(
    "/api/markets/{market:str}/quotes",
    tags=["markets"],
    summary="Calculate the prices of several trades",
    status_code=200,
    responses=response_docs.problems(404, 413),
    opt=_OPTIONS,
)
async def batch_quotes(
    database: FromDatabase, services: FromServices, market: parameters.MarketName, data: schemas.QuoteBatchRequest
) -> Response[schemas.QuoteBatch]:
    """Calculate trades of one market from one state of it, each as if it were the next one.

    A trade that the program would refuse has its refusal in the result, as with GET .../quote.
    """
    amounts = [_amount(one) for one in data.quotes]
    answer = await database.read(
        statements.compose("pool"),
        {"market": parameters.market(market)},
        varying="market",
        missing=parameters.market_not_found_message(market),
    )
    inputs = quoting.decode_inputs(answer.body)
    quotes = [
        quoting.build_quote(
            inputs,
            kind,
            yes=one.outcome == "YES",
            amount=amount,
            sales_proven=services.settings.chain.cluster is Cluster.LOCALNET,
        )
        for one, (kind, amount) in zip(data.quotes, amounts, strict=True)
    ]
    body = schemas.QuoteBatch(quotes=quotes, as_of=inputs.as_of)
    return answer.response_with_body(msgspec.json.encode(body))


def markets_statement(points: int) -> str:
    """Return the statement for the versions of several markets with sparklines of at most `points` prices."""
    return statements.compose("market_batch", points=str(points))


def market_rows_statement(points: int) -> str:
    """Return the statement that renders those markets."""
    return statements.compose("market_batch_rows", points=str(points))


def candles_statement(*, is_filled: bool) -> str:
    """Return the statement for candles of several markets, with or without those that have no trade."""
    return statements.compose("candle_batch", buckets=candle_buckets(is_filled=is_filled))


def positions_statement(*, is_of_one_market: bool) -> str:
    """Return the statement for positions of several wallets, in all markets or in one."""
    return statements.compose("position_batch", of_market=statements.part("of_the_market") if is_of_one_market else "")


def _amount(asked: schemas.QuoteRequest) -> tuple[quoting.Kind, int]:
    if (asked.target_cost is None) == (asked.shares is None):
        raise errors.InvalidParameter("quotes", "expected either target_cost or shares in each of them")
    if asked.target_cost is not None:
        return "buy", quoting.parse_amount("target_cost", asked.target_cost)
    assert asked.shares is not None
    return "sell", quoting.parse_amount("shares", asked.shares)


def _market_names(names: Sequence[str]) -> str:
    """Return the markets' names, separated by spaces, each once: a value that can be compared and cached."""
    return " ".join(dict.fromkeys(_market_name(name, field="markets") for name in names))


def _market_name(name: str, *, field: str) -> str:
    try:
        return parameters.market(name)
    except zmart_errors.NotFound:
        raise errors.InvalidParameter(field, "expected ids of 64 hexadecimal digits, or addresses") from None


def _require_few_rows(limit: int, names: str) -> None:
    if limit * (names.count(" ") + 1) > MOST_ROWS:
        raise errors.InvalidParameter("limit", f"expected at most {MOST_ROWS:,} rows for all together")


HANDLERS = [batch_markets, batch_candles, batch_positions, batch_quotes]
