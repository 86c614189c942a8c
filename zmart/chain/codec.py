"""Encodes and decodes the program's Borsh data strictly, with codecs compiled from the IDL.

Borsh writes fields one after another, little endian, without padding. A bool is a byte 0 or 1, an Option a tag 0 or 1
before its value, an enum without data its variant's number. A struct is therefore a few runs of constant width, each a
`struct.Struct`, with Options between them; most events are one run and decode in about a microsecond. Eight bytes of
discriminator come first.

Bytes that are not canonical are refused: tags and bools above 1, events that are too short or too long, accounts
followed by anything but zeros. Accepted bytes encode to the same bytes again. The one exception is that of the chain:
the program ignores bytes after an instruction's arguments, and so does this codec.

Values: addresses are base58 `str`, byte arrays `bytes`, integers and enum variants `int`, a missing Option None.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from solders.pubkey import Pubkey

from zmart import errors
from zmart.domain import events
from zmart.domain.ids import Address

from . import idl

#: Bytes that the program allocates for an account, discriminator included (protocol.md 1.5).
ALLOCATED_BYTES = {"GlobalConfig": 206, "MarketAccount": 488, "UserPosition": 182, "VoteRecord": 83}
#: The body of WinningsClaimed as an earlier build of the program emitted it (protocol.md 1.7).
WINNINGS_CLAIMED_V0 = (
    idl.IdlField("market_id", idl.Composite(array=("u8", 32))),
    idl.IdlField("user", "pubkey"),
    idl.IdlField("amount", "u64"),
    idl.IdlField("resolver_fee", "u64"),
    idl.IdlField("timestamp", "i64"),
)
WINNINGS_CLAIMED_V0_BYTES = 96

_Convert: TypeAlias = Callable[[Any], Any]
_Make: TypeAlias = Callable[[Iterable[Any]], events.Event]
_DecodeEvent: TypeAlias = Callable[[bytes], events.Event]


class Codec:
    """The codec of one program; construct it once. `default()` returns the project's own."""

    def __init__(self, description: idl.Idl) -> None:
        bodies = description.bodies
        self._accounts = [
            _TaggedRecord.of(account, bodies[account.name].fields, bodies) for account in description.accounts
        ]
        self._instructions = [
            _TaggedRecord.of(instruction, instruction.args, bodies) for instruction in description.instructions
        ]
        self._account_by_name = {named.name: named for named in self._accounts}
        self._account_by_tag = {named.tag: named for named in self._accounts}
        self._instruction_by_name = {named.name: named for named in self._instructions}
        self._instruction_by_tag = {named.tag: named for named in self._instructions}
        self._event_decoders: dict[bytes, _DecodeEvent] = {}
        self._event_encoders: dict[type, _TaggedRecord] = {}
        for event in description.events:
            self._add_event(_TaggedRecord.of(event, bodies[event.name].fields, bodies))

    def decode_event(self, data: bytes) -> events.Event:
        """Return the event in the bytes of a `Program data:` line; raise DecodeError with the reason."""
        decode = self._event_decoders.get(data[:8])
        if decode is None:
            raise errors.DecodeError(f"No event begins with {data[:8].hex() or 'nothing'}.")
        return decode(data)

    def encode_event(self, event: events.Event) -> bytes:
        """Return the bytes that the program would log; raise InvalidInput for a value that does not fit its field."""
        named = self._event_encoders[type(event)]
        return named.tag + named.record.encode(event)

    def decode_account(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """Return an account's type and fields; zeros may follow, because the program allocates more space."""
        named = self._account_by_tag.get(data[:8])
        if named is None:
            raise errors.DecodeError(f"No account begins with {data[:8].hex() or 'nothing'}.")
        values, end = named.decode(data)
        if any(data[end:]):
            raise errors.DecodeError(f"{named.name} is followed by bytes that are not zero.")
        return named.name, dict(zip(named.record.names, values, strict=True))

    def account_tag(self, name: str) -> bytes:
        """Return the eight bytes with which an account of this type begins."""
        return self._account_by_name[name].tag

    def encode_account(self, name: str, fields: Mapping[str, Any], *, padded: bool = False) -> bytes:
        """Return an account's bytes, with zeros up to its allocated size if `padded`; raise InvalidInput."""
        named = self._account_by_name[name]
        data = named.tag + named.record.encode(named.record.order_values(name, fields))
        return data.ljust(ALLOCATED_BYTES.get(name, 0), b"\0") if padded else data

    def decode_instruction(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """Return an instruction's name and arguments; raise DecodeError where it is none of the program's."""
        named = self._instruction_by_tag.get(data[:8])
        if named is None:
            raise errors.DecodeError(f"No instruction begins with {data[:8].hex() or 'nothing'}.")
        values, _ = named.decode(data)
        return named.name, dict(zip(named.record.names, values, strict=True))

    def encode_instruction(self, name: str, args: Mapping[str, Any]) -> bytes:
        """Return an instruction's bytes; raise InvalidInput for an argument missing, unknown or out of range."""
        named = self._instruction_by_name[name]
        return named.tag + named.record.encode(named.record.order_values(name, args))

    def _add_event(self, named: _TaggedRecord) -> None:
        event = events.EVENTS[named.name]
        self._event_encoders[event] = named
        self._event_decoders[named.tag] = named.event_decoder(event)
        if event is events.WinningsClaimed:
            earlier = named._replace(record=_Record.of(WINNINGS_CLAIMED_V0, {}))
            self._event_encoders[events.WinningsClaimedV0] = earlier
            self._event_decoders[named.tag] = _decoder_by_length(
                {WINNINGS_CLAIMED_V0_BYTES: earlier.event_decoder(events.WinningsClaimedV0)},
                named.event_decoder(event),
            )


@functools.cache
def default() -> Codec:
    """Return the codec of the project's own IDL."""
    return Codec(idl.load())


# Scalars


@functools.lru_cache(maxsize=1 << 15)
def _address(raw: bytes) -> Address:
    return Address(str(Pubkey(raw)))


@functools.lru_cache(maxsize=1 << 15)
def _address_bytes(text: str) -> bytes:
    return bytes(Pubkey.from_string(text))


def _boolean(byte: int) -> bool:
    if byte > 1:
        raise errors.DecodeError(f"A bool must be 0 or 1, not {byte}.")
    return byte == 1


def _boolean_byte(value: object) -> int:
    if not isinstance(value, bool):
        raise errors.InvalidInput(f"{value!r} is not a bool.")
    return int(value)


class _Scalar(NamedTuple):
    """A value of constant width: its `struct` format, and the functions that convert it after reading and before
    writing.
    """

    format: str
    read: _Convert | None = None
    write: _Convert | None = None


_SCALARS = {
    "u8": _Scalar("B"),
    "u16": _Scalar("H"),
    "u32": _Scalar("I"),
    "u64": _Scalar("Q"),
    "i64": _Scalar("q"),
    "bool": _Scalar("B", _boolean, _boolean_byte),
    "pubkey": _Scalar("32s", _address, _address_bytes),
}


def _bytes(length: int) -> _Scalar:
    def write(value: bytes) -> bytes:
        if len(value) != length:
            raise errors.InvalidInput(f"Expected {length} bytes, received {len(value)}.")
        return bytes(value)

    return _Scalar(f"{length}s", None, write)


def _variant(name: str, count: int) -> _Scalar:
    def read(byte: int) -> int:
        if byte >= count:
            raise errors.DecodeError(f"{name} has {count} variants; {byte} is not one of them.")
        return byte

    def write(value: int) -> int:
        if not 0 <= value < count:
            raise errors.InvalidInput(f"{name} has {count} variants; {value} is not one of them.")
        return int(value)

    return _Scalar("B", read, write)


def _scalar(kind: idl.Type, bodies: Mapping[str, idl.Body]) -> _Scalar:
    match kind:
        case str() if kind in _SCALARS:
            return _SCALARS[kind]
        case idl.Composite(array=("u8", int(length))):
            return _bytes(length)
        case idl.Composite(defined=idl.Defined(name)) if bodies[name].kind == "enum":
            return _variant(name, len(bodies[name].variants))
    raise errors.ConfigurationError(f"The IDL uses a type that this codec does not support: {kind}.")


# Structs


class _Run:
    """Consecutive fields of constant width."""

    def __init__(self, scalars: Iterable[_Scalar]) -> None:
        scalars = tuple(scalars)
        self.format = "".join(scalar.format for scalar in scalars)
        self.reads = tuple((i, s.read) for i, s in enumerate(scalars) if s.read)
        self.writes = tuple((i, s.write) for i, s in enumerate(scalars) if s.write)
        self.count = len(scalars)
        self._struct = struct.Struct("<" + self.format)

    def decode(self, data: bytes, offset: int) -> tuple[list[Any], int]:
        """Return its values and the offset of the next; raise struct.error where the bytes end too early."""
        values = [*self._struct.unpack_from(data, offset)]
        for index, read in self.reads:
            values[index] = read(values[index])
        return values, offset + self._struct.size

    def encode(self, values: Iterable[Any]) -> bytes:
        """Return its bytes; raise struct.error, TypeError or ValueError for a value that does not fit."""
        raw = [*values]
        for index, write in self.writes:
            raw[index] = write(raw[index])
        return self._struct.pack(*raw)


class _Option:
    """A field that may be missing."""

    count = 1

    def __init__(self, scalar: _Scalar) -> None:
        self._some = _Run([scalar])

    def decode(self, data: bytes, offset: int) -> tuple[list[Any], int]:
        tag = data[offset : offset + 1]
        if tag == b"\1":
            return self._some.decode(data, offset + 1)
        if tag == b"\0":
            return [None], offset + 1
        if not tag:
            raise struct.error("the data ends before the tag")
        raise errors.DecodeError(f"An Option's tag must be 0 or 1, not {tag[0]}.")

    def encode(self, values: Iterable[Any]) -> bytes:
        (value,) = values
        return b"\0" if value is None else b"\1" + self._some.encode([value])


class _Record:
    """The fields of a struct, as runs and options in order."""

    def __init__(self, names: tuple[str, ...], parts: tuple[_Run | _Option, ...]) -> None:
        self.names = names
        self.parts = parts

    @classmethod
    def of(cls, fields: Iterable[idl.IdlField], bodies: Mapping[str, idl.Body]) -> _Record:
        names: list[str] = []
        parts: list[_Run | _Option] = []
        run: list[_Scalar] = []
        for field in fields:
            names.append(field.name)
            if isinstance(field.type, idl.Composite) and field.type.option is not None:
                parts += [_Run(run), _Option(_scalar(field.type.option, bodies))]
                run = []
            else:
                run.append(_scalar(field.type, bodies))
        parts.append(_Run(run))
        return cls(tuple(names), tuple(part for part in parts if part.count))

    def decode(self, data: bytes, offset: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        for part in self.parts:
            more, offset = part.decode(data, offset)
            values += more
        return values, offset

    def encode(self, values: Iterable[Any]) -> bytes:
        remaining = tuple(values)
        encoded = []
        for part in self.parts:
            encoded.append(self._encode_part(part, remaining[: part.count]))
            remaining = remaining[part.count :]
        return b"".join(encoded)

    def order_values(self, name: str, fields: Mapping[str, Any]) -> list[Any]:
        """Return the values in the order of the wire; raise InvalidInput unless exactly these fields are given."""
        if fields.keys() != set(self.names):
            expected = ", ".join(self.names) or "nothing"
            raise errors.InvalidInput(f"{name} takes the fields {expected}; received: {', '.join(fields)}.")
        return [fields[field] for field in self.names]

    def _encode_part(self, part: _Run | _Option, values: tuple[Any, ...]) -> bytes:
        try:
            return part.encode(values)
        except (struct.error, TypeError, ValueError) as exc:
            message = f"A value does not fit one of the fields {', '.join(self.names)}: {exc}."
            raise errors.InvalidInput(message) from exc


class _TaggedRecord(NamedTuple):
    """A record with the discriminator before it."""

    name: str
    tag: bytes
    record: _Record

    @classmethod
    def of(
        cls,
        described: idl.Discriminated | idl.IdlInstruction,
        fields: Iterable[idl.IdlField],
        bodies: Mapping[str, idl.Body],
    ) -> _TaggedRecord:
        return cls(described.name, bytes(described.discriminator), _Record.of(fields, bodies))

    def decode(self, data: bytes) -> tuple[list[Any], int]:
        """Return the values after the discriminator and the offset of their end; raise DecodeError."""
        try:
            return self.record.decode(data, 8)
        except struct.error as exc:
            raise errors.DecodeError(f"{self.name} is incomplete: the data ends after {len(data)} bytes.") from exc

    def event_decoder(self, event: type[events.Event]) -> _DecodeEvent:
        """Return a decoder of whole events of this record; the fast one where the width is constant."""
        if self.record.names != event._fields:
            raise errors.ConfigurationError(f"{self.name} has other fields in the IDL.")
        match self.record.parts:
            case (_Run() as run,):
                return _constant_width_decoder(self.name, run, event)
        return functools.partial(_decode_variable_width, self, event._make)


def _constant_width_decoder(name: str, run: _Run, event: type[events.Event]) -> _DecodeEvent:
    """Return the decoder of the hot path: one unpack, the few conversions, one tuple."""
    layout = struct.Struct("<8x" + run.format)
    unpack, size, reads = layout.unpack, layout.size, run.reads
    make: _Make = functools.partial(tuple.__new__, event)

    def decode(data: bytes) -> events.Event:
        if len(data) != size:
            raise errors.DecodeError(f"{name} has {size} bytes; the data has {len(data)}.")
        values = [*unpack(data)]
        for index, read in reads:
            values[index] = read(values[index])
        return make(values)

    return decode


def _decode_variable_width(named: _TaggedRecord, make: _Make, data: bytes) -> events.Event:
    values, end = named.decode(data)
    if end != len(data):
        raise errors.DecodeError(f"{named.name} ends after {end} bytes; the data has {len(data)}.")
    return make(values)


def _decoder_by_length(special: Mapping[int, _DecodeEvent], otherwise: _DecodeEvent) -> _DecodeEvent:
    def decode(data: bytes) -> events.Event:
        return special.get(len(data), otherwise)(data)

    return decode
