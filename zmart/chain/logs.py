"""Which log lines are our program's word: attribution, then decoding, on the list of lines.

The runtime writes `Program X invoke [n]` when a program starts at depth n and `Program X success`
or `Program X failed: ...` when it ends; in between, `Program data: ` holds what it emitted, in
base64. Any program can emit any bytes, so a line counts only while our program is on top of that
stack. What programs print themselves, `Program log: ...`, is text of strangers, never looked into.

The depth is believed over the count of endings: an invoke at n ends everything at n or deeper, so a
call that never said how it ended does not cost the rest of the transaction. A log over about ten
kilobytes is cut, and one line says just `Log truncated`; dropped lines are then not counted, and a
reader has to fall back to the instructions.

Reading never fails, whatever the lines are.
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


#: A program's start, with its depth from 1, or its end, with 0.
_StackMove: TypeAlias = tuple[int, str]

#: The moves of lines seen before. There are few programs and fewer depths, so a log costs about
#: one look-up a line; beyond the limit, lines are parsed anew.
_MOVES: dict[str, _StackMove] = {}
_MOVES_LIMIT = 8_192
#: The runtime nests at most nine calls; a greater number is not the runtime's.
_DEPTHS = {f"[{depth}]": depth for depth in range(1, 65)}


class Undecodable(NamedTuple):
    """A line of our program that is not one of its events."""

    ordinal: int
    #: What followed `Program data: `, untouched.
    line: str
    #: One sentence for a person.
    reason: str


class ParsedLog(NamedTuple):
    """Everything one transaction's log says."""

    events: list[tuple[int, Event]]
    undecodable: list[Undecodable]
    #: Whether the runtime dropped lines.
    truncated: bool


def program_events(log_messages: Sequence[str] | None, program_id: str) -> Iterator[tuple[int, Event]]:
    """Our program's events with their ordinals; undecodable lines keep theirs and are skipped."""
    yield from read(log_messages, program_id).events


def read(log_messages: Sequence[str] | None, program_id: str) -> ParsedLog:
    """Everything the log says; ordinals count our program's `Program data:` lines from 0."""
    data, truncated = program_data(log_messages or (), program_id)
    events: list[tuple[int, Event]] = []
    undecodable: list[Undecodable] = []
    decode = codec.default().decode_event
    for ordinal, line in enumerate(data):
        try:
            events.append((ordinal, decode(binascii.a2b_base64(line, strict_mode=True))))
        except errors.DecodeError as exc:
            undecodable.append(Undecodable(ordinal, line, str(exc)))
        except ValueError as exc:
            undecodable.append(Undecodable(ordinal, line, _base64_error(line, exc)))
    return ParsedLog(events, undecodable, truncated)


def program_data(lines: Sequence[str], program_id: str) -> tuple[list[str], bool]:
    """What our program emitted, still in base64, in order; and whether the log was cut.

    Every line of every transaction passes here, so the two moves of an orderly log, one deeper and
    one back, are written out.
    """
    data: list[str] = []
    stack: list[str] = []
    truncated = False
    for line in lines:
        move = _MOVES.get(line) or _parse_move(line)
        if move is None:
            if line.startswith(DATA):
                if stack and stack[-1] == program_id:
                    data.append(line[len(DATA) :])
            elif line == TRUNCATED:
                truncated = True
            continue
        depth, program = move
        if depth == len(stack) + 1:
            stack.append(program)
        elif not depth and stack and stack[-1] == program:
            stack.pop()
        else:
            _apply_irregular_move(stack, depth, program)
    return data, truncated


def _parse_move(line: str) -> _StackMove | None:
    """What a line says about the stack, or None where it says nothing."""
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
    """A start that ends what still ran at its depth, or an end that ends what it called."""
    if depth:
        del stack[depth - 1 :]
        stack += [*[""] * (depth - 1 - len(stack)), program]
    elif program in stack:
        while stack.pop() != program:
            pass


def _base64_error(line: str, exc: ValueError) -> str:
    if " " in line:
        return "The line holds several values; an event is one."
    return f"The line is not base64: {exc}."
