"""The WebSocket side of Solana's RPC: subscriptions and their notifications.

A subscriber names a commitment and hears of a block when the block gets that far. Every session has
a queue with a bound; one that does not read is cut off, as a node does, and can subscribe again.
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
from .ledger import Block, Landed, Ledger
from .rpc import COMMITMENTS
from .rpc_errors import INVALID_PARAMS, INVALID_REQUEST, NO_METHOD, PARSE_ERROR, RpcError

#: Notifications that may wait for one session.
QUEUE_LIMIT: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What somebody wants to hear of."""

    id: int
    #: `logs`, `signature`, `account`, `program`, `slot` or `root`.
    kind: str
    commitment: str
    options: Mapping[str, Any]
    #: The address or signature it is about; None for everything.
    about: str | None = None


class Session:
    """One connection."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_LIMIT)
        self.subscriptions: dict[int, Subscription] = {}

    def send(self, words: Mapping[str, Any]) -> None:
        """Queue a message; a full queue ends the session."""
        try:
            self.outgoing.put_nowait(orjson.dumps(words))
        except asyncio.QueueFull:
            self._hub.close(self)

    def receive(self, text: str | bytes) -> None:
        """Answer a request."""
        identity = None
        try:
            asked = orjson.loads(text)
            identity = asked.get("id") if isinstance(asked, dict) else None
            self._answer(identity, asked)
        except orjson.JSONDecodeError:
            self._refuse(None, RpcError(PARSE_ERROR, "Parse error"))
        except RpcError as error:
            self._refuse(identity, error)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as exc:
            self._refuse(identity, RpcError(INVALID_PARAMS, f"Invalid params: {exc}."))

    def _answer(self, identity: Any, asked: Any) -> None:
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            raise RpcError(INVALID_REQUEST, "Invalid request")
        method, params = asked["method"], asked.get("params") or []
        if method.endswith("Unsubscribe"):
            result: Any = self._unsubscribe(params)
        else:
            result = self._subscribe(method, params)
        self.send({"jsonrpc": "2.0", "result": result, "id": identity})
        if isinstance(result, int) and not isinstance(result, bool):
            self._hub.begin(self, self.subscriptions[result])

    def _refuse(self, identity: Any, error: RpcError) -> None:
        self.send({"jsonrpc": "2.0", "error": error.json(), "id": identity})

    def _subscribe(self, method: str, params: Params) -> int:
        subscription = subscribed(method, params, self._hub.next_id())
        self.subscriptions[subscription.id] = subscription
        return subscription.id

    def _unsubscribe(self, params: Params) -> bool:
        if self.subscriptions.pop(int(params[0]), None) is None:
            raise RpcError(INVALID_PARAMS, "Invalid subscription id.")
        return True


class Hub:
    """All sessions, and what they have heard."""

    def __init__(self, chain: Ledger) -> None:
        self._ledger = chain
        self._sessions: set[Session] = set()
        self._ids = itertools.count(1)
        self._told = {name: chain.slot_at(name) for name in COMMITMENTS}

    def next_id(self) -> int:
        """A number no subscription has had."""
        return next(self._ids)

    def open(self) -> Session:
        """A new session."""
        session = Session(self)
        self._sessions.add(session)
        return session

    def close(self, session: Session) -> None:
        """End a session; its writer finds None at the end of the queue, if there is room for it."""
        self._sessions.discard(session)
        session.subscriptions.clear()
        if session.outgoing.full():
            session.outgoing.get_nowait()
        session.outgoing.put_nowait(None)

    def begin(self, session: Session, subscription: Subscription) -> None:
        """A signature that is there already is told at once."""
        if subscription.kind != "signature" or subscription.about is None:
            return
        landed = self._ledger.recent.get(_signature(subscription.about))
        if landed and landed.slot <= self._ledger.slot_at(subscription.commitment):
            self._tell(session, subscription, landed.slot, {"err": landed.err})
            session.subscriptions.pop(subscription.id, None)

    def on_block(self, block: Block) -> None:
        """A block was closed; others may have been confirmed or finalized by that."""
        self._told["processed"] = min(self._told["processed"], block.slot - 1)
        for commitment in COMMITMENTS:
            newest = block.slot if commitment == "processed" else self._ledger.slot_at(commitment)
            for slot in range(self._told[commitment] + 1, newest + 1):
                reached = self._ledger.blocks.get(slot)
                if reached is not None:
                    self._tell_all(commitment, reached)
            self._told[commitment] = newest

    def _tell_all(self, commitment: str, block: Block) -> None:
        for session in tuple(self._sessions):
            for subscription in tuple(session.subscriptions.values()):
                if subscription.commitment == commitment:
                    self._tell_of(session, subscription, block)

    def _tell_of(self, session: Session, subscription: Subscription, block: Block) -> None:
        for value in _NEWS[subscription.kind](self._ledger, subscription, block):
            self._tell(session, subscription, block.slot, value)
            if subscription.kind == "signature":
                session.subscriptions.pop(subscription.id, None)

    def _tell(self, session: Session, subscription: Subscription, slot: int, value: Any) -> None:
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


def subscribed(method: str, params: Params, identity: int) -> Subscription:
    """The subscription a request asks for; RpcError."""
    kind = method.removesuffix("Subscribe")
    if kind == method or kind not in _NEWS:
        raise RpcError(NO_METHOD, "Method not found")
    options = arguments.options(params, 1)
    commitment = _FIXED.get(kind) or options.get("commitment") or "finalized"
    if commitment not in COMMITMENTS:
        raise RpcError(INVALID_PARAMS, f"Invalid params: unknown variant `{commitment}`")
    about = _ABOUT[kind](params) if kind in _ABOUT else None
    return Subscription(id=identity, kind=kind, commitment=commitment, options=options, about=about)


def _mentioned(params: Params) -> str | None:
    asked = params[0]
    if asked in ("all", "allWithVotes"):
        return None
    addresses = asked["mentions"]
    if len(addresses) != 1:
        raise RpcError(INVALID_PARAMS, "Invalid Request: Only 1 address supported")
    return arguments.address(addresses[0])


def _signature(text: str) -> Any:
    return arguments.signature(text)


#: How each kind says what it is about, and the commitment of those that have no choice.
_ABOUT: dict[str, Callable[[Params], str | None]] = {
    "logs": _mentioned,
    "signature": lambda params: arguments.signature(params[0]),
    "account": lambda params: arguments.address(params[0]),
    "program": lambda params: arguments.address(params[0]),
}
_FIXED: Final = {"slot": "processed", "root": "finalized"}


def _logs(chain: Ledger, subscription: Subscription, block: Block) -> Iterator[Any]:
    for landed in block.transactions:
        if subscription.about is None or subscription.about in landed.transaction.keys:
            yield {"signature": landed.signature, "err": landed.err, "logs": landed.logs}


def _signatures(chain: Ledger, subscription: Subscription, block: Block) -> Iterator[Any]:
    found: list[Landed] = [t for t in block.transactions if t.signature == subscription.about]
    yield from ({"err": landed.err} for landed in found)


def _accounts(chain: Ledger, subscription: Subscription, block: Block) -> Iterator[Any]:
    account = block.changed.get(Address(subscription.about or ""))
    if account is not None:
        yield views.account_json(account, subscription.options)


def _program(chain: Ledger, subscription: Subscription, block: Block) -> Iterator[Any]:
    for address, account in block.changed.items():
        if account.owner == subscription.about:
            yield {"pubkey": address, "account": views.account_json(account, subscription.options)}


def _slots(chain: Ledger, subscription: Subscription, block: Block) -> Iterator[Any]:
    yield {"parent": block.parent_slot, "root": chain.finalized_slot, "slot": block.slot}


def _roots(chain: Ledger, subscription: Subscription, block: Block) -> Iterator[Any]:
    yield block.slot


_NEWS: Final[dict[str, Callable[[Ledger, Subscription, Block], Iterator[Any]]]] = {
    "logs": _logs,
    "signature": _signatures,
    "account": _accounts,
    "program": _program,
    "slot": _slots,
    "root": _roots,
}
