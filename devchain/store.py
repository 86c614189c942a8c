"""Stores the ledger in SQLite in WAL mode, one database transaction per block.

SQLite commits here without waiting for the disk (`synchronous = normal`). Killing the process loses nothing that
was committed; a machine that loses power may lose the newest blocks, but never parts of a block.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from zmart import errors
from zmart.db import queries
from zmart.domain.ids import Address, Signature

from . import wire
from .accounts import Account
from .blocks import Block, Genesis, LandedTransaction
from .runtime import ErrorJson, InnerInstruction

_SQL: Final = queries.load("devchain", "queries.sql")
#: Blocks without transactions are deleted after this many slots, ten hours of slots of 0.2 s.
EMPTY_BLOCK_SLOTS: Final = 180_000
#: A place before every other place, and one after every other.
FIRST_PLACE: Final = (-1, -1)
LAST_PLACE: Final = (1 << 62, 1 << 62)


class Place(NamedTuple):
    """The place of a transaction: the slot, and the index in its block."""

    slot: int
    position: int


class AddressMention(NamedTuple):
    """A summary of a transaction that names an account."""

    signature: Signature
    slot: int
    position: int
    #: Seconds since 1970.
    block_time: int
    err: ErrorJson | None


class PendingDelivery(NamedTuple):
    """A webhook body that has not been delivered."""

    id: int
    due_at: float
    attempts: int
    places: list[Place]


class LedgerStore:
    """The file of one chain."""

    def __init__(self, path: Path, *, program_id: Address) -> None:
        self.path = path
        self._program_id = program_id
        self._db = _open_database(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run the block in one database transaction: all of its writes are committed, or none."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    # The chain's identity

    def genesis(self, created_at: int) -> Genesis:
        """Return the genesis of the chain in this file; draw and store it the first time.

        Raises ConfigurationError where the file holds a chain of another program.
        """
        stored_seed = self.fact("genesis_seed")
        seed = bytes.fromhex(stored_seed) if stored_seed else os.urandom(32)
        created_at = int(self.fact("created_at") or created_at)
        genesis = Genesis.from_seed(seed, created_at)
        if stored_seed is None:
            with self._transaction():
                self._set_fact("genesis_seed", seed.hex())
                self._set_fact("genesis_hash", genesis.hash)
                self._set_fact("created_at", str(created_at))
                self._set_fact("program_id", self._program_id)
        elif self.fact("program_id") != self._program_id:
            raise errors.ConfigurationError(
                f"{self.path} contains a chain of program {self.fact('program_id')}.",
                help="Set SOLANA_PROGRAM_ID_CORE to it, or remove the file for a new chain.",
            )
        return genesis

    def fact(self, name: str) -> str | None:
        """Return the value stored under a name, or None."""
        row = self._db.execute(_SQL.get_fact, {"name": name}).fetchone()
        return None if row is None else str(row[0])

    def _set_fact(self, name: str, value: str) -> None:
        self._db.execute(_SQL.set_fact, {"name": name, "value": value})

    def forks(self) -> int:
        """Return how often this chain forked; the count makes new blockhashes differ from those of dropped blocks."""
        return int(self.fact("forks") or 0)

    # Blocks

    def has_blocks(self) -> bool:
        """Return whether the file contains any block."""
        return bool(self._db.execute(_SQL.newest_blocks, {"limit": 1}).fetchall())

    def append(self, block: Block, changed: Mapping[Address, Account]) -> None:
        """Store a closed block and the accounts that it changed."""
        with self._transaction():
            self._db.execute(_SQL.add_block, _block_row(block))
            for landed in block.transactions:
                self._add_transaction(landed)
            self._put_accounts(changed)
            if block.slot % 1_000 == 0:
                oldest = block.slot - EMPTY_BLOCK_SLOTS
                self._db.execute(_SQL.drop_empty_blocks, {"slot": oldest})

    def _add_transaction(self, landed: LandedTransaction) -> None:
        place = {"slot": landed.slot, "position": landed.index}
        row = {
            **place,
            "signature": landed.signature,
            "raw": landed.transaction.raw,
            "err": None if landed.err is None else orjson.dumps(landed.err).decode(),
            "outcome": _encode_result(landed),
            "is_ours": self._program_id in landed.transaction.keys,
        }
        self._db.execute(_SQL.add_transaction, row)
        mentions = ({**place, "address": address} for address in landed.transaction.keys)
        self._db.executemany(_SQL.add_mention, mentions)

    def _put_accounts(self, changed: Mapping[Address, Account]) -> None:
        for address, account in changed.items():
            if account.is_empty:
                self._db.execute(_SQL.drop_account, {"address": address})
            else:
                self._db.execute(_SQL.put_account, _account_row(address, account))

    def revert_blocks(self, slots: Sequence[int], restored: Mapping[Address, Account], forks: int) -> None:
        """Delete blocks that a fork dropped; `restored` are the accounts as they are without them."""
        with self._transaction():
            for slot in slots:
                for statement in (
                    _SQL.revert_mentions,
                    _SQL.revert_transactions,
                    _SQL.revert_block,
                ):
                    self._db.execute(statement, {"slot": slot})
            self._put_accounts(restored)
            self._set_fact("forks", str(forks))

    def accounts(self) -> dict[Address, Account]:
        """Return every account as it is after the newest block."""
        return {
            Address(address): Account(lamports, Address(owner), data, executable=bool(executable))
            for address, lamports, owner, executable, data in self._db.execute(_SQL.accounts)
        }

    def recent_blocks(self, limit: int) -> list[Block]:
        """Return the newest blocks with their transactions, the oldest first."""
        rows = self._db.execute(_SQL.newest_blocks, {"limit": limit}).fetchall()
        return [self._block(row) for row in reversed(rows)]

    def block(self, slot: int) -> Block | None:
        """Return a slot's block, or None where the slot was skipped or its block was deleted."""
        row = self._db.execute(_SQL.block, {"slot": slot}).fetchone()
        return None if row is None else self._block(row)

    def slots(self, first: int, last: int, limit: int = 500_000) -> list[int]:
        """Return the slots that have a block."""
        span = {"first": first, "last": last, "limit": limit}
        return [slot for (slot,) in self._db.execute(_SQL.slots_between, span)]

    def first_slot(self) -> int:
        """Return the oldest stored slot."""
        (slot,) = self._db.execute(_SQL.first_slot).fetchone()
        return int(slot or 0)

    def _block(self, row: tuple[Any, ...]) -> Block:
        slot, parent_slot, height, time, blockhash, previous = row
        found = self._db.execute(_SQL.transactions_of_block, {"slot": slot})
        return Block(
            slot=slot,
            parent_slot=parent_slot,
            height=height,
            time=time,
            blockhash=blockhash,
            previous_blockhash=previous,
            transactions=[_landed_from_row(found_row) for found_row in found],
        )

    # Transactions

    def count(self) -> int:
        """Return the number of transactions."""
        return int(self._db.execute(_SQL.transaction_count).fetchone()[0])

    def transaction(self, signature: Signature) -> LandedTransaction | None:
        """Return the transaction with a signature, or None."""
        found = self._db.execute(_SQL.transaction_by_signature, {"signature": signature})
        row = found.fetchone()
        return None if row is None else _landed_from_row(row)

    def transaction_at(self, place: Place) -> LandedTransaction | None:
        """Return the transaction at a place, or None where a fork dropped it."""
        key = {"slot": place.slot, "position": place.position}
        row = self._db.execute(_SQL.transaction, key).fetchone()
        return None if row is None else _landed_from_row(row)

    def place_of(self, signature: Signature) -> Place | None:
        """Return the place of the transaction with a signature, or None."""
        row = self._db.execute(_SQL.place_of, {"signature": signature}).fetchone()
        return None if row is None else Place(*row)

    def mentions(
        self,
        address: Address,
        *,
        before: tuple[int, int] = LAST_PLACE,
        until: tuple[int, int] = FIRST_PLACE,
        limit: int = 1_000,
    ) -> list[AddressMention]:
        """Return the transactions that name an account, newest first, both ends excluded."""
        parameters = {
            "address": address,
            "before_slot": before[0],
            "before_position": before[1],
            "until_slot": until[0],
            "until_position": until[1],
            "limit": limit,
        }
        return [
            AddressMention(Signature(signature), slot, index, time, orjson.loads(err or "null"))
            for signature, slot, index, time, err in self._db.execute(_SQL.mentions_of, parameters)
        ]

    def bodies(self, address: Address, *, after: tuple[int, int], up_to: int, limit: int) -> list[LandedTransaction]:
        """Return the transactions that name an account, oldest first, after a place and up to a slot."""
        parameters = {"address": address, "slot": after[0], "position": after[1], "up_to": up_to, "limit": limit}
        return [_landed_from_row(row) for row in self._db.execute(_SQL.bodies_of, parameters)]

    # Deliveries

    def undelivered_places(self, up_to_slot: int, limit: int) -> list[Place]:
        """Return the program's transactions that have no planned delivery yet, in order."""
        slot, index = orjson.loads(self.fact("delivery_cursor") or "[-1,-1]")
        parameters = {"slot": slot, "position": index, "up_to": up_to_slot, "limit": limit}
        return [Place(*row) for row in self._db.execute(_SQL.undelivered_after, parameters)]

    def plan_deliveries(self, deliveries: Iterable[tuple[float, Sequence[Place]]], through: Place) -> None:
        """Plan bodies, each with the time when it is due, and move the delivery cursor to a place."""
        with self._transaction():
            for due_at, places in deliveries:
                row = {"due_at": due_at, "places": orjson.dumps([[*place] for place in places]).decode()}
                self._db.execute(_SQL.plan_delivery, row)
            self._set_fact("delivery_cursor", orjson.dumps([*through]).decode())

    def due_deliveries(self, now: float, limit: int) -> list[PendingDelivery]:
        """Return the bodies that are due."""
        rows = self._db.execute(_SQL.due_deliveries, {"now": now, "limit": limit})
        return [
            PendingDelivery(id_, due_at, attempts, [Place(*place) for place in orjson.loads(places)])
            for id_, due_at, attempts, places in rows
        ]

    def next_due_at(self) -> float | None:
        """Return the time when the next body is due, or None."""
        (due_at,) = self._db.execute(_SQL.next_due).fetchone()
        return None if due_at is None else float(due_at)

    def postpone_delivery(self, delivery: PendingDelivery, due_at: float) -> None:
        """Set the time of the next attempt."""
        self._db.execute(_SQL.postpone_delivery, {"id": delivery.id, "due_at": due_at})

    def finish_delivery(self, delivery: PendingDelivery) -> None:
        """Delete a delivery that was answered with success or dropped."""
        self._db.execute(_SQL.delete_delivery, {"id": delivery.id})


def _open_database(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    path.chmod(0o600)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = normal")
    db.executescript(resources.files("devchain").joinpath("schema.sql").read_text())
    return db


def _block_row(block: Block) -> dict[str, Any]:
    return {
        "slot": block.slot,
        "parent_slot": block.parent_slot,
        "height": block.height,
        "time": block.time,
        "blockhash": block.blockhash,
        "previous_blockhash": block.previous_blockhash,
    }


def _account_row(address: Address, account: Account) -> dict[str, Any]:
    return {
        "address": address,
        "lamports": account.lamports,
        "owner": account.owner,
        "executable": account.executable,
        "data": account.data,
    }


def _inner_calls(landed: LandedTransaction) -> list[list[Any]]:
    return [
        [index, [[c.program_id, c.addresses, c.data.hex(), c.stack_height] for c in calls]]
        for index, calls in landed.inner.items()
    ]


def _encode_result(landed: LandedTransaction) -> bytes:
    return orjson.dumps(
        [
            landed.err,
            landed.fee_lamports,
            landed.logs,
            _inner_calls(landed),
            landed.units_consumed,
            landed.pre_balances,
            landed.post_balances,
            landed.was_executed,
        ]
    )


def _landed_from_row(row: tuple[Any, ...]) -> LandedTransaction:
    slot, index, raw, outcome, block_time = row
    # Earlier versions did not store the last field.
    err, fee, logs, inner, units, pre, post, *rest = orjson.loads(outcome)
    return LandedTransaction(
        transaction=wire.parse(raw),
        slot=slot,
        index=index,
        block_time=block_time,
        err=err,
        fee_lamports=fee,
        logs=logs,
        inner={
            top: [
                InnerInstruction(program, tuple(addresses), bytes.fromhex(data), height)
                for program, addresses, data, height in calls
            ]
            for top, calls in inner
        },
        units_consumed=units,
        pre_balances=pre,
        post_balances=post,
        was_executed=rest[0] if rest else True,
    )
