"""Truncated logs: events are rebuilt exactly from the instructions, and the others are reported as lost."""

from __future__ import annotations

import collections
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from ingest_cases import (
    ACCOUNT,
    BOUGHT,
    MARKET,
    NOW,
    OTHER_ACCOUNT,
    OTHER_MARKET,
    OTHER_PROGRAM,
    PROGRAM,
    USER,
    buy,
)
from solders.instruction import Instruction

from devchain.cluster import TOWER
from devchain.history import History
from ingest import testing
from ingest.decode import truncated_logs
from ingest.decode.decoder import Decoder
from ingest.records import EventRow, TransactionRow
from zmart.chain import event_digests, transactions
from zmart.domain import events

DECODER = Decoder(PROGRAM)
#: Kinds that a transaction alone always determines; the module's docstring has the reason.
ALWAYS = truncated_logs.REBUILDABLE - {"ConfigUpdated", "LiquidityWithdrawn"}
CONFIG = {
    "protocol_fee_bps": 300,
    "resolver_reward_bps": 200,
    "liquidity_provider_fee_bps": 500,
    "proposal_approval_threshold": 7_000,
    "dispute_success_threshold": 6_000,
    "min_resolution_delay": 60,
    "dispute_period": 120,
}
VOTE = transactions.instruction("submit_proposal_vote", PROGRAM, {"user": USER}, {"vote": True}, market_id=MARKET)
WITHDRAW = transactions.instruction("withdraw_liquidity", PROGRAM, {"creator": USER}, None, market_id=MARKET)


def row_of(item: dict[str, Any]) -> TransactionRow:
    """Decode a transaction that must be valid."""
    row = DECODER.decode_item(msgspec.json.encode(item))
    assert isinstance(row, TransactionRow)
    return row


def cut_at(lines: Sequence[str], limit: int) -> list[str]:
    """A log as validators store it with `limit` bytes: shorter lines may follow the cut."""
    result, written, is_cut = [], 0, False
    for line in lines:
        if written + len(line.encode()) < limit:
            written += len(line.encode())
            result.append(line)
        elif not is_cut:
            is_cut = True
            result.append("Log truncated")
    return result


def event_fields(row: EventRow) -> tuple[Any, ...]:
    """Return the fields of an event, read or rebuilt."""
    return row.ordinal, row.name, row.market_account, row.wallet, row.clock, json.loads(row.payload)


def bytes_of_columns(row: EventRow) -> bytes:
    """Return an event's bytes, computed from its columns as `zmart audit` reads them."""
    market_id = row.market_id if row.name == "MarketCreated" or not is_rebuilt(row) else None
    columns = (row.name, market_id, row.market_account, row.wallet, row.clock, json.loads(row.payload))
    return event_digests.logged_bytes(event_digests.StoredEvent(*columns))


def is_rebuilt(row: EventRow) -> bool:
    """Return whether its context marks it as rebuilt."""
    return row.context is not None and json.loads(row.context).get("rebuilt_from") == "instruction"


def has_exact_clock(row: EventRow) -> bool:
    """Whether its clock is the one that the program saw."""
    return row.context is None or "clock_source" not in json.loads(row.context)


@pytest.mark.parametrize("limit", [1, 400, 900])
def test_a_truncated_history_yields_true_events_or_dead_letters(limit: int) -> None:
    """For any cut of the logs of a chain, each event is correct or named as lost, under its own ordinal."""
    fates: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    # Under Tower the time of the block is the program's clock, so a rebuilt event has the same one.
    for item in History(seed=11, cluster=TOWER).play(1_500):
        whole = row_of(item)
        item["meta"]["logMessages"] = cut_at(item["meta"]["logMessages"], limit)
        if "Log truncated" not in item["meta"]["logMessages"]:
            continue
        row = row_of(item)
        original = {event.ordinal: event for event in whole.events}
        lost = {dead_letter.ordinal for dead_letter in row.dead_letters}
        assert {event.ordinal for event in row.events} | lost == set(original)
        assert {event.ordinal for event in row.events} & lost == set()
        for event in row.events:
            assert event_fields(event) == event_fields(original[event.ordinal])
            assert bytes_of_columns(event) == event.logged
            fates[event.name]["rebuilt" if is_rebuilt(event) else "read"] += 1
        for ordinal in lost:
            fates[original[ordinal].name if ordinal is not None else "?"]["lost"] += 1
    assert "?" not in fates
    assert {name for name, fate in fates.items() if fate["rebuilt"]} <= truncated_logs.REBUILDABLE
    assert [name for name in ALWAYS if fates[name]["lost"]] == []
    if limit == 1:
        assert {name for name, fate in fates.items() if fate["rebuilt"]} >= ALWAYS | {"LiquidityWithdrawn"}


def cut_item(*instructions: Instruction, lines: Sequence[str] = (), **extra: Any) -> dict[str, Any]:
    """A transaction whose log is `lines` and a cut."""
    log = [*lines, "Log truncated"]
    return testing.item(PROGRAM, lines=log, instructions=instructions, block_time=NOW, **extra)


def test_an_event_before_the_cut_is_stored_as_read() -> None:
    """An event that was read is unchanged, gets no second row, and gives its clock to rebuilt ones."""
    lines = testing.log_lines(PROGRAM, [testing.data_line(BOUGHT._replace(timestamp=NOW + 7))])
    row = row_of(cut_item(buy(), VOTE, lines=lines))
    assert [(e.ordinal, e.name, e.clock, is_rebuilt(e)) for e in row.events] == [
        (0, "SharesBought", NOW + 7, False),
        (1, "ProposalVoteSubmitted", NOW + 7, True),
    ]
    assert [has_exact_clock(event) for event in row.events] == [True, True]
    assert row.dead_letters == ()


def test_a_clock_from_the_block_is_marked() -> None:
    """Since Alpenglow the program sees the time of the parent block, so the block's own time may be later."""
    (event,) = row_of(cut_item(VOTE)).events
    assert (event.clock, is_rebuilt(event), has_exact_clock(event)) == (NOW, True, False)


def test_a_short_event_after_the_cut_keeps_its_place() -> None:
    """A long event that did not fit before a short one that did: the short one is not taken for the first."""
    lines = ["Log truncated", *testing.log_lines(PROGRAM, [testing.data_line(_voted())])]
    row = row_of(testing.item(PROGRAM, lines=lines, instructions=(buy(), VOTE)))
    assert [(event.ordinal, event.name) for event in row.events] == [(1, "ProposalVoteSubmitted")]
    assert [(each.reason_code, each.ordinal) for each in row.dead_letters] == [("truncated", 0)]
    assert "SharesBought" in row.dead_letters[0].reason
    assert ACCOUNT in row.dead_letters[0].reason


@pytest.mark.parametrize("lines_of_other", [["Program data: AA=="], ["Program data: AA==", "Program data: x y"]])
def test_data_of_another_program_after_the_cut_hides_no_vote(lines_of_other: list[str]) -> None:
    """A voter adds a call of a program that emits a byte: the vote is rebuilt all the same."""
    lines = [f"Program {PROGRAM} invoke [1]", "Log truncated", *lines_of_other]
    row = row_of(testing.item(PROGRAM, lines=lines, instructions=(VOTE,)))
    assert [(event.ordinal, event.name, is_rebuilt(event)) for event in row.events] == [
        (0, "ProposalVoteSubmitted", True)
    ]
    assert row.dead_letters == ()


def test_an_event_belongs_to_the_call_about_its_market() -> None:
    """Of two votes that differ only in the market, the logged one is not taken for the lost one."""
    other = transactions.instruction(
        "submit_proposal_vote", PROGRAM, {"user": USER}, {"vote": True}, market_id=OTHER_MARKET
    )
    lines = testing.log_lines(PROGRAM, [testing.data_line(_voted()._replace(market_id=OTHER_MARKET))])
    row = row_of(cut_item(VOTE, other, lines=lines))
    assert [(event.ordinal, event.market_account, is_rebuilt(event)) for event in row.events] == [
        (0, ACCOUNT, True),
        (1, OTHER_ACCOUNT, False),
    ]


def _voted() -> events.ProposalVoteSubmitted:
    return events.ProposalVoteSubmitted(MARKET, USER, True, NOW)


def test_a_withdrawal_is_rebuilt_from_the_balance_change() -> None:
    """By the balances, if no other instruction moved lamports there; with a trade beside it, it is unknown."""
    lamports = {ACCOUNT: (9_000_000, 4_297_360)}
    (alone,) = row_of(cut_item(WITHDRAW, lamports=lamports)).events
    assert json.loads(alone.payload) == {"amount": "4702640"}

    risen = row_of(cut_item(WITHDRAW, lamports={ACCOUNT: (4_297_360, 9_000_000)}))
    assert (risen.events, [dead_letter.ordinal for dead_letter in risen.dead_letters]) == ((), [0])

    beside = row_of(cut_item(buy(), WITHDRAW, lamports=lamports))
    assert (beside.events, [dead_letter.ordinal for dead_letter in beside.dead_letters]) == ((), [0, 1])


@pytest.mark.parametrize("left_out", [None, "min_resolution_delay", "dispute_period"])
def test_a_configuration_is_rebuilt_only_when_complete(left_out: str | None) -> None:
    """An omitted limit keeps a value that is nowhere in the transaction."""
    args = {**CONFIG, **({left_out: None} if left_out else {})}
    row = row_of(cut_item(transactions.instruction("update_global_config", PROGRAM, {"admin": USER}, args)))
    assert [event.name for event in row.events] == ([] if left_out else ["ConfigUpdated"])
    assert [dead_letter.ordinal for dead_letter in row.dead_letters] == ([0] if left_out else [])


@pytest.mark.parametrize(
    ("what", "item"),
    [
        ("unrecorded inner calls", cut_item(VOTE) | {"meta": {**cut_item(VOTE)["meta"], "innerInstructions": None}}),
        ("no clock", cut_item(VOTE) | {"blockTime": None}),
        ("an event without a call", cut_item(VOTE, lines=testing.log_lines(PROGRAM, [testing.data_line(BOUGHT)]))),
        ("a line that is no event", cut_item(VOTE, lines=testing.log_lines(PROGRAM, ["Program data: AAAA"]))),
        ("an unknown call", cut_item(VOTE, Instruction(VOTE.program_id, b"unheard of", VOTE.accounts))),
    ],
)
def test_events_that_match_no_call_are_not_rebuilt(what: str, item: dict[str, Any]) -> None:
    """Then the events after the cut are lost, and reported."""
    row = row_of(item)
    assert [event for event in row.events if is_rebuilt(event)] == [], what
    assert "truncated" in [dead_letter.reason_code for dead_letter in row.dead_letters]


def test_a_call_of_another_program_is_not_rebuilt() -> None:
    """Another program's instruction with our data emits no event of ours."""
    forged = Instruction(type(VOTE.program_id).from_string(OTHER_PROGRAM), bytes(VOTE.data), VOTE.accounts)
    row = row_of(cut_item(forged, inner={0: [VOTE]}))
    assert [event.name for event in row.events] == ["ProposalVoteSubmitted"]


def test_a_failed_transaction_did_nothing() -> None:
    """Its instructions are not rebuilt into events."""
    row = row_of(cut_item(VOTE, err={"InstructionError": [0, {"Custom": 6000}]}))
    assert (row.events, row.dead_letters) == ((), ())
