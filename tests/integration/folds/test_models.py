"""The models' own tests: unit tests, contracts, keys, relationships and invariants, by dbt, over a generated chain."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from devchain import history
from ingest.decode import decoder
from ingest.store.writer import Writer
from zmart import testing
from zmart.run.deploy import rebuild


@pytest.mark.drill
def test_dbt_build_is_green_over_a_played_chain(marts_database: testing.PostgresDatabase) -> None:
    """Every unit test and every data test passes on a history in which all eighteen events occur."""

    async def ingest() -> None:
        items = [msgspec.json.encode(item) for item in history.play(5, 1_500)]
        writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
        await writer.append(decoder.Decoder(history.PROGRAM_ID).decode_items(items).transactions, source="webhook")
        await writer.close()

    asyncio.run(ingest())

    rebuild.build_models(marts_database.dsn(), ["build"])
