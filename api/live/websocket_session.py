"""Runs one WebSocket connection: handles the client's messages and sends it what it subscribed to.

The client receives everything from the hub in seq order. When it subscribes to more topics, the session first removes
it from the hub's subscriptions, at position P. Then the session reads the snapshot, at position S, which is not before
P. Then it sends the messages of the earlier topics up to S, the acknowledgement with the snapshot, and the messages of
all topics since S, until the client is at the hub's position and is subscribed again. The acknowledgement therefore
also has its place in the order, and nothing is sent twice or left out.

Close codes: 1012 at shutdown and 1013 when a stream limit is reached; the client can reconnect after both. 4002 when
the client reads too slowly; 4003 when its API key was revoked or has expired; 1008 when it sends too many messages;
1009 when a message is too big, 1007 when it is not UTF-8, 1011 after an internal error. The server never uses 1000,
because older clients do not reconnect after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, assert_never

import msgspec
import structlog

from zmart import errors as zmart_errors
from zmart.db import feed

from .. import errors
from . import budgets, client_messages, topics
from .authentication import Identity, StreamAuthenticator
from .client import CloseReason, ResyncRequired, StreamClient, StreamClosed
from .client_messages import Authenticate, Credentials, MessageRejected, Ping, Pong, Subscribe, Unsubscribe
from .frames import Dialect, Frame, FrameBatch, envelope, packet, position_fields, position_members
from .hub import Hub
from .reader import Snapshot
from .wire import WebSocketTransport

log = structlog.get_logger()

CLOSE_RESTART: Final = 1012
CLOSE_FULL: Final = 1013
CLOSE_POLICY: Final = 1008
CLOSE_INTERNAL_ERROR: Final = 1011
CLOSE_SLOW: Final = 4002
CLOSE_KEY_REVOKED: Final = 4003
_CODES: dict[CloseReason, int] = {
    "shutdown": CLOSE_RESTART,
    "slow": CLOSE_SLOW,
    "key_revoked": CLOSE_KEY_REVOKED,
}

#: A peer that accepts no replayed frames for this long is too slow.
SEND_SECONDS = 20.0
#: The most messages that a client may send in this number of seconds.
MOST_MESSAGES, MESSAGES_SECONDS = 200, 10.0
#: Delay between attempts to read a snapshot.
_RETRY_SECONDS = 1.0

Receive = Callable[[], Awaitable[Any]]


class ConnectionClosed(Exception):
    """The connection is gone."""


class WebSocketSession:
    """One connection, from its welcome message to its close."""

    def __init__(
        self, *, hub: Hub, authenticator: StreamAuthenticator, transport: WebSocketTransport, address: str
    ) -> None:
        self._hub = hub
        self._authenticator = authenticator
        self._transport = transport
        self._client = StreamClient(frozenset(), address, on_wake=self._flush)
        self._dialect: Dialect | None = None
        self._identity: Identity | None = None
        self._expiry: asyncio.TimerHandle | None = None
        #: Whether new frames must wait until earlier ones are replayed.
        self._is_replaying = False
        self._messages, self._span_began = 0, time.monotonic()

    async def run(self, receive: Receive, query: Mapping[str, str]) -> None:
        """Handle messages until one side closes; `query` is the query of the connection's URL."""
        try:
            with self._hub.register(self._client):
                self._transport.on_ready = self._flush
                self._send_welcome()
                await self._handle_all(functools.partial(client_messages.parse_query, query))
                async for text in self._receive_texts(receive):
                    await self._handle_all(functools.partial(client_messages.parse_all, text))
        except errors.TooManyStreams as error:
            self._send_error("too_many_streams", str(error))
            self._transport.end(CLOSE_FULL, "too_many_streams")
        except zmart_errors.Unavailable:
            self._transport.end(CLOSE_RESTART, "shutdown")
        except ConnectionClosed:
            pass
        except Exception:
            log.exception("websocket_session_failed")
            self._transport.end(CLOSE_INTERNAL_ERROR, "internal_error")
        finally:
            if self._expiry is not None:
                self._expiry.cancel()
            if self._identity is not None and self._identity.key is not None:
                self._authenticator.api_keys.discard_stream(self._identity.key, self._client)

    # --- messages from the client -----------------------------------------------------------------

    async def _receive_texts(self, receive: Receive) -> AsyncIterator[str]:
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if not self._is_within_rate():
                self._send_error(
                    "too_many_messages", "Too many messages", f"Send at most {MOST_MESSAGES} messages in ten seconds."
                )
                self._transport.end(CLOSE_POLICY, "too_many_messages")
                return
            self._transport.reset_ping_timeout()
            if (text := event.get("text")) is not None:
                yield text
            else:
                self._send_error(
                    "invalid_message", "Invalid message format", "Send text messages; binary ones are not supported."
                )

    def _is_within_rate(self) -> bool:
        now = time.monotonic()
        if now - self._span_began > MESSAGES_SECONDS:
            self._messages, self._span_began = 0, now
        self._messages += 1
        return self._messages <= MOST_MESSAGES

    async def _handle_all(self, read: Callable[[], list[client_messages.Action]]) -> None:
        """Execute the requested actions; answer each one that is invalid or fails with an error."""
        try:
            requested = read()
        except MessageRejected as refused:
            self._send_rejection(refused)
            return
        for action in requested:
            try:
                await self._handle(action)
            except MessageRejected as refused:
                self._send_rejection(refused)

    async def _handle(self, action: client_messages.Action) -> None:
        match action:
            case Subscribe():
                await self._subscribe(action)
            case Unsubscribe():
                await self._unsubscribe(action)
            case Authenticate():
                await self._authenticate(action.credentials)
                self._send("authenticated", wallet=self._identity and self._identity.wallet)
            case Ping():
                self._send_with_position("pong", self._hub.position)
            case Pong():
                pass
            case _ as never:
                assert_never(never)

    async def _authenticate(self, proof: Credentials) -> None:
        if proof.ticket is not None:
            await self._spend(budgets.TICKET)
        try:
            found = await self._authenticator.authenticate(token=proof.token, ticket=proof.ticket)
        except errors.TokenExpired as error:
            raise MessageRejected("token_expired", "Token expired", str(error)) from None
        except errors.NotSignedIn as error:
            raise MessageRejected("not_signed_in", "Invalid token", str(error)) from None
        except zmart_errors.Transient as error:
            raise MessageRejected("unavailable", "Sign-in is not available", str(error)) from None
        assert found is not None
        expected = self._identity.wallet if self._identity else proof.wallet
        if (proof.wallet or found.wallet) != found.wallet or (expected or found.wallet) != found.wallet:
            raise MessageRejected(
                "wrong_wallet",
                "The token belongs to another wallet",
                "A connection serves one wallet. Open another connection.",
            )
        if self._identity is not None and self._identity.key is not None:
            self._authenticator.api_keys.discard_stream(self._identity.key, self._client)
        self._identity = found
        if found.key is not None:
            # The whole connection ends with the key.
            self._authenticator.api_keys.add_stream(found.key, self._client)
        self._expire_later()

    def _expire_later(self) -> None:
        assert self._identity is not None
        if self._expiry is not None:
            # The timer of an earlier token must not end what a key allows.
            self._expiry.cancel()
        if self._identity.key is not None:
            return
        self._expiry = asyncio.get_running_loop().call_later(max(0.0, self._identity.seconds_left), self._expire)

    def _expire(self) -> None:
        """Remove the private topics once the wallet's authentication has expired."""
        if self._is_replaying:
            self._expiry = asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._expire)
            return
        self._identity = None
        remaining = topics.without_private(self._client.topics)
        if remaining != self._client.topics:
            self._hub.set_topics(self._client, remaining)
            self._send_error(
                "token_expired", "Token expired", "The topic me is unsubscribed; authenticate and subscribe again."
            )

    # --- topics -----------------------------------------------------------------------------------

    async def _subscribe(self, action: Subscribe) -> None:
        if action.credentials is not None:
            await self._authenticate(action.credentials)
        added = self._parse_topics(action.names, action.market_id)
        all_topics = self._client.topics | added
        if len(all_topics) > topics.MAX_TOPICS:
            raise MessageRejected(
                "too_many_topics", "Too many topics", f"A connection takes at most {topics.MAX_TOPICS} topics."
            )
        self._dialect = self._dialect or action.dialect
        # The client still receives its earlier topics while it waits for its budget.
        await self._spend(budgets.SUBSCRIPTION + budgets.snapshot_weight(len(added)))
        await self._switch_topics(added, all_topics, action)

    async def _unsubscribe(self, action: Unsubscribe) -> None:
        dropped = self._parse_topics(action.names, action.market_id)
        remaining = self._client.topics - dropped
        self._hub.set_topics(self._client, remaining)
        if self._dialect == "messages":
            await self._spend(budgets.snapshot_weight(len(dropped)))
            self._send_states("Unsubscribed from", await self._snapshot(dropped))
        else:
            self._send("unsubscribed", topics=topics.display_names(remaining))

    def _parse_topics(self, names: tuple[str, ...], market_id: str | None) -> frozenset[str]:
        try:
            named = topics.parse_all(names)
            return topics.resolve_me(named, self._identity)
        except errors.NotSignedIn as error:
            raise MessageRejected("not_signed_in", "Not signed in", str(error)) from None
        except errors.Forbidden as error:
            raise MessageRejected("forbidden", "Not allowed", str(error)) from None
        except topics.TooManyTopics as error:
            raise MessageRejected("too_many_topics", "Too many topics", str(error)) from None
        except errors.UnknownTopic as error:
            sentence = "Unknown topic" if market_id is None else f"Unknown market_id: {market_id[:100]}"
            raise MessageRejected("unknown_topic", sentence, str(error), market_id=market_id) from None

    async def _switch_topics(self, added: frozenset[str], new_topics: frozenset[str], action: Subscribe) -> None:
        """Switch the client to its new topics, in order and without a gap."""
        self._client.outlet = None
        earlier = self._client.topics
        offered_until = self._hub.unsubscribe(self._client) if earlier else None
        self._is_replaying = True
        since = await self._check_since(action.since)
        # The topics that are already subscribed have received everything up to their own position.
        is_first = not earlier
        while True:
            try:
                await self.send_and_drain(self._client.take_now())
                if since is not None and is_first and self._dialect == "frames":
                    # The client has the state of its position, and would be sent nothing of a snapshot.
                    snapshot = Snapshot(since, ())
                else:
                    snapshot = await self._snapshot(added)
                if offered_until is not None:
                    async for frames in self._hub.replay(self._client, offered_until, snapshot.position, earlier):
                        await self.send_and_drain(frames)
                self._client.topics = new_topics
                self._acknowledge(action, snapshot, since)
                start = since or snapshot.position
                if since is not None and not is_first:
                    # The added topics alone up to the position of the others, then all of them from there.
                    async for frames in self._hub.replay(self._client, since, snapshot.position, added):
                        await self.send_and_drain(frames)
                    self._transport.write(packet(Frame(snapshot.position, ()).text))
                    start = snapshot.position
                async for frames in self._hub.resume(self._client, start):
                    await self.send_and_drain(frames)
            except ResyncRequired as resync:
                # The log was replaced by another one during the read: start again, in the new one.
                self._send_resync(resync)
                self._hub.unsubscribe(self._client)
                offered_until = since = None
            except StreamClosed as closed:
                self._end(closed.reason)
                raise ConnectionClosed from closed
            else:
                break
        self._is_replaying = False
        self._client.outlet = self._write_batch
        self._flush()

    async def _check_since(self, since: feed.FeedPosition | None) -> feed.FeedPosition | None:
        """Return the position to resume from, or None after a resync message if it is not in this log."""
        if since is None:
            return None
        try:
            await self._hub.check_position(since, self._client)
        except ResyncRequired as resync:
            self._send_with_position("resync", resync.found, reason=resync.reason)
            return None
        return since

    async def _snapshot(self, added: frozenset[str]) -> Snapshot:
        while True:
            try:
                return await self._hub.snapshot(self._client, added)
            except zmart_errors.Transient:
                # No client receives anything while Postgres is unavailable; this client waits like the others.
                await asyncio.sleep(_RETRY_SECONDS)
                self._require_open()

    def _acknowledge(self, action: Subscribe, snapshot: Snapshot, since: feed.FeedPosition | None) -> None:
        position = since or snapshot.position
        if self._dialect == "frames":
            states = "" if since else ",".join(state.text for state in snapshot.states)
            head = _json(
                {"type": "subscribed", "timestamp": _now(), "topics": topics.display_names(self._client.topics)}
            )
            text = f'{head[:-1]},{position_members(position)},"messages":[{states}]}}'
            self._transport.write(packet(text))
            return
        self._send_states("Subscribed to", snapshot, position)

    def _send_states(self, verb: str, snapshot: Snapshot, position: feed.FeedPosition | None = None) -> None:
        """Acknowledge with the sentences of protocol.md 7.1.

        Older clients read every market_state as a price, and a missing price as 0. The message therefore includes
        the price.
        """
        for state in snapshot.states:
            kind, _, market = state.topic.partition(":")
            if kind != "market":
                continue
            head = _json({"type": "market_state", "market_id": market, "timestamp": _now()})
            data = _json({"message": f"{verb} market {market}", "subscriptions": self._markets()})
            text = f'{head[:-1]},"data":{data[:-1]},{state.data[1:]}}}'
            self._transport.write(packet(envelope(text, position or snapshot.position)))

    def _markets(self) -> list[str]:
        return sorted(about for kind, _, about in (t.partition(":") for t in self._client.topics) if kind == "market")

    # --- messages to the client -------------------------------------------------------------------

    def _write_batch(self, batch: FrameBatch) -> bool:
        """Write a batch immediately; return False if the peer accepts none now."""
        if not self._transport.is_ready:
            return False
        if packets := batch.packets(self._dialect or "frames"):
            self._transport.write(packets)
        return True

    def _flush(self) -> None:
        """Write the queued frames as far as the peer accepts them."""
        if self._client.closed is not None:
            self._end(self._client.closed)
            return
        while not self._is_replaying and self._transport.is_ready:
            try:
                frames = self._client.take_now()
            except ResyncRequired as resync:
                self._send_resync(resync)
                continue
            if not frames:
                return
            self._write(frames)

    async def send_and_drain(self, frames: list[Frame]) -> None:
        """Write replayed frames and wait until the peer has accepted them."""
        if frames:
            self._write(frames)
        try:
            await self._transport.drain(SEND_SECONDS)
        except TimeoutError:
            self._client.close("slow")
        self._require_open()

    def _write(self, frames: list[Frame]) -> None:
        dialect = self._dialect or "frames"
        # Without empty ones, which asyncio's transport could not finish writing.
        self._transport.write_all([packets for frame in frames if (packets := frame.packets(dialect))])

    def _end(self, reason: CloseReason) -> None:
        """Close the connection; at shutdown, first write the queued frames if none are missing before them."""
        if reason == "shutdown" and not self._is_replaying:
            with contextlib.suppress(ResyncRequired, StreamClosed):
                self._write(self._client.take_now())
        self._transport.end(_CODES[reason], reason)

    async def _spend(self, weight: int) -> None:
        """Return when the budget of the client's address covers the weight; raise ConnectionClosed if it left."""
        await self._hub.budgets.spend(self._client.address, weight)
        self._require_open()

    def _require_open(self) -> None:
        if self._transport.is_gone or self._client.closed is not None:
            raise ConnectionClosed

    def _send_welcome(self) -> None:
        # The greeting that older clients receive, word for word (protocol.md 7.1).
        identity = f"client_{time.time_ns() // 1_000_000}_{time.monotonic_ns() % 36**5:09d}"
        greeting = "Connected to ZMART WebSocket server"
        self._send_with_position("welcome", self._hub.position, client_id=identity, message=greeting)

    def _send_resync(self, resync: ResyncRequired) -> None:
        if self._dialect == "messages":
            # Older clients have no position, and do not know this type.
            return
        self._send_with_position("resync", resync.found, reason=resync.reason)

    def _send_rejection(self, refused: MessageRejected) -> None:
        self._send_error(refused.code, refused.message, refused.detail, market_id=refused.market_id)

    def _send_error(
        self, code: client_messages.Code, sentence: str, detail: str = "", *, market_id: str | None = None
    ) -> None:
        self._send("error", market_id=market_id, error=sentence, code=code, detail=detail)

    def _send(self, kind: str, *, market_id: str | None = None, **data: object) -> None:
        """Send a message that is not from the log, in the envelope that all clients know."""
        about = {} if market_id is None else {"market_id": market_id}
        self._transport.write(packet(_json({"type": kind, **about, "timestamp": _now(), "data": data})))

    def _send_with_position(self, kind: str, position: feed.FeedPosition | None, **data: object) -> None:
        """Send a message with the fields of a position, if the hub has one."""
        self._send(kind, market_id=None, **data, **({} if position is None else position_fields(position)))


def _json(value: dict[str, object]) -> str:
    return msgspec.json.encode(value).decode()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
