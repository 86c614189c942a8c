"""Creates probes that check whether a service is ready, and whether its process still answers.

A readiness probe succeeds when the service can do its work. A liveness probe succeeds when the process answers at all,
even if only with an error: it fails for a process that is stopped or stuck, and a restart can mend that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeAlias


class Probe(Protocol):
    """Returns whether a service is ready, or answers."""

    def __call__(self) -> Awaitable[bool]:
        """Check once."""
        ...


ThreadCheck: TypeAlias = Callable[[], bool]

#: A server that is busy answers within this time.
ANSWER_SECONDS = 10.0
_MOST_BYTES = 1 << 16
#: The beginning of an HTTP/2 connection, with an empty SETTINGS frame; a gRPC server answers with its own.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
#: Postgres answers a request for TLS with one letter, before it checks any login.
_POSTGRES_TLS_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


class HttpProbe:
    """A probe that succeeds when a GET of `path` returns 200, and keeps the reasons of a server that is not ready."""

    def __init__(self, host: str, port: int, path: str, *, timeout_seconds: float = 5.0) -> None:
        self._host, self._port, self._path = host, port, path
        self._timeout_seconds = timeout_seconds
        #: The reasons of the last response other than 200, or "".
        self.reason = ""

    async def __call__(self) -> bool:
        """Send one request."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, body = await _http_get(self._host, self._port, self._path)
        except (OSError, TimeoutError, ValueError, IndexError):
            return False
        self.reason = "" if status == 200 else _reasons(body) or f"{self._path} answers {status}"
        return status == 200


def reason_of(probe: Probe | None) -> str:
    """Return the reasons that the service gave for not being ready, or ""."""
    return str(getattr(probe, "reason", ""))


def http_probe(host: str, port: int, path: str, *, timeout_seconds: float = 5.0) -> HttpProbe:
    """Return a probe that succeeds when a GET of `path` returns 200."""
    return HttpProbe(host, port, path, timeout_seconds=timeout_seconds)


def http_liveness(host: str, port: int, path: str, *, timeout_seconds: float = ANSWER_SECONDS) -> Probe:
    """Return a probe that succeeds when a GET of `path` returns any response."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                return (await _http_get(host, port, path))[0] > 0
        except (OSError, TimeoutError, ValueError, IndexError):
            return False

    return probe


def postgres_liveness(address: Callable[[], tuple[str, int]]) -> Probe:
    """Return a probe that succeeds when a Postgres answers, whether or not it accepts logins now."""

    async def probe() -> bool:
        host, port = address()
        return await _is_answered(lambda: asyncio.open_connection(host, port), _POSTGRES_TLS_REQUEST)

    return probe


def grpc_liveness(path: Path) -> Probe:
    """Return a probe that succeeds when a gRPC server answers on a Unix socket."""

    async def probe() -> bool:
        return await _is_answered(lambda: asyncio.open_unix_connection(path), _HTTP2_PREFACE)

    return probe


def banner_probe(host: str, port: int, banner: bytes, *, timeout_seconds: float = ANSWER_SECONDS) -> Probe:
    """Return a probe that succeeds when a server greets with a banner."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    return await reader.readexactly(len(banner)) == banner
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False

    return probe


def socket_probe(path: Path) -> Probe:
    """Return a probe that succeeds when a Unix socket accepts connections."""

    async def probe() -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(path)
        except OSError:
            return False
        writer.close()
        return True

    return probe


def thread_probe(is_ready: ThreadCheck) -> Probe:
    """Return a probe that runs the blocking function `is_ready` in a thread."""

    async def probe() -> bool:
        return await asyncio.to_thread(is_ready)

    return probe


async def _is_answered(
    connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]], greeting: bytes
) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await connect()
            try:
                writer.write(greeting)
                await writer.drain()
                return bool(await reader.read(1))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def _http_get(host: str, port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status = int((await reader.readline()).split()[1])
        while (await reader.readline()).strip():
            pass
        return status, b"" if status == 200 else await reader.read(_MOST_BYTES)
    finally:
        writer.close()


def _reasons(body: bytes) -> str:
    """Return the reasons in the JSON of a server that is not ready, or ""."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    reasons = answer.get("reasons") if isinstance(answer, dict) else None
    return " ".join(str(reason) for reason in reasons) if isinstance(reasons, list) else ""
