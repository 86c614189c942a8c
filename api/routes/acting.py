"""Builds transactions for a wallet to sign: markets, trades, resolutions, disputes, claims and votes.

Each is built from the current state of the chain and simulated; if the program would refuse it, the response is a 400
with the error's name and number. The paths and bodies are those of older clients (protocol.md 5.2), whose server signed
for them: `transaction` is null until the wallet has signed, `unsigned_transaction` is the transaction to sign.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec
from litestar import post

from zmart import errors as zmart_errors
from zmart.chain import addresses
from zmart.domain import ids, lmsr, quote
from zmart.domain.ids import Address, MarketId

from .. import errors, parameters, response_docs, schemas, writes
from ..acting import metadata, preparing, trading
from ..auth.signed_in import SECURITY, FromSignedIn
from ..dependencies import FromDatabase, FromPreparer
from ..reads import statements
from ..reads.database import ReadDatabase
from ..schemas import acting as shapes

#: The least liquidity that a market may declare, in lamports (protocol.md 5.2).
LEAST_LIQUIDITY: Final = 1_000_000_000
#: Allows 20 trades and 10 markets per minute of the usual 100 (protocol.md 5.4).
_TRADE_WEIGHT: Final = {"weight": 5, "scope": "trade"}
_MARKET_WEIGHT: Final = {"weight": 10, "scope": "trade", "idempotent": True}
_SIGN: Final = (
    "Sign unsigned_transaction with your wallet within expires_in_seconds, then send it or POST it to "
    "/api/transactions. After that time prepare it again."
)
_REFUSALS: Final = response_docs.problems(401, 404)


@post(
    ["/api/trades/buy", "/trades/buy"],
    tags=["acting"],
    summary="Build a purchase to sign",
    security=SECURITY,
    opt=_TRADE_WEIGHT,
    responses=_REFUSALS,
)
async def buy_shares(preparer: FromPreparer, signed_in: FromSignedIn, data: shapes.BuyShares) -> shapes.UnsignedTrade:
    """Return a purchase to sign. The most you pay is fixed, but you may get fewer shares if others trade first
    (protocol.md 1.4.5).
    """
    shares = None if isinstance(data.shares, msgspec.UnsetType) else _shares(data.shares)
    max_cost = trading.parse_amount("max_cost", data.max_cost)
    market = await preparer.market(parameters.market(data.market_id))
    yes = shapes.is_yes(data.outcome)
    buy = trading.buy(market.pool, yes=yes, shares=shares, max_cost=max_cost)
    prepared = await preparer.prepare(
        "buy_shares",
        signed_in.wallet,
        _trading_accounts(market, signed_in.wallet),
        {"outcome": yes, "target_cost": buy.target_cost},
    )
    trade = _proposed_trade(market, signed_in.wallet, "buy", yes=yes, trade=buy.trade, limit=buy.target_cost)
    return shapes.UnsignedTrade(**_unsigned_fields(prepared), trade=trade)


@post(
    ["/api/trades/sell", "/trades/sell"],
    tags=["acting"],
    summary="Build a sale to sign",
    security=SECURITY,
    opt=_TRADE_WEIGHT,
    responses=_REFUSALS,
)
async def sell_shares(preparer: FromPreparer, signed_in: FromSignedIn, data: shapes.SellShares) -> shapes.UnsignedTrade:
    """Return a sale to sign. The program as deployed on public clusters cannot execute any sale; there the simulation
    fails with its error (protocol.md 1.4.6).
    """
    shares, least = _shares(data.shares), trading.parse_amount("min_proceeds", data.min_proceeds)
    market = await preparer.market(parameters.market(data.market_id))
    yes = shapes.is_yes(data.outcome)
    trade = trading.sell(market.pool, yes=yes, shares=shares, min_proceeds=least)
    prepared = await preparer.prepare(
        "sell_shares",
        signed_in.wallet,
        _trading_accounts(market, signed_in.wallet),
        {"outcome": yes, "shares_to_sell": shares, "min_proceeds": least},
    )
    proposed = _proposed_trade(market, signed_in.wallet, "sell", yes=yes, trade=trade, limit=least)
    return shapes.UnsignedTrade(**_unsigned_fields(prepared), trade=proposed)


@post(
    ["/api/markets", "/markets"],
    tags=["acting"],
    summary="Build the creation of a market to sign",
    security=SECURITY,
    opt=_MARKET_WEIGHT,
    responses=response_docs.problems(401, 403, 409),
)
async def create_market(
    preparer: FromPreparer, signed_in: FromSignedIn, data: shapes.CreateMarket
) -> shapes.UnsignedMarket:
    """Return a market to sign. Its text is stored at once and shown when the market exists (protocol.md 1.4.2)."""
    liquidity = trading.parse_amount("liquidity", data.liquidity)
    if liquidity < LEAST_LIQUIDITY:
        raise errors.InvalidParameter("liquidity", f"expected at least {LEAST_LIQUIDITY} lamports")
    b = _b_parameter(data, liquidity)
    market_metadata = _metadata(data, signed_in.wallet)
    market_id = ids.market_id_bytes(market_metadata.market_id)
    prepared = await preparer.prepare(
        "create_market",
        signed_in.wallet,
        {"creator": signed_in.wallet},
        {
            "market_id": market_id,
            "b_parameter": b,
            "initial_liquidity": liquidity,
            "ipfs_question_hash": market_metadata.cid.encode(),
        },
    )
    await signed_in.run(writes.statement("set_market_metadata"), market_metadata.parameters())
    return shapes.UnsignedMarket(
        **_unsigned_fields(prepared),
        metadata_document=market_metadata.document().decode(),
        market=shapes.ProposedMarket(
            id=market_metadata.market_id,
            on_chain_address=addresses.market_address(preparer.program_id, market_id),
            question=data.question,
            description=data.description,
            category=data.category,
            tags=data.tags,
            state="PROPOSED",
            creator_wallet=signed_in.wallet,
            b_parameter=b,
            b_parameter_exact=str(b),
            initial_liquidity=liquidity,
            initial_liquidity_exact=str(liquidity),
            end_date=data.end_date,
            ipfs_question_hash=market_metadata.cid,
            is_tradable=b >= lmsr.MIN_B,
        ),
    )


@post(
    "/api/markets/{market:str}/resolve",
    tags=["acting"],
    summary="Build a proposed outcome to sign",
    security=SECURITY,
    opt=_TRADE_WEIGHT,
    status_code=200,
    responses=_REFUSALS,
)
async def resolve_market(
    preparer: FromPreparer,
    database: FromDatabase,
    signed_in: FromSignedIn,
    market: parameters.MarketName,
    data: shapes.ResolveMarket,
) -> shapes.UnsignedOnMarket:
    """Return a proposal of an outcome; anyone may propose one for an active market, once (protocol.md 1.4.7)."""
    if data.outcome is None:
        raise errors.InvalidParameter("outcome", "expected YES or NO; INVALID cannot be proposed on chain")
    args = {"proposed_outcome": shapes.is_yes(data.outcome), "ipfs_evidence_hash": data.ipfs_evidence_hash.encode()}
    return await _prepare_step("resolve_market", "resolver", preparer, database, signed_in.wallet, market, args)


@post(
    "/api/markets/{market:str}/dispute",
    tags=["acting"],
    summary="Build a dispute to sign",
    security=SECURITY,
    opt=_TRADE_WEIGHT,
    status_code=200,
    responses=_REFUSALS,
)
async def dispute_market(
    preparer: FromPreparer, database: FromDatabase, signed_in: FromSignedIn, market: parameters.MarketName
) -> shapes.UnsignedOnMarket:
    """Return a dispute to sign; anyone may dispute a proposed outcome in the dispute period (protocol.md 1.4.8)."""
    return await _prepare_step("initiate_dispute", "initiator", preparer, database, signed_in.wallet, market)


@post(
    "/api/markets/{market:str}/claim",
    tags=["acting"],
    summary="Build a claim to sign",
    security=SECURITY,
    opt=_TRADE_WEIGHT,
    status_code=200,
    responses=_REFUSALS,
)
async def claim_winnings(
    preparer: FromPreparer, database: FromDatabase, signed_in: FromSignedIn, market: parameters.MarketName
) -> shapes.UnsignedOnMarket:
    """Return a claim of the wallet's share of a finalized market's pool, or of its stake (protocol.md 1.4.10)."""
    return await _prepare_step("claim_winnings", "user", preparer, database, signed_in.wallet, market)


async def vote_on_chain(
    instruction: str, preparer: preparing.Preparer, database: ReadDatabase, wallet: Address, market: str, vote: bool
) -> shapes.UnsignedOnMarket:
    """Return a vote to sign that the chain itself records (protocol.md 1.4.12)."""
    return await _prepare_step(instruction, "user", preparer, database, wallet, market, {"vote": vote})


async def _prepare_step(
    instruction: str,
    signer: str,
    preparer: preparing.Preparer,
    database: ReadDatabase,
    wallet: Address,
    name: str,
    args: dict[str, Any] | None = None,
) -> shapes.UnsignedOnMarket:
    market = await preparer.market(parameters.market(name))
    accounts = {"market": market.address, signer: wallet}
    if instruction == "claim_winnings":
        accounts["resolver"] = Address(market.market["resolver"])
    prepared = await preparer.prepare(instruction, wallet, accounts, args)
    return shapes.UnsignedOnMarket(
        **_unsigned_fields(prepared), market=await _read_logged_market(database, market.market_id)
    )


async def _read_logged_market(database: ReadDatabase, market_id: MarketId) -> schemas.Market | None:
    """Return the market from the log; None if the log does not contain it or cannot be read."""
    try:
        answer = await database.read(statements.compose("market"), {"market": market_id}, varying="market")
    except (zmart_errors.NotFound, zmart_errors.Transient):
        return None
    return msgspec.json.decode(answer.body or b"null", type=schemas.Market | None)


def _unsigned_fields(prepared: preparing.PreparedTransaction) -> dict[str, Any]:
    unsigned = prepared.unsigned
    return {
        "message": _SIGN,
        "unsigned_transaction": unsigned.base64,
        "signers": list(unsigned.signers),
        "blockhash": unsigned.blockhash,
        "last_valid_block_height": prepared.last_valid_block_height,
        "expires_in_seconds": prepared.expires_in_seconds,
        "fee_lamports": str(unsigned.fee_lamports),
        "simulation": shapes.Simulation(slot=prepared.slot, units_consumed=prepared.units_consumed),
    }


def _trading_accounts(market: preparing.OnChainMarket, wallet: Address) -> dict[str, Address]:
    return {
        "market": market.address,
        "user": wallet,
        "protocol_fee_wallet": Address(market.config["protocol_fee_wallet"]),
    }


def _proposed_trade(
    market: preparing.OnChainMarket, wallet: Address, kind: Any, *, yes: bool, trade: quote.TradeQuote, limit: int
) -> shapes.ProposedTrade:
    return shapes.ProposedTrade(
        market_id=market.market_id,
        on_chain_address=market.address,
        user_wallet=wallet,
        trade_type=kind,
        outcome="YES" if yes else "NO",
        outcome_bool=yes,
        shares=trade.shares,
        shares_exact=str(trade.shares),
        cost=trade.total,
        cost_exact=str(trade.total),
        limit_exact=str(limit),
        protocol_fee_exact=str(trade.protocol_fee),
        resolver_fee_exact=str(trade.resolver_fee),
        lp_fee_exact=str(trade.lp_fee),
        new_price_yes_exact=str(trade.after.price_yes),
        slot=market.slot,
    )


def _shares(value: int | str) -> int:
    shares = trading.parse_amount("shares", value)
    if shares < trading.LEAST_SHARES:
        raise errors.InvalidParameter("shares", f"expected at least {trading.LEAST_SHARES}, which is 0.001 of a share")
    return shares


def _b_parameter(data: shapes.CreateMarket, liquidity: int) -> int:
    if isinstance(data.b_parameter, msgspec.UnsetType):
        return max(liquidity, lmsr.MIN_B)
    b = trading.parse_amount("b_parameter", data.b_parameter)
    if b == 0:
        raise errors.InvalidParameter("b_parameter", "expected more than zero")
    return b


def _metadata(data: shapes.CreateMarket, creator: Address) -> metadata.MarketMetadata:
    market_id = secrets.token_hex(32) if isinstance(data.market_id, msgspec.UnsetType) else data.market_id
    return metadata.MarketMetadata(
        market_id=MarketId(market_id),
        creator=creator,
        question=data.question,
        description=data.description,
        category=data.category,
        tags=tuple(data.tags),
        ends_at=parameters.future_instant("end_date", data.end_date),
    )


HANDLERS = [buy_shares, sell_shares, create_market, resolve_market, dispute_market, claim_winnings]
