"""Creates the application: its endpoints, its error handlers, and the objects that live as long as the process.

`create(settings)` needs only the settings and starts nothing; the pool, the listener and the hub start and end with
the ASGI lifespan. If the database is unavailable at startup, the application waits for it: meanwhile `/ready` reports
this and requests are answered with 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, TypeAlias

import structlog
from litestar import Litestar, Request
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Tag

from zmart import tasks, tracing
from zmart.chain import rpc
from zmart.db import feed, pool, redis_notify
from zmart.http import connections
from zmart.settings import Settings

from . import dependencies, errors, parameters, writes
from .auth import api_keys
from .auth.service import AuthService
from .contract import openapi
from .live.hub import CLIENT_READS, Hub
from .live.notifications import ChangeSignal
from .live.reader import LogReader
from .metrics import ApiMetrics
from .middleware import access_log, deprecation, idempotency, rate_limit, refused_origins, security_headers, tiers
from .reads import etags, readiness, standby
from .reads.database import ReadDatabase, raw_json_adapters
from .routes import (
    account,
    acting,
    activity,
    auth,
    ballots,
    batches,
    charts,
    contract,
    discovery,
    discussions,
    event_groups,
    exports,
    health,
    holders,
    ipfs,
    leaderboard,
    lifecycle,
    market_pages,
    markets,
    me,
    metadata,
    metrics,
    moderation,
    pages,
    portfolio,
    postgrest,
    protocol,
    quotes,
    sql,
    stream,
    trades,
    transactions,
    users,
    websocket,
)
from .sql_console import executor

log = structlog.get_logger()

#: With two cores shared with Postgres, more connections would only wait for one another.
CONNECTIONS = 8
#: Read statements take milliseconds; one that takes this long blocks connections that others need.
STATEMENT_TIMEOUT_SECONDS = 5.0
#: A request that got no connection within this time is answered with 503 and Retry-After.
CONNECTION_WAIT_SECONDS = 2.0
#: Timeout of one call to a node; building a transaction makes three calls.
NODE_SECONDS = 5.0
_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
#: Above this number of waiting requests, an immediate 503 is better than a longer queue.
MAX_WAITING_REQUESTS = 500

#: The API's statements are few and long: planning one takes longer than running it, so each connection
#: plans each of them once. Pages are in memory or nearly so.
QUERY_SETTINGS: Mapping[str, str] = {
    "plan_cache_mode": "force_generic_plan",
    "random_page_cost": "1.1",
    "timezone": "UTC",
}
#: A window of the log is a few rows and the rows that their keys refer to. These settings enforce index scans also
#: while the tables are so small that statistics would favour sequential scans.
WINDOW_QUERY_SETTINGS: Mapping[str, str] = {
    **QUERY_SETTINGS,
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

_TAGS = {
    "markets": "Markets and their events.",
    "trades": "Trades of all markets.",
    "wallets": "User positions, and what wallets did.",
    "discussions": "Comments under markets.",
    "moderation": "Reports of posts, decisions of moderators, and their public log.",
    "auth": "Signing in with a wallet.",
    "account": "API keys and limits of a wallet.",
    "acting": "Transactions for a wallet to sign, and their status.",
    "push": "Push of events as they happen.",
    "exports": "Parquet files of the log and the marts.",
    "status": "The state of the log, its completeness and its finality.",
}


#: The introduction of the OpenAPI document.
_DESCRIPTION = (
    "Prediction markets on Solana: an append-only log, folded into marts and pushed to clients. The streams are in "
    "`/schema/asyncapi.json`. This document omits the calls under `/rest/v1/`, which only the earlier frontend makes "
    "with Supabase's client library: `docs/migrating.md` in the repository lists each of them with its answer."
)
#: The service that a process provides: everything on API_PORT, or the same on WS_PORT for its WebSocket.
ServiceName: TypeAlias = Literal["api", "ws"]


def create(settings: Settings, *, service_name: ServiceName = "api") -> Litestar:
    """Return the application, not yet started. Raise ConfigurationError if ANALYST_SQL is on without a login for it."""
    settings.require_analyst_login()
    handlers = [
        *health.HANDLERS,
        *metrics.HANDLERS,
        *markets.HANDLERS,
        *market_pages.HANDLERS,
        *event_groups.HANDLERS,
        *batches.HANDLERS,
        *charts.HANDLERS,
        *discovery.HANDLERS,
        *discussions.HANDLERS,
        *leaderboard.HANDLERS,
        *me.HANDLERS,
        *exports.HANDLERS,
        *sql.HANDLERS,
        *metadata.HANDLERS,
        *moderation.HANDLERS,
        *ipfs.HANDLERS,
        *quotes.HANDLERS,
        *activity.HANDLERS,
        *holders.HANDLERS,
        *lifecycle.HANDLERS,
        *trades.HANDLERS,
        *users.HANDLERS,
        *portfolio.HANDLERS,
        *postgrest.HANDLERS,
        *protocol.HANDLERS,
        *stream.HANDLERS,
        *websocket.HANDLERS,
        *pages.HANDLERS,
        *contract.HANDLERS,
        *auth.HANDLERS,
        *account.HANDLERS,
        *acting.HANDLERS,
        *ballots.HANDLERS,
        *transactions.HANDLERS,
    ]
    provided = dependencies.Dependencies()
    counted = ApiMetrics()
    application = Litestar(
        handlers,
        middleware=[
            *(
                [lambda app: rate_limit.RateLimitMiddleware(app, settings)]
                if settings.api.rate_limit_per_minute
                else []
            ),
            lambda app: idempotency.IdempotencyMiddleware(app, account.MOST_BODY_BYTES),
        ],
        dependencies=provided.providers(),
        exception_handlers=errors.HANDLERS,
        request_max_body_size=account.MOST_BODY_BYTES,
        before_request=_before_request,
        after_response=_notify_after_write,
        before_send=[
            security_headers.security_headers_hook(settings.api.trusted_proxies),
            deprecation.add_deprecation,
            provided.record_write,
        ],
        cors_config=CORSConfig(
            allow_origins=list(settings.api.cors_origins),
            allow_credentials=True,
            expose_headers=[
                "Zmart-Seq",
                "Zmart-Slot",
                "Zmart-Commitment",
                "ETag",
                "Retry-After",
                "X-Request-Id",
                "Idempotency-Replayed",
                "Deprecation",
                "Sunset",
                "Link",
                *rate_limit.HEADERS,
            ],
        ),
        openapi_config=OpenAPIConfig(
            title="ZMART",
            version="0.1.0",
            description=_DESCRIPTION,
            render_plugins=[openapi.Render()],
            tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        ),
        lifespan=[_lifespan],
        state=State({"settings": settings, "service_name": service_name, "dependencies": provided, "metrics": counted}),
        debug=False,
        # Logging is configured by the process; another configuration would bypass its masking of secrets.
        logging_config=None,
    )
    # Wraps the router, so that requests to unknown routes are logged as well.
    guarded = refused_origins.RefusedOrigins(application.asgi_handler, settings.api.cors_origins)
    application.asgi_handler = access_log.AccessLog(guarded, settings.api.trusted_proxies, counted.count_request)
    return application


async def _before_request(request: Request[Any, Any, State]) -> None:
    parameters.require_valid_text(request.scope)
    if request.method not in _METHODS_WITHOUT_BODY:
        parameters.require_valid_body(await request.body())
    etags.read_if_none_match(request.scope)


async def _notify_after_write(request: Request[Any, Any, State]) -> None:
    # The write is committed by now; if Postgres transports the change signal, this does nothing.
    if request.method not in _METHODS_WITHOUT_BODY and not request.route_handler.opt.get("is_read"):
        request.app.state.notifier.notify()


@contextlib.asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    """Start the objects that the process has one of, and close them in reverse order."""
    settings: Settings = app.state.settings
    dsn = settings.postgres.dsn("zmart_api")
    url = settings.api.broadcast_url
    counted: ApiMetrics = app.state.metrics
    tracer = tracing.open_tracer(settings, app.state.service_name)
    async with contextlib.AsyncExitStack() as stack:
        if tracer is not None:
            stack.callback(tracer.close)
        read_connections = await stack.enter_async_context(_connections(dsn, "zmart api", CONNECTIONS))
        database = ReadDatabase(read_connections, cache_bytes=settings.api.response_cache_mib << 20)
        # Streams have separate connections, so that bursts of requests do not delay streams, nor the reverse. New
        # entries have their own, so that clients which subscribe or resume do not delay what all others receive.
        read_url = settings.postgres.read_url
        read_dsn = dsn if read_url is None else read_url.reveal()
        hub_connections = await stack.enter_async_context(
            _connections(read_dsn, "zmart api hub", 1, WINDOW_QUERY_SETTINGS)
        )
        stream_connections = await stack.enter_async_context(
            _connections(read_dsn, "zmart api streams", CLIENT_READS, WINDOW_QUERY_SETTINGS)
        )
        change_signal = ChangeSignal(dsn, url.reveal() if url else None, is_for_standby=read_url is not None)
        standby_database, read_choice, primary = None, None, None
        if read_url is not None:
            standby_connections = await stack.enter_async_context(
                _connections(read_dsn, "zmart api standby", CONNECTIONS)
            )
            cache_bytes = settings.api.response_cache_mib << 20
            standby_database = ReadDatabase(standby_connections, cache_bytes=cache_bytes, fallback=database)
            read_choice = standby.ReadChoice(standby_database, database)
            primary = database
        app.state.notifier = await stack.enter_async_context(redis_notify.Notifier(url.reveal() if url else None))
        hub = Hub(
            LogReader(ReadDatabase(hub_connections), primary=primary, waits_for_standby=True),
            change_signal,
            client_reader=LogReader(ReadDatabase(stream_connections), primary=primary),
            # The other half of the files is for requests (api.__main__).
            most_clients=min(settings.api.streams, max(1, connections.file_limit() // 2 - connections.RESERVED_FILES)),
            most_per_address=settings.api.streams_per_address,
            metrics=counted.push,
            tracer=tracer,
        )
        wallet_writes = await stack.enter_async_context(writes.open_wallet_writes(dsn, database.invalidate_cache))
        node = await stack.enter_async_context(rpc.RpcClient.of(settings.chain, timeout_seconds=NODE_SECONDS))
        app.state.limiters = {
            tier: rate_limit.RateLimiter(
                _lease(database, tiers.per_minute(tier, settings), has_standby=read_url is not None)
            )
            for tier in tiers.FACTORS
        }
        app.state.second_limiter = rate_limit.SecondLimiter()
        find_key = api_keys.find_in_database(database.rows)
        if standby_database is not None:
            find_key = api_keys.find_with_standby(find_key, api_keys.find_in_database(standby_database.rows))
        keys = api_keys.ApiKeys(find_key)
        app.state.services = app.state.dependencies.services = dependencies.AppServices(
            settings=settings,
            database=database,
            standby=standby_database,
            read_choice=read_choice,
            readiness=tasks.SharedResult(
                lambda: readiness.read(standby_database or database), readiness.SHARED_SECONDS
            ),
            hub=hub,
            writes=wallet_writes,
            auth=AuthService(settings, wallet_writes, keys),
            chain=node,
            metrics=counted,
            started_at=time.monotonic(),
        )
        counted.register_connections({"reads": read_connections, "hub": hub_connections, "streams": stream_connections})
        counted.register_cache(database.cached_responses)
        counted.register_writes(lambda: wallet_writes.running_seconds)
        app.state.sql_executor = await stack.enter_async_context(executor.open_executor(settings))
        hub_task = asyncio.create_task(hub.run())
        stack.push_async_callback(tasks.cancel_and_wait, hub_task)
        stack.push_async_callback(tasks.cancel_and_wait, asyncio.create_task(keys.run()))
        stack.callback(hub.close)
        yield


def _lease(database: ReadDatabase, per_minute: int, *, has_standby: bool) -> rate_limit.Lease:
    """Return the lease of an allowance from Postgres; with a standby, from memory while the primary is away."""
    lease = rate_limit.postgres_lease(database, per_minute)
    return rate_limit.MemoryLease(lease, per_minute).lease if has_standby else lease


@contextlib.asynccontextmanager
async def _connections(
    dsn: str, name: str, most: int, session: Mapping[str, str] = QUERY_SETTINGS
) -> AsyncIterator[pool.Pool]:
    connections = pool.pool(
        dsn,
        application_name=name,
        min_size=min(2, most),
        max_size=most,
        max_waiting=MAX_WAITING_REQUESTS,
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        wait_seconds=CONNECTION_WAIT_SECONDS,
        # Every response is one statement, so it needs no transaction around it; ReadDatabase handles
        # dead connections.
        autocommit=True,
        check=False,
        prepare_threshold=0,
        session=session,
        context=raw_json_adapters(),
        on_connect=feed.check_identity,
    )
    await connections.open(wait=False)
    try:
        yield connections
    finally:
        await connections.close()
