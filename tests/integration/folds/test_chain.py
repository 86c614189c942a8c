"""The marts against the chain: the folds of the events equal the program's accounts."""

from __future__ import annotations

import asyncio
import random

import accounts
import msgspec
import pytest

from devchain import history
from ingest.decode.decoder import Decoder
from ingest.store.writer import Writer
from zmart import testing
from zmart.run.deploy import rebuild

TRANSACTIONS = 4_000


@pytest.fixture(scope="module")
def chain() -> history.History:
    """A chain after some thousand transactions, with all eighteen instructions among them."""
    return history.History(seed=11)


@pytest.fixture(scope="module")
def bodies(chain: history.History) -> list[bytes]:
    """Its transactions as webhook items, in another order than on chain."""
    items = [msgspec.json.encode(item) for item in chain.play(TRANSACTIONS)]
    random.Random(3).shuffle(items)
    return items


def ingest(database: testing.PostgresDatabase, items: list[bytes]) -> None:
    """Decode and append, some hundred transactions at a time."""

    async def run() -> None:
        decoder = Decoder(history.PROGRAM_ID)
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        for start in range(0, len(items), 400):
            decoded = decoder.decode_items(items[start : start + 400])
            await writer.append(decoded.transactions, source="webhook", dead_letters=decoded.dead_letters)
        await writer.close()

    asyncio.run(run())


def test_marts_equal_the_programs_accounts(
    marts_database: testing.PostgresDatabase, chain: history.History, bodies: list[bytes]
) -> None:
    """Every market and position, field by field, and every ballot, after a shuffled history of all eighteen events."""
    ingest(marts_database, bodies)

    with marts_database.connect() as connection:
        assert accounts.fetch_rows(connection, "select name, reason from ops.model_status where is_stale") == []
        assert accounts.fetch_rows(connection, "select reason_code, reason from raw.dead_letters") == []
        names = {row["name"] for row in accounts.fetch_rows(connection, "select distinct name from raw.events")}
        assert len(names) == 18
        assert accounts.differences(connection, chain.accounts()) == []
    assert all(verdict.is_consistent for verdict in rebuild.verify(marts_database.dsn()))
