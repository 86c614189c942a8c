"""Creates probes that check whether a service is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

Probe: TypeAlias = Callable[[], Awaitable[bool]]


def http_probe(host: str, port: int, path: str, *, timeout_seconds: float = 5.0) -> Probe:
    """Return a probe that succeeds when a GET of `path` returns 200."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                return await _http_status(host, port, path) == 200
        except (OSError, TimeoutError, ValueError, IndexError):
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


def thread_probe(is_ready: Callable[[], bool]) -> Probe:
    """Return a probe that runs the blocking function `is_ready` in a thread."""

    async def probe() -> bool:
        return await asyncio.to_thread(is_ready)

    return probe


async def _http_status(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
