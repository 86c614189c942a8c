"""Returns the holdings and activity of wallets. All of it is public chain data."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, get
from litestar.params import QueryParameter

from .. import parameters, response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import pagination, statements

_MISSING = "Position not found"

VoteKinds = Annotated[
    Literal["all", "proposal", "dispute"], QueryParameter(name="type", description="The kind of ballots.")
]


@get(
    "/api/users/{wallet:str}",
    tags=["wallets"],
    summary="Get a wallet's counts",
    responses=response_docs.read_responses(),
)
async def show_wallet(database: FromDatabase, wallet: parameters.Wallet) -> Response[schemas.Wallet]:
    """Return how often the wallet traded, voted and posted; zeros for an unknown wallet."""
    return await database.answer(statements.compose("wallet"), {"wallet": parameters.wallet(wallet)}, varying="wallet")


@get(
    "/api/users/{wallet:str}/votes",
    tags=["wallets"],
    summary="List a wallet's ballots",
    responses=response_docs.read_responses(),
)
async def list_wallet_votes(
    database: FromDatabase,
    wallet: parameters.Wallet,
    kind: VoteKinds = "all",
    limit: parameters.VoteLimit = 100,
    offset: parameters.Offset = 0,
) -> Response[schemas.WalletVotes]:
    """List ballots of both kinds from the chain and the API, the latest first; `limit` and `offset` apply per kind."""
    return await database.answer(
        statements.compose("wallet_votes"),
        {"wallet": parameters.wallet(wallet), "kind": kind, "limit": limit, "offset": offset},
    )


@get(
    "/api/users/{wallet:str}/stats",
    tags=["wallets"],
    summary="Get the result of a wallet's trading",
    responses=response_docs.read_responses(),
)
async def show_wallet_stats(database: FromDatabase, wallet: parameters.Wallet) -> Response[schemas.WalletStats]:
    """Return sums over the wallet's positions, valued as in its portfolio; zeros for a wallet without any."""
    return await database.answer(
        statements.compose("wallet_stats"), {"wallet": parameters.wallet(wallet)}, varying="wallet"
    )


@get(
    "/api/users/{wallet:str}/positions",
    tags=["wallets"],
    summary="List a wallet's positions",
    responses=response_docs.read_responses(),
)
async def list_positions(
    database: FromDatabase,
    wallet: parameters.Wallet,
    limit: parameters.VoteLimit = 1000,
    offset: parameters.Offset = 0,
) -> Response[list[schemas.UserPosition]]:
    """Return an array, the latest traded first; empty for a wallet without any."""
    return await database.answer(
        positions_statement(is_empty_found=True),
        {"wallet": parameters.wallet(wallet), "limit": limit, "offset": offset},
        varying="wallet",
    )


@get(
    ["/positions/{wallet:str}", "/api/positions/{wallet:str}"],
    tags=["wallets"],
    summary="List a wallet's positions, or 404",
    responses=response_docs.read_responses(404),
)
async def list_positions_legacy(
    database: FromDatabase,
    wallet: parameters.Wallet,
    limit: parameters.VoteLimit = 1000,
    offset: parameters.Offset = 0,
) -> Response[list[schemas.UserPosition]]:
    """Return the same array as /api/users/{wallet}/positions, but 404 for a wallet without any position."""
    return await database.answer(
        positions_statement(is_empty_found=False),
        {"wallet": parameters.wallet(wallet), "limit": limit, "offset": offset},
        varying="wallet",
        missing=_MISSING,
    )


@get(
    "/api/users/{wallet:str}/positions/{market:str}",
    tags=["wallets"],
    summary="Get a wallet's position in one market",
    responses=response_docs.read_responses(404),
)
async def show_position(
    database: FromDatabase, wallet: parameters.Wallet, market: parameters.MarketName
) -> Response[schemas.OnePosition]:
    """Return one position; 404 if the wallet never traded in the market."""
    return await database.answer(
        statements.compose("position"),
        {"wallet": parameters.wallet(wallet), "market": parameters.market(market)},
        varying="wallet",
        missing=_MISSING,
    )


@get(
    "/api/users/{wallet:str}/trades",
    tags=["wallets"],
    summary="List a wallet's trades",
    responses=response_docs.read_responses(),
)
async def list_wallet_trades(
    database: FromDatabase,
    wallet: parameters.Wallet,
    limit: parameters.ClampedTradeLimit = 50,
    offset: parameters.Offset = 0,
    cursor: parameters.CursorText = None,
) -> Response[schemas.WalletTradePage]:
    """List trades, the latest on chain first."""
    page = pagination.PageRequest.of("trades", parameters.clamp(limit, parameters.MAX_TRADES), offset, cursor)
    return await database.page(
        pagination.TRADES,
        pagination.trades_statement(["where_wallet"], page),
        {"wallet": parameters.wallet(wallet), **page.parameters()},
        varying=("wallet", *page.varying),
    )


def positions_statement(*, is_empty_found: bool) -> str:
    """Return the statement for a wallet's positions; without any it returns an empty array, or nothing for a 404."""
    return statements.compose("positions", nothing="'[]'" if is_empty_found else "null")


HANDLERS = [
    show_wallet,
    list_wallet_votes,
    show_wallet_stats,
    list_positions,
    list_positions_legacy,
    show_position,
    list_wallet_trades,
]
