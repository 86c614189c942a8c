"""Reads a transaction's instructions in the order in which they ran, and the balances of its accounts before and after.

Some data that the log needs is not in any event but in the instruction that caused it, or in balances: `context` adds
it to events, and `truncated_logs` rebuilds events from it where the runtime truncated the log. Both read a transaction
through `TransactionView`, which parses each part at its first use: most transactions are trades, which need no more
than a balance.

Every part may be missing or malformed. A part that cannot be read is None or left out, never guessed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from zmart import errors
from zmart.chain import codec, idl
from zmart.domain import base58

from .webhook_types import (
    CompiledInstruction,
    InnerInstructions,
    NamedInnerInstructions,
    NamedInstruction,
    WebhookItem,
)

#: Instructions of ours that do not change the market account's lamports (protocol.md 1.4).
NO_LAMPORTS_MOVED = frozenset(
    {
        "approve_proposal",
        "activate_market",
        "resolve_market",
        "initiate_dispute",
        "finalize_market",
        "submit_proposal_vote",
        "submit_dispute_vote",
        "aggregate_proposal_votes",
        "aggregate_dispute_votes",
        "cancel_market",
    }
)
#: The longest data of ours is 102 bytes. A version-1 transaction can carry 4,096, a forged item more, and the time of
#: base58 decoding grows with the square of the length.
_LONGEST_DATA = 2_048

_T = TypeVar("_T")
_BALANCES = msgspec.json.Decoder(list[int] | None)
_INSTRUCTIONS = msgspec.json.Decoder(list[CompiledInstruction] | None)
_INNER = msgspec.json.Decoder(list[InnerInstructions] | None)
_NAMED_INSTRUCTIONS = msgspec.json.Decoder(list[NamedInstruction] | None)
_NAMED_INNER = msgspec.json.Decoder(list[NamedInnerInstructions] | None)


class InstructionCall(NamedTuple):
    """An instruction that ran."""

    #: The index of the top-level instruction that it is, or that called it.
    top: int
    is_inner: bool
    is_ours: bool
    #: None if another program ran, or if ours does not define the instruction.
    name: str | None
    args: dict[str, Any]
    #: Indexes into the account keys, in the instruction's order.
    accounts: list[int]


class TransactionView:
    """The data of one transaction beyond its log."""

    def __init__(self, item: WebhookItem, keys: list[str], program_id: str) -> None:
        self._item = item
        self._keys = keys
        self._program_id = program_id

    def key_index(self, account: str) -> int | None:
        """Return the index of an account among the keys, or None."""
        return self._keys.index(account) if account in self._keys else None

    def named_account(self, call: InstructionCall, name: str) -> str | None:
        """Return the account that a call of ours passed under the program's name for it, or None."""
        index = _ACCOUNTS[call.name or ""].index(name)
        place = call.accounts[index] if index < len(call.accounts) else -1
        return self._keys[place] if 0 <= place < len(self._keys) else None

    def balance_before(self, account: str) -> int | None:
        """Return the lamports of an account before the transaction, or None."""
        meta = self._item.meta
        return None if meta is None else self._balance(meta.pre_balances, account)

    def balance_after(self, account: str) -> int | None:
        """Return the lamports of an account after the transaction, or None."""
        meta = self._item.meta
        return None if meta is None else self._balance(meta.post_balances, account)

    def lamports_change(self, name: str, account: str) -> int | None:
        """Return the change of a market account's lamports by one call of `name` and the instructions it called.

        Return None unless it is the only call in the transaction that may have moved lamports there.
        """
        before, after, index = self.balance_before(account), self.balance_after(account), self.key_index(account)
        if before is None or after is None:
            return None
        movers = [call for call in self.calls if index in call.accounts and call.name not in NO_LAMPORTS_MOVED]
        named = [call for call in movers if call.name == name]
        if len(named) != 1:
            return None
        (one,) = named
        is_only_mover = all(c is one or (c.is_inner and not one.is_inner and c.top == one.top) for c in movers)
        return after - before if is_only_mover else None

    @functools.cached_property
    def calls(self) -> list[InstructionCall]:
        """Every instruction that can be read, in the order in which they ran."""
        message = self._item.transaction and self._item.transaction.message
        if not message or not self._item.meta:
            return []
        tops = _decode_or_none(_INSTRUCTIONS, message.instructions) or self._compile(message.instructions)
        inner = {one.index: one.instructions for one in self._inner or ()}
        return list(self._flatten(tops, inner))

    @property
    def has_all_calls(self) -> bool:
        """Whether `calls` is complete: the node recorded inner instructions, even if there were none."""
        return bool(self.calls) and self._inner is not None

    @functools.cached_property
    def _inner(self) -> list[InnerInstructions] | None:
        if self._item.meta is None:
            return None
        raw = self._item.meta.inner_instructions
        compiled = _decode_or_none(_INNER, raw)
        named = _decode_or_none(_NAMED_INNER, raw) if compiled is None else None
        if named is None:
            return compiled
        return [InnerInstructions(one.index, [each.compile(self._keys) for each in one.instructions]) for one in named]

    def _compile(self, raw: msgspec.Raw) -> list[CompiledInstruction]:
        """Return instructions that name their accounts by address, as the encoding jsonParsed does."""
        return [one.compile(self._keys) for one in _decode_or_none(_NAMED_INSTRUCTIONS, raw) or ()]

    def _flatten(
        self, tops: Sequence[CompiledInstruction], inner: dict[int, list[CompiledInstruction]]
    ) -> Iterator[InstructionCall]:
        for top, instruction in enumerate(tops):
            yield self._call(instruction, top, is_inner=False)
            for called in inner.get(top, ()):
                yield self._call(called, top, is_inner=True)

    def _call(self, instruction: CompiledInstruction, top: int, *, is_inner: bool) -> InstructionCall:
        place = instruction.program_id_index
        is_ours = 0 <= place < len(self._keys) and self._keys[place] == self._program_id
        name, args = _decode_arguments(instruction.data) if is_ours else (None, {})
        return InstructionCall(top, is_inner, is_ours, name, args, instruction.accounts)

    def _balance(self, raw: msgspec.Raw, account: str) -> int | None:
        place = self.key_index(account)
        balances: list[int] | None = None if place is None else _decode_or_none(_BALANCES, raw)
        if place is None or balances is None or len(balances) != len(self._keys):
            return None
        return balances[place]


_ACCOUNTS = {one.name: [account.name for account in one.accounts] for one in idl.load().instructions}


def _decode_arguments(data: str) -> tuple[str | None, dict[str, Any]]:
    if len(data) > _LONGEST_DATA:
        return None, {}
    try:
        return codec.default().decode_instruction(base58.decode(data))
    except (errors.DecodeError, errors.InvalidInput):
        return None, {}


def _decode_or_none(decoder: msgspec.json.Decoder[_T], raw: msgspec.Raw) -> _T | None:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
