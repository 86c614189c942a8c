"""Defines types for the parts of a delivered transaction that ingest reads.

A raw webhook item has the shape of `getTransaction` (protocol.md 8.3). msgspec builds only these fields and skips the
rest. Parts that only some events need stay unparsed bytes (`Raw`) until one of them needs them, and may be missing or
malformed: `WebhookItem` is tried first, then `CoreItem`, which requires only the parts that every event needs.
"""

from __future__ import annotations

from typing import Any

import msgspec

_ABSENT = msgspec.Raw(b"null")


class LoadedAddresses(msgspec.Struct, gc=False):
    """Accounts of a version 0 transaction that came from a look-up table."""

    writable: list[str] = []
    readonly: list[str] = []


class TransactionMeta(msgspec.Struct, rename="camel", gc=False):
    """The results of executing the transaction."""

    err: Any = None
    fee: int | None = None
    log_messages: list[str] | None = None
    #: Lamports of every account before and after, in the order of the keys.
    pre_balances: msgspec.Raw = _ABSENT
    post_balances: msgspec.Raw = _ABSENT
    inner_instructions: msgspec.Raw = _ABSENT
    loaded_addresses: LoadedAddresses | None = None


class TransactionMessage(msgspec.Struct, rename="camel", gc=False):
    """The message that was signed."""

    account_keys: list[str] = []
    instructions: msgspec.Raw = _ABSENT


class WebhookTransaction(msgspec.Struct, gc=False):
    """The signed transaction."""

    signatures: list[str]
    message: TransactionMessage | None = None


class WebhookItem(msgspec.Struct, rename="camel", gc=False):
    """One element of a delivery, raw or enhanced."""

    slot: int | None = None
    block_time: int | None = None
    #: The index in the block by Helius, and by nodes since Agave 4.0; both may be missing.
    index_within_block: int | None = None
    transaction_index: int | None = None
    meta: TransactionMeta | None = None
    transaction: WebhookTransaction | None = None
    #: Enhanced items have the signature here, and neither `meta` nor logs.
    signature: str | None = None


class CoreMeta(msgspec.Struct, rename="camel"):
    """The part of `TransactionMeta` without which there are no events."""

    err: Any = None
    fee: Any = None
    log_messages: list[str] | None = None


class CoreTransaction(msgspec.Struct):
    """The part of `WebhookTransaction` without which it has no signature."""

    signatures: list[str]


class CoreItem(msgspec.Struct, rename="camel"):
    """The part of `WebhookItem` that has to be valid."""

    slot: int | None = None
    block_time: Any = None
    index_within_block: Any = None
    transaction_index: Any = None
    meta: CoreMeta | None = None
    transaction: CoreTransaction | None = None
    signature: str | None = None

    def as_item(self) -> WebhookItem:
        """Return the same item without the parts that could not be read."""
        item = WebhookItem(
            self.slot,
            _int_or_none(self.block_time),
            _int_or_none(self.index_within_block),
            _int_or_none(self.transaction_index),
            None,
            None,
            self.signature,
        )
        if self.meta is not None:
            item.meta = TransactionMeta(self.meta.err, _int_or_none(self.meta.fee), self.meta.log_messages)
        if self.transaction is not None:
            item.transaction = WebhookTransaction(self.transaction.signatures)
        return item


def _int_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class CompiledInstruction(msgspec.Struct, rename="camel", gc=False):
    """A compiled instruction: indexes into the account keys, and data in base58."""

    program_id_index: int
    accounts: list[int]
    data: str


class InnerInstructions(msgspec.Struct, gc=False):
    """The instructions that one top-level instruction called."""

    index: int
    instructions: list[CompiledInstruction]
