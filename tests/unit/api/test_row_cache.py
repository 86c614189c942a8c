"""Texts of rows are found by version, on the server that assigned it, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.reads import row_cache

HERE = ("epoch", "started")


@pytest.fixture
def known() -> row_cache.RowCache:
    """Space for four texts of a kilobyte."""
    return row_cache.RowCache(most_bytes=4 * 1_300)


def test_a_stored_row_is_found(known: row_cache.RowCache) -> None:
    """By version; a text that was never rendered is missing."""
    known.store(HERE, {"1:7:100": b"{}"})
    assert known.find(HERE, ["1:7:100", "1:7:101"]) == {"1:7:100": b"{}"}


@pytest.mark.parametrize("there", [("another", "started"), ("epoch", "later")])
def test_a_version_is_valid_in_one_scope_only(known: row_cache.RowCache, there: row_cache.VersionScope) -> None:
    """A restored log, a promoted replica: transactions may have the same numbers."""
    known.store(HERE, {"1:7:100": b"old"})
    assert known.find(there, ["1:7:100"]) == {}
    known.store(there, {"1:7:100": b"new"})
    assert known.find(there, ["1:7:100"]) == {"1:7:100": b"new"}
    assert known.find(HERE, ["1:7:100"]) == {}


def test_the_least_recently_used_row_is_evicted_first(known: row_cache.RowCache) -> None:
    """A text that is used stays."""
    for number in range(4):
        known.store(HERE, {str(number): b"x" * 1_000})
    known.find(HERE, ["0"])
    known.store(HERE, {"4": b"x" * 1_000})
    assert known.find(HERE, map(str, range(5))).keys() == {"0", "2", "3", "4"}


def test_no_memory_holds_nothing() -> None:
    """RESPONSE_CACHE_MIB=0."""
    known = row_cache.RowCache(most_bytes=0)
    known.store(HERE, {"1": b"{}"})
    assert (known.find(HERE, ["1"]), known.size_bytes) == ({}, 0)


@given(st.lists(st.dictionaries(st.text(max_size=3), st.binary(max_size=2_000), max_size=8)))
def test_memory_is_bounded_and_counted(written: list[dict[str, bytes]]) -> None:
    """For any sequence of insertions, the cached texts are those that can be found."""
    known = row_cache.RowCache(most_bytes=5_000)
    for each in written:
        known.store(HERE, each)
        known.store(HERE, each)
    versions = {version for each in written for version in each}
    found = known.find(HERE, versions)
    assert known.size_bytes == sum(len(version) + len(text) + 250 for version, text in found.items()) <= 5_000


def test_rows_are_asked_for_by_their_numbers() -> None:
    """The first part of a version."""
    assert row_cache.row_numbers(["71:16402:9811", "72:16402:9760:12"]) == ["71", "72"]
