"""Fills a log for the tests of the export: transactions of the program, and what wallets and moderators write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from devchain import history
from ingest.decode import decoder
from ingest.records import TransactionRow
from ingest.store.writer import Writer
from ingest.testing import address
from zmart import testing
from zmart.run.deploy import rebuild


def deliveries(seed: int = 7, count: int = 240) -> Sequence[TransactionRow]:
    """Transactions as the decoder makes them."""
    items = [msgspec.json.encode(item) for item in history.play(seed, count)]
    return decoder.Decoder(history.PROGRAM_ID).decode_items(items).transactions


def append(database: testing.PostgresDatabase, rows: Sequence[TransactionRow], size: int = 20) -> None:
    """Append the rows in batches, each in a transaction of its own."""

    async def run() -> None:
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        for first in range(0, len(rows), size):
            await writer.append(rows[first : first + size], source="webhook")
        await writer.close()

    asyncio.run(run())


def vote(database: testing.PostgresDatabase) -> bool:
    """Cast two ballots through the API and write a comment, if a market is proposed; return whether one is."""
    with database.connect() as owner:
        market = owner.execute("select min(id) from marts.markets where state = 'PROPOSED'").fetchone()
        if market is None or market[0] is None:
            return False
        for number in range(2):
            with owner.transaction():
                owner.execute("select set_config('zmart.wallet', %s, true)", (address(9_000 + number),))
                arguments = (market[0], f"vote {number}", f"signature {number}")
                owner.execute("select app.cast_ballot(%s, 'proposal', true, %s, %s)", arguments)
                owner.execute("select app.post_comment(%s, 'Quite likely', null)", market)
    return True


def decide(database: testing.PostgresDatabase) -> None:
    """Write a profile, an image and an event, and decide about a wallet: each kind of entry is in the log."""
    with database.connect() as owner:
        rows = owner.execute("select id, creator_wallet from marts.markets where is_known order by market_no limit 1")
        ((market, creator),) = rows.fetchall()
        owner.execute("select set_config('zmart.is_moderator', 'true', false)")
        owner.execute("select set_config('zmart.wallet', %s, false)", (creator,))
        owner.execute("select app.set_profile('Ann', null)")
        owner.execute("select app.set_market_image(%s, sha256('png'), 'png', 'image/png', 2, 2)", (market,))
        owner.execute("select app.save_event_group(null, 'Weather', null, array[%s])", (market,))
        owner.execute(
            "select app.set_market_metadata(%s, 'Will it rain in May?', null, 'science', '{}', null, null)", (market,)
        )
        owner.execute("select app.react(1, 'up'), app.moderate_wallet(%s, 'ban', 'Spam')", (address(9_000),))


def fill(database: testing.PostgresDatabase) -> None:
    """Append several batches, with ballots and comments as soon as a market is proposed."""
    rows = deliveries()
    has_voted = False
    for first in range(0, len(rows), 20):
        append(database, rows[first : first + 20])
        if not has_voted and vote(database):
            has_voted = True
            decide(database)
    assert has_voted
    rebuild.refresh(database.dsn(), report=lambda _: None)
