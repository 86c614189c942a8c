"""Extracts our program's events from the log lines of a transaction: attribution first, then decoding.

The runtime writes `Program X invoke [n]` when a program starts at depth n and `Program X success` or `Program X failed:
...` when it ends. In between, `Program data: ` contains an emitted event in base64. Any program can emit any bytes, so
a line counts only while our program is on top of that stack. Lines that programs print themselves, `Program log: ...`,
are untrusted text and are never parsed.

The depth takes precedence over the count of endings: an invoke at n ends every call at n or deeper, so a call without
an ending line does not lose the rest of the transaction. A log over about ten kilobytes is truncated, and one line
contains just `Log truncated` (solana.md 7). Dropped lines are then not counted, and a reader has to use the
instructions instead.

Parsing never fails, whatever the lines contain.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from zmart import errors
from zmart.domain.events import Event

from . import codec

DATA = "Program data: "
TEXT = "Program log: "
TRUNCATED = "Log truncated"


#: A program's start, with its depth from 1, or its end, with depth 0.
_StackMove: TypeAlias = tuple[int, str]

#: The moves of lines seen before. There are few programs and fewer depths, so a log costs about one look-up per line;
#: beyond the limit, lines are parsed each time.
_MOVES: dict[str, _StackMove] = {}
_MOVES_LIMIT = 8_192
#: The runtime nests at most nine calls; a greater number is not from the runtime.
_DEPTHS = {f"[{depth}]": depth for depth in range(1, 65)}


class Undecodable(NamedTuple):
    """A line of our program that is not one of its events."""

    ordinal: int
    #: The text after `Program data: `, unchanged.
    line: str
    #: One sentence for the operator.
    reason: str


class ParsedLog(NamedTuple):
    """The content of one transaction's log."""

    events: list[tuple[int, Event]]
    undecodable: list[Undecodable]
    #: Whether the runtime dropped lines.
    truncated: bool


def program_events(log_messages: Sequence[str] | None, program_id: str) -> Iterator[tuple[int, Event]]:
    """Yield our program's events with their ordinals; undecodable lines count in the ordinals and are skipped."""
    yield from read(log_messages, program_id).events


def read(log_messages: Sequence[str] | None, program_id: str) -> ParsedLog:
    """Return the content of the log; ordinals count our program's `Program data:` lines from 0.

    After the runtime truncated the log, a line that is not one of our events belongs to nobody: the line that began or
    ended another program's call may be among those that did not fit, while a shorter `Program data: AA==` of that
    program fits. A line that is one of our events is longer than the lines of calls, so those before it are all there.
    """
    data, cut = program_data(log_messages or (), program_id)
    truncated = cut is not None
    events: list[tuple[int, Event]] = []
    undecodable: list[Undecodable] = []
    decode = codec.default().decode_event
    for place, line in enumerate(data):
        ordinal = len(events) + len(undecodable)
        try:
            events.append((ordinal, decode(binascii.a2b_base64(line, strict_mode=True))))
            continue
        except errors.DecodeError as exc:
            reason = str(exc)
        except ValueError as exc:
            reason = _base64_error(line, exc)
        if cut is None or place < cut:
            undecodable.append(Undecodable(ordinal, line, reason))
    return ParsedLog(events, undecodable, truncated)


def program_data(lines: Sequence[str], program_id: str) -> tuple[list[str], int | None]:
    """Return our program's emitted data, still in base64, in order; and how much precedes a cut, None without one.

    Every line of every transaction is processed here, so the two moves of a regular log, one deeper and one back, are
    written out.
    """
    data: list[str] = []
    stack: list[str] = []
    cut: int | None = None
    for line in lines:
        move = _MOVES.get(line) or _parse_move(line)
        if move is None:
            if line.startswith(DATA):
                if stack and stack[-1] == program_id:
                    data.append(line[len(DATA) :])
            elif line == TRUNCATED:
                cut = len(data) if cut is None else cut
            continue
        depth, program = move
        if depth == len(stack) + 1:
            stack.append(program)
        elif not depth and stack and stack[-1] == program:
            stack.pop()
        else:
            _apply_irregular_move(stack, depth, program)
    return data, cut


def _parse_move(line: str) -> _StackMove | None:
    """Return how a line changes the stack, or None where it does not."""
    if line.startswith((TEXT, DATA)):
        return None
    words = line.split(" ", 3)
    if len(words) < 3 or words[0] != "Program":
        return None
    if words[2] == "failed:":
        return 0, words[1]
    if words[2:] == ["success"]:
        return _cache_move(line, (0, words[1]))
    if words[2] == "invoke" and len(words) == 4 and (depth := _DEPTHS.get(words[3])):
        return _cache_move(line, (depth, words[1]))
    return None


def _cache_move(line: str, move: _StackMove) -> _StackMove:
    if len(_MOVES) < _MOVES_LIMIT and len(line) < 128:
        _MOVES[line] = move
    return move


def _apply_irregular_move(stack: list[str], depth: int, program: str) -> None:
    """Apply a start that ends the calls still running at its depth, or an end that ends the calls below it."""
    if depth:
        del stack[depth - 1 :]
        stack += [*[""] * (depth - 1 - len(stack)), program]
    elif program in stack:
        while stack.pop() != program:
            pass


def _base64_error(line: str, exc: ValueError) -> str:
    if " " in line:
        return "The line contains several values; an event is one value."
    return f"The line is not base64: {exc}."
