"""Runs the relay (`python -m relay`): publishes the log on NATS until SIGTERM or SIGINT.

`--from-now` lets a stream that is still empty begin at the end of the log, instead of at its first entry. Exit status
2: the configuration cannot work, or another relay publishes to the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import Sequence

import structlog
import uvicorn

from zmart import errors, exit_status, settings
from zmart import log as logs
from zmart.db import poolers, redis_notify
from zmart.http.server import GracefulServer, bind_listener

from .app import RelayApp
from .bus import Bus
from .log_reader import LogReader
from .metrics import RelayMetrics
from .publisher import Publisher

log = structlog.get_logger()


def main(arguments: Sequence[str]) -> int:
    """Publish until a signal; return an exit status."""
    try:
        configured = settings.load()
        logs.configure(configured, service="relay")
        configured.relay.require_urls()
        poolers.require_session_mode(configured.postgres.foreign_dsns())
        asyncio.run(serve(configured, is_from_now="--from-now" in arguments))
    except errors.ConfigurationError as error:
        print(f"relay: {error}", file=sys.stderr)
        return exit_status.REFUSED
    return exit_status.OK


async def serve(configured: settings.Settings, *, is_from_now: bool = False) -> None:
    """Publish and answer /ready until a signal; raise ConfigurationError."""
    listener = bind_listener(
        configured.hosts.relay,
        configured.ports.relay,
        server="The relay",
        help="Stop the process that listens there, or set RELAY_PORT and RELAY_HOST.",
    )
    metrics = RelayMetrics()
    redis_url = configured.api.broadcast_url
    config = uvicorn.Config(
        RelayApp(metrics, configured.api.metrics_token),
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = GracefulServer(config)
    with contextlib.closing(listener):
        async with redis_notify.Notifier(redis_url.reveal() if redis_url else None) as notifier:
            publisher = Publisher(
                LogReader(configured.postgres.dsn("zmart_api")),
                functools.partial(connect_bus, configured),
                stream=configured.relay.stream,
                metrics=metrics,
                is_from_now=is_from_now,
                on_entries=notifier.notify,
            )
            await _serve_until_one_ends(server.serve(sockets=[listener]), publisher.run())


async def connect_bus(configured: settings.Settings, relay_id: str) -> Bus:
    """Connect to the bus of NATS_URL."""
    urls = [url.reveal() for url in configured.relay.urls]
    return await Bus.connect(urls, stream=configured.relay.stream, relay=relay_id)


async def _serve_until_one_ends(*work: object) -> None:
    """Run all; when one ends, cancel the others, and raise the error that it ended with."""
    running = [asyncio.ensure_future(each) for each in work]  # type: ignore[call-overload]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
