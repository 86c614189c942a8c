"""From one delivered item to the rows the log holds; pure, and total.

Whatever bytes an item has, exactly one thing comes out of it: a transaction, a dead letter, a
signature that is still to be fetched, or nothing where our program took no part. No item raises, so
no item can keep its neighbours out of the log.

    raw        logs are there        -> a transaction with its events
    enhanced   no logs by nature     -> its signature is wanted (protocol.md 8.3)
    failed     `meta.err` is set     -> a transaction without events
    malformed  not a transaction     -> a dead letter with the item's bytes

An undecodable line of our program is a dead letter of its transaction; its other events count. Where
the runtime cut the log, what the instructions tell exactly is rebuilt, and what they do not is a dead
letter, too (ingest.cut).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import msgspec

from zmart.chain import logs
from zmart.domain.events import Event

from ..records import DeadLetter, EventRow, TransactionRow
from . import context, delivery_body, event_rows, truncated_logs
from .instructions import Told
from .webhook_types import Core, Item

#: What an order key has room for (zmart.domain.ids).
SLOT_LIMIT = 1 << 39
INDEX_LIMIT = 1 << 15
ORDINAL_LIMIT = 1 << 9
#: What Postgres can write as a timestamp, from 1970 on.
BLOCK_TIME_LIMIT = 253_402_300_800
FEE_LIMIT = 1 << 64

_SIGNATURE = re.compile(r"[1-9A-HJ-NP-Za-km-z]{64,88}")
_ITEM = msgspec.json.Decoder(Item)
_CORE = msgspec.json.Decoder(Core)
_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    """A transaction of ours that came without its logs; it has to be fetched."""

    signature: str


Outcome: TypeAlias = TransactionRow | DeadLetter | Wanted | None


@dataclass(kw_only=True)
class Decoded:
    """What a delivery held, in its order."""

    transactions: list[TransactionRow] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    #: Items our program took no part in.
    ignored: int = 0

    def add(self, outcome: Outcome) -> None:
        """Put an outcome where it belongs."""
        match outcome:
            case TransactionRow():
                self.transactions.append(outcome)
            case DeadLetter():
                self.dead_letters.append(outcome)
            case Wanted(signature):
                self.wanted.append(signature)
            case None:
                self.ignored += 1


class Decoder:
    """Decodes items for one program."""

    def __init__(self, program_id: str) -> None:
        self._program_id = program_id
        self._mention = program_id.encode()

    def body(self, body: bytes) -> Decoded:
        """A whole delivery at once; InvalidInput where it is not an array of transactions."""
        return self.all(delivery_body.items(body))

    def all(self, items: Iterable[bytes]) -> Decoded:
        """The outcomes of several items, sorted by kind."""
        decoded = Decoded()
        for item in items:
            decoded.add(self.item(item))
        return decoded

    def item(self, raw: bytes) -> Outcome:
        """What became of one item."""
        try:
            return self._read(raw, _parsed(raw))
        except _Malformed as exc:
            return DeadLetter(exc.signature, None, "malformed", str(exc), raw)

    def _read(self, raw: bytes, item: Item) -> Outcome:
        signature = _signature(item)
        meta, lines = item.meta, None if item.meta is None else item.meta.log_messages
        if lines is None and meta is not None and meta.err is not None:
            # A failed transaction has no events, and one that never ran has no logs anywhere (SIMD-0290).
            lines = []
        if meta is None or lines is None:
            return Wanted(signature) if self._mention in raw else None
        keys = context.account_keys(item)
        if not self._took_part(keys, lines):
            return None
        slot, block_time = _within(item.slot, SLOT_LIMIT), item.block_time
        if slot is None:
            raise _Malformed("The item's slot is missing or no slot.", signature)
        err = None if meta.err is None else _encode(meta.err).decode()
        found = logs.ParsedLog([], [], False) if err else logs.read(lines, self._program_id)
        block_time, told = _within(block_time, BLOCK_TIME_LIMIT), Told(item, keys, self._program_id)
        lost = truncated_logs.missing(found, told, block_time, self._program_id) if found.truncated else []
        return TransactionRow(
            signature,
            slot,
            _within(item.index_within_block, INDEX_LIMIT),
            block_time,
            err,
            _within(meta.fee, FEE_LIMIT),
            raw,
            digest(slot, err, lines),
            self._events(found, told, lost or ()),
            _dead_letters(found, lost, signature),
        )

    def _took_part(self, keys: Sequence[str], lines: Sequence[str]) -> bool:
        if self._program_id in keys:
            return True
        opening = f"Program {self._program_id} invoke ["
        return any(line.startswith(opening) for line in lines)

    def _events(
        self, found: logs.ParsedLog, told: Told, lost: Sequence[truncated_logs.Missing]
    ) -> tuple[EventRow, ...]:
        if not found.events and not lost:
            return ()
        kept = found.events if not lost else truncated_logs.numbered(found, lost)
        said = [(o, event, event_rows.market(event, self._program_id)) for o, event in kept if o < ORDINAL_LIMIT]
        if not lost:
            return self._rows(said, told)
        rebuilt = [(one.ordinal, one.event, one.market) for one in lost if one.event is not None]
        ordinals = {ordinal for ordinal, *_ in rebuilt}
        rows = self._rows(sorted([*said, *rebuilt], key=lambda each: each[0]), told)
        return tuple(truncated_logs.marked(row) if row.ordinal in ordinals else row for row in rows)

    def _rows(self, said: Sequence[tuple[int, Event, event_rows.Market]], told: Told) -> tuple[EventRow, ...]:
        contexts = context.of_events([(event, account) for _, event, (_, account) in said], told)
        return tuple(
            event_rows.row(event, ordinal, market, beyond)
            for (ordinal, event, market), beyond in zip(said, contexts, strict=True)
        )


def digest(slot: int, err: str | None, lines: Sequence[str]) -> bytes:
    """SHA-256 of (slot, error, log lines) as one JSON array: what makes two deliveries the same."""
    return hashlib.sha256(_encode((slot, err, lines))).digest()


class _Malformed(Exception):
    """The item is not a transaction; carries its signature where that much could be read."""

    def __init__(self, reason: str, signature: str | None = None) -> None:
        super().__init__(reason)
        self.signature = signature


def _parsed(raw: bytes) -> Item:
    try:
        return _typed(raw)
    except msgspec.ValidationError as exc:
        raise _Malformed(f"The item is not a transaction: {_plain(str(exc))}.") from None
    except RecursionError:
        raise _Malformed("The item is nested too deeply to be read.") from None
    except UnicodeDecodeError:
        raise _Malformed("The item is not UTF-8.") from None
    except msgspec.DecodeError:
        return _parsed(_mended(raw))


def _mended(raw: bytes) -> bytes:
    """The item with halves of surrogate pairs replaced; the stored body keeps them."""
    mended = delivery_body.mended(raw)
    if mended == raw:
        raise _Malformed("The item is not JSON.")
    return mended


def _typed(raw: bytes) -> Item:
    """The item, or what of it is right where only parts are wrong that events can do without."""
    try:
        return _ITEM.decode(raw)
    except msgspec.ValidationError:
        return _CORE.decode(raw).as_item()


def _signature(item: Item) -> str:
    signature = item.signature
    if item.transaction is not None:
        signature = next(iter(item.transaction.signatures), None)
    if signature is None:
        raise _Malformed("The item has no signature.")
    if not _SIGNATURE.fullmatch(signature):
        raise _Malformed("The item's signature is not 64 bytes in base58.")
    return signature


def _within(value: int | None, limit: int) -> int | None:
    return value if value is not None and 0 <= value < limit else None


def _dead_letters(
    found: logs.ParsedLog, lost: Sequence[truncated_logs.Missing] | None, signature: str
) -> tuple[DeadLetter, ...]:
    letters = [
        DeadLetter(signature, ordinal, "undecodable", reason, _bytes(line))
        for ordinal, line, reason in found.undecodable
    ]
    letters += [
        DeadLetter(signature, ordinal, "beyond", "The transaction has too many events.", None)
        for ordinal, _ in found.events
        if ordinal >= ORDINAL_LIMIT
    ]
    if lost is None:
        reason = "The runtime cut the log; events after the cut have to be read elsewhere."
        letters.append(DeadLetter(signature, None, "truncated", reason, None))
    letters += [
        DeadLetter(signature, one.ordinal, "truncated", truncated_logs.regret(one), None)
        for one in lost or ()
        if one.event is None and one.ordinal < ORDINAL_LIMIT
    ]
    return tuple(letters)


def _bytes(line: str) -> bytes:
    return line.encode("utf-8", "surrogatepass")


def _plain(text: str) -> str:
    """Text that every store takes, whatever an item's key held."""
    return text.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")
