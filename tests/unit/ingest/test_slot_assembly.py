"""Transactions of a stream get the times of their blocks, in any order of the updates, and none waits for long."""

from __future__ import annotations

from types import SimpleNamespace

from ingest.sync import slot_assembly
from ingest.sync.slot_assembly import HOLD_SECONDS, SlotAssembly
from zmart.chain.geyser.geyser_pb2 import BlockMeta, TransactionInfo, TransactionUpdate, UnixTime


def transaction(slot: int, name: str = "a") -> TransactionUpdate:
    """An update of a slot."""
    return TransactionUpdate(slot=slot, transaction=TransactionInfo(signature=name.encode()))


def block(slot: int) -> BlockMeta:
    """The metadata of a slot's block."""
    return BlockMeta(slot=slot, block_time=UnixTime(timestamp=slot * 10))


def test_a_transaction_before_or_after_its_block_gets_its_time() -> None:
    """Repeats are passed on: the log counts them."""
    assembly = SlotAssembly()
    assert assembly.add_transaction(transaction(7)) == []
    assert assembly.add_transaction(transaction(8)) == []
    assert [(one.update.slot, one.block_time) for one in assembly.add_block(block(7))] == [(7, 70)]
    assert [(one.update.slot, one.block_time) for one in assembly.add_transaction(transaction(7, "b"))] == [(7, 70)]
    assert assembly.add_block(block(7)) == []
    assert assembly.held == 1


def test_a_transaction_without_a_block_is_released_after_a_while_or_when_too_many_wait() -> None:
    """A lost update delays and loses nothing; memory is bounded."""
    clock = SimpleNamespace(now=50.0)
    assembly = SlotAssembly(clock=lambda: clock.now)
    assembly.add_transaction(transaction(7))
    assert assembly.release_overdue() == []
    clock.now += HOLD_SECONDS
    assert [(one.update.slot, one.block_time) for one in assembly.release_overdue()] == [(7, None)]
    assert assembly.release_overdue() == []

    released = [
        ready for slot in range(slot_assembly.MAX_HELD + 2) for ready in assembly.add_transaction(transaction(slot))
    ]
    assert [ready.update.slot for ready in released] == [0, 1]
    assert assembly.held == slot_assembly.MAX_HELD
