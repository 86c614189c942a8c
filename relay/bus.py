"""Publishes messages on a stream of NATS JetStream, each one only as the next after the last.

Each message names the stream's sequence that it must follow (Nats-Expected-Last-Sequence). A message whose predecessor
is not confirmed yet also names the id that it must follow (Nats-Expected-Last-Msg-Id). So whatever happens in between,
no message is skipped, none is there twice, and a second relay is refused: the bus itself compares, in one step with
storing.

Every wait ends. A connection that fails is closed, and its caller opens another and reads again where the stream ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import nats
import nats.aio.client
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import api

from zmart import errors
from zmart.db import feed

from . import messages

#: Why the bus did not take a message; the label of the metric.
FailureKind: TypeAlias = Literal["unreachable", "slow", "full", "refused", "too_large", "error"]

#: How long the bus may take to accept a connection, to answer a question, and to confirm a window of messages.
CONNECT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 5.0
CONFIRM_SECONDS: Final = 10.0
#: The connection is lost when this many seconds pass without an answer to a ping, twice.
_PING_SECONDS: Final = 5
#: How long the bus recognises an id that it has already stored.
DUPLICATE_WINDOW_SECONDS: Final = 120.0

#: JetStream's numbers of errors.
_REFUSED_CODES: Final = frozenset({10070, 10071})  # not the expected last id, not the expected last sequence
_FULL_CODES: Final = frozenset({10023, 10047, 10077})  # no resources, no storage, the stream's limit is reached
_TOO_LARGE_CODES: Final = frozenset({10054})


class BusFailure(errors.Transient):
    """The bus did not take a message; the next attempt begins where the stream then ends."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind


@dataclass(frozen=True)
class StreamEnd:
    """Where a stream ends."""

    #: When the stream was created, as the bus writes it: a stream that was deleted and created again differs.
    created: str
    #: The stream's own number of its last message, 0 before the first.
    sequence: int
    #: Nats-Msg-Id and Zmart-Relay of that message; None where it is gone, or where there is none.
    message_id: str | None = None
    relay: str | None = None
    #: Whether the last message is still there.
    is_held: bool = False


@dataclass(frozen=True)
class Confirmation:
    """Messages that the bus has stored, in order, and the error that stopped the others."""

    stored: int
    failure: BusFailure | None


class Bus:
    """One connection to the bus; closed for good after a failure."""

    def __init__(self, client: nats.aio.client.Client, closed: asyncio.Event, stream: str, relay: str) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=ANSWER_SECONDS)
        self._inbox = client.new_inbox()
        self._is_subscribed = False
        #: What the bus stored as which number, by the last part of the subject of its answer.
        self._answers: dict[str, asyncio.Future[int]] = {}
        self._closed = closed
        self._stream = stream
        self._relay = relay

    @classmethod
    async def connect(cls, urls: Sequence[str], *, stream: str, relay: str) -> Bus:
        """Connect to one of the servers; raise BusFailure. `relay` names this process in each message."""
        closed = asyncio.Event()

        async def on_closed() -> None:
            closed.set()

        async def on_error(_: Exception) -> None:
            """Do nothing: each call gets its own error."""

        with translate_bus_errors():
            client = await asyncio.wait_for(
                nats.connect(
                    list(urls),
                    name="zmart relay",
                    connect_timeout=CONNECT_SECONDS,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    ping_interval=_PING_SECONDS,
                    closed_cb=on_closed,
                    error_cb=on_error,
                ),
                timeout=CONNECT_SECONDS * (len(urls) + 1),
            )
        return cls(client, closed, stream, relay)

    async def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
            await asyncio.wait_for(self._client.close(), timeout=ANSWER_SECONDS)

    async def find_end(self) -> StreamEnd:
        """Return where the stream ends; create the stream where it is missing. Raise BusFailure."""
        with translate_bus_errors():
            try:
                answer = await self._ask(f"$JS.API.STREAM.INFO.{self._stream}")
            except nats.js.errors.NotFoundError:
                answer = await self._create()
            created, last = str(answer["created"]), int(answer["state"]["last_seq"])
            try:
                message = await self._jetstream.get_msg(self._stream, seq=last) if last else None
            except nats.js.errors.NotFoundError:
                message = None
        if message is None:
            return StreamEnd(created, last)
        headers = message.headers or {}
        return StreamEnd(
            created,
            last,
            headers.get(api.Header.MSG_ID),
            headers.get(messages.RELAY_HEADER),
            is_held=True,
        )

    async def publish(self, batch: Sequence[messages.Message], after: int) -> Confirmation:
        """Publish messages as the next after sequence `after`; return how many of them, from the first, are stored."""
        confirmed: list[asyncio.Future[int]] = []
        try:
            with translate_bus_errors():
                await self._subscribe()
                for number, message in enumerate(batch):
                    before = batch[number - 1] if number else None
                    headers = self._headers(message, after + number, before)
                    # The server counts headers, too, and closes the connection; the library counts the body alone.
                    if _size(headers) + len(message.body) > self._client.max_payload:
                        raise nats.errors.MaxPayloadError
                    answer = self._answers[str(after + number)] = asyncio.get_running_loop().create_future()
                    confirmed.append(answer)
                    reply = f"{self._inbox}.{after + number}"
                    await self._client.publish(message.subject, message.body, reply=reply, headers=headers)
                await self._client.flush(timeout=int(ANSWER_SECONDS))
        except BusFailure as failure:
            await self._await_confirmations(confirmed, seconds=1.0)
            return self._confirmation(confirmed, after, failure)
        await self._await_confirmations(confirmed, seconds=CONFIRM_SECONDS)
        return self._confirmation(confirmed, after, None)

    async def _subscribe(self) -> None:
        """Receive the answers to published messages; the library's own way of doing it loses refusals."""
        if not self._is_subscribed:
            await self._client.subscribe(f"{self._inbox}.*", cb=self._on_answer)
            self._is_subscribed = True

    async def _on_answer(self, reply: Msg) -> None:
        answer = self._answers.pop(reply.subject.rpartition(".")[2], None)
        if answer is None or answer.done():
            return
        try:
            with translate_bus_errors():
                answer.set_result(_stored_number(reply))
        except BusFailure as failure:
            answer.set_exception(failure)

    async def _ask(self, subject: str, body: bytes = b"") -> dict[str, Any]:
        """Return the answer of JetStream's API as it is: the library's class loses parts of seconds."""
        try:
            reply = await self._client.request(subject, body, timeout=ANSWER_SECONDS)
        except nats.errors.NoRespondersError as error:
            raise BusFailure("error", "The bus has no JetStream, or its leader is away.") from error
        answer: dict[str, Any] = json.loads(reply.data)
        if "error" in answer:
            raise nats.js.errors.APIError.from_error(answer["error"])
        return answer

    async def _create(self) -> dict[str, Any]:
        configuration = api.StreamConfig(
            name=self._stream,
            subjects=[messages.SUBJECTS],
            storage=api.StorageType.FILE,
            duplicate_window=DUPLICATE_WINDOW_SECONDS,
        )
        await self._jetstream.add_stream(configuration)
        return await self._ask(f"$JS.API.STREAM.INFO.{self._stream}")

    def _headers(self, message: messages.Message, after: int, before: messages.Message | None) -> dict[str, str]:
        headers = {
            str(api.Header.MSG_ID.value): message.id,
            str(api.Header.EXPECTED_STREAM.value): self._stream,
            str(api.Header.EXPECTED_LAST_SEQUENCE.value): str(after),
            messages.RELAY_HEADER: self._relay,
        }
        if before is not None:
            headers[str(api.Header.EXPECTED_LAST_MSG_ID.value)] = before.id
        return headers

    async def _await_confirmations(self, confirmed: Sequence[asyncio.Future[int]], *, seconds: float) -> None:
        """Return when every message is answered, when the connection is lost, or after some seconds."""
        if not confirmed:
            return
        answered = asyncio.ensure_future(asyncio.wait(confirmed))
        lost = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait([answered, lost], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in (answered, lost):
                waiting.cancel()

    def _confirmation(
        self, confirmed: Sequence[asyncio.Future[int]], after: int, failure: BusFailure | None
    ) -> Confirmation:
        """Count the stored messages up to the first that is not confirmed as the expected one."""
        stored = 0
        for number, answer in enumerate(confirmed, start=1):
            found = _failure_of(answer, after + number, is_closed=self._closed.is_set())
            if found is not None:
                failure = found
                break
            stored += 1
        self._answers.clear()
        for answer in confirmed:
            if not answer.done():
                answer.cancel()
            elif not answer.cancelled():
                # Reading the exception marks it as retrieved.
                answer.exception()
        return Confirmation(stored, failure)


def _size(headers: dict[str, str]) -> int:
    """Return the bytes of a message's headers, as NATS writes them."""
    return len("NATS/1.0\r\n\r\n") + sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())


def _failure_of(answer: asyncio.Future[int], expected: int, *, is_closed: bool) -> BusFailure | None:
    if not answer.done():
        if is_closed:
            return BusFailure("unreachable", "The connection to the bus was lost.")
        return BusFailure("slow", f"The bus did not confirm a message within {CONFIRM_SECONDS:.0f} s.")
    try:
        number = answer.result()
    except BusFailure as failure:
        return failure
    if number != expected:
        return BusFailure("refused", f"The bus has the message already, as number {number} and not {expected}.")
    return None


def _stored_number(reply: Msg) -> int:
    """Return the stream's number of a stored message; raise the library's errors."""
    if not reply.data and (reply.headers or {}).get(api.Header.STATUS) == "503":
        raise nats.js.errors.NoStreamResponseError
    found = json.loads(reply.data)
    if "error" in found:
        raise nats.js.errors.APIError.from_error(found["error"])
    return int(found["seq"])


@contextlib.contextmanager
def translate_bus_errors() -> Iterator[None]:
    """Translate the library's errors into BusFailure."""
    try:
        yield
    except nats.js.errors.NoStreamResponseError as error:
        raise BusFailure("error", "No stream of the bus accepts the relay's subjects.") from error
    except nats.js.errors.APIError as error:
        raise BusFailure(kind_of_code(error.err_code), f"The bus refused: {error.description}.") from error
    except nats.errors.MaxPayloadError as error:
        raise BusFailure("too_large", "The bus accepts no message of this size.") from error
    except (nats.errors.TimeoutError, TimeoutError) as error:
        raise BusFailure("slow", "The bus did not answer in time.") from error
    except (nats.errors.Error, OSError) as error:
        # The library's texts contain addresses; the kind is enough.
        raise BusFailure("unreachable", f"The bus cannot be reached ({type(error).__name__}).") from error


def kind_of_code(code: int | None) -> FailureKind:
    """Return the kind of failure for a number of JetStream's errors."""
    if code in _REFUSED_CODES:
        return "refused"
    if code in _FULL_CODES:
        return "full"
    return "too_large" if code in _TOO_LARGE_CODES else "error"


def position_of_end(end: StreamEnd) -> feed.FeedPosition | None:
    """Return the log's position at the stream's end; None where no message tells it.

    Raise ConfigurationError where the last message is not the relay's.
    """
    return messages.position_of(end.message_id) if end.is_held else None
