"""Histories of the program's events for the folds: legal, small, and with many corner cases.

A story is a list of transactions in chain order. Tests deliver it in any order, cut anyhow and with repetitions.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator

from ingest.records import EventRow, TransactionRow
from ingest.testing import address, signature

CLOCK = 1_762_600_000
CONFIG = ("protocol_fee_bps", "resolver_reward_bps", "liquidity_provider_fee_bps")


class EventHistory:
    """Build a story one transaction at a time; each gets the next place on chain."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.transactions: list[TransactionRow] = []

    def append(self, *events: tuple[str, int | None, int | None, dict[str, object], dict[str, object] | None]) -> None:
        """Append one transaction with these (name, market, wallet, payload, context)."""
        number = len(self.transactions)
        rows = tuple(
            EventRow(
                ordinal=ordinal,
                name=name,
                market_id=None if market is None or name == "WinningsClaimed" else f"{market:064x}",
                market_account=None if market is None else address(1000 + market),
                wallet=None if wallet is None else address(wallet),
                clock=CLOCK + number * self.random.choice((0, 1, 7)),
                payload=json.dumps(payload).encode(),
                context=None if context is None else json.dumps(context).encode(),
            )
            for ordinal, (name, market, wallet, payload, context) in enumerate(events)
        )
        key = hashlib.sha256(f"{self.seed} {number}".encode()).digest()
        self.transactions.append(
            TransactionRow(
                signature=signature(self.seed * 100_000 + number),
                slot=1000 + number // 3,
                index_in_block=number % 3,
                block_time=CLOCK + number,
                err=None,
                fee_lamports=5000,
                body=b"x",
                digest=key,
                events=rows,
                dead_letters=(),
            )
        )

    def trade(self, market: int) -> tuple[str, int, int, dict[str, object], dict[str, object] | None]:
        """One buy or sell; sometimes of zero, sometimes of the largest u64."""
        draw = self.random
        shares = draw.choice((0, 1, 10**9, draw.randrange(10**12), 2**64 - 1))
        paid = draw.choice((0, 9, 10, draw.randrange(10**11), 2**63))
        terms = {"outcome": draw.random() < 0.5, "shares": str(shares), "new_price_yes": str(draw.randrange(10**9))}
        context = {"market_lamports": str(draw.randrange(10**12))} if draw.random() < 0.7 else None
        if draw.random() < 0.6:
            return "SharesBought", market, draw.randrange(1, 6), {**terms, "cost": str(paid)}, context
        return "SharesSold", market, draw.randrange(1, 6), {**terms, "proceeds": str(paid % 10**12)}, context

    def configure(self) -> None:
        """Change the fees from here on."""
        rates = dict(zip(CONFIG, self.random.sample(range(0, 900), 3), strict=True))
        self.append(
            ("ConfigUpdated", None, None, {**rates, "dispute_period": "120", "min_resolution_delay": "1"}, None)
        )


def generate(seed: int, *, markets: int = 3, length: int = 40) -> list[TransactionRow]:
    """A story of `markets` markets in about `length` transactions."""
    history = EventHistory(seed)
    if history.random.random() < 0.8:
        initial = {"backend_authority": address(90), "protocol_fee_bps": 300}
        history.append(("GlobalConfigInitialized", None, 99, initial, None))
    lifecycles = {market: _market_lifecycle(history, market) for market in range(1, markets + 1)}
    while lifecycles and len(history.transactions) < length:
        if history.random.random() < 0.08:
            history.configure()
        market = history.random.choice(list(lifecycles))
        if next(lifecycles[market], None) is None:
            del lifecycles[market]
    return history.transactions


def _market_lifecycle(history: EventHistory, market: int) -> Iterator[bool]:
    draw = history.random
    liquidity = str(draw.randrange(1, 10**12))
    created = {"b_parameter": str(draw.choice((1, 10**11, 5 * 10**11, 2**64 - 1))), "state": 0}
    creation_context = {"initial_liquidity": liquidity, "ipfs_question_hash": "Q" * 46} if draw.random() < 0.8 else None
    yield bool(history.append(("MarketCreated", market, draw.randrange(1, 6), created, creation_context))) or True
    for wallet in draw.sample(range(1, 6), 3):
        yield (
            bool(history.append(("ProposalVoteSubmitted", market, wallet, {"vote": draw.random() < 0.7}, None))) or True
        )
    if draw.random() < 0.1:
        history.append(("MarketCancelled", market, 99, {}, None))
        return
    tally = {"likes": 2, "dislikes": 1, "approval_percentage": 66, "approved": False}
    history.append(("ProposalAggregated", market, None, tally, None), ("ProposalApproved", market, 99, {}, None))
    yield True
    history.append(("MarketActivated", market, 1, {"initial_liquidity": liquidity}, None))
    yield True
    for _ in range(draw.randrange(2, 12)):
        history.append(*[history.trade(market) for _ in range(draw.choice((1, 1, 1, 3)))])
        yield True
    outcome = draw.random() < 0.5
    history.append(
        ("MarketResolved", market, draw.randrange(1, 6), {"outcome": outcome, "evidence_hash": "E" * 46}, None)
    )
    yield True
    yield from _market_end(history, market, outcome)


def _market_end(history: EventHistory, market: int, outcome: bool) -> Iterator[bool]:
    draw = history.random
    final: bool | None = outcome
    disputed = draw.random() < 0.6
    if disputed:
        history.append(("DisputeInitiated", market, draw.randrange(1, 6), {"disputed_outcome": outcome}, None))
        yield True
        history.append(("DisputeVoteSubmitted", market, draw.randrange(1, 6), {"vote": True}, None))
        yield True
    if disputed and draw.random() < 0.4:
        upheld = draw.random() < 0.5
        counts = {"agrees": 3, "disagrees": 2, "agreement_percentage": 60, "dispute_succeeded": upheld}
        history.append(("DisputeAggregated", market, None, counts, None))
        yield True
        if not upheld:
            final = None
    if final is not None:
        context = {"dispute_agree": 6, "dispute_disagree": 4} if disputed else None
        history.append(("MarketFinalized", market, None, {"final_outcome": final, "was_disputed": disputed}, context))
        yield True
    for wallet in draw.sample(range(1, 6), 2):
        history.append(
            ("WinningsClaimed", market, wallet, {"outcome": final, "amount": str(draw.randrange(1, 10**9))}, None)
        )
        yield True
    history.append(("LiquidityWithdrawn", market, 1, {"amount": "5"}, {"market_lamports": "4300000"}))
    yield True
