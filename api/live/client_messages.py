"""What a WebSocket client may say: one JSON object a message, read into one of five actions.

    {"action": "subscribe", "topics": [...], "since": "epoch:seq"?, "token" | "ticket"?}
    {"action": "subscribe", "market_id": "..."}             the older way, answered in the older dialect
    {"action": "unsubscribe", "topics" | "market_id"}
    {"action": "auth", "token" | "ticket", "wallet"?}
    {"action": "ping"}                                      answered with pong
    {"action": "pong"}                                      a sign of life (protocol.md 7.3)

What cannot be read is `Refused` with a stable code; the sentences that older clients compare are those
of protocol.md 7.1, and what else there is to say stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from zmart import errors as zmart_errors
from zmart.db import feed

from .frames import Dialect

Code: TypeAlias = Literal[
    "invalid_message",
    "unknown_action",
    "market_id_required",
    "unknown_topic",
    "too_many_topics",
    "invalid_since",
    "since_comes_first",
    "not_signed_in",
    "token_expired",
    "wrong_wallet",
    "too_many_messages",
    "too_many_streams",
    "unavailable",
]


class Refused(zmart_errors.InvalidInput):
    """A message that is answered with an error."""

    def __init__(self, code: Code, message: str, detail: str = "", *, market_id: str | None = None) -> None:
        super().__init__(message)
        self.code: Code = code
        #: The sentence that clients compare.
        self.message = message
        #: What else there is to say.
        self.detail = detail
        self.market_id = market_id


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A token or a ticket, and whose it is said to be."""

    token: str | None = None
    ticket: str | None = None
    wallet: str | None = None

    def __repr__(self) -> str:
        return "Proof(***)"


@dataclass(frozen=True, kw_only=True)
class Subscribe:
    """Hear about more."""

    names: tuple[str, ...]
    dialect: Dialect
    #: The market as it was written, in the older dialect.
    market_id: str | None = None
    since: feed.FeedPosition | None = None
    proof: Proof | None = None


@dataclass(frozen=True, kw_only=True)
class Unsubscribe:
    """Hear about less."""

    names: tuple[str, ...]
    market_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Authenticate:
    """Say who is there."""

    proof: Proof


@dataclass(frozen=True)
class Ping:
    """Ask for a pong."""


@dataclass(frozen=True)
class Pong:
    """Be there."""


Action: TypeAlias = Subscribe | Unsubscribe | Authenticate | Ping | Pong


class _Said(msgspec.Struct, kw_only=True):
    """Every member that any action has."""

    action: str | None = None
    type: str | None = None
    market_id: str | None = None
    topics: list[str] | None = None
    since: str | None = None
    token: str | None = None
    ticket: str | None = None
    wallet: str | None = None

    @property
    def proof(self) -> Proof | None:
        """Who is said to be there, if anybody."""
        if self.token is None and self.ticket is None:
            return None
        return Proof(token=self.token, ticket=self.ticket, wallet=self.wallet)


#: Members that may stand in the address, too.
IN_ADDRESS = frozenset({"topics", "market_id", "since", "token", "ticket"})

_DECODER = msgspec.json.Decoder(_Said)
_SHOWN = 100


def read(text: str) -> Action:
    """Read one message; Refused says what was wrong with it."""
    try:
        said = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("invalid_message", "Invalid message format", str(error)) from None
    match said.action or said.type:
        case "subscribe":
            return _subscribe(said)
        case "unsubscribe":
            return Unsubscribe(names=_names(said, "unsubscribe"), market_id=said.market_id)
        case "auth" | "authenticate":
            return _authenticate(said)
        case "ping":
            return Ping()
        case "pong":
            return Pong()
        case other:
            known = "subscribe, unsubscribe, auth, ping, pong"
            raise Refused("unknown_action", f"Unknown action: {str(other)[:_SHOWN]}", f"Known are {known}.")


def read_all(text: str) -> list[Action]:
    """The actions of one message, of which there is one."""
    return [read(text)]


def opening(address: Mapping[str, str]) -> list[Action]:
    """What the address of a connection asks for: who is there, then what to hear. Refused as messages are."""
    said = _Said(
        topics=address["topics"].split(",") if address.get("topics") else None,
        market_id=address.get("market_id"),
        since=address.get("since"),
        token=address.get("token"),
        ticket=address.get("ticket"),
    )
    proofs = [Authenticate(proof=said.proof)] if said.proof else []
    said.token = said.ticket = None
    return [*proofs, _subscribe(said)] if said.topics or said.market_id else [*proofs]


def position(text: str) -> feed.FeedPosition:
    """Read a place to resume at; Refused when it is none."""
    try:
        return feed.FeedPosition.parse(text)
    except zmart_errors.InvalidInput as error:
        raise Refused("invalid_since", "Invalid since", str(error)) from None


def _subscribe(said: _Said) -> Subscribe:
    return Subscribe(
        names=_names(said, "subscribe"),
        dialect="messages" if said.topics is None else "frames",
        market_id=said.market_id if said.topics is None else None,
        since=position(said.since) if said.since else None,
        proof=said.proof,
    )


def _names(said: _Said, action: str) -> tuple[str, ...]:
    markets = [] if not said.market_id else [f"market:{said.market_id}"]
    names = (*(said.topics or ()), *markets)
    if not names:
        raise Refused(
            "market_id_required",
            f"market_id required for {action} action",
            f'Name topics or a market: {{"action": "{action}", "topics": ["trades"]}}.',
        )
    return names


def _authenticate(said: _Said) -> Authenticate:
    if said.proof is None:
        raise Refused("not_signed_in", "token or ticket required for auth action", "Get one from /api/auth.")
    return Authenticate(proof=said.proof)
