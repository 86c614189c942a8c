"""A seedable history of the program's events with realistic skew, as rows for the writer.

Few markets draw most trades and few wallets make most of them (Zipf); a market is created, voted on,
approved, activated and traded. Amounts are plausible rather than exact: what is measured is volume.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.signature import Signature

from ingest.records import EventRow, TransactionRow

GENESIS_CLOCK = 1_760_000_000
FIRST_SLOT = 300_000_000
_BODY = zlib.compress(b"{}" * 400, 1)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How many markets and wallets, and how uneven their popularity."""

    markets: int = 500
    wallets: int = 5_000
    skew: float = 1.1


def transactions(events: int, *, seed: int = 1, scale: Scale | None = None) -> Iterator[TransactionRow]:
    """Yield transactions, one event each, until `events` are out."""
    scale = scale or Scale()
    draw = random.Random(seed)
    wallets = [_address(seed, "wallet", n) for n in range(scale.wallets)]
    markets = [
        (hashlib.sha256(f"{seed} market {n}".encode()).hexdigest(), _address(seed, "market", n))
        for n in range(scale.markets)
    ]
    by_market = list(itertools.accumulate(1 / (n + 1) ** scale.skew for n in range(scale.markets)))
    by_wallet = list(itertools.accumulate(1 / (n + 1) ** scale.skew for n in range(scale.wallets)))
    opening = (opened for market in markets for opened in _opening(market, wallets, draw))
    trading = (
        _trade(markets[m], wallets[w], draw)
        for m, w in zip(_chosen(draw, by_market), _chosen(draw, by_wallet), strict=False)
    )
    rows = itertools.islice(itertools.chain(opening, trading), events)
    for number, (name, market, wallet, payload, context) in enumerate(rows):
        yield _transaction(seed, number, name, market, wallet, payload, context)


def _chosen(draw: random.Random, cumulative: list[float]) -> Iterator[int]:
    population = range(len(cumulative))
    while True:
        yield from draw.choices(population, cum_weights=cumulative, k=1000)


def _opening(market, wallets, draw):
    creator = draw.choice(wallets)
    yield (
        "MarketCreated",
        market,
        creator,
        '{"b_parameter":"500000000000","state":0}',
        '{"initial_liquidity":"100000000000","ipfs_question_hash":"Qm"}',
    )
    for voter in draw.sample(wallets, 5):
        yield "ProposalVoteSubmitted", market, voter, '{"vote":true}', None
    yield "ProposalAggregated", market, None, '{"likes":5,"dislikes":0,"approval_percentage":100,"approved":true}', None
    yield "ProposalApproved", market, wallets[0], "{}", None
    yield "MarketActivated", market, creator, '{"initial_liquidity":"100000000000"}', None


def _trade(market, wallet, draw):
    outcome = "true" if draw.random() < 0.55 else "false"
    shares, price = draw.randrange(10**8, 10**10), draw.randrange(2 * 10**8, 8 * 10**8)
    cost = shares * price // 10**9 * 11 // 10
    if draw.random() < 0.8:
        payload = f'{{"outcome":{outcome},"shares":"{shares}","cost":"{cost}","new_price_yes":"{price}"}}'
        return "SharesBought", market, wallet, payload, '{"market_lamports":"5000000000"}'
    payload = f'{{"outcome":{outcome},"shares":"{shares // 4}","proceeds":"{cost // 5}","new_price_yes":"{price}"}}'
    return "SharesSold", market, wallet, payload, '{"market_lamports":"5000000000"}'


def _transaction(seed, number, name, market, wallet, payload, context) -> TransactionRow:
    digest = hashlib.sha512(b"%d %d" % (seed, number)).digest()
    event = EventRow(
        0,
        name,
        market[0],
        market[1],
        wallet,
        GENESIS_CLOCK + number // 50,
        payload.encode(),
        context.encode() if context else None,
    )
    return TransactionRow(
        signature=str(Signature(digest)),
        slot=FIRST_SLOT + number // 25,
        index_in_block=number % 25,
        block_time=GENESIS_CLOCK + number // 50,
        err=None,
        fee_lamports=5000,
        body=_BODY,
        digest=digest[:32],
        events=(event,),
        dead_letters=(),
    )


def _address(seed: int, kind: str, number: int) -> str:
    return str(Pubkey(hashlib.sha256(f"{seed} {kind} {number}".encode()).digest()))
