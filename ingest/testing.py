"""Provides deliveries and a writer for tests: the shapes of the real ones, without a chain or a database.

`item` builds a raw webhook item of a transaction of ours. `MemoryWriter` stores its input in memory until the process
ends. Both are checked by the same tests as the real ones.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from solders.instruction import Instruction

from zmart.chain import codec
from zmart.domain import base58, events
from zmart.domain.ids import Address

from .records import DeadLetter, TransactionRow

BASE_FEE_LAMPORTS = 5_000
RICH_LAMPORTS = 10_000_000_000


def signature(number: int) -> str:
    """Return a signature of the right shape, a different one for each number."""
    return base58.encode(hashlib.sha512(number.to_bytes(8, "big")).digest())


def address(number: int) -> Address:
    """Return an address of the right shape, a different one for each number."""
    return Address(base58.encode(hashlib.sha256(number.to_bytes(8, "big")).digest()))


def data_line(event: events.Event) -> str:
    """Return the log line by which the program emits an event."""
    return "Program data: " + base64.b64encode(codec.default().encode_event(event)).decode()


def log_lines(program_id: str, printed: Sequence[str]) -> list[str]:
    """Return the log of one top-level instruction of a program that printed `printed`."""
    return [
        f"Program {program_id} invoke [1]",
        *printed,
        f"Program {program_id} consumed 31842 of 200000 compute units",
        f"Program {program_id} success",
    ]


def item(
    program_id: str,
    emitted: Sequence[events.Event] = (),
    *,
    number: int = 1,
    slot: int = 400_000_000,
    index: int | None = 7,
    block_time: int | None = 1_762_600_000,
    err: object = None,
    lines: Sequence[str] | None = None,
    instructions: Sequence[Instruction] = (),
    inner: Mapping[int, Sequence[Instruction]] | None = None,
    lamports: Mapping[str, tuple[int, int]] | None = None,
    loaded: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> dict[str, Any]:
    """Return one raw webhook item (protocol.md 8.3).

    `lines` replaces the log that `emitted` would produce; `lamports` names balances before and after; `loaded` names
    accounts that came from a look-up table, writable and read-only.
    """
    inner = inner or {}
    everything = [*instructions, *(call for calls in inner.values() for call in calls)]
    keys = _keys(program_id, everything, {*loaded[0], *loaded[1]})
    places = [*keys, *loaded[0], *loaded[1]]
    balances = [(lamports or {}).get(key, (RICH_LAMPORTS, RICH_LAMPORTS)) for key in places]
    delivered = {
        "blockTime": block_time,
        "indexWithinBlock": index,
        "meta": {
            "computeUnitsConsumed": 31842,
            "err": err,
            "fee": BASE_FEE_LAMPORTS,
            "innerInstructions": [
                {"index": top, "instructions": [_compile_instruction(call, places, 2) for call in calls]}
                for top, calls in inner.items()
            ],
            "loadedAddresses": {"readonly": list(loaded[1]), "writable": list(loaded[0])},
            "logMessages": list(lines)
            if lines is not None
            else log_lines(program_id, [data_line(event) for event in emitted]),
            "postBalances": [after for _, after in balances],
            "postTokenBalances": [],
            "preBalances": [before for before, _ in balances],
            "preTokenBalances": [],
            "rewards": [],
        },
        "slot": slot,
        "transaction": {
            "message": {
                "accountKeys": keys,
                "addressTableLookups": None,
                "header": {
                    "numReadonlySignedAccounts": 0,
                    "numReadonlyUnsignedAccounts": 2,
                    "numRequiredSignatures": 1,
                },
                "instructions": [_compile_instruction(call, places, 1) for call in instructions],
                "recentBlockhash": address(number),
            },
            "signatures": [signature(number)],
        },
        "version": 0 if any(loaded) else "legacy",
    }
    if index is None:
        del delivered["indexWithinBlock"]
    return delivered


def enhanced_item(program_id: str, number: int = 1) -> dict[str, Any]:
    """Return one enhanced webhook item: no logs, hence no events (protocol.md 8.3)."""
    return {
        "accountData": [],
        "description": "",
        "events": {},
        "fee": BASE_FEE_LAMPORTS,
        "feePayer": address(number),
        "instructions": [{"accounts": [], "data": "", "innerInstructions": [], "programId": program_id}],
        "nativeTransfers": [],
        "signature": signature(number),
        "slot": 400_000_000,
        "source": "UNKNOWN",
        "timestamp": 1_762_600_000,
        "tokenTransfers": [],
        "transactionError": None,
        "type": "UNKNOWN",
    }


def body(*items: object) -> bytes:
    """Return a delivery of items."""
    return msgspec.json.encode(items)


def _keys(program_id: str, calls: Sequence[Instruction], loaded: set[str]) -> list[str]:
    keys = [str(meta.pubkey) for call in calls for meta in call.accounts]
    keys += [str(call.program_id) for call in calls]
    return [key for key in dict.fromkeys([*keys, program_id]) if key not in loaded]


def _compile_instruction(call: Instruction, places: list[str], height: int) -> dict[str, Any]:
    return {
        "accounts": [places.index(str(meta.pubkey)) for meta in call.accounts],
        "data": base58.encode(call.data),
        "programIdIndex": places.index(str(call.program_id)),
        "stackHeight": height,
    }


class MemoryAppendResult(NamedTuple):
    """The result of one append."""

    epoch: str
    first_seq: int | None
    last_seq: int | None
    events: int
    duplicates: int
    dead_letters: int


class MemoryWriter:
    """Appends to lists; a known signature is a duplicate."""

    def __init__(self) -> None:
        self.transactions: dict[str, TransactionRow] = {}
        self.dead_letters: list[DeadLetter] = []
        self.wanted: set[str] = set()
        self.closed = False
        self._seq = 0

    def prepare(self, transactions: Sequence[TransactionRow]) -> Sequence[TransactionRow]:
        """Return the transactions unchanged."""
        return transactions

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> MemoryAppendResult:
        """Store new transactions; return the counts."""
        del source
        fresh = {row.signature: row for row in transactions if row.signature not in self.transactions}
        self.transactions |= fresh
        written = [
            *dead_letters,
            *(dead_letter for row in fresh.values() for dead_letter in row.dead_letters),
        ]
        self.dead_letters += written
        self.wanted |= set(wanted)
        count, before = sum(len(row.events) for row in fresh.values()), self._seq
        self._seq += count
        return MemoryAppendResult(
            "memory",
            before + 1 if count else None,
            self._seq if count else None,
            count,
            len(transactions) - len(fresh),
            len(written),
        )

    async def close(self) -> None:
        """Mark the writer as closed."""
        self.closed = True
