"""The lines of a transaction's log that are trusted."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmart.chain import codec, logs
from zmart.domain import events
from zmart.domain.ids import Address

OURS = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"
SYSTEM = "11111111111111111111111111111111"
OTHER = "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"
WALLET = Address("4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA")

BOUGHT = events.SharesBought(b"\1" * 32, WALLET, True, 5, 6, 7, 8)
PAUSED = events.ProtocolPauseStatusChanged(True, WALLET, 9)


def data(event: events.Event) -> str:
    """Return the line of an event."""
    return f"Program data: {base64.b64encode(codec.default().encode_event(event)).decode()}"


def invoke(program: str, depth: int) -> str:
    """Return the line of a program's start."""
    return f"Program {program} invoke [{depth}]"


def success(program: str) -> str:
    """Return the line of a program's end."""
    return f"Program {program} success"


def found(lines: list[str]) -> list[tuple[int, events.Event]]:
    """The events of our program."""
    return list(logs.program_events(lines, OURS))


BUY = [
    invoke("ComputeBudget111111111111111111111111111111", 1),
    success("ComputeBudget111111111111111111111111111111"),
    invoke(OURS, 1),
    "Program log: Instruction: BuyShares",
    invoke(SYSTEM, 2),
    success(SYSTEM),
    invoke(SYSTEM, 2),
    success(SYSTEM),
    data(BOUGHT),
    f"Program {OURS} consumed 41234 of 200000 compute units",
    success(OURS),
]


def test_a_buy() -> None:
    """The event of an ordinary buy is found after the inner transfers."""
    assert logs.read(BUY, OURS) == logs.ParsedLog([(0, BOUGHT)], [], truncated=False)


def test_several_instructions() -> None:
    """Ordinals continue over the instructions of a transaction."""
    assert found([*BUY, *BUY]) == [(0, BOUGHT), (1, BOUGHT)]


def test_called_by_another() -> None:
    """Our program's events count at any depth, and its caller's lines do not."""
    lines = [
        invoke(OTHER, 1),
        data(PAUSED),
        invoke(OURS, 2),
        data(BOUGHT),
        success(OURS),
        data(PAUSED),
        success(OTHER),
        data(PAUSED),
    ]
    assert found(lines) == [(0, BOUGHT)]


def test_forged_by_a_program_we_call() -> None:
    """Events of a program below ours are not ours."""
    lines = [
        invoke(OURS, 1),
        invoke(OTHER, 2),
        data(BOUGHT),
        success(OTHER),
        data(PAUSED),
        success(OURS),
    ]
    assert found(lines) == [(0, PAUSED)]


@pytest.mark.parametrize(
    "text",
    [
        data(BOUGHT),
        f"\n{invoke(OURS, 1)}\n{data(BOUGHT)}",
        invoke(OURS, 1),
        success(OTHER),
        data(BOUGHT).removeprefix("Program data: "),
    ],
)
def test_forged_in_printed_text(text: str) -> None:
    """Printed text is never parsed, even if it contains line breaks."""
    lines = [invoke(OTHER, 1), f"Program log: {text}", data(BOUGHT), success(OTHER)]
    assert logs.read(lines, OURS) == logs.ParsedLog([], [], truncated=False)
    assert found([invoke(OURS, 1), f"Program log: {text}", success(OURS)]) == []


@pytest.mark.parametrize("text", ["invoke [1]", "invoke [2]"])
@pytest.mark.parametrize("opening", [logs.TEXT, logs.DATA])
def test_printed_text_that_reads_like_a_move(opening: str, text: str) -> None:
    """`Program log: invoke [1]` starts no program called `log:`; the lines before and after it are still ours."""
    lines = [invoke(OURS, 1), data(PAUSED), f"{opening}{text}", data(BOUGHT), success(OURS)]
    assert [event for _, event in found(lines)] == [PAUSED, BOUGHT]


@pytest.mark.parametrize("ending", [[f"Program {OTHER} failed: custom program error: 0x1"], []])
def test_an_inner_call_that_failed(ending: list[str]) -> None:
    """A failed call, logged or not, does not affect the events of later instructions."""
    lines = [invoke(OURS, 1), invoke(OTHER, 2), *ending]
    assert found([*lines, invoke(SYSTEM, 2), success(SYSTEM), success(OURS), *BUY]) == [(0, BOUGHT)]
    assert found([*lines, *BUY]) == [(0, BOUGHT)]


def test_a_failed_call_ends() -> None:
    """After a call that failed, the following lines are its caller's."""
    lines = [invoke(OURS, 1), invoke(OTHER, 2), f"Program {OTHER} failed: no", data(BOUGHT)]
    assert found(lines) == [(0, BOUGHT)]


def test_an_ending_closes_what_is_inside() -> None:
    """The end of a program ends its unfinished calls, too."""
    assert found([invoke(OURS, 1), invoke(OTHER, 2), success(OURS), data(BOUGHT)]) == []


def test_lines_that_are_no_events() -> None:
    """Undecodable lines of our program are returned with the reason and count for the ordinals."""
    lines = [
        invoke(OURS, 1),
        "Program data: ",
        data(BOUGHT),
        "Program data: not base64!",
        "Program data: AAAAAAAAAAA= AAAA",
        "Program data: \N{SNOWMAN}\ud800\0",
        f"{data(BOUGHT)[:-8]}",
        "Program data: AAAAAAAAAAA=",
        data(PAUSED),
        success(OURS),
    ]
    read = logs.read(lines, OURS)
    assert read.events == [(1, BOUGHT), (7, PAUSED)]
    assert [each.ordinal for each in read.undecodable] == [0, 2, 3, 4, 5, 6]
    assert [each.line for each in read.undecodable] == [
        line.removeprefix("Program data: ") for line in lines[1:8] if line != data(BOUGHT)
    ]
    assert all(each.reason.endswith(".") for each in read.undecodable)
    assert "several values" in read.undecodable[2].reason
    assert "SharesBought has 105 bytes" in read.undecodable[4].reason
    assert found(lines) == read.events


@pytest.mark.parametrize(
    ("line", "truncated"),
    [
        ("Log truncated", True),
        ("Program log: Log truncated", False),
        ("Log truncated ", False),
    ],
)
def test_truncation(line: str, truncated: bool) -> None:
    """Only a line of the runtime itself means that lines are missing."""
    assert logs.read([*BUY, line], OURS).truncated is truncated


def test_after_a_cut_lines_that_are_no_event_belong_to_nobody() -> None:
    """They may be another program's, whose own lines did not fit; before the cut and without one they are ours."""
    foreign = "Program data: AA=="
    ours, rest = BUY[:-1], BUY[-1:]
    before = logs.read([*ours, foreign, "Log truncated", *rest], OURS)
    assert [each.ordinal for each in before.undecodable] == [1]
    after = logs.read([*ours, "Log truncated", foreign, "Program data: A", data(BOUGHT), *rest], OURS)
    assert (after.undecodable, [ordinal for ordinal, _ in after.events]) == ([], [0, 1])


def test_no_log() -> None:
    """A transaction without a log has no events."""
    nothing = logs.ParsedLog([], [], truncated=False)
    assert logs.read(None, OURS) == logs.read([], OURS) == nothing


words = st.sampled_from(
    [
        *("Program", OURS, OTHER, "invoke", "[1]", "[2]", "[99999999999999999999]", "[0]", "[-1]"),
        *("[]", "success", "failed:", "data:", "log:", "Log", "truncated", "", "\n", "[٣]"),
        *(data(BOUGHT), "AAAA", "\ud800"),
    ]
)
lines_of_words = st.lists(words, max_size=5).map(" ".join)


@given(lines=st.lists(st.text() | lines_of_words | st.sampled_from(BUY), max_size=30))
def test_any_lines_are_read(lines: list[str]) -> None:
    """No list of lines fails, and every line of ours is either an event or undecodable."""
    read = logs.read(lines, OURS)
    ordinals = sorted([o for o, _ in read.events] + [each.ordinal for each in read.undecodable])
    assert ordinals == list(range(len(ordinals)))
    assert len(ordinals) <= sum(line.startswith("Program data: ") for line in lines)


@st.composite
def calls(draw: st.DrawFn, program: str = OTHER, depth: int = 1) -> list[str]:
    """The log of one call of a program that is not ours, with arbitrary lines."""
    lines = [invoke(program, depth)]
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["log", "data", "call"]))
        if kind == "log":
            text = draw(st.text() | lines_of_words | st.sampled_from(BUY))
            lines.append(f"Program log: {text}")
        elif kind == "data":
            lines.append(data(BOUGHT))
        elif depth < 4:
            lines += draw(calls(SYSTEM, depth + 1))
    ending = draw(st.sampled_from(["success", "failed: anything"]))
    return [*lines, f"Program {program} {ending}"]


@given(before=calls(), inside=calls(OTHER, 2), after=calls())
def test_other_programs_cannot_forge_our_events(before: list[str], inside: list[str], after: list[str]) -> None:
    """Around and inside our call, other programs cannot add, hide or renumber an event."""
    ours = [invoke(OURS, 1), data(PAUSED), *inside, data(BOUGHT), success(OURS)]
    read = logs.read([*before, *ours, *after], OURS)
    assert read.events == [(0, PAUSED), (1, BOUGHT)]
    assert read.undecodable == []
