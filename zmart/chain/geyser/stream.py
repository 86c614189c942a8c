"""Connects to one gRPC server and subscribes to the transactions of one program; every wait has a deadline.

A server's key is sent as metadata (`x-token`) and is never shown, and neither is the address beyond its host. Every way
in which a stream can end is one of the errors of `rpc_errors`:

    ApiKeyRejected   the server refuses the key (or asks for one): an operator has to act
    ReplayRefused    the server does not replay from the requested slot: subscribe without one, the walk has the rest
    NodeError        anything else: connect again
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import grpc
import grpc.aio

from zmart.chain import rpc_errors

from . import geyser_pb2 as pb

SERVICE: Final = "geyser.Geyser"
#: The name of our filters in the updates.
FILTER: Final = "zmart"
CONNECT_SECONDS: Final = 10.0
CALL_SECONDS: Final = 5.0
#: A stream with block metadata has an update in each slot, and a server's ping every 15 seconds.
SILENCE_SECONDS: Final = 45.0
#: The longest update: a block's metadata lists its rewards.
MAX_MESSAGE_BYTES: Final = 64 << 20
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)
_REFUSED: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
#: How servers refuse a slot to begin at; the code differs between them, and so does the text.
_REPLAY_CODES: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class ReplayRefused(rpc_errors.NodeError):
    """The server does not replay from the requested slot."""

    retry_after_seconds = 0.0


class GeyserClient:
    """One connection to a server; use it with `async with`."""

    def __init__(self, url: str, token: str | None = None, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        parts = urlsplit(url)
        #: The name for messages, without anything that may be a key.
        self.name = parts.hostname or "the gRPC server"
        self._silence_seconds = silence_seconds
        self._metadata = () if token is None else (("x-token", token),)
        is_secure = parts.scheme == "https"
        target = f"{_host(parts.hostname)}:{parts.port or (443 if is_secure else 80)}"
        options = [*_OPTIONS, ("grpc.enable_http_proxy", int(is_secure))]
        self._channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
            if is_secure
            else grpc.aio.insecure_channel(target, options=options)
        )

    def __repr__(self) -> str:
        return f"GeyserClient({self.name})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that are open end."""
        await self._channel.close()

    async def connect(self) -> None:
        """Wait until the server can be reached. Raises Unreachable after CONNECT_SECONDS."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._channel.channel_ready()
        except TimeoutError:
            raise rpc_errors.Unreachable(
                f"{self.name} cannot be reached by gRPC within {CONNECT_SECONDS:g} s.", help="Check SOLANA_GRPC_URL."
            ) from None

    async def version(self) -> str:
        """Return the version that the server reports, a text of its own form."""
        answer = await self._call("GetVersion", pb.GetVersionRequest(), pb.GetVersionResponse)
        return str(answer.version)

    async def first_replayable_slot(self) -> int | None:
        """Return the oldest slot from which the server replays; None if it replays nothing or does not say."""
        try:
            answer = await self._call(
                "SubscribeReplayInfo", pb.SubscribeReplayInfoRequest(), pb.SubscribeReplayInfoResponse
            )
        except rpc_errors.MethodUnavailable:
            return None
        return int(answer.first_available) if answer.HasField("first_available") else None

    async def _call(self, method: str, request: Any, answer: Any) -> Any:
        call = self._channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        with self._translated():
            return await call(request, timeout=CALL_SECONDS, metadata=self._metadata)

    def subscribe(self, request: pb.SubscribeRequest) -> TransactionStream:
        """Return the stream of a subscription; iterate over its updates."""
        call = self._channel.stream_stream(
            f"/{SERVICE}/Subscribe",
            request_serializer=pb.SubscribeRequest.SerializeToString,
            response_deserializer=pb.SubscribeUpdate.FromString,
        )(metadata=self._metadata)
        return TransactionStream(call, request, self._translated, self.name, self._silence_seconds)

    @contextlib.contextmanager
    def _translated(self, *, replays: bool = False) -> Iterator[None]:
        """Raise the error of `rpc_errors` for a failed call; `replays` is whether it asked for a replay."""
        try:
            yield
        except grpc.aio.AioRpcError as failed:
            code, details = failed.code(), (failed.details() or "no details")[:200]
            if code in _REFUSED:
                raise rpc_errors.ApiKeyRejected(
                    f"{self.name} refuses the key ({code.name}).", help="Check SOLANA_GRPC_TOKEN."
                ) from None
            if replays and code in _REPLAY_CODES:
                raise ReplayRefused(f"{self.name} does not replay: {details} ({code.name}).") from None
            if code is grpc.StatusCode.UNIMPLEMENTED:
                raise rpc_errors.MethodUnavailable(f"{self.name} does not serve the method: {details}.") from None
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise rpc_errors.TimedOut(f"{self.name} does not answer within {CALL_SECONDS:g} s.") from None
            if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise rpc_errors.RateLimited(f"{self.name} limits our streams: {details}.") from None
            raise rpc_errors.Unreachable(f"The stream of {self.name} ended: {details} ({code.name}).") from None


class TransactionStream:
    """An open subscription."""

    def __init__(
        self,
        call: Any,
        request: pb.SubscribeRequest,
        translated: Callable[..., contextlib.AbstractContextManager[None]],
        name: str,
        silence_seconds: float,
    ) -> None:
        self._call = call
        self._request = request
        self._translated = translated
        self._name = name
        self._silence_seconds = silence_seconds

    async def updates(self) -> AsyncGenerator[pb.SubscribeUpdate, None]:
        """Yield the updates until the stream ends with an error; the server's pings are answered.

        Raises ReplayRefused only before the first update, TimedOut after a silence, and the other errors of this
        module.
        """
        replays = self._request.HasField("from_slot")
        try:
            with self._translated(replays=replays):
                await self._write(self._request)
                update = await self._next()
            yield update
            while True:
                with self._translated():
                    update = await self._next()
                yield update
        finally:
            self._call.cancel()

    async def _next(self) -> pb.SubscribeUpdate:
        while True:
            update = await self._within(self._call.read())
            if update is grpc.aio.EOF:
                # `read` hides the status of a stream that ended with an error.
                code = await self._within(self._call.code())
                if code is not grpc.StatusCode.OK:
                    raise grpc.aio.AioRpcError(
                        code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=await self._call.details()
                    )
                raise rpc_errors.Unreachable(f"{self._name} closed the stream.")
            if not update.HasField("ping"):
                return update  # type: ignore[no-any-return]
            await self._write(pb.SubscribeRequest(ping=pb.PingReply(id=1)))

    async def _write(self, request: pb.SubscribeRequest) -> None:
        # A stream that has ended refuses writes; the next read raises its error.
        with contextlib.suppress(asyncio.InvalidStateError):
            await self._within(self._call.write(request))

    async def _within(self, wait: Any) -> Any:
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await wait
        except TimeoutError:
            raise rpc_errors.TimedOut(f"{self._name} has sent nothing for {self._silence_seconds:g} s.") from None


def subscription(
    program_id: str | None, *, commitment: pb.CommitmentLevel, from_slot: int | None
) -> pb.SubscribeRequest:
    """Return the request for the metadata of all blocks, and a program's transactions, failed ones included."""
    wanted = {} if program_id is None else {FILTER: pb.TransactionFilter(vote=False, account_required=[program_id])}
    return pb.SubscribeRequest(
        transactions=wanted,
        blocks_meta={FILTER: pb.BlockMetaFilter()},
        commitment=commitment,
        from_slot=from_slot,
    )


def _host(name: str | None) -> str:
    return f"[{name}]" if name and ":" in name else str(name)
