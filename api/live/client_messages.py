"""What a WebSocket client may say: one JSON object a message, read into one of five actions.

    {"action": "subscribe", "topics": [...], "since": position?, "token" | "ticket"?}
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


class MessageRejected(zmart_errors.InvalidInput):
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
class Credentials:
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
    credentials: Credentials | None = None


@dataclass(frozen=True, kw_only=True)
class Unsubscribe:
    """Hear about less."""

    names: tuple[str, ...]
    market_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Authenticate:
    """Say who is there."""

    credentials: Credentials


@dataclass(frozen=True)
class Ping:
    """Ask for a pong."""


@dataclass(frozen=True)
class Pong:
    """Be there."""


Action: TypeAlias = Subscribe | Unsubscribe | Authenticate | Ping | Pong


class _ClientMessage(msgspec.Struct, kw_only=True):
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
    def credentials(self) -> Credentials | None:
        """Who is said to be there, if anybody."""
        if self.token is None and self.ticket is None:
            return None
        return Credentials(token=self.token, ticket=self.ticket, wallet=self.wallet)


#: Members that may stand in the address, too.
QUERY_PARAMETERS = frozenset({"topics", "market_id", "since", "token", "ticket"})

_DECODER = msgspec.json.Decoder(_ClientMessage)
_SHOWN = 100


def parse(text: str) -> Action:
    """Read one message; Refused says what was wrong with it."""
    try:
        message = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MessageRejected("invalid_message", "Invalid message format", str(error)) from None
    match message.action or message.type:
        case "subscribe":
            return _subscribe(message)
        case "unsubscribe":
            return Unsubscribe(names=_names(message, "unsubscribe"), market_id=message.market_id)
        case "auth" | "authenticate":
            return _authenticate(message)
        case "ping":
            return Ping()
        case "pong":
            return Pong()
        case other:
            known_actions = "subscribe, unsubscribe, auth, ping, pong"
            raise MessageRejected(
                "unknown_action", f"Unknown action: {str(other)[:_SHOWN]}", f"Known are {known_actions}."
            )


def parse_all(text: str) -> list[Action]:
    """The actions of one message, of which there is one."""
    return [parse(text)]


def parse_query(query: Mapping[str, str]) -> list[Action]:
    """What the address of a connection asks for: who is there, then what to hear. Refused as messages are."""
    message = _ClientMessage(
        topics=query["topics"].split(",") if query.get("topics") else None,
        market_id=query.get("market_id"),
        since=query.get("since"),
        token=query.get("token"),
        ticket=query.get("ticket"),
    )
    authentication = [Authenticate(credentials=message.credentials)] if message.credentials else []
    message.token = message.ticket = None
    return [*authentication, _subscribe(message)] if message.topics or message.market_id else [*authentication]


def parse_position(text: str) -> feed.FeedPosition:
    """Read a place to resume at; Refused when it is none."""
    try:
        return feed.FeedPosition.parse(text)
    except zmart_errors.InvalidInput as error:
        raise MessageRejected("invalid_since", "Invalid since", str(error)) from None


def _subscribe(message: _ClientMessage) -> Subscribe:
    return Subscribe(
        names=_names(message, "subscribe"),
        dialect="messages" if message.topics is None else "frames",
        market_id=message.market_id if message.topics is None else None,
        since=parse_position(message.since) if message.since else None,
        credentials=message.credentials,
    )


def _names(message: _ClientMessage, action: str) -> tuple[str, ...]:
    markets = [] if not message.market_id else [f"market:{message.market_id}"]
    names = (*(message.topics or ()), *markets)
    if not names:
        raise MessageRejected(
            "market_id_required",
            f"market_id required for {action} action",
            f'Name topics or a market: {{"action": "{action}", "topics": ["trades"]}}.',
        )
    return names


def _authenticate(message: _ClientMessage) -> Authenticate:
    if message.credentials is None:
        raise MessageRejected("not_signed_in", "token or ticket required for auth action", "Get one from /api/auth.")
    return Authenticate(credentials=message.credentials)
