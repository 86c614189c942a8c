"""The generated history: seeded, skewed, and the same as rows and as webhook bodies."""

from __future__ import annotations

import collections
import itertools

from bench import history
from ingest.decode.decoder import Decoder
from ingest.records import TransactionRow

#: Small enough for markets to end within a few thousand transactions.
SMALL = history.Scale(markets=30, wallets=60)
COUNT = 8_000


def comparable(row: TransactionRow) -> TransactionRow:
    """Return a row without the fields that only delivered bytes decide."""
    return row._replace(body=b"", digest=b"")


def test_decoding_the_bodies_gives_the_rows() -> None:
    """The data sent over HTTP and the data written directly are one history, contexts included."""
    decode = Decoder(history.PROGRAM).decode_body
    bodies = history.bodies(COUNT, each=25, scale=SMALL)
    decoded = [comparable(row) for body in bodies for row in decode(body).transactions]
    assert decoded == [comparable(row) for row in history.transactions(COUNT, scale=SMALL)]


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same rows, another seed shares no signature with it."""
    first, again, other = (list(history.transactions(500, seed=seed, scale=SMALL)) for seed in (1, 1, 2))
    assert first == again
    assert {row.signature for row in first}.isdisjoint(row.signature for row in other)


def test_history_covers_the_whole_market_lifecycle() -> None:
    """Markets open, trade, end and pay out, so that every kind of mart has work."""
    names = {row.events[0].name for row in history.transactions(COUNT, scale=SMALL)}
    assert {"MarketCreated", "SharesBought", "SharesSold", "MarketFinalized", "WinningsClaimed"} <= names


def test_few_markets_and_few_wallets_do_most() -> None:
    """The most popular tenth of the markets draws more than half of the trades."""
    trades = [row for row in history.transactions(COUNT, scale=SMALL) if row.events[0].name.startswith("Shares")]
    markets = collections.Counter(row.events[0].market_account for row in trades)
    assert sum(count for _, count in markets.most_common(3)) > len(trades) // 2


def test_no_wallet_sells_shares_it_does_not_hold() -> None:
    """Positions never go below zero, as on chain."""
    held: collections.Counter[tuple[object, ...]] = collections.Counter()
    for happening in history.generate(COUNT, scale=SMALL):
        event = happening.event
        if event.name in {"SharesBought", "SharesSold"}:
            key = event.market_id, event.user, event.outcome  # type: ignore[union-attr]
            held[key] += event.shares if event.name == "SharesBought" else -event.shares  # type: ignore[union-attr]
            assert held[key] >= 0


def test_failed_transactions_have_no_events() -> None:
    """A share of the deliveries can fail, as on chain."""
    decode = Decoder(history.PROGRAM).decode_body
    (body,) = history.bodies(200, each=200, scale=SMALL, failures=0.2)
    rows = decode(body).transactions
    failed = [row for row in rows if row.err]
    assert 10 < len(failed) < 80
    assert not any(row.events for row in failed)
    assert all(len(row.events) == 1 for row in itertools.filterfalse(failed.__contains__, rows))
