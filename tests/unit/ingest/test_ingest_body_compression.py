"""Bodies are decompressed byte for byte, with any content and size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.store import body_compression


@given(st.lists(st.binary(max_size=200), max_size=40))
def test_bodies_come_back_as_they_were(bodies: list[bytes]) -> None:
    """Empty ones and equal ones included, each at its place."""
    contents, places = body_compression.compress(bodies)

    assert [body_compression.decompress(contents[p.bundle - 1], p.start, p.length) for p in places] == bodies


def test_a_bundle_ends_where_the_next_body_would_be_too_much() -> None:
    """A body that is too large for a bundle is alone; the others share one."""
    small, large = b"s" * 1000, b"l" * (body_compression.BUNDLE_BYTES + 1)

    _, places = body_compression.compress([small, small, large, small])

    assert [(place.bundle, place.start) for place in places] == [(1, 0), (1, 1000), (2, 0), (3, 0)]


def test_no_bodies_make_no_bundle() -> None:
    """A batch of dead letters alone stores no bytes."""
    assert body_compression.compress([]) == ([], [])


def test_a_body_by_itself_is_opened_without_a_place() -> None:
    """As earlier releases stored them, before there were bundles."""
    assert body_compression.decompress(body_compression.compress_one(b"{}")) == b"{}"
