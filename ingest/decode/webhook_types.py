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


class AccountKey(msgspec.Struct, gc=False):
    """An account as an object, as a node delivers it with the encoding jsonParsed."""

    pubkey: str
    #: `transaction`, or `lookupTable` if it came from one.
    source: str | None = None


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


class ObjectKeysMessage(msgspec.Struct, rename="camel", gc=False):
    """`TransactionMessage` whose accounts are objects, in the order in which instructions count them."""

    account_keys: list[str | AccountKey]
    instructions: msgspec.Raw = _ABSENT

    def as_message(self) -> TransactionMessage:
        """Return the same message with the addresses alone."""
        keys = [key if isinstance(key, str) else key.pubkey for key in self.account_keys]
        return TransactionMessage(keys, self.instructions)


class ObjectKeysTransaction(msgspec.Struct, gc=False):
    """`WebhookTransaction` whose accounts are objects."""

    signatures: list[str]
    message: ObjectKeysMessage


class ObjectKeysItem(msgspec.Struct, rename="camel", gc=False):
    """`WebhookItem` whose accounts are objects."""

    transaction: ObjectKeysTransaction
    slot: int | None = None
    block_time: int | None = None
    index_within_block: int | None = None
    transaction_index: int | None = None
    meta: TransactionMeta | None = None

    def as_item(self) -> WebhookItem:
        """Return the same item with the addresses alone; accounts of look-up tables are among them already."""
        message = self.transaction.message
        has_loaded = any(isinstance(key, AccountKey) and key.source == "lookupTable" for key in message.account_keys)
        if self.meta is not None and has_loaded:
            self.meta.loaded_addresses = None
        return WebhookItem(
            self.slot,
            self.block_time,
            self.index_within_block,
            self.transaction_index,
            self.meta,
            WebhookTransaction(self.transaction.signatures, message.as_message()),
        )


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


class NamedInstruction(msgspec.Struct, rename="camel", gc=False):
    """An instruction that may name program and accounts by their addresses; `parsed` stands in place of its data."""

    program_id_index: int | None = None
    program_id: str | None = None
    accounts: list[int | str | AccountKey] | None = None
    data: str | None = None

    def compile(self, keys: list[str]) -> CompiledInstruction:
        """Return it with indexes into `keys`; -1 for what is not among them.

        An instruction without its accounts may have named any of them.
        """
        program = self.program_id_index
        if program is None:
            program = _index_of(self.program_id, keys)
        accounts = range(len(keys)) if self.accounts is None else self.accounts
        places = [
            one if isinstance(one, int) else _index_of(one if isinstance(one, str) else one.pubkey, keys)
            for one in accounts
        ]
        return CompiledInstruction(program, places, self.data or "")


def _index_of(key: str | None, keys: list[str]) -> int:
    return keys.index(key) if key in keys else -1


class NamedInnerInstructions(msgspec.Struct, gc=False):
    """`InnerInstructions` with named instructions."""

    index: int
    instructions: list[NamedInstruction]


class InnerInstructions(msgspec.Struct, gc=False):
    """The instructions that one top-level instruction called."""

    index: int
    instructions: list[CompiledInstruction]
