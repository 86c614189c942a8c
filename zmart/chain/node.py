"""Sends JSON-RPC calls to one node over HTTP, and returns a typed result or raises a typed error.

solana's HTTP provider transfers the bytes. This module, not solders, parses the JSON, because solders panics (a
BaseException) on some errors that nodes send. Only a broken connection is retried: whether and where to retry a call is
the caller's decision, because only the caller knows its purpose.

A node's URL often contains a key, in the path or the query. It is never shown: messages contain only the host.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
from solana.exceptions import SolanaRpcException
from solana.rpc.async_http_provider import AsyncHTTPProvider

from zmart import errors

from . import rpc_errors
from .request_pacer import RequestPacer

#: A node answers in milliseconds; a program scan or an old block takes seconds.
TIMEOUT_SECONDS: Final = 20.0

# httpx2 logs every request's URL, which contains the key, at level INFO.
logging.getLogger("httpx2").setLevel(logging.WARNING)

_T = TypeVar("_T")
_numbers = itertools.count(1)
_encode = msgspec.json.Encoder().encode


class RpcNode:
    """One JSON-RPC endpoint."""

    def __init__(
        self,
        url: str,
        *,
        program_id: str | None = None,
        pacer: RequestPacer | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        #: The name for messages, without the parts that may be a key.
        self.name = _host_name(url)
        #: The genesis hash of its cluster, once requested.
        self.genesis_hash: str | None = None
        #: Until then, by the monotonic clock, other nodes are called first.
        self.deprioritized_until = 0.0
        #: Until when a method that this node lacks is not asked for again, by the monotonic clock.
        self._missing_until: dict[str, float] = {}
        self._program_id = program_id
        self._pacer = pacer
        self._timeout_seconds = timeout_seconds
        self._http = AsyncHTTPProvider(url, timeout=timeout_seconds, http2=url.startswith("https:"))

    def __repr__(self) -> str:
        return f"Node({self.name})"

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()

    def deprioritize(self, seconds: float) -> None:
        """Prefer other nodes for a while."""
        self.deprioritized_until = time.monotonic() + seconds

    def require_method(self, method: str) -> None:
        """Raise MethodUnavailable, without a request, if the node has answered lately that it lacks the method."""
        if time.monotonic() < self._missing_until.get(method, float("-inf")):
            raise rpc_errors.MethodUnavailable(f"{self.name} does not serve {method}.")

    def note_missing(self, method: str, seconds: float) -> None:
        """Note that the node lacks a method; a note that is still valid is not prolonged."""
        if time.monotonic() >= self._missing_until.get(method, float("-inf")):
            self._missing_until[method] = time.monotonic() + seconds

    async def call(self, method: str, params: Sequence[Any], type: type[_T]) -> _T:
        """Return the result of a method as `type`; raise an error of `rpc_errors`, or Overloaded from the pacer."""
        if self._pacer is not None:
            await self._pacer.wait()
        envelope = self._parse_envelope(await self.post(method, params), method)
        if envelope.error is not None:
            error = rpc_errors.JsonRpcError.of(envelope.error)
            raise rpc_errors.error_from_rpc(error, method=method, node=self.name, program_id=self._program_id)
        try:
            return msgspec.json.decode(envelope.result, type=type)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise self._invalid_response(method, str(exc)) from exc

    async def post(self, method: str, params: Sequence[Any]) -> str:
        """Send a call and return the body of the response."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._http.make_request_unparsed(_Request(method, params))
        except TimeoutError:
            raise self._timeout_error(method) from None
        except SolanaRpcException as exc:
            # The exception is not set as the cause: its message contains the URL.
            raise self._transport_error(exc.__cause__, method) from None

    def _transport_error(self, cause: BaseException | None, method: str) -> errors.ZmartError:
        match cause:
            case httpx2.HTTPStatusError(response=response):
                error = _parse_error(response.content)
                return rpc_errors.error_from_http(
                    response.status_code, response.headers, error, method=method, node=self.name, now=time.time()
                )
            case httpx2.TimeoutException():
                return self._timeout_error(method)
        return rpc_errors.Unreachable(
            f"{self.name} cannot be reached ({type(cause).__name__}).",
            help="Check that the node runs and that SOLANA_RPC_URL has its address.",
        )

    def _timeout_error(self, method: str) -> rpc_errors.TimedOut:
        return rpc_errors.TimedOut(f"{self.name} does not answer {method} within {self._timeout_seconds:g} s.")

    def _invalid_response(self, method: str, why: str) -> rpc_errors.InvalidResponse:
        return rpc_errors.InvalidResponse(f"{self.name} answers {method} with an invalid response: {why}.")

    def _parse_envelope(self, text: str, method: str) -> _Envelope:
        try:
            envelope = msgspec.json.decode(text, type=_Envelope)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise self._invalid_response(method, str(exc)) from exc
        if envelope.error is None and not envelope.result:
            raise self._invalid_response(method, "it has neither a result nor an error")
        return envelope


class _Request:
    """A JSON-RPC request in the form that the provider requires."""

    def __init__(self, method: str, params: Sequence[Any]) -> None:
        self._method, self._params = method, params

    def to_json(self) -> str:
        request = {"jsonrpc": "2.0", "id": next(_numbers), "method": self._method, "params": self._params}
        return _encode(request).decode()


class _Envelope(msgspec.Struct):
    """A JSON-RPC response; `result` stays bytes until the method's type is known."""

    result: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


def _parse_error(body: bytes) -> rpc_errors.JsonRpcError | None:
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return None if envelope.error is None else rpc_errors.JsonRpcError.of(envelope.error)


def _host_name(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
