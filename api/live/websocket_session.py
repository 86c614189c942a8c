"""A WebSocket connection: what its client asks for, and what it is told.

Everything a client hears comes from the hub in seq order. When it asks for more topics, it is taken out
of the hub's routes first, at position P; then how things stand is read, at S, which is not before P;
then it is told what its earlier topics said up to S, the acknowledgement with the snapshot, and what
all its topics said since S, until it stands where the hub does and is let in again. So the
acknowledgement has its place in the order, too, and nothing is told twice or left out.

Codes of closing: 1012 at shutdown and 1013 where there is no room, both to come back from; 4002 when
the client does not keep up; 1008 when it talks too much; 1009 when a message is too big, 1007 when
it is not UTF-8, 1011 when we made a mistake. Never 1000, after which older clients stay away.
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
from . import client_messages, topics
from .authentication import Doorkeeper, Identity
from .client import Client, Closed, Reason, Resync
from .client_messages import Authenticate, Ping, Pong, Proof, Refused, Subscribe, Unsubscribe
from .frames import Batch, Dialect, Frame, enveloped, packet
from .hub import Hub
from .reader import Snapshot
from .wire import Wire

log = structlog.get_logger()

CLOSE_RESTART: Final = 1012
CLOSE_FULL: Final = 1013
CLOSE_POLICY: Final = 1008
CLOSE_BROKEN: Final = 1011
CLOSE_SLOW: Final = 4002
_CODES: dict[Reason, int] = {"shutdown": CLOSE_RESTART, "slow": CLOSE_SLOW}

#: A peer that takes nothing of its past for this long does not keep up.
SEND_SECONDS = 20.0
#: More messages than this in a span are no conversation.
MOST_MESSAGES, MESSAGES_SECONDS = 200, 10.0
#: Waits between attempts to read how things stand.
_RETRY_SECONDS = 1.0

Receive = Callable[[], Awaitable[Any]]


class _Gone(Exception):
    """There is nobody to talk to any more."""


class Conversation:
    """One connection, from its welcome to its end."""

    def __init__(self, *, hub: Hub, doorkeeper: Doorkeeper, wire: Wire, address: str) -> None:
        self._hub = hub
        self._doorkeeper = doorkeeper
        self._wire = wire
        self._client = Client(frozenset(), address, on_word=self._flush)
        self._dialect: Dialect | None = None
        self._identity: Identity | None = None
        self._expiry: asyncio.TimerHandle | None = None
        #: Whether frames wait until the client was told what was before them.
        self._is_told_its_past = False
        self._messages, self._span_began = 0, time.monotonic()

    async def hold(self, receive: Receive, address: Mapping[str, str]) -> None:
        """Talk until one side ends it; `address` is what the connection's address asked for."""
        try:
            with self._hub.registered(self._client):
                self._wire.on_ready = self._flush
                self._welcome()
                await self._answer_all(functools.partial(client_messages.opening, address))
                async for text in self._heard(receive):
                    await self._answer_all(functools.partial(client_messages.read_all, text))
        except errors.TooManyStreams as error:
            self._say_error("too_many_streams", str(error))
            self._wire.end(CLOSE_FULL, "no room")
        except zmart_errors.Unavailable:
            self._wire.end(CLOSE_RESTART, "shutdown")
        except _Gone:
            pass
        except Exception:
            log.exception("conversation_broke")
            self._wire.end(CLOSE_BROKEN, "our mistake")
        finally:
            if self._expiry is not None:
                self._expiry.cancel()

    # --- what the client says ---------------------------------------------------------------------

    async def _heard(self, receive: Receive) -> AsyncIterator[str]:
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if not self._may_talk():
                self._say_error("too_many_messages", "Too many messages", f"At most {MOST_MESSAGES} in ten seconds.")
                self._wire.end(CLOSE_POLICY, "too many messages")
                return
            self._wire.heard()
            if (text := event.get("text")) is not None:
                yield text
            else:
                self._say_error("invalid_message", "Invalid message format", "Messages are text, not binary.")

    def _may_talk(self) -> bool:
        now = time.monotonic()
        if now - self._span_began > MESSAGES_SECONDS:
            self._messages, self._span_began = 0, now
        self._messages += 1
        return self._messages <= MOST_MESSAGES

    async def _answer_all(self, read: Callable[[], list[client_messages.Action]]) -> None:
        """Do what was asked for; what cannot be read or done is answered with an error, one by one."""
        try:
            asked = read()
        except Refused as refused:
            self._refuse(refused)
            return
        for action in asked:
            try:
                await self._answer(action)
            except Refused as refused:
                self._refuse(refused)

    async def _answer(self, action: client_messages.Action) -> None:
        match action:
            case Subscribe():
                await self._subscribe(action)
            case Unsubscribe():
                await self._unsubscribe(action)
            case Authenticate():
                await self._authenticate(action.proof)
                self._say("authenticated", wallet=self._identity and self._identity.wallet)
            case Ping():
                self._say_placed("pong", self._hub.position)
            case Pong():
                pass
            case _ as never:
                assert_never(never)

    async def _authenticate(self, proof: Proof) -> None:
        try:
            found = await self._doorkeeper.identity(token=proof.token, ticket=proof.ticket)
        except errors.TokenExpired as error:
            raise Refused("token_expired", "Token expired", str(error)) from None
        except errors.NotSignedIn as error:
            raise Refused("not_signed_in", "Invalid token", str(error)) from None
        except zmart_errors.Transient as error:
            raise Refused("unavailable", "Sign-in is not available", str(error)) from None
        assert found is not None
        expected = self._identity.wallet if self._identity else proof.wallet
        if (proof.wallet or found.wallet) != found.wallet or (expected or found.wallet) != found.wallet:
            raise Refused(
                "wrong_wallet",
                "The token is another wallet's",
                "One connection is one wallet's: open another for another.",
            )
        self._identity = found
        self._expire_later()

    def _expire_later(self) -> None:
        assert self._identity is not None
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(max(0.0, self._identity.seconds_left), self._expire)

    def _expire(self) -> None:
        """Tell a wallet nothing more of its own once its proof has run out."""
        if self._is_told_its_past:
            self._expiry = asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._expire)
            return
        self._identity = None
        rest = topics.without_own(self._client.topics)
        if rest != self._client.topics:
            self._hub.turn(self._client, rest)
            self._say_error("token_expired", "Token expired", "The topic me ends here; authenticate and ask again.")

    # --- topics -----------------------------------------------------------------------------------

    async def _subscribe(self, action: Subscribe) -> None:
        if action.proof is not None:
            await self._authenticate(action.proof)
        added = self._named(action.names, action.market_id)
        wanted = self._client.topics | added
        if len(wanted) > topics.MOST:
            raise Refused("too_many_topics", "Too many topics", f"One connection carries at most {topics.MOST}.")
        if action.since is not None and self._client.topics:
            raise Refused(
                "since_comes_first",
                "since is possible with the first subscription only",
                "What was told cannot be told again in order: name all topics at once, or open a connection.",
            )
        self._dialect = self._dialect or action.dialect
        await self._come_in(added, wanted, action)

    async def _unsubscribe(self, action: Unsubscribe) -> None:
        dropped = self._named(action.names, action.market_id)
        rest = self._client.topics - dropped
        self._hub.turn(self._client, rest)
        if self._dialect == "messages":
            self._tell_states("Unsubscribed from", await self._snapshot(dropped))
        else:
            self._say("unsubscribed", topics=topics.shown(rest))

    def _named(self, names: tuple[str, ...], market_id: str | None) -> frozenset[str]:
        try:
            named = topics.parse_all(names)
            return topics.owned(named, self._identity.wallet if self._identity else None)
        except errors.NotSignedIn as error:
            raise Refused("not_signed_in", "Not signed in", str(error)) from None
        except topics.TooManyTopics as error:
            raise Refused("too_many_topics", "Too many topics", str(error)) from None
        except errors.UnknownTopic as error:
            sentence = "Unknown topic" if market_id is None else f"Unknown market_id: {market_id[:100]}"
            raise Refused("unknown_topic", sentence, str(error), market_id=market_id) from None

    async def _come_in(self, added: frozenset[str], wanted: frozenset[str], action: Subscribe) -> None:
        """Take the client to its new topics, in order and without a hole."""
        self._client.outlet = None
        earlier = self._client.topics
        here = self._hub.hush(self._client) if earlier else None
        self._is_told_its_past = True
        since = await self._checked(action.since)
        while True:
            try:
                await self._tell(self._client.take_now())
                snapshot = await self._snapshot(added)
                if here is not None:
                    async for frames in self._hub.between(here, snapshot.position, earlier):
                        await self._tell(frames)
                self._client.topics = wanted
                self._acknowledge(action, snapshot, since)
                async for frames in self._hub.resumed(self._client, since or snapshot.position):
                    await self._tell(frames)
            except Resync as resync:
                # The log became another one while we read it: begin again, in that one.
                self._say_resync(resync)
                self._hub.hush(self._client)
                here = since = None
            except Closed as closed:
                self._end(closed.reason)
                raise _Gone from closed
            else:
                break
        self._is_told_its_past = False
        self._client.outlet = self._pass_on
        self._flush()

    async def _checked(self, since: feed.FeedPosition | None) -> feed.FeedPosition | None:
        """The place to resume at, or None after having said that it is none."""
        if since is None:
            return None
        try:
            await self._hub.check(since)
        except Resync as resync:
            self._say_resync(resync)
            return None
        return since

    async def _snapshot(self, added: frozenset[str]) -> Snapshot:
        while True:
            try:
                return await self._hub.reader.snapshot(added)
            except zmart_errors.Transient:
                # Nobody hears anything while Postgres is away; this client waits with the others.
                await asyncio.sleep(_RETRY_SECONDS)
                self._check_there()

    def _acknowledge(self, action: Subscribe, snapshot: Snapshot, since: feed.FeedPosition | None) -> None:
        place = since or snapshot.position
        if self._dialect == "frames":
            states = "" if since else ",".join(state.text for state in snapshot.states)
            head = _json({"type": "subscribed", "timestamp": _now(), "topics": topics.shown(self._client.topics)})
            text = f'{head[:-1]},"epoch":"{place.epoch}","seq":{place.seq},"messages":[{states}]}}'
            self._wire.write(packet(text))
            return
        self._tell_states("Subscribed to", snapshot, place)

    def _tell_states(self, verb: str, snapshot: Snapshot, place: feed.FeedPosition | None = None) -> None:
        """Acknowledge in the words of protocol.md 7.1.

        Older clients read every market_state as a price, a missing one as 0; so the price is there.
        """
        for state in snapshot.states:
            kind, _, market = state.topic.partition(":")
            if kind != "market":
                continue
            head = _json({"type": "market_state", "market_id": market, "timestamp": _now()})
            said = _json({"message": f"{verb} market {market}", "subscriptions": self._markets()})
            text = f'{head[:-1]},"data":{said[:-1]},{state.data[1:]}}}'
            self._wire.write(packet(enveloped(text, place or snapshot.position)))

    def _markets(self) -> list[str]:
        return sorted(about for kind, _, about in (t.partition(":") for t in self._client.topics) if kind == "market")

    # --- what the client is told ------------------------------------------------------------------

    def _pass_on(self, batch: Batch) -> bool:
        """Write a batch at once, unless the peer is not taking any."""
        if not self._wire.is_ready:
            return False
        self._wire.write(batch.packets(self._dialect or "frames"))
        return True

    def _flush(self) -> None:
        """Write what is queued, as far as the peer takes it."""
        if self._client.closed is not None:
            self._end(self._client.closed)
            return
        while not self._is_told_its_past and self._wire.is_ready:
            try:
                frames = self._client.take_now()
            except Resync as resync:
                self._say_resync(resync)
                continue
            if not frames:
                return
            self._write(frames)

    async def _tell(self, frames: list[Frame]) -> None:
        """Write some of the client's past, and wait until it has taken it."""
        if frames:
            self._write(frames)
        try:
            await self._wire.drained(SEND_SECONDS)
        except TimeoutError:
            self._client.close("slow")
        self._check_there()

    def _write(self, frames: list[Frame]) -> None:
        dialect = self._dialect or "frames"
        self._wire.write_all([frame.packets(dialect) for frame in frames])

    def _end(self, reason: Reason) -> None:
        """Close; at shutdown after what is queued, if that is complete."""
        if reason == "shutdown" and not self._is_told_its_past:
            with contextlib.suppress(Resync, Closed):
                self._write(self._client.take_now())
        self._wire.end(_CODES[reason], reason)

    def _check_there(self) -> None:
        if self._wire.is_gone or self._client.closed is not None:
            raise _Gone

    def _welcome(self) -> None:
        # What older clients are greeted with, word for word (protocol.md 7.1).
        identity = f"client_{time.time_ns() // 1_000_000}_{time.monotonic_ns() % 36**5:09d}"
        greeting = "Connected to ZMART WebSocket server"
        self._say_placed("welcome", self._hub.position, client_id=identity, message=greeting)

    def _say_resync(self, resync: Resync) -> None:
        self._say_placed("resync", resync.found, reason=resync.reason)

    def _refuse(self, refused: Refused) -> None:
        self._say_error(refused.code, refused.message, refused.detail, market_id=refused.market_id)

    def _say_error(
        self, code: client_messages.Code, sentence: str, detail: str = "", *, market_id: str | None = None
    ) -> None:
        self._say("error", market_id=market_id, error=sentence, code=code, detail=detail)

    def _say(self, kind: str, *, market_id: str | None = None, **data: object) -> None:
        """Say something that is not of the log, in the envelope that all clients know."""
        about = {} if market_id is None else {"market_id": market_id}
        self._wire.write(packet(_json({"type": kind, **about, "timestamp": _now(), "data": data})))

    def _say_placed(self, kind: str, position: feed.FeedPosition | None, **data: object) -> None:
        """The same, saying where in the log."""
        place: dict[str, Any] = {} if position is None else {"epoch": position.epoch, "seq": position.seq}
        self._say(kind, market_id=None, **data, **place)


def _json(said: dict[str, object]) -> str:
    return msgspec.json.encode(said).decode()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
