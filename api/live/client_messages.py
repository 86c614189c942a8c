"""Parses the messages of WebSocket clients: one JSON object per message, one of five actions.

    {"action": "subscribe", "topics": [...], "since": position?, "token" | "ticket"?}
    {"action": "subscribe", "market_id": "..."}             the older form, answered in the older dialect
    {"action": "unsubscribe", "topics" | "market_id"}
    {"action": "auth", "token" | "ticket", "wallet"?}
    {"action": "ping"}                                      answered with pong
    {"action": "pong"}                                      a sign of life (protocol.md 7.3)

A message that cannot be parsed raises `MessageRejected` with a stable code. Its `message` is the sentence of
protocol.md 7.1 that older clients compare; further information is in `detail`.
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
    "not_signed_in",
    "forbidden",
    "token_expired",
    "wrong_wallet",
    "too_many_messages",
    "too_many_streams",
    "unavailable",
]


class MessageRejected(zmart_errors.InvalidInput):
    """The server answers this client message with an error."""

    def __init__(self, code: Code, message: str, detail: str = "", *, market_id: str | None = None) -> None:
        super().__init__(message)
        self.code: Code = code
        #: The sentence that clients compare.
        self.message = message
        #: Further information.
        self.detail = detail
        self.market_id = market_id


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A token or a ticket, and the wallet that it should belong to."""

    token: str | None = None
    ticket: str | None = None
    wallet: str | None = None

    def __repr__(self) -> str:
        return "Proof(***)"


@dataclass(frozen=True, kw_only=True)
class Subscribe:
    """Subscribe to more topics."""

    names: tuple[str, ...]
    dialect: Dialect
    #: The market as the client wrote it, in the older dialect.
    market_id: str | None = None
    since: feed.FeedPosition | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, kw_only=True)
class Unsubscribe:
    """Unsubscribe from topics."""

    names: tuple[str, ...]
    market_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Authenticate:
    """Authenticate the connection's wallet."""

    credentials: Credentials


@dataclass(frozen=True)
class Ping:
    """Request a pong."""


@dataclass(frozen=True)
class Pong:
    """Show that the client is alive."""


Action: TypeAlias = Subscribe | Unsubscribe | Authenticate | Ping | Pong


class _ClientMessage(msgspec.Struct, kw_only=True):
    """All members that any action can have."""

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
        """Return the credentials of the message, or None if it has none."""
        if self.token is None and self.ticket is None:
            return None
        return Credentials(token=self.token, ticket=self.ticket, wallet=self.wallet)


#: Members that are also allowed in the connection's URL query.
QUERY_PARAMETERS = frozenset({"topics", "market_id", "since", "token", "ticket"})

_DECODER = msgspec.json.Decoder(_ClientMessage)
_SHOWN = 100


def parse(text: str) -> Action:
    """Parse one message; raise MessageRejected with the reason if it is invalid."""
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
                "unknown_action", f"Unknown action: {str(other)[:_SHOWN]}", f"Use one of: {known_actions}."
            )


def parse_all(text: str) -> list[Action]:
    """Return the actions of one message as a list; each message has exactly one."""
    return [parse(text)]


def parse_query(query: Mapping[str, str]) -> list[Action]:
    """Return the actions of a connection's URL: authenticate first, then subscribe. Raises MessageRejected."""
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
    """Parse a position to resume from; raise MessageRejected if it is invalid."""
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
            f'Send topics or a market: {{"action": "{action}", "topics": ["trades"]}}.',
        )
    return names


def _authenticate(message: _ClientMessage) -> Authenticate:
    if message.credentials is None:
        raise MessageRejected("not_signed_in", "token or ticket required for auth action", "Get one from /api/auth.")
    return Authenticate(credentials=message.credentials)
