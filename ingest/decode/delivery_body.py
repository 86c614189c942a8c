"""Splits a request body into its items, byte for byte.

A delivery is a JSON array of transactions. Each item keeps the bytes that arrived, because the log stores those bytes
and a dead letter shows them. Decoding handles one item at a time, so that a bad item affects no other.

The fast path is msgspec, which finds the items without parsing their contents. It rejects two things that must not
affect a neighbouring item: an unpaired surrogate in a string, and nesting deeper than the interpreter's stack. For
those bodies this module counts the brackets itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from zmart import errors

#: The expected input, part of every rejection message.
EXPECTED = "a JSON array of transactions, as Helius raw and enhanced webhooks send it"

_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_ONE = msgspec.json.Decoder(msgspec.Raw)
_KIND = {"{": "a JSON object", '"': "a JSON string", "n": "null", "t": "true", "f": "false"}
#: Matches whole strings, so that brackets inside them do not count.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"|".join((_PAIR, _HALF, rb"\\.")), re.DOTALL)


def split_items(body: bytes) -> list[bytes]:
    """Return the items of a delivery in their order. Raises InvalidInput, naming the input, if it is not an array."""
    try:
        return [bytes(item) for item in _ITEMS.decode(body)]
    except msgspec.ValidationError:
        raise _invalid_delivery(_kind(body)) from None
    except (msgspec.DecodeError, RecursionError):
        return list(_split_by_brackets(body))


def replace_lone_surrogates(item: bytes) -> bytes:
    r"""Return the same JSON with each unpaired surrogate replaced by \ufffd, which has the same length."""
    return _ESCAPE.sub(_replace_match, item)


def _replace_match(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if len(escape[0]) == 6 else escape[0]


def _split_by_brackets(body: bytes) -> Iterator[bytes]:
    opening = len(body) - len(body.lstrip(b" \t\r\n"))
    if body[opening : opening + 1] != b"[":
        raise _invalid_delivery(_kind(body))
    for start, end in _item_slices(body, opening):
        item = body[start:end].strip()
        if not _is_json(item):
            raise _invalid_delivery("something that is not JSON")
        yield item


def _item_slices(body: bytes, opening: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each item between the outermost brackets."""
    depth, start = 0, opening + 1
    for token in _TOKEN.finditer(body, opening):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
            case b"," if depth == 1:
                yield start, token.start()
                start = token.end()
        if depth == 0:
            yield start, token.start()
            if body[token.end() :].strip():
                raise _invalid_delivery("an array with trailing data")
            return
    raise _invalid_delivery("an array without an end")


def _is_json(item: bytes) -> bool:
    """Return whether the item is JSON, as far as can be checked; nesting too deep to parse passes."""
    try:
        _ONE.decode(replace_lone_surrogates(item))
    except RecursionError:
        return True
    except msgspec.DecodeError:
        return False
    return True


def _kind(body: bytes) -> str:
    text = body.lstrip()[:1].decode("ascii", "replace")
    try:
        _ONE.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return "nothing" if not text else "something that is not JSON"
    return _KIND.get(text, "a JSON number")


def _invalid_delivery(received: str) -> errors.InvalidInput:
    return errors.InvalidInput(f"Expected {EXPECTED}, received {received}.")
