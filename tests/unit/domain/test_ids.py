"""Ids and order keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmart import errors
from zmart.domain import base58, events, ids

WALLET = "4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA"
slots = st.integers(0, (1 << 39) - 1)
indexes = st.integers(0, (1 << 15) - 1)
ordinals = st.integers(0, (1 << 9) - 1)
places = st.tuples(slots, indexes, ordinals)


@given(place=places)
def test_order_keys_come_apart_again(place: tuple[int, int, int]) -> None:
    """A key decodes to its slot, index and ordinal, and fits a bigint."""
    key = ids.order_key(*place)
    assert ids.order_key_parts(key) == place
    assert 0 <= key < 1 << 63


@given(one=places, other=places)
def test_order_keys_order(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    """Keys compare as slot, then index, then ordinal do."""
    assert (ids.order_key(*one) < ids.order_key(*other)) == (one < other)


@pytest.mark.parametrize("place", [(-1, 0, 0), (0, 1 << 15, 0), (0, 0, 512), (0, -1, 0)])
def test_order_keys_refuse_what_does_not_fit(place: tuple[int, int, int]) -> None:
    """A part beyond its bits is rejected instead of changing the others."""
    with pytest.raises(errors.InvalidInput):
        ids.order_key(*place)


@given(data=st.binary(max_size=64))
def test_base58_and_back(data: bytes) -> None:
    """Base58 restores every byte, leading zeros too."""
    assert base58.decode(base58.encode(data)) == data


def test_market_ids() -> None:
    """A market id's text is 64 lower-case hex digits, for input in any case."""
    assert ids.parse_market_id("AB" * 32) == ids.market_id(b"\xab" * 32) == "ab" * 32
    assert ids.market_id_bytes(ids.market_id(b"\xab" * 32)) == b"\xab" * 32
    for wrong in ("", "ab", "zz" * 32, "ab" * 33, " " + "ab" * 31 + "a"):
        with pytest.raises(errors.InvalidInput):
            ids.parse_market_id(wrong)
    with pytest.raises(errors.InvalidInput):
        ids.market_id(b"short")


def test_addresses_and_signatures() -> None:
    """Base58 of another length, or invalid base58, is neither an address nor a signature."""
    assert ids.parse_address(WALLET) == WALLET
    assert ids.parse_address("1" * 32) == "1" * 32
    signature = base58.encode(bytes(range(64)))
    assert ids.parse_signature(signature) == signature
    for wrong in ("", WALLET[:-1], WALLET + "1", "0" * 44, signature, "\N{SNOWMAN}" * 40):
        with pytest.raises(errors.InvalidInput):
            ids.parse_address(wrong)
    with pytest.raises(errors.InvalidInput):
        ids.parse_signature(WALLET)


def test_events_know_their_names() -> None:
    """Eighteen events, found by the program's name, which their instances have too."""
    assert len(events.EVENTS) == 18
    assert all(name == event.name == event.__name__ for name, event in events.EVENTS.items())
    assert events.WinningsClaimedV0.name == "WinningsClaimed"
    assert "name" not in events.SharesBought._fields
