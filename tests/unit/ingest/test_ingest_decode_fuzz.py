"""Decoding is total: for any item there is a result, and nothing is raised."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ingest_cases import BOUGHT, CREATED, FINALIZED, PROGRAM, SOLD, buy, create, sell

from ingest import testing
from ingest.decode.decoder import DecodedDelivery, Decoder

DECODER = Decoder(PROGRAM)
#: Every character that JSON can represent, lone surrogates and U+0000 among them.
TEXT = st.text(st.characters(codec=None), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.sampled_from([BOUGHT, SOLD, CREATED, FINALIZED])
LINES = st.lists(
    st.builds(testing.data_line, EVENTS)
    | st.sampled_from(
        [
            f"Program {PROGRAM} invoke [1]",
            f"Program {PROGRAM} invoke [2]",
            f"Program {PROGRAM} success",
            f"Program {PROGRAM} failed: custom program error: 0x1770",
            "Program data: ",
            "Program data: AAAA AAAA",
            "Log truncated",
            f"Program {PROGRAM} invoke [99999999999]",
        ]
    )
    | TEXT,
    max_size=12,
)


def paths(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    found = [at] if at else []
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, inner in members:
        found += paths(inner, (*at, key))
    return found


GOOD = testing.item(
    PROGRAM,
    [CREATED, BOUGHT, SOLD, FINALIZED],
    instructions=[create(), buy(), sell()],
    inner={0: [buy()]},
)
PLACES = paths(GOOD)


def decoded(item: object) -> DecodedDelivery:
    """An item decoded alone, and in a delivery with a good neighbour that must be stored."""
    raw = json.dumps(item).encode()
    alone = DecodedDelivery()
    alone.add(DECODER.decode_item(raw))
    neighbour = json.dumps(testing.item(PROGRAM, [BOUGHT], number=77)).encode()
    together = DECODER.decode_body(b"[" + raw + b"," + neighbour + b"]")
    assert testing.signature(77) in {row.signature for row in together.transactions}
    return alone


def assert_storable(delivery: DecodedDelivery) -> None:
    """Check for values that Postgres would reject: U+0000, lone surrogates, numbers out of range."""
    dead_letters = [
        *delivery.dead_letters,
        *(dead_letter for row in delivery.transactions for dead_letter in row.dead_letters),
    ]
    for dead_letter in dead_letters:
        dead_letter.reason.encode()
        assert "\0" not in (dead_letter.signature or "")
    for row in delivery.transactions:
        assert 0 <= row.slot < 1 << 39
        assert row.index_in_block is None or 0 <= row.index_in_block < 1 << 15
        assert "\0" not in (row.err or "").encode().decode()
        for event in row.events:
            assert 0 <= event.ordinal < 512
            for stored in (event.payload, event.context or b"{}"):
                json.loads(stored.decode())
                assert b"\\u0000" not in stored


@given(JSON)
def test_any_json_is_decoded_without_an_error(item: object) -> None:
    """Arbitrary values never raise and never lose a neighbour."""
    assert_storable(decoded(item))


@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
def test_a_mutated_item_is_decoded_without_an_error(changes: list[tuple[Any, object]]) -> None:
    """Any member of a real item may be replaced by any value."""
    item = json.loads(json.dumps(GOOD))
    for path, value in changes:
        at: Any = item
        for step in path[:-1]:
            try:
                at = at[step]
            except (KeyError, IndexError, TypeError):
                break
        if isinstance(at, dict) or (isinstance(at, list) and path[-1] in range(len(at))):
            at[path[-1]] = value
    assert_storable(decoded(item))


@given(LINES, st.none() | JSON)
def test_any_log_is_decoded_without_an_error(lines: list[str], err: object) -> None:
    """Any lines in any order; a failed transaction has no events."""
    delivery = decoded(testing.item(PROGRAM, lines=lines, err=err))
    assert_storable(delivery)
    if err is not None:
        assert all(row.events == () for row in delivery.transactions)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_without_an_error(raw: bytes) -> None:
    """An item's bytes need not even be JSON."""
    delivery = DecodedDelivery()
    delivery.add(DECODER.decode_item(raw))
    assert len(delivery.dead_letters) == 1 or delivery.ignored == 1
