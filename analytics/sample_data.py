"""Creates sample data: a month of the markets of a small community, identical to the last row at every run.

The worked queries, the page made of them and the notebook all use this log. The actors of the development chain play it
(devchain.history), slowed down from minutes to weeks, and it is written by the same writer as every log. Then a few
wallets vote through the API and not on chain. The actors know nothing of outcomes, so prices predict nothing.

Filling an empty, migrated database that has the models takes about six seconds:

    sample_data.fill(database.dsn())
"""

from __future__ import annotations

import asyncio

import msgspec
import psycopg

from devchain.cluster import TOWER
from devchain.history import PROGRAM_ID, History
from devchain.market_plans import Tempo
from ingest.decode import decoder
from ingest.store.writer import Writer
from ingest.testing import address
from zmart.run.deploy import rebuild

HOUR = 3_600
DAY = 24 * HOUR
SEED = 12
TRANSACTIONS = 4_000
#: A day has about seventy trades, and a market lives for a week or two.
TEMPO = Tempo(
    markets=14,
    wallets=240,
    trades_per_second=3 / HOUR,
    longest_pause_seconds=2 * HOUR,
    proposal_seconds=10 * HOUR,
    trading_seconds=6 * DAY,
    dispute_period_seconds=DAY,
    claiming_seconds=3 * DAY,
)
SECONDS_PER_SLOT = 1_200.0
BATCH = 500


def fill(dsn: str) -> None:
    """Play the month into the log at `dsn`, as its owner, and compute the scheduled models."""
    asyncio.run(_write(dsn))
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(
            "select raw.append_entries(array['finalized_through'], array[(select max(slot) from raw.transactions)],"
            " array[null::int], array[null::int], array[null::bytea])"
        )
        _vote(owner)
        owner.execute("analyze")
    rebuild.refresh(dsn, report=lambda _: None)


async def _write(dsn: str) -> None:
    # A slot stands for many here. Under Alpenglow programs would read the time of a block that is minutes older.
    played = History(SEED, tempo=TEMPO, seconds_per_slot=SECONDS_PER_SLOT, cluster=TOWER).play(TRANSACTIONS)
    items = [msgspec.json.encode(item) for item in played]
    writer = await Writer.connect(dsn)
    try:
        for first in range(0, len(items), BATCH):
            batch = decoder.Decoder(PROGRAM_ID).decode_items(items[first : first + BATCH])
            await writer.append(batch.transactions, source="file")
    finally:
        await writer.close()


def _vote(owner: psycopg.Connection[tuple[object, ...]]) -> None:
    """Cast ballots through the API on markets still proposed, by wallets known to the chain and by unknown ones."""
    proposed = owner.execute("select id from marts.markets where state = 'PROPOSED' order by market_no").fetchall()
    known = owner.execute(
        "select w.wallet from raw.wallets_seen as w where not exists ("
        " select from marts.ballots as b where b.wallet_no = w.wallet_no) order by w.wallet_no limit 3"
    ).fetchall()
    unknown_wallets = [address(9_000 + number) for number in range(4)]
    for index, (market,) in enumerate(proposed):
        for number, wallet in enumerate([*(str(w) for (w,) in known), *unknown_wallets[: index % 5]]):
            with owner.transaction():
                owner.execute("select set_config('zmart.wallet', %s, true)", (wallet,))
                owner.execute(
                    "select app.cast_ballot(%s, 'proposal', %s, 'a worked example', %s)",
                    (market, (index + number) % 3 > 0, f"{index} {number}"),
                )
