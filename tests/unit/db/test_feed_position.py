"""Positions as text, and the rule that entries follow one another."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmart import errors
from zmart.db import feed

EPOCH = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"


MARK = "00112233aabbccdd"
MARKS = st.none() | st.integers(0, 2**64 - 1).map("{:016x}".format)


@given(st.uuids(), st.integers(0, 2**63 - 1), MARKS)
def test_a_position_survives_being_written(epoch: object, seq: int, mark: str | None) -> None:
    """`parse` reads back what `str` writes, with and without a mark."""
    position = feed.FeedPosition(str(epoch), seq, mark)
    parsed = feed.FeedPosition.parse(str(position))
    assert (parsed.epoch, parsed.seq, parsed.mark) == (str(epoch), seq, mark)
    assert str(parsed) == str(position)


def test_a_mark_does_not_take_part_in_comparisons() -> None:
    """Epoch and seq decide where a position is; another entry of the log has no mark."""
    marked = feed.FeedPosition.parse(f"{EPOCH}:5:{MARK}")
    assert marked == feed.FeedPosition(EPOCH, 5)
    assert str(marked.with_seq(6)) == f"{EPOCH}:6"
    feed.check_position(marked, feed.FeedPosition(EPOCH, 5, "f" * 16))
    with pytest.raises(feed.FuturePosition):
        feed.check_position(marked, feed.FeedPosition(EPOCH, 4))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        f"{EPOCH}",
        f"{EPOCH}:",
        f"{EPOCH}:-1",
        f"{EPOCH}:05",
        f"{EPOCH}:1.0",
        f"{EPOCH}:٣",
        f"{EPOCH}:9223372036854775808",
        f"{EPOCH.upper()}:1",
        f" {EPOCH}:1",
        f"{EPOCH}:1\n",
        f"{EPOCH}:1:",
        f"{EPOCH}:1:{MARK[1:]}",
        f"{EPOCH}:1:{MARK}0",
        f"{EPOCH}:1:{MARK.upper()}",
        f"{EPOCH}:1:{MARK[1:]}g",
        f"{EPOCH}:1:{MARK}\n",
        f"{EPOCH}:1:{MARK}:",
        f"{EPOCH}:1:{MARK}:{MARK}",
        f"{EPOCH}::{MARK}",
        f":1:{MARK}",
        "not-an-epoch:1",
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    """Anything but `uuid:integer` or `uuid:integer:mark` is InvalidInput that names the expected form."""
    with pytest.raises(errors.InvalidInput, match="epoch:seq"):
        feed.FeedPosition.parse(text)


@given(st.text())
def test_no_text_surprises_the_parser(text: str) -> None:
    """Any text is either a position or InvalidInput, nothing else."""
    with contextlib.suppress(errors.InvalidInput):
        feed.FeedPosition.parse(text)


def test_a_hole_is_named() -> None:
    """The error has the first missing seq."""
    with pytest.raises(feed.Gap, match="no entry 8") as caught:
        feed.check_contiguous(5, [6, 7, 9, 11])
    assert (caught.value.after, caught.value.found) == (7, 9)


@pytest.mark.parametrize("seqs", [[7], [5], [6, 6], [6, 5]])
def test_only_successors_are_accepted(seqs: list[int]) -> None:
    """A jump, a repetition and a step back are all gaps."""
    with pytest.raises(feed.Gap):
        feed.check_contiguous(5, seqs)


def test_a_position_belongs_to_one_log() -> None:
    """Another epoch and a seq past the end have different errors, and each has the end of the log."""
    end = feed.FeedPosition(EPOCH, 10)
    feed.check_position(end.with_seq(10), end)
    with pytest.raises(feed.FuturePosition) as future:
        feed.check_position(end.with_seq(11), end)
    other = feed.FeedPosition("00000000-0000-0000-0000-000000000000", 3)
    with pytest.raises(feed.ForeignEpoch) as foreign:
        feed.check_position(other, end)
    assert future.value.found == foreign.value.found == end
