"""Decodes one delivered item into the rows that the log stores; pure, and defined for any bytes.

Every item has exactly one outcome: a transaction, a dead letter, a signature that is still to be fetched, or nothing if
our program took no part. No item raises, so no item can prevent its neighbours from being stored.

    raw        has logs              -> a transaction with its events
    enhanced   never has logs        -> its signature is wanted (protocol.md 8.3)
    failed     `meta.err` is set     -> a transaction without events
    malformed  not a transaction     -> a dead letter with the item's bytes

An undecodable line of our program becomes a dead letter of its transaction; the other events count. Where the runtime
truncated the log, the events that the instructions determine exactly are rebuilt, and each of the others becomes a dead
letter, too (ingest.decode.truncated_logs).
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
from .instructions import TransactionView
from .webhook_types import CoreItem, ObjectKeysItem, WebhookItem

#: The limits of an order key (zmart.domain.ids).
SLOT_LIMIT = 1 << 39
INDEX_LIMIT = 1 << 15
ORDINAL_LIMIT = 1 << 9
#: The exclusive limit of timestamps that Postgres can write, in seconds from 1970.
BLOCK_TIME_LIMIT = 253_402_300_800
FEE_LIMIT = 1 << 64

_SIGNATURE = re.compile(r"[1-9A-HJ-NP-Za-km-z]{64,88}")
_ITEM = msgspec.json.Decoder(WebhookItem)
_OBJECT_KEYS = msgspec.json.Decoder(ObjectKeysItem)
_CORE = msgspec.json.Decoder(CoreItem)
_encode = msgspec.json.Encoder().encode


class PendingSignature(NamedTuple):
    """A transaction of ours that came without its logs; it has to be fetched."""

    signature: str


DecodedItem: TypeAlias = TransactionRow | DeadLetter | PendingSignature | None


@dataclass(kw_only=True)
class DecodedDelivery:
    """The outcomes of a delivery, in its order."""

    transactions: list[TransactionRow] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    #: Number of items that our program took no part in.
    ignored: int = 0

    def add(self, outcome: DecodedItem) -> None:
        """Add an outcome to the list of its kind."""
        match outcome:
            case TransactionRow():
                self.transactions.append(outcome)
            case DeadLetter():
                self.dead_letters.append(outcome)
            case PendingSignature(signature):
                self.wanted.append(signature)
            case None:
                self.ignored += 1


class Decoder:
    """Decodes items for one program."""

    def __init__(self, program_id: str) -> None:
        #: The program whose transactions it decodes.
        self.program_id = self._program_id = program_id
        self._program_id_bytes = program_id.encode()

    def decode_body(self, body: bytes) -> DecodedDelivery:
        """Decode a whole delivery at once. Raises InvalidInput if it is not an array of transactions."""
        return self.decode_items(delivery_body.split_items(body))

    def decode_items(self, items: Iterable[bytes]) -> DecodedDelivery:
        """Decode several items; return their outcomes sorted by kind."""
        decoded = DecodedDelivery()
        for item in items:
            decoded.add(self.decode_item(item))
        return decoded

    def decode_item(self, raw: bytes) -> DecodedItem:
        """Return the outcome of one item."""
        try:
            return self._read(raw, _parse(raw))
        except _MalformedItem as exc:
            return DeadLetter(exc.signature, None, "malformed", str(exc), raw)

    def _read(self, raw: bytes, item: WebhookItem) -> DecodedItem:
        signature = _signature(item)
        meta, lines = item.meta, None if item.meta is None else item.meta.log_messages
        if lines is None and meta is not None and meta.err is not None:
            # A failed transaction has no events, and one that never ran has no logs anywhere (solana.md 1).
            lines = []
        if meta is None or lines is None:
            return PendingSignature(signature) if self._program_id_bytes in raw else None
        keys = context.account_keys(item)
        if not self._is_involved(keys, lines):
            return None
        slot, block_time = _in_range_or_none(item.slot, SLOT_LIMIT), item.block_time
        if slot is None:
            raise _MalformedItem("The item's slot is missing or invalid.", signature)
        err = None if meta.err is None else _encode(meta.err).decode()
        found = logs.ParsedLog([], [], False) if err else logs.read(lines, self._program_id)
        block_time, view = (
            _in_range_or_none(block_time, BLOCK_TIME_LIMIT),
            TransactionView(item, keys, self._program_id),
        )
        lost = truncated_logs.missing_events(found, view, block_time, self._program_id) if found.truncated else []
        return TransactionRow(
            signature,
            slot,
            _index_in_block(item),
            block_time,
            err,
            _in_range_or_none(meta.fee, FEE_LIMIT),
            raw,
            digest(slot, err, lines),
            self._events(found, view, lost or ()),
            _dead_letters(found, lost, signature),
        )

    def _is_involved(self, keys: Sequence[str], lines: Sequence[str]) -> bool:
        if self._program_id in keys:
            return True
        opening = f"Program {self._program_id} invoke ["
        return any(line.startswith(opening) for line in lines)

    def _events(
        self, found: logs.ParsedLog, view: TransactionView, lost: Sequence[truncated_logs.MissingEvent]
    ) -> tuple[EventRow, ...]:
        if not found.events and not lost:
            return ()
        numbered_events = found.events if not lost else truncated_logs.number_events(found, lost)
        logged = [
            (o, event, event_rows.market(event, self._program_id)) for o, event in numbered_events if o < ORDINAL_LIMIT
        ]
        if not lost:
            return self._rows(logged, view)
        rebuilt = [(one.ordinal, one.event, one.market) for one in lost if one.event is not None]
        ordinals = {ordinal for ordinal, *_ in rebuilt}
        rows = self._rows(sorted([*logged, *rebuilt], key=lambda each: each[0]), view)
        # The first logged event gives the others their clock (truncated_logs.missing_events).
        has_exact_clock = bool(found.events)
        return tuple(
            truncated_logs.mark_rebuilt(row, has_exact_clock=has_exact_clock) if row.ordinal in ordinals else row
            for row in rows
        )

    def _rows(
        self, entries: Sequence[tuple[int, Event, event_rows.MarketRef]], view: TransactionView
    ) -> tuple[EventRow, ...]:
        contexts = context.event_contexts([(event, account) for _, event, (_, account) in entries], view)
        return tuple(
            event_rows.row(event, ordinal, market, extra)
            for (ordinal, event, market), extra in zip(entries, contexts, strict=True)
        )


def digest(slot: int, err: str | None, lines: Sequence[str]) -> bytes:
    """Return the SHA-256 of (slot, error, log lines) as one JSON array; deliveries with equal digests are the same."""
    return hashlib.sha256(_encode((slot, err, lines))).digest()


class _MalformedItem(Exception):
    """The item is not a transaction; holds its signature where that could be read."""

    def __init__(self, reason: str, signature: str | None = None) -> None:
        super().__init__(reason)
        self.signature = signature


def _parse(raw: bytes) -> WebhookItem:
    try:
        return _parse_lenient(raw)
    except msgspec.ValidationError as exc:
        raise _MalformedItem(f"The item is not a transaction: {_ascii_text(str(exc))}.") from None
    except RecursionError:
        raise _MalformedItem("The item is nested too deeply.") from None
    except UnicodeDecodeError:
        raise _MalformedItem("The item is not UTF-8.") from None
    except msgspec.DecodeError:
        return _parse(_repair(raw))


def _repair(raw: bytes) -> bytes:
    """Return the item with unpaired surrogates replaced; the stored body keeps them."""
    repaired = delivery_body.replace_lone_surrogates(raw)
    if repaired == raw:
        raise _MalformedItem("The item is not JSON.")
    return repaired


def _parse_lenient(raw: bytes) -> WebhookItem:
    """Parse the item; if only parts are wrong that events do not need, return the parts that are right."""
    try:
        return _ITEM.decode(raw)
    except msgspec.ValidationError:
        pass
    try:
        return _OBJECT_KEYS.decode(raw).as_item()
    except msgspec.ValidationError:
        return _CORE.decode(raw).as_item()


def _signature(item: WebhookItem) -> str:
    signature = item.signature
    if item.transaction is not None:
        signature = next(iter(item.transaction.signatures), None)
    if signature is None:
        raise _MalformedItem("The item has no signature.")
    if not _SIGNATURE.fullmatch(signature):
        raise _MalformedItem("The item's signature is not 64 bytes in base58.")
    return signature


def _index_in_block(item: WebhookItem) -> int | None:
    """Return the index in the block; None if it is missing or if two sources of it disagree."""
    given = {item.transaction_index, item.index_within_block} - {None}
    return _in_range_or_none(given.pop(), INDEX_LIMIT) if len(given) == 1 else None


def _in_range_or_none(value: int | None, limit: int) -> int | None:
    return value if value is not None and 0 <= value < limit else None


def _dead_letters(
    found: logs.ParsedLog, lost: Sequence[truncated_logs.MissingEvent] | None, signature: str
) -> tuple[DeadLetter, ...]:
    dead_letters = [
        DeadLetter(signature, ordinal, "undecodable", reason, _bytes(line))
        for ordinal, line, reason in found.undecodable
    ]
    dead_letters += [
        DeadLetter(signature, ordinal, "beyond", "The transaction has too many events.", None)
        for ordinal, _ in found.events
        if ordinal >= ORDINAL_LIMIT
    ]
    if lost is None:
        reason = "The runtime truncated the log; the later events must come from another source."
        dead_letters.append(DeadLetter(signature, None, "truncated", reason, None))
    dead_letters += [
        DeadLetter(signature, one.ordinal, "truncated", truncated_logs.dead_letter_reason(one), None)
        for one in lost or ()
        if one.event is None and one.ordinal < ORDINAL_LIMIT
    ]
    return tuple(dead_letters)


def _bytes(line: str) -> bytes:
    return line.encode("utf-8", "surrogatepass")


def _ascii_text(text: str) -> str:
    """Return text that every store accepts, whatever the keys of the item contained."""
    return text.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")
