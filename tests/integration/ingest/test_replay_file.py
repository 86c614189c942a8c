"""`zmart replay FILE`: bodies of a file are processed like deliveries, and a second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.commands import replay
from ingest.testing import body, item
from zmart import errors, testing
from zmart.domain import events

PROGRAM = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"


def liked(number: int) -> bytes:
    """A delivery of one transaction with a like of a proposal."""
    vote = events.ProposalVoteSubmitted(
        bytes([7] * 32), "4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA", True, 1_762_600_000
    )
    return body(item(PROGRAM, [vote], number=number))


async def test_a_file_of_bodies_is_ingested_once(marts_database: testing.PostgresDatabase, tmp_path: Path) -> None:
    """Two lines are two deliveries; the same file again is only counted."""
    file = tmp_path / "bodies.jsonl"
    file.write_bytes(liked(1) + b"\n\n" + liked(2) + b"\n")

    first = await replay.replay(file, marts_database.dsn("zmart_ingest"), PROGRAM)
    second = await replay.replay(file, marts_database.dsn("zmart_ingest"), PROGRAM)

    assert (first.transactions, first.events, second.transactions, second.duplicates) == (2, 2, 0, 2)


async def test_a_line_that_is_no_delivery_is_named(marts_database: testing.PostgresDatabase, tmp_path: Path) -> None:
    """Earlier lines are stored; the message has the line and the expected format."""
    file = tmp_path / "bodies.jsonl"
    file.write_bytes(liked(1) + b"\n{}\n")

    with pytest.raises(errors.InvalidInput, match=r"Line 2: .*array of transactions"):
        await replay.replay(file, marts_database.dsn("zmart_ingest"), PROGRAM)

    with marts_database.connect() as connection:
        assert connection.execute("select count(*) from raw.transactions").fetchone() == (1,)
