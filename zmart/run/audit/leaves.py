"""Computes the leaves of the chain from stored entries. No I/O.

A leaf is version (1 byte), seq (8), kind (1) and digest (32), as the SQL function raw.leaf writes it. The value of a
commit is the SHA-256 of the value before and of its leaves.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from zmart import errors
from zmart.chain import event_digests

VERSION: Final = 1
#: The value before the first commit.
GENESIS: Final = bytes(32)
#: The number of a kind in a leaf is its place here, from 1.
KINDS: Final = (
    "event",
    "retracted",
    "moved",
    "finalized_through",
    "ballot",
    "comment",
    "reaction",
    "metadata",
    "mart_stale",
    "moderation",
    "profile",
    "market_page",
    "event_group",
)
#: Kinds whose digest is stored, because their text may be erased.
TEXTS: Final = frozenset(KINDS) - {"event", "retracted", "moved", "finalized_through", "mart_stale"}
_LEAF = struct.Struct(">BqB32s")


class EntryDiffers(errors.Conflict):
    """An entry's stored content is not what its digest was made of."""


class StoredEntry(NamedTuple):
    """One row of audit.sql `entries`."""

    seq: int
    kind: str
    ref: int | None
    #: Of kinds in TEXTS only.
    digest: bytes | None
    signature: str | None
    ordinal: int | None
    name: str | None
    market_id: str | None
    market_account: str | None
    wallet: str | None
    clock: int | None
    payload: Mapping[str, Any] | None
    #: The text behind the digest of a ballot, if the database has it; None for other kinds.
    text: str | None


def leaf(entry: StoredEntry) -> bytes:
    """Return the leaf of an entry: 42 bytes. Raise EntryDiffers where its content cannot be that of the entry."""
    return _LEAF.pack(VERSION, entry.seq, KINDS.index(entry.kind) + 1, _digest(entry))


def chain_value(before: bytes, leaves: Iterable[bytes]) -> bytes:
    """Return the value of a commit: 32 bytes."""
    return hashlib.sha256(before + b"".join(leaves)).digest()


def _digest(entry: StoredEntry) -> bytes:
    if entry.kind == "event":
        return _event_digest(entry)
    if entry.kind in TEXTS:
        return _text_digest(entry)
    return hashlib.sha256(b"" if entry.ref is None else struct.pack(">q", entry.ref)).digest()


def _event_digest(entry: StoredEntry) -> bytes:
    if entry.name is None or entry.signature is None or entry.ordinal is None or entry.clock is None:
        raise EntryDiffers(f"Entry {entry.seq} is an event whose row is missing.")
    stored = event_digests.StoredEvent(
        entry.name, entry.market_id, entry.market_account, entry.wallet, entry.clock, entry.payload or {}
    )
    try:
        logged = event_digests.logged_bytes(stored)
    except errors.DecodeError:
        # Columns that the program cannot have logged. Where they were changed, the digest then differs.
        logged = b""
    return event_digests.digest(entry.signature, entry.ordinal, logged)


def _text_digest(entry: StoredEntry) -> bytes:
    if entry.digest is None:
        raise EntryDiffers(f"Entry {entry.seq}, a {entry.kind}, has no digest.")
    if entry.text and hashlib.sha256(entry.text.encode()).digest() != entry.digest:
        raise EntryDiffers(f"Entry {entry.seq}: the text of the {entry.kind} is not the one that was appended.")
    return entry.digest
