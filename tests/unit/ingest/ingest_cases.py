"""Markets, wallets, events and instructions that several tests use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from ingest import testing
from zmart import settings
from zmart.chain import addresses, transactions
from zmart.domain import events

PROGRAM = settings.DEFAULT_PROGRAM_ID
OTHER_PROGRAM = testing.address(666)
MARKET = bytes([1]) * 32
OTHER_MARKET = bytes([2]) * 32
ACCOUNT = addresses.market_address(PROGRAM, MARKET)
OTHER_ACCOUNT = addresses.market_address(PROGRAM, OTHER_MARKET)
USER = testing.address(1)
FEES = testing.address(2)
NOW = 1_762_600_000
CID = b"QmYwAPJzv5CZsnA625s1Xf2nemtYgPpHdWEz79ojWKPbdG"

BOUGHT = events.SharesBought(MARKET, USER, True, 1_835_823_062, 999_928_380, 504_589_428, NOW)
SOLD = events.SharesSold(MARKET, USER, False, 1_000_000_000, 454_188_600, 500_000_000, NOW)
CREATED = events.MarketCreated(MARKET, USER, 100_000_000_000, 0, NOW)
FINALIZED = events.MarketFinalized(MARKET, True, True, NOW)


def call(name: str, args: Mapping[str, Any] | None = None, market_id: bytes = MARKET) -> Instruction:
    """An instruction of our program with the tests' accounts."""
    wanted = {
        "buy_shares": {"user": USER, "protocol_fee_wallet": FEES},
        "sell_shares": {"user": USER, "protocol_fee_wallet": FEES},
        "create_market": {"creator": USER},
        "finalize_market": {"backend_authority": USER},
        "submit_dispute_vote": {"user": USER},
        "submit_proposal_vote": {"user": USER},
        "resolve_market": {"resolver": USER},
        "withdraw_liquidity": {"creator": USER},
        "claim_winnings": {"user": USER, "resolver": FEES},
    }[name]
    return transactions.instruction(name, PROGRAM, wanted, args, market_id=market_id)


def buy(market_id: bytes = MARKET) -> Instruction:
    """Buy YES for a SOL."""
    return call("buy_shares", {"outcome": True, "target_cost": 1_000_000_000}, market_id)


def sell(market_id: bytes = MARKET) -> Instruction:
    """Sell a NO share."""
    args = {"outcome": False, "shares_to_sell": 1_000_000_000, "min_proceeds": 0}
    return call("sell_shares", args, market_id)


def create(market_id: bytes = MARKET, question: bytes = CID) -> Instruction:
    """Propose a market with 5 SOL of declared liquidity."""
    args = {
        "market_id": market_id,
        "b_parameter": 100_000_000_000,
        "initial_liquidity": 5_000_000_000,
        "ipfs_question_hash": question,
    }
    return call("create_market", args, market_id)


def transfer(*accounts: str) -> Instruction:
    """An instruction of the System program with these accounts."""
    metas = [AccountMeta(Pubkey.from_string(account), False, True) for account in accounts]
    return Instruction(Pubkey.from_string(addresses.SYSTEM_PROGRAM), b"\2\0\0\0", metas)
