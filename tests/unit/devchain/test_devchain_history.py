"""A generated history: complete, repeatable, and consistent with its final accounts."""

from __future__ import annotations

import collections
import itertools
from typing import Any

import pytest

from devchain import history
from zmart.chain import logs
from zmart.domain import events

TRANSACTIONS = 600


@pytest.fixture(scope="module")
def played() -> tuple[history.History, list[dict[str, Any]]]:
    """One history and its items."""
    chain = history.History(3)
    return chain, list(chain.play(TRANSACTIONS))


def decoded(items: list[dict[str, Any]]) -> list[Any]:
    """The events of items that succeeded."""
    return [
        event
        for item in items
        if item["meta"]["err"] is None
        for _, event in logs.program_events(item["meta"]["logMessages"], history.PROGRAM_ID)
    ]


def test_every_kind_of_event_appears(played: tuple[history.History, list[dict[str, Any]]]) -> None:
    """Six hundred transactions contain all eighteen kinds of event."""
    assert {event.name for event in decoded(played[1])} == set(events.EVENTS)


def test_the_same_seed_is_the_same_history() -> None:
    """Two runs with one seed are equal to the last byte, two seeds are not."""
    first, again, other = (list(history.play(seed, 60)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_play_goes_on_where_it_stopped() -> None:
    """Taking a history in two parts gives the same items as taking it at once."""
    chain = history.History(5)
    parts = [*chain.play(17), *chain.play(43)]
    assert parts == list(history.play(5, 60))


def test_items_are_in_chain_order(played: tuple[history.History, list[dict[str, Any]]]) -> None:
    """Slot and index only grow, and no signature occurs twice."""
    places = [(item["slot"], item["indexWithinBlock"]) for item in played[1]]
    assert places == sorted(set(places))
    signatures = [item["transaction"]["signatures"][0] for item in played[1]]
    assert len(set(signatures)) == len(signatures)


def test_lamports_are_only_moved(played: tuple[history.History, list[dict[str, Any]]]) -> None:
    """The accounts of a transaction together lose exactly its fee."""
    for item in played[1]:
        meta = item["meta"]
        assert sum(meta["preBalances"]) - sum(meta["postBalances"]) == meta["fee"]


def test_events_add_up_to_the_accounts(
    played: tuple[history.History, list[dict[str, Any]]],
) -> None:
    """Shares, volume and invested amounts summed over events equal the accounts."""
    chain, items = played
    shares: collections.Counter[tuple[bytes, bool]] = collections.Counter()
    invested: collections.Counter[tuple[bytes, str]] = collections.Counter()
    for event in decoded(items):
        if event.name == "SharesBought":
            shares[event.market_id, event.outcome] += event.shares
            invested[event.market_id, event.user] += event.cost
        elif event.name == "SharesSold":
            shares[event.market_id, event.outcome] -= event.shares
    held = chain.accounts()
    ids = {address: fields["market_id"] for address, fields in held["markets"].items()}
    for fields in held["markets"].values():
        begun = fields["b_parameter"] // 1000
        assert fields["shares_yes"] == begun + shares[fields["market_id"], True]
        assert fields["shares_no"] == begun + shares[fields["market_id"], False]
    for fields in held["positions"].values():
        assert fields["total_invested"] == invested[ids[fields["market"]], fields["user"]]


def test_some_transactions_fail_and_pay(
    played: tuple[history.History, list[dict[str, Any]]],
) -> None:
    """A failed transaction lands with its error, its fee and no event."""
    failed = [item for item in played[1] if item["meta"]["err"] is not None]
    assert failed
    assert all(item["meta"]["fee"] >= 5_000 for item in failed)
    assert all("InstructionError" in item["meta"]["err"] for item in failed)


def test_batches_are_the_items_in_pieces() -> None:
    """Batches contain every item once, in order."""
    items = list(history.play(5, 25))
    pieces = list(history.batches(items, 10))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    assert list(itertools.chain(*pieces)) == items
