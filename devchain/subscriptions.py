"""Serves the WebSocket side of Solana's RPC: subscriptions and their notifications.

A subscriber names a commitment and is notified of a block when the block reaches it. Every session has a bounded
queue; a session that does not read is closed, as on a node, and its client can subscribe again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from zmart.domain.ids import Address

from . import arguments, views
from .arguments import Params
from .blocks import Block, LandedTransaction
from .ledger import Ledger
from .rpc import COMMITMENTS, is_notification
from .rpc_errors import INVALID_PARAMS, INVALID_REQUEST, NO_METHOD, PARSE_ERROR, RpcError

#: The number of notifications that may wait for one session.
QUEUE_LIMIT: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class RpcSubscription:
    """One subscription of a session."""

    id: int
    #: `logs`, `signature`, `account`, `program`, `slot` or `root`.
    kind: str
    commitment: str
    options: Mapping[str, Any]
    #: The address or signature that it filters by; None for everything.
    target: str | None = None


class RpcSession:
    """One WebSocket connection."""

    def __init__(self, hub: SubscriptionHub) -> None:
        self._hub = hub
        self.outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_LIMIT)
        self.subscriptions: dict[int, RpcSubscription] = {}

    def send(self, message: Mapping[str, Any]) -> None:
        """Queue a message; a full queue ends the session."""
        try:
            self.outgoing.put_nowait(orjson.dumps(message))
        except asyncio.QueueFull:
            self._hub.close(self)

    def receive(self, text: str | bytes) -> None:
        """Process a request and queue the response."""
        identity = None
        try:
            request = orjson.loads(text)
            if is_notification(request):
                return
            identity = request.get("id") if isinstance(request, dict) else None
            self._answer(identity, request)
        except orjson.JSONDecodeError:
            self._send_error(None, RpcError(PARSE_ERROR, "Parse error"))
        except RpcError as error:
            self._send_error(identity, error)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as exc:
            self._send_error(identity, RpcError(INVALID_PARAMS, f"Invalid params: {exc}."))

    def _answer(self, identity: Any, request: Any) -> None:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            raise RpcError(INVALID_REQUEST, "Invalid request")
        method, params = request["method"], request.get("params") or []
        if method.endswith("Unsubscribe"):
            result: Any = self._unsubscribe(params)
        else:
            result = self._subscribe(method, params)
        self.send({"jsonrpc": "2.0", "result": result, "id": identity})
        if isinstance(result, int) and not isinstance(result, bool):
            self._hub.notify_if_landed(self, self.subscriptions[result])

    def _send_error(self, identity: Any, error: RpcError) -> None:
        self.send({"jsonrpc": "2.0", "error": error.json(), "id": identity})

    def _subscribe(self, method: str, params: Params) -> int:
        subscription = parse_subscription(method, params, self._hub.next_id())
        self.subscriptions[subscription.id] = subscription
        return subscription.id

    def _unsubscribe(self, params: Params) -> bool:
        if self.subscriptions.pop(int(params[0]), None) is None:
            raise RpcError(INVALID_PARAMS, "Invalid subscription id.")
        return True


class SubscriptionHub:
    """All open sessions, and the newest slot of each commitment that they were notified of."""

    def __init__(self, chain: Ledger) -> None:
        self._ledger = chain
        self._sessions: set[RpcSession] = set()
        self._ids = itertools.count(1)
        self._notified_slots = {name: chain.slot_at(name) for name in COMMITMENTS}

    @property
    def sessions(self) -> tuple[RpcSession, ...]:
        """Return the sessions that are open now."""
        return tuple(self._sessions)

    def next_id(self) -> int:
        """Return an id that no subscription has had."""
        return next(self._ids)

    def open(self) -> RpcSession:
        """Open a session."""
        session = RpcSession(self)
        self._sessions.add(session)
        return session

    def close(self, session: RpcSession) -> None:
        """End a session: queue None, at which the session's writer stops; a full queue loses one message for it."""
        self._sessions.discard(session)
        session.subscriptions.clear()
        if session.outgoing.full():
            session.outgoing.get_nowait()
        session.outgoing.put_nowait(None)

    def notify_if_landed(self, session: RpcSession, subscription: RpcSubscription) -> None:
        """Notify immediately if the signature of a new subscription has already landed."""
        if subscription.kind != "signature" or subscription.target is None:
            return
        landed = self._ledger.recent.get(_read_signature(subscription.target))
        if landed and landed.slot <= self._ledger.slot_at(subscription.commitment):
            self._notify(session, subscription, landed.slot, {"err": landed.err})
            session.subscriptions.pop(subscription.id, None)

    def on_block(self, block: Block) -> None:
        """Notify subscribers of a closed block, and of blocks that it made confirmed or finalized."""
        self._notified_slots["processed"] = min(self._notified_slots["processed"], block.slot - 1)
        for commitment in COMMITMENTS:
            newest = block.slot if commitment == "processed" else self._ledger.slot_at(commitment)
            for slot in range(self._notified_slots[commitment] + 1, newest + 1):
                reached = self._ledger.blocks.get(slot)
                if reached is not None:
                    self._notify_all(commitment, reached)
            self._notified_slots[commitment] = newest

    def on_skipped(self, block: Block) -> None:
        """Notify subscribers at `processed` of a block that was processed and then skipped."""
        self._notify_all("processed", block)

    def _notify_all(self, commitment: str, block: Block) -> None:
        for session in self.sessions:
            for subscription in tuple(session.subscriptions.values()):
                if subscription.commitment == commitment:
                    self._notify_block(session, subscription, block)

    def _notify_block(self, session: RpcSession, subscription: RpcSubscription, block: Block) -> None:
        for value in _NOTIFICATIONS[subscription.kind](self._ledger, subscription, block):
            self._notify(session, subscription, block.slot, value)
            if subscription.kind == "signature":
                session.subscriptions.pop(subscription.id, None)

    def _notify(self, session: RpcSession, subscription: RpcSubscription, slot: int, value: Any) -> None:
        result = value
        if subscription.kind not in ("slot", "root"):
            result = {"context": {"slot": slot}, "value": value}
        session.send(
            {
                "jsonrpc": "2.0",
                "method": f"{subscription.kind}Notification",
                "params": {"result": result, "subscription": subscription.id},
            }
        )


def parse_subscription(method: str, params: Params, identity: int) -> RpcSubscription:
    """Return the subscription that a request asks for; raise RpcError where the request is invalid."""
    kind = method.removesuffix("Subscribe")
    if kind == method or kind not in _NOTIFICATIONS:
        raise RpcError(NO_METHOD, "Method not found")
    options = arguments.read_options(params, 1)
    commitment = _FIXED_COMMITMENTS.get(kind) or options.get("commitment") or "finalized"
    if commitment not in COMMITMENTS:
        raise RpcError(INVALID_PARAMS, f"Invalid params: unknown variant `{commitment}`")
    about = _TARGETS[kind](params) if kind in _TARGETS else None
    return RpcSubscription(id=identity, kind=kind, commitment=commitment, options=options, target=about)


def _mentioned_address(params: Params) -> str | None:
    filter_ = params[0]
    if filter_ in ("all", "allWithVotes"):
        return None
    addresses = filter_["mentions"]
    if len(addresses) != 1:
        raise RpcError(INVALID_PARAMS, "Invalid Request: Only 1 address supported")
    return arguments.read_address(addresses[0])


def _read_signature(text: str) -> Any:
    return arguments.read_signature(text)


#: The function that reads the target of each kind, and the commitment of kinds without a choice.
_TARGETS: dict[str, Callable[[Params], str | None]] = {
    "logs": _mentioned_address,
    "signature": lambda params: arguments.read_signature(params[0]),
    "account": lambda params: arguments.read_address(params[0]),
    "program": lambda params: arguments.read_address(params[0]),
}
_FIXED_COMMITMENTS: Final = {"slot": "processed", "root": "finalized"}


def _logs(chain: Ledger, subscription: RpcSubscription, block: Block) -> Iterator[Any]:
    for landed in block.transactions:
        if subscription.target is None or subscription.target in landed.transaction.keys:
            yield {"signature": landed.signature, "err": landed.err, "logs": landed.logs}


def _signatures(chain: Ledger, subscription: RpcSubscription, block: Block) -> Iterator[Any]:
    found: list[LandedTransaction] = [t for t in block.transactions if t.signature == subscription.target]
    yield from ({"err": landed.err} for landed in found)


def _accounts(chain: Ledger, subscription: RpcSubscription, block: Block) -> Iterator[Any]:
    account = block.changed.get(Address(subscription.target or ""))
    if account is not None:
        yield views.account_json(account, subscription.options)


def _program(chain: Ledger, subscription: RpcSubscription, block: Block) -> Iterator[Any]:
    for address, account in block.changed.items():
        if account.owner == subscription.target:
            yield {"pubkey": address, "account": views.account_json(account, subscription.options)}


def _slots(chain: Ledger, subscription: RpcSubscription, block: Block) -> Iterator[Any]:
    yield {"parent": block.parent_slot, "root": chain.finalized_slot, "slot": block.slot}


def _roots(chain: Ledger, subscription: RpcSubscription, block: Block) -> Iterator[Any]:
    yield block.slot


_NOTIFICATIONS: Final[dict[str, Callable[[Ledger, RpcSubscription, Block], Iterator[Any]]]] = {
    "logs": _logs,
    "signature": _signatures,
    "account": _accounts,
    "program": _program,
    "slot": _slots,
    "root": _roots,
}
