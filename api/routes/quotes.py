"""Computes a trade's result before it is sent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.params import QueryParameter

from zmart.settings import Cluster

from .. import errors, parameters, quoting, response_docs, schemas
from ..dependencies import FromDatabase, FromServices
from ..reads import statements

QuoteKind = Annotated[quoting.Kind, QueryParameter(name="side", description="Buying or selling.")]
OutcomeQuery = Annotated[schemas.Side, QueryParameter(name="outcome", description="Shares of YES or of NO.")]
TargetCost = Annotated[
    str | None,
    QueryParameter(max_length=20, description="For a purchase: the most you pay in lamports, fees included."),
]
Shares = Annotated[str | None, QueryParameter(max_length=20, description="For a sale: shares, with nine decimals.")]


@get(
    "/api/markets/{market:str}/quote",
    tags=["markets"],
    summary="Calculate a trade's price",
    responses=response_docs.read_responses(404),
)
async def show_quote(
    database: FromDatabase,
    services: FromServices,
    market: parameters.MarketName,
    outcome: OutcomeQuery,
    kind: QuoteKind = "buy",
    target_cost: TargetCost = None,
    shares: Shares = None,
) -> Response[schemas.Quote]:
    """Compute the trade, exact to the lamport by the program's own maths, or the error with which it would refuse.

    `side=buy` needs `target_cost`, `side=sell` needs `shares`. `smallest` is the least amount that would work.
    """
    field, text = ("target_cost", target_cost) if kind == "buy" else ("shares", shares)
    if text is None:
        raise errors.InvalidParameter(field, f"required when side is {kind}")
    amount = quoting.parse_amount(field, text)
    answer = await database.read(
        statements.compose("pool"),
        {"market": parameters.market(market)},
        varying="market",
        missing=parameters.market_not_found_message(market),
    )
    quote = quoting.build_quote(
        quoting.decode_inputs(answer.body),
        kind,
        yes=outcome == "YES",
        amount=amount,
        sales_proven=services.settings.chain.cluster is Cluster.LOCALNET,
    )
    return answer.response_with_body(msgspec.json.encode(quote))


HANDLERS = [show_quote]
