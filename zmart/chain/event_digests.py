"""Computes the digest by which an event enters the chain of the log.

The digest is the SHA-256 of the signature (base58), the ordinal and the event's bytes as the program logged them.
Place, context, commitment and internal numbers are not in it: they may change; the feed then has
an entry of its own for that.

The log stores an event as columns and JSON. `logged_bytes` encodes these back to the bytes of the log line, exactly,
because the codec is strict: it accepts only bytes that encode to themselves.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from zmart import errors
from zmart.domain import events

from . import codec, idl

#: The field that names the acting wallet; events that are not listed here name none.
ACTOR: Mapping[str, str] = {
    "MarketCreated": "creator",
    "ProposalApproved": "approved_by",
    "MarketActivated": "creator",
    "SharesBought": "user",
    "SharesSold": "user",
    "MarketResolved": "resolver",
    "DisputeInitiated": "initiator",
    "ProposalVoteSubmitted": "user",
    "DisputeVoteSubmitted": "user",
    "WinningsClaimed": "user",
    "LiquidityWithdrawn": "creator",
    "MarketCancelled": "cancelled_by",
    "ProtocolPauseStatusChanged": "paused_by",
    "GlobalConfigInitialized": "admin",
}
MARKET_ID = "market_id"
#: Stands for the id in the bytes of an event that was rebuilt from an instruction, which does not contain the id.
UNKNOWN_MARKET_ID = bytes(32)
#: WinningsClaimed names the account, not the id (protocol.md 1.7).
MARKET_ACCOUNT = "market"
CLOCKS = frozenset({"timestamp", "cancelled_at"})


class StoredEvent(NamedTuple):
    """The columns of one stored event that its bytes are made of."""

    name: str
    #: 64 hex digits; None where the transaction names only the account.
    market_id: str | None
    market_account: str | None
    wallet: str | None
    #: Unix seconds of the chain's clock.
    clock: int
    payload: Mapping[str, Any]


def digest(signature: str, ordinal: int, logged: bytes) -> bytes:
    """Return the SHA-256 of an event: 32 bytes."""
    return hashlib.sha256(b"%s:%d:%s" % (signature.encode(), ordinal, logged)).digest()


def logged_bytes(event: StoredEvent) -> bytes:
    """Return the bytes that the program logged; raise DecodeError where the columns are not of such an event."""
    try:
        kind, fields = _layout(event.name, "resolver_fee" in event.payload)
        values = [_value(name, parse, event) for name, parse in fields]
        return codec.default().encode_event(kind(*values))
    except (KeyError, TypeError, ValueError, errors.InvalidInput) as error:
        raise errors.DecodeError(f"The stored columns are not those of a {event.name}: {error!r}.") from error


_Parse = Callable[[Any], Any]


def _value(name: str, parse: _Parse, event: StoredEvent) -> Any:
    if name == MARKET_ID:
        return UNKNOWN_MARKET_ID if event.market_id is None else bytes.fromhex(event.market_id)
    if name == MARKET_ACCOUNT:
        return event.market_account
    if name == ACTOR.get(event.name):
        return event.wallet
    if name in CLOCKS:
        return event.clock
    value = event.payload[name]
    return None if value is None else parse(value)


@functools.cache
def _layout(name: str, is_earlier_claim: bool) -> tuple[Callable[..., events.Event], tuple[tuple[str, _Parse], ...]]:
    """Return the class of an event and its fields in order, each with the function that parses its JSON value."""
    if name == events.WinningsClaimed.name and is_earlier_claim:
        return events.WinningsClaimedV0, tuple((f.name, _parser(f.type)) for f in codec.WINNINGS_CLAIMED_V0)
    fields = idl.load().bodies[name].fields
    return events.EVENTS[name], tuple((f.name, _parser(f.type)) for f in fields)


def _parser(kind: idl.Type) -> _Parse:
    match kind:
        case "u64" | "i64" | "u128" | "i128":
            return int
        case idl.Composite(option=inner) if inner is not None:
            return _parser(inner)
        case idl.Composite(array=("u8", _)):
            return _bytes
        case _:
            return _unchanged


def _bytes(text: str) -> bytes:
    """Return the bytes of a hash that is stored as text, or as `0x` and hex digits where it is not printable."""
    hex_digits = text[2:]
    is_hex = text.startswith("0x") and len(hex_digits) == 2 * _HASH_BYTES
    return bytes.fromhex(hex_digits) if is_hex else text.encode("latin-1")


def _unchanged(value: Any) -> Any:
    return value


_HASH_BYTES = 46
