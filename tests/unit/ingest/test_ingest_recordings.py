"""Recorded deliveries, replayed through the real decoder (tests/recordings/README.md)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from ingest_cases import PROGRAM

from ingest.decode.decoder import Decoder
from zmart.domain import events

RECORDINGS = Path(__file__).parents[2] / "recordings"
_spec = importlib.util.spec_from_file_location("record", RECORDINGS / "record.py")
assert _spec is not None
assert _spec.loader is not None
record = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(record)

BODIES = record.bodies()


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_a_recorded_delivery_decodes_to_the_recorded_rows(path: Path) -> None:
    """Every column of every row is the recorded one."""
    decoded = Decoder(PROGRAM).decode_body(path.read_bytes())
    assert record.rows_as_json(decoded) == json.loads(path.with_suffix(".rows.json").read_text())


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_the_bytes_of_a_recorded_item_are_stored(path: Path) -> None:
    """The stored bytes of each transaction are a line of the file."""
    lines = {line.rstrip(b",") for line in path.read_bytes().splitlines()}
    for row in Decoder(PROGRAM).decode_body(path.read_bytes()).transactions:
        assert row.body in lines


def test_the_lifecycle_has_every_event() -> None:
    """So that no kind of event is without a recording."""
    decoded = Decoder(PROGRAM).decode_body((RECORDINGS / "lifecycle.json").read_bytes())
    names = {event.name for row in decoded.transactions for event in row.events}
    assert names == set(events.EVENTS)
