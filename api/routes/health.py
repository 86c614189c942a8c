"""Reports liveness, readiness and the status of the log."""

from __future__ import annotations

import datetime
from typing import Any, Final

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.openapi import ResponseSpec

from zmart.db import locks

from .. import response_docs, schemas
from ..dependencies import AppServices, FromAuth, FromDatabase, FromServices, uptime_seconds
from ..reads import statements

#: Service names that earlier monitors expect.
SERVICES = {"api": "api-gateway", "ws": "websocket-server"}
#: A status is read from the log each time, and never cached. The path without the prefix counts as well.
_STATUS_WEIGHT: Final = {"weight": 1}
#: The listener polls every second; after this time without an answer, it counts as disconnected.
SILENCE_SECONDS = 10.0


@get("/health", tags=["status"], summary="Check that the process runs", responses=response_docs.problems())
async def health(services: FromServices, state: State) -> schemas.Health:
    """Report only liveness; /ready reports whether requests can be answered."""
    return schemas.Health(
        status="healthy",
        service=SERVICES[state.service_name],
        timestamp=datetime.datetime.now(datetime.UTC).isoformat(),
        uptime=round(uptime_seconds(services), 3),
        environment=services.settings.chain.cluster.value,
    )


@get(
    "/ready",
    tags=["status"],
    summary="Check that requests can be answered",
    responses={
        **response_docs.problems(),
        503: ResponseSpec(schemas.Readiness, description="Not ready; the response lists the reasons."),
    },
)
async def ready(services: FromServices, state: State) -> Response[schemas.Readiness]:
    """Return 200, or 503 with reasons."""
    position, _, warnings = await services.readiness.get()
    reasons = await readiness_problems(services)
    body = schemas.Readiness(
        status="unready" if reasons else "ready",
        service=SERVICES[state.service_name],
        reasons=reasons,
        warnings=list(warnings),
        epoch=None if position is None else position.epoch,
        seq=None if position is None else position.seq,
        position=None if position is None else str(position),
        streams=services.hub.streams,
    )
    return Response(body, status_code=503 if reasons else 200)


@get(
    ["/api/status", "/status"],
    tags=["status"],
    summary="Get the state of the log and its marts",
    opt=_STATUS_WEIGHT,
    responses=response_docs.read_responses(),
)
async def status(request: Request[Any, Any, State], database: FromDatabase, auth: FromAuth) -> Response[schemas.Status]:
    """Return position, lag, stale marts, dead letters, open alerts, and how far completeness is proven.

    Everybody sees the kinds and counts of alerts, and the state of each mart. The texts of alerts and errors name
    signatures, hosts and reasons, so they are for operators: METRICS_TOKEN, or the access token of a wallet of
    OPERATOR_WALLETS, as a bearer token.
    """
    has_texts = auth.is_operator(request.headers.get("authorization", ""))
    return await database.answer(statements.compose("status"), {"has_texts": has_texts}, is_cacheable=False)


async def readiness_problems(services: AppServices) -> list[str]:
    """Return why requests cannot be answered now, one sentence each; empty when they can."""
    _, found, _ = await services.readiness.get()
    reasons = [*found, *_stream_problems(services)]
    if services.writes.running_seconds > locks.STUCK_SECONDS:
        reasons.append(f"A write has not been committed for {services.writes.running_seconds:.0f} seconds.")
    return reasons


def _stream_problems(services: AppServices) -> list[str]:
    hub = services.hub
    if hub.stall_reason is not None:
        return [f"The streams are stopped: {hub.stall_reason}"]
    if hub.position is None:
        return ["The streams have not started: the end of the log is not known yet."]
    if hub.silent_seconds > SILENCE_SECONDS:
        return ["The streams may be stopped: no poll of the feed has succeeded for ten seconds."]
    return []


HANDLERS = [health, ready, status]
