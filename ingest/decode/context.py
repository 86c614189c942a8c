"""Derives the context of events from their transaction: arguments that the program does not repeat, and balances.

MarketCreated contains neither the liquidity nor the question, MarketFinalized lacks the dispute's counts: both are
arguments of the instruction that caused the event. A sell contains the amount that the seller received, and for a fifth
of all amounts two prices before fees would fit; the change of the market account's lamports distinguishes them, as long
as nothing else moved lamports there (protocol.md 8.6).

All of it is optional. A part that is missing or not as expected is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from zmart.domain import events

from . import event_rows
from .instructions import TransactionView
from .webhook_types import LoadedAddresses, WebhookItem

_encode = msgspec.json.Encoder().encode


def account_keys(item: WebhookItem) -> list[str]:
    """Return the keys in the order in which instructions count them: static, loaded writable, loaded read-only."""
    message = item.transaction and item.transaction.message
    if not message:
        return []
    loaded = (item.meta and item.meta.loaded_addresses) or LoadedAddresses()
    return message.account_keys + loaded.writable + loaded.readonly


def event_contexts(entries: Sequence[tuple[events.Event, str | None]], view: TransactionView) -> list[bytes | None]:
    """Return the context of each event as JSON; each event is given with its market's account.

    The context is None where the transaction adds nothing. Balances are added only to a market's last event.
    """
    last = {account: place for place, (_, account) in enumerate(entries)}
    return [
        _event_context(view, event, account, is_last=last[account] == place) if account else None
        for place, (event, account) in enumerate(entries)
    ]


def _event_context(view: TransactionView, event: events.Event, account: str, *, is_last: bool) -> bytes | None:
    found: dict[str, str | int | None] = {}
    match event:
        case events.MarketCreated(market_id=market_id):
            found |= _creation_context(view, market_id)
        case events.MarketFinalized():
            found |= _finalization_context(view, account)
        case events.SharesSold():
            change = view.lamports_change("sell_shares", account)
            found |= {} if change is None else {"market_lamports_delta": str(change)}
    if is_last and (after := view.balance_after(account)) is not None:
        found["market_lamports"] = str(after)
    return _encode(found) if found else None


def _creation_context(view: TransactionView, market_id: bytes) -> dict[str, str | int | None]:
    for call in view.calls:
        if call.name == "create_market" and call.args["market_id"] == market_id:
            return {
                "initial_liquidity": str(call.args["initial_liquidity"]),
                "ipfs_question_hash": event_rows.text_or_hex(call.args["ipfs_question_hash"]),
            }
    return {}


def _finalization_context(view: TransactionView, account: str) -> dict[str, str | int | None]:
    for call in view.calls:
        if call.name == "finalize_market" and view.named_account(call, "market") == account:
            return {name: call.args[name] for name in ("dispute_agree", "dispute_disagree")}
    return {}
