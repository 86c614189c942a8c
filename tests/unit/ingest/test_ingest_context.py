"""The data of a transaction beyond its events."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from ingest_cases import (
    ACCOUNT,
    BOUGHT,
    CID,
    CREATED,
    FINALIZED,
    MARKET,
    OTHER_ACCOUNT,
    OTHER_MARKET,
    PROGRAM,
    SOLD,
    USER,
    buy,
    call,
    create,
    sell,
    transfer,
)
from solders.instruction import Instruction

from ingest import testing
from ingest.decode.decoder import Decoder
from ingest.records import TransactionRow
from zmart.domain import events

BALANCES = {ACCOUNT: (8_000_000, 7_000_000)}
AFTER = {"market_lamports": "7000000"}
MOVED = {"market_lamports_delta": "-1000000"}


def contexts(emitted: list[events.Event], *instructions: Instruction, **extra: Any) -> list[dict[str, Any] | None]:
    """The context of each event of one transaction."""
    item = testing.item(PROGRAM, emitted, instructions=instructions, **extra)
    row = Decoder(PROGRAM).decode_item(msgspec.json.encode(item))
    assert isinstance(row, TransactionRow)
    return [event.context and json.loads(event.context) for event in row.events]


def test_a_creation_context_has_liquidity_and_question() -> None:
    """Both are arguments of create_market; the event has neither (protocol.md 1.4.2)."""
    (context,) = contexts([CREATED], create())
    assert context is not None
    assert context["initial_liquidity"] == "5000000000"
    assert context["ipfs_question_hash"] == CID.decode()


def test_creations_are_matched_by_market_id() -> None:
    """Two markets in one transaction each get their own arguments, in any order."""
    other = CREATED._replace(market_id=OTHER_MARKET)
    found = contexts([CREATED, other], create(OTHER_MARKET, b"\0" * 46), create(MARKET))
    assert [t and t["ipfs_question_hash"] for t in found] == [CID.decode(), "0x" + "00" * 46]


def test_a_creation_called_by_another_program_is_found() -> None:
    """Inner instructions are decoded like the others."""
    (context,) = contexts([CREATED], transfer(USER), inner={0: [create()]})
    assert context is not None
    assert context["initial_liquidity"] == "5000000000"


@pytest.mark.parametrize("counts", [(6, 4), (None, None)])
def test_a_finalization_context_has_the_dispute_counts(
    counts: tuple[int | None, int | None],
) -> None:
    """Null counts are stored as null: the caller sent none."""
    args = dict(zip(("dispute_agree", "dispute_disagree"), counts, strict=True))
    (context,) = contexts([FINALIZED], call("finalize_market", args))
    assert context is not None
    assert {name: context[name] for name in args} == args


def test_counts_of_another_market_are_ignored() -> None:
    """A finalization is matched by its market account."""
    args = {"dispute_agree": 6, "dispute_disagree": 4}
    (context,) = contexts([FINALIZED], call("finalize_market", args, OTHER_MARKET), buy(MARKET))
    assert context is not None
    assert "dispute_agree" not in context


def test_balances_are_stored_with_the_last_event_of_a_market() -> None:
    """They are from after the transaction, so earlier events of the market get none."""
    other = BOUGHT._replace(market_id=OTHER_MARKET)
    lamports = {ACCOUNT: (1, 2), OTHER_ACCOUNT: (3, 2**63)}
    found = contexts([BOUGHT, other, BOUGHT], buy(), buy(OTHER_MARKET), lamports=lamports)
    assert found == [None, {"market_lamports": str(2**63)}, {"market_lamports": "2"}]


def test_a_single_sell_has_the_lamports_change_of_the_market() -> None:
    """The change decides between two prices before fees (protocol.md 8.6)."""
    assert contexts([SOLD], sell(), lamports=BALANCES) == [AFTER | MOVED]


def test_inner_calls_of_the_sell_do_not_hide_the_change() -> None:
    """Its payout may be a transfer of the System program."""
    found = contexts([SOLD], sell(), inner={0: [transfer(ACCOUNT, USER)]}, lamports=BALANCES)
    assert found == [AFTER | MOVED]


@pytest.mark.parametrize(
    "still",
    [
        call("submit_dispute_vote", {"vote": True}),
        buy(OTHER_MARKET),
        sell(OTHER_MARKET),
        transfer(USER),
    ],
)
def test_calls_that_move_no_lamports_of_the_market_do_not_hide_the_change(still: Instruction) -> None:
    """Votes in the market, trades in others and transfers elsewhere change nothing here."""
    (context,) = contexts([SOLD], still, sell(), lamports=BALANCES)
    assert context == AFTER | MOVED


@pytest.mark.parametrize("mover", [buy(), sell(), call("claim_winnings"), transfer(USER, ACCOUNT)])
def test_another_movement_on_the_market_hides_the_change(mover: Instruction) -> None:
    """Then the part of the sell in the change is unknown."""
    found = contexts([SOLD], sell(), mover, lamports=BALANCES)
    assert found == [AFTER]


def test_a_movement_of_another_instruction_hides_the_change() -> None:
    """An inner transfer to the market counts if the sell did not call it."""
    found = contexts([SOLD], sell(), transfer(USER), inner={1: [transfer(ACCOUNT)]}, lamports=BALANCES)
    assert found == [AFTER]


def test_a_sell_without_its_instruction_hides_the_change() -> None:
    """Without instructions the cause of a change is unknown."""
    found = contexts([SOLD], transfer(USER, ACCOUNT), lamports=BALANCES)
    assert found == [AFTER]


def test_accounts_of_a_look_up_table_follow_the_static_ones() -> None:
    """Static, loaded writable, loaded read-only: the order of protocol.md 8.3."""
    found = contexts(
        [SOLD],
        sell(),
        lamports=BALANCES,
        loaded=((testing.address(9), ACCOUNT), (testing.address(8),)),
    )
    assert found == [AFTER | MOVED]


def test_balances_that_do_not_match_the_keys_are_not_believed() -> None:
    """A list of another length would give another account's lamports."""
    item = testing.item(PROGRAM, [BOUGHT], instructions=[buy()], lamports=BALANCES)
    item["meta"]["postBalances"].pop(0)
    row = Decoder(PROGRAM).decode_item(msgspec.json.encode(item))
    assert isinstance(row, TransactionRow)
    assert row.events[0].context is None


@pytest.mark.parametrize("data", ["", "0OIl", "1", "z" * 100_000])
def test_invalid_instruction_data_adds_no_context(data: str) -> None:
    """Broken base58, and an item built to take long, lose the context alone."""
    item = testing.item(PROGRAM, [CREATED], instructions=[create()])
    item["transaction"]["message"]["instructions"][0]["data"] = data
    row = Decoder(PROGRAM).decode_item(msgspec.json.encode(item))
    assert isinstance(row, TransactionRow)
    assert b"initial_liquidity" not in (row.events[0].context or b"")
