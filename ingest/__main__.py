"""Runs ingest (`python -m ingest`): accepts deliveries on INGEST_PORT until SIGTERM or SIGINT.

`python -m ingest replay FILE` reads deliveries from a file instead (ingest.commands.replay), `backfill` from the chain
(ingest.commands.backfill). `dead-letters` shows and retries the data that could not be used
(ingest.commands.dead_letters), `webhook` checks the webhook that Helius has registered
(ingest.sync.webhook_registration).

There is one process, with one event loop and one writer. A stop accepts no new connections, finishes the running
requests, commits the queue and ends within five seconds with status 0. Unfinished deliveries were not acknowledged, so
their sender delivers them again. A restart hands over to the next process instead (zmart.http.handover); for a second,
both commit, one after the other, as the log's lock has it.

The server is uvicorn: it stops promptly without further code, and the commit limits ingest, not HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from pathlib import Path

import structlog
import uvicorn

from zmart import errors, settings, tracing
from zmart import log as logs
from zmart.db import locks, poolers, redis_notify
from zmart.db.connection import connect
from zmart.http.connections import ConnectionTable, connections_for, raise_file_limit
from zmart.http.handover import take_listener
from zmart.http.server import ReplaceableServer, bind_listener
from zmart.tasks import SharedResult

from . import log_stats
from .commands import backfill, dead_letters, gaps, replay
from .decode.decoder import Decoder
from .keeper_watch import KeeperWatch
from .notification_watch import NotificationWatch
from .store import group_commit, mart_retries, writer
from .sync import logs_subscribe, sources, task, webhook_registration
from .sync.database import SyncDatabase
from .webhook.app import Parts, create_app, readiness_problems
from .webhook.auth import Verifier

log = structlog.get_logger()

#: Requests get the first three of the five seconds, the queue the rest (ingest.webhook.app.Parts).
REQUEST_SECONDS = 3
#: How long the result of a readiness check is shared; a check opens a connection, and anybody may ask for it.
READINESS_SECONDS = 1.0


def main() -> int:
    """Serve; return exit status 0 after a stop, 2 if the configuration cannot work."""
    try:
        configured = settings.load()
        logs.configure(configured, service="ingest")
        parts = build_parts(configured)
        poolers.require_session_mode(configured.postgres.foreign_dsns())
        listener = take_listener() or bind_listener(
            configured.hosts.ingest,
            configured.ports.ingest,
            server="Ingest",
            help="Stop the process that listens there, or set INGEST_PORT and INGEST_HOST.",
        )
        asyncio.run(task.verify_cluster_at_startup(configured))
    except errors.ConfigurationError as exc:
        print(f"ingest: {exc}", file=sys.stderr)
        return 2
    with contextlib.closing(listener):
        serve(parts, listener)
    return 0


def build_parts(configured: settings.Settings) -> Parts:
    """Return the parts of the server for a configuration. Raises ConfigurationError that names a missing setting."""
    dsn = configured.postgres.dsn("zmart_ingest")
    token = configured.api.metrics_token

    async def open_writer() -> group_commit.BatchWriter:
        return await writer.Writer.connect(dsn)

    async def check_database() -> None:
        connection = await connect(dsn, application_name="zmart ingest readiness", statement_timeout_seconds=2.0)
        try:
            await locks.require_free_writer(connection)
        finally:
            await connection.close()

    committing = group_commit.Pipeline(open_writer)
    committing.tracer = tracing.open_tracer(configured, "ingest")
    redis_url = configured.api.broadcast_url
    committing.on_commit = redis_notify.Notifier(redis_url.reveal() if redis_url else None).notify
    committing.metrics.race.expected = expected_sources(configured)
    sync_task = task.SyncTask.of(configured, committing)
    return Parts(
        verifier=Verifier.of(configured.ingest, has_other_source=configured.chain.grpc_url is not None),
        decoder=Decoder(configured.chain.program_id),
        pipeline=committing,
        sync_task=sync_task,
        sources=build_sources(configured, sync_task),
        database=SyncDatabase(dsn),
        environment=configured.chain.cluster.value,
        checks={"database": SharedResult(check_database, READINESS_SECONDS).get},
        log_stats=log_stats.LogStats(dsn),
        mart_retrier=mart_retries.MartRetrier(dsn),
        keeper_watch=KeeperWatch(dsn, configured),
        notification_watch=NotificationWatch(dsn),
        metrics_token=token.reveal() if token else None,
        trusted_proxies=configured.api.trusted_proxies,
    )


def expected_sources(configured: settings.Settings) -> frozenset[str]:
    """Return the live sources that should report every transaction."""
    has_proof = bool(configured.ingest.auth_headers or configured.ingest.webhook_secret)
    is_on = {
        "webhook": has_proof,
        "grpc": configured.chain.grpc_url is not None,
        "logs": configured.ingest.logs_subscribe,
    }
    return frozenset(name for name, used in is_on.items() if used)


def build_sources(configured: settings.Settings, sync_task: task.SyncTask) -> list[sources.Source]:
    """Return the sources of transactions besides deliveries; `sync_task` has the facts about chain and log."""
    chain, found = configured.chain, list[sources.Source]()

    def has_moved() -> bool:
        return sync_task.has_moved

    if chain.grpc_url is not None:
        # Takes 20 MB and a third of a second, which an ingest without gRPC saves.
        from .sync import grpc_stream

        found.append(
            grpc_stream.GrpcStream(
                chain.grpc_url.reveal(),
                chain.grpc_token.reveal() if chain.grpc_token else None,
                chain.program_id,
                proven_slot=sync_task.reconciler.proven_slot,
                check_block=sync_task.reconciler.has_block,
                has_moved=has_moved,
            )
        )
    if configured.ingest.logs_subscribe:
        found.append(logs_subscribe.LogsSubscription(chain.ws_url.reveal(), chain.program_id, has_moved=has_moved))
    return found


def serve(parts: Parts, listener: socket.socket) -> None:
    """Serve on a socket until a signal arrives."""
    table = ConnectionTable(connections_for(raise_file_limit()))
    config = uvicorn.Config(
        create_app(parts),
        http=table.protocol(),
        lifespan="on",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=REQUEST_SECONDS,
        server_header=False,
    )
    host, port = listener.getsockname()[:2]
    log.info("ingest_listening", host=host, port=port)

    ReplaceableServer(config, table, find_problems=lambda: readiness_problems(parts)).run(sockets=[listener])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["replay", file]:
            sys.exit(replay.main(Path(file)))
        case ["backfill", *arguments]:
            sys.exit(backfill.main(arguments))
        case ["gap", *arguments]:
            sys.exit(gaps.main(arguments))
        case ["dead-letters", *arguments]:
            sys.exit(dead_letters.main(arguments))
        case ["webhook", *arguments]:
            sys.exit(webhook_registration.main(arguments))
    sys.exit(main())
