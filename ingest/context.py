"""What a transaction tells beyond its events: arguments the program does not repeat, and balances.

MarketCreated says neither the liquidity nor the question, MarketFinalized not the dispute's counts:
both are arguments of the instruction that caused it. A sell says what the seller received, and for
a fifth of all amounts two prices before fees would fit; the change of the market account's lamports
tells them apart, as long as nothing else moved lamports there (protocol.md 8.6).

All of it is extra. A part that is missing, or not as it should be, is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from zmart import errors
from zmart.chain import codec
from zmart.domain import base58, events

from . import payload
from .item import InnerInstructions, Instruction, Item, LoadedAddresses

#: Instructions of ours that leave the market account's lamports alone (protocol.md 1.4).
STILL = frozenset(
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
#: finalize_market's accounts are config, market, authority (protocol.md 1.4.9).
_FINALIZED = slice(1, 2)

_T = TypeVar("_T")
_encode = msgspec.json.Encoder().encode
_BALANCES = msgspec.json.Decoder(list[int] | None)
_INSTRUCTIONS = msgspec.json.Decoder(list[Instruction] | None)
_INNER = msgspec.json.Decoder(list[InnerInstructions] | None)


def account_keys(item: Item) -> list[str]:
    """Keys in the order instructions count them: static, loaded writable, loaded read-only."""
    message = item.transaction and item.transaction.message
    if not message:
        return []
    loaded = (item.meta and item.meta.loaded_addresses) or LoadedAddresses()
    return message.account_keys + loaded.writable + loaded.readonly


def of_events(
    said: Sequence[tuple[events.Event, str | None]], item: Item, keys: list[str], program_id: str
) -> list[bytes | None]:
    """The context of each event, given with its market's account, as JSON.

    None where the transaction adds nothing. Balances stand on a market's last event alone.
    """
    told = _Told(item, keys, program_id)
    last = {account: place for place, (_, account) in enumerate(said)}
    return [
        told.about(event, account, is_last=last[account] == place) if account else None
        for place, (event, account) in enumerate(said)
    ]


class _Call(NamedTuple):
    """An instruction as it ran."""

    #: Which top-level instruction it is, or was called by.
    top: int
    is_inner: bool
    #: None when another program ran.
    name: str | None
    args: dict[str, Any]
    accounts: list[int]


class _Told:
    """One transaction, asked about its events; what few events need is read when one does."""

    def __init__(self, item: Item, keys: list[str], program_id: str) -> None:
        self._item = item
        self._keys = keys
        self._program_id = program_id

    def about(self, event: events.Event, account: str, *, is_last: bool) -> bytes | None:
        """What is known beyond the event, as JSON."""
        found: dict[str, str | int | None] = {}
        match event:
            case events.MarketCreated(market_id=market_id):
                found |= self._created(market_id)
            case events.MarketFinalized():
                found |= self._finalized(account)
            case events.SharesSold():
                found |= self._delta(account)
        if is_last and (after := self._after(account)) is not None:
            found["market_lamports"] = str(after)
        return _encode(found) if found else None

    def _created(self, market_id: bytes) -> dict[str, str | int | None]:
        for call in self._calls:
            if call.name == "create_market" and call.args["market_id"] == market_id:
                return {
                    "initial_liquidity": str(call.args["initial_liquidity"]),
                    "ipfs_question_hash": payload.readable(call.args["ipfs_question_hash"]),
                }
        return {}

    def _finalized(self, account: str) -> dict[str, str | int | None]:
        place = self._place(account)
        for call in self._calls:
            if call.name == "finalize_market" and call.accounts[_FINALIZED] == [place]:
                return {name: call.args[name] for name in ("dispute_agree", "dispute_disagree")}
        return {}

    def _delta(self, account: str) -> dict[str, str | int | None]:
        before, after = self._before(account), self._after(account)
        if before is None or after is None or not self._only_one_sell_moved(account):
            return {}
        return {"market_lamports_delta": str(after - before)}

    def _only_one_sell_moved(self, account: str) -> bool:
        """Whether the market's lamports changed by one sell of ours and what it called itself."""
        place = self._place(account)
        movers = [call for call in self._calls if place in call.accounts and call.name not in STILL]
        sells = [call for call in movers if call.name == "sell_shares"]
        if len(sells) != 1:
            return False
        (sell,) = sells
        return all(call is sell or (call.is_inner and not sell.is_inner and call.top == sell.top) for call in movers)

    def _before(self, account: str) -> int | None:
        meta = self._item.meta
        return None if meta is None else self._balance(meta.pre_balances, account)

    def _after(self, account: str) -> int | None:
        meta = self._item.meta
        return None if meta is None else self._balance(meta.post_balances, account)

    def _balance(self, raw: msgspec.Raw, account: str) -> int | None:
        place = self._place(account)
        balances: list[int] | None = None if place is None else _read(_BALANCES, raw)
        if place is None or balances is None or len(balances) != len(self._keys):
            return None
        return balances[place]

    def _place(self, account: str) -> int | None:
        return self._keys.index(account) if account in self._keys else None

    @functools.cached_property
    def _calls(self) -> list[_Call]:
        return list(self._read_calls())

    def _read_calls(self) -> Iterator[_Call]:
        message = self._item.transaction and self._item.transaction.message
        if not message or not self._item.meta:
            return
        for top, instruction in enumerate(_read(_INSTRUCTIONS, message.instructions) or ()):
            yield self._call(instruction, top, is_inner=False)
        for inner in _read(_INNER, self._item.meta.inner_instructions) or ():
            for instruction in inner.instructions:
                yield self._call(instruction, inner.index, is_inner=True)

    def _call(self, instruction: Instruction, top: int, *, is_inner: bool) -> _Call:
        place = instruction.program_id_index
        is_ours = 0 <= place < len(self._keys) and self._keys[place] == self._program_id
        name, args = _arguments(instruction.data) if is_ours else (None, {})
        return _Call(top, is_inner, name, args, instruction.accounts)


#: The longest data of ours is 102 bytes; a transaction cannot carry more than 1,232, but a forged
#: item could, and base58 takes the square of its length.
_LONGEST_DATA = 2_048


def _arguments(data: str) -> tuple[str | None, dict[str, Any]]:
    if len(data) > _LONGEST_DATA:
        return None, {}
    try:
        return codec.default().decode_instruction(base58.decode(data))
    except (errors.DecodeError, errors.InvalidInput):
        return None, {}


def _read(decoder: msgspec.json.Decoder[_T], raw: msgspec.Raw) -> _T | None:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
