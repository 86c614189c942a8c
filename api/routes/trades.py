"""Lists trades of all markets."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import pagination


@get(
    ["/api/trades", "/trades"],
    tags=["trades"],
    summary="List trades",
    responses=response_docs.read_responses(404),
)
async def list_trades(
    database: FromDatabase,
    market_id: parameters.MarketFilter = None,
    wallet: parameters.WalletFilter = None,
    limit: parameters.ClampedTradeLimit = 50,
    offset: parameters.Offset = 0,
    cursor: parameters.CursorText = None,
) -> Response[schemas.TradePage | schemas.MarketTradePage | schemas.WalletTradePage]:
    """List trades, the latest on chain first; of all markets and wallets, or filtered."""
    filters: dict[str, Any] = {
        "market": parameters.market(market_id) if market_id is not None else None,
        "wallet": parameters.wallet(wallet) if wallet is not None else None,
    }
    filter_parts = [f"where_{name}" for name, value in filters.items() if value is not None]
    page = pagination.PageRequest.of("trades", parameters.clamp(limit, parameters.MAX_TRADES), offset, cursor)
    return await database.page(
        pagination.TRADES,
        pagination.trades_statement(filter_parts, page),
        {**filters, **page.parameters()},
        varying=page.varying,
        missing=parameters.market_not_found_message(market_id or ""),
    )


HANDLERS = [list_trades]
