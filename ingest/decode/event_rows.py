"""Converts an event into its row of the log: market, wallet and clock as columns, the rest as JSON.

`payload` holds the other fields under the program's names. Integers of 64 bits are strings, because JSON readers round
them; smaller ones are numbers. A hash of 46 bytes is stored as text, which it nearly always is, else as `0x` and hex
digits: the program stores whatever it is given (protocol.md 1.4.2), and a U+0000 must not reach jsonb.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import msgspec

from zmart import errors
from zmart.chain import addresses, codec, idl
from zmart.chain.event_digests import ACTOR, CLOCKS, MARKET_ACCOUNT, MARKET_ID
from zmart.domain import events

from ..records import EventRow

#: A market's id and its account; WinningsClaimed contains only the latter.
MarketRef: TypeAlias = tuple[str | None, str | None]
_Converter: TypeAlias = Callable[[Any], Any]
_encode = msgspec.json.Encoder().encode


def text_or_hex(raw: bytes) -> str:
    """Return a hash as text where it is printable ASCII, else as `0x` and its hex digits."""
    text = raw.decode("latin-1")
    return text if text.isascii() and text.isprintable() else f"0x{raw.hex()}"


def market(event: events.Event, program_id: str) -> MarketRef:
    """Return the event's market; both parts are None for an event about the whole protocol."""
    layout, values = _LAYOUTS[type(event)], event
    if layout.market_id is not None:
        raw: Any = values[layout.market_id]
        return raw.hex(), addresses.market_address(program_id, raw)
    account: Any = None if layout.market_account is None else values[layout.market_account]
    return None, account


def row(event: events.Event, ordinal: int, market: MarketRef, context: bytes | None) -> EventRow:
    """Return the row of an event of `market`; `context` holds the data that its transaction adds."""
    layout = _LAYOUTS[type(event)]
    values: tuple[Any, ...] = event
    wallet = None if layout.actor is None else values[layout.actor]
    clock, fields = values[layout.clock], layout.encode_payload(values)
    # Accepted bytes encode to the same bytes again, so these are the bytes of the log line.
    logged = codec.default().encode_event(event)
    return EventRow(ordinal, layout.name, *market, wallet, clock, fields, context, logged)


class _Layout(NamedTuple):
    """The indexes of the parts of one kind of event."""

    name: str
    market_id: int | None
    market_account: int | None
    actor: int | None
    clock: int
    payload_fields: tuple[tuple[str, int, _Converter | None], ...]

    def encode_payload(self, event: Any) -> bytes:
        fields = {}
        for name, index, write in self.payload_fields:
            value = event[index]
            fields[name] = value if write is None or value is None else write(value)
        return _encode(fields)


def _layout(kind: type[events.Event], fields: tuple[idl.IdlField, ...]) -> _Layout:
    name, names = kind.name, kind._fields
    places = {field: index for index, field in enumerate(names)}
    actor = ACTOR.get(name)
    column_fields = {MARKET_ID, MARKET_ACCOUNT, actor, *CLOCKS}
    payload_fields = tuple(
        (f.name, places[f.name], _json_converter(f.type)) for f in fields if f.name not in column_fields
    )
    return _Layout(
        name,
        places.get(MARKET_ID),
        places.get(MARKET_ACCOUNT),
        places[actor] if actor else None,
        next(places[clock] for clock in CLOCKS if clock in places),
        payload_fields,
    )


def _json_converter(kind: idl.Type) -> _Converter | None:
    """Return the function that converts a value of this type to JSON; None if no conversion is needed."""
    match kind:
        case "u64" | "i64" | "u128" | "i128":
            return str
        case "u8" | "u16" | "u32" | "bool" | "pubkey":
            return None
        case idl.Composite(option=inner) if inner is not None:
            return _json_converter(inner)
        case idl.Composite(array=("u8", _)):
            return text_or_hex
        case idl.Composite(defined=defined) if defined is not None:
            return None
    raise errors.ConfigurationError(f"The IDL has an event field of an unsupported type: {kind}.")


def _layouts() -> dict[type[events.Event], _Layout]:
    bodies = idl.load().bodies
    layouts = {kind: _layout(kind, tuple(bodies[name].fields)) for name, kind in events.EVENTS.items()}
    earlier = events.WinningsClaimedV0
    return layouts | {earlier: _layout(earlier, codec.WINNINGS_CLAIMED_V0)}


_LAYOUTS = _layouts()
