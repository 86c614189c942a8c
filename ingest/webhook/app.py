"""Serves the webhook endpoint: verifies, reads, decodes and commits a delivery, then acknowledges it.

    POST /helius/webhook   (also /api/webhooks/helius)
        200  committed, with fsync; an empty array is committed at once
        400  no whole, well-formed request
        401  no proof, or a wrong one            413  more than 32 MB, sent before the body is read whole
        408  the body took too long to arrive    422  not a JSON array of transactions
        503  anything else: deliver again after Retry-After

The proof in a header is checked before the body is read. A signature needs the body, whose size is then limited all the
same. Bytes count against the pipeline's byte budget while they arrive, so many concurrent senders get 503 instead of
exhausting the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException, HTTPException, InternalServerException
from litestar.types import ControllerRouterHandler

from zmart import errors, settings, tracing
from zmart.http import client_address
from zmart.http import metrics as http_metrics
from zmart.tasks import run_within

from ..decode import delivery_body
from ..decode.decoder import DecodedDelivery, Decoder
from ..keeper_watch import KeeperWatch
from ..log_stats import LogStats
from ..metrics import Metrics
from ..notification_watch import NotificationWatch
from ..store.byte_budget import ByteBudget, Reservation
from ..store.group_commit import Pipeline
from ..store.mart_retries import MartRetrier
from ..sync.database import SyncDatabase
from ..sync.sources import Intake, Source, run_sources
from ..sync.task import SyncTask
from . import problems
from .auth import SIGNATURE_HEADER, Verifier

log = structlog.get_logger()

WEBHOOK_PATHS = ["/helius/webhook", "/api/webhooks/helius"]
BODY_LIMIT_BYTES = 32 << 20
#: Memory budgets for signed bodies before verification. Anybody may send those, so they must not use the budget of
#: verified deliveries. The largest delivery of one address has to fit, beside one of another.
UNVERIFIED_BYTES = 2 * BODY_LIMIT_BYTES
#: Bodies up to this size, which almost all deliveries are, have a budget of their own.
SMALL_BODY_BYTES = 1 << 20
SMALL_BODIES_BYTES = 32 << 20
SMALL_SHARE_BYTES = SMALL_BODIES_BYTES // 4
#: Helius gives up after one second; a slower sender occupies memory that others need.
BODY_SECONDS = 30.0
#: Items decoded before other requests get their turn, about a millisecond.
DECODE_CHUNK = 25
#: Larger bodies are split in a thread, because it takes a millisecond or more.
LARGE_BODY_BYTES = 1 << 20
CHECK_SECONDS = 2.0
#: A commit takes milliseconds. One that takes this long makes the server not ready, within ten seconds of its begin.
STUCK_COMMIT_SECONDS = 5.0
#: How long the server reports not ready after a failed commit.
UNREADY_AFTER_FAILURE_SECONDS = 10.0

#: Raises a ZmartError that describes the fault that it finds.
Check: TypeAlias = Callable[[], Coroutine[Any, Any, object]]
AnyRequest: TypeAlias = Request[Any, Any, State]
Answer: TypeAlias = Response[Any]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that a server consists of."""

    verifier: Verifier
    decoder: Decoder
    pipeline: Pipeline
    #: The cluster's name, for /health.
    environment: str
    #: Readiness checks besides the pipeline, by name.
    checks: Mapping[str, Check] = field(default_factory=dict)
    #: The task that completes and proves the log; without one, completeness is not reported.
    sync_task: SyncTask | None = None
    #: Sources of transactions besides deliveries, and the database that stores their alerts.
    sources: Sequence[Source] = ()
    database: SyncDatabase | None = None
    #: Allows reading metrics from elsewhere than loopback.
    metrics_token: str | None = None
    #: How long a stop waits for the queue to be committed.
    grace_seconds: float = 1.5
    #: Statistics of the log from the database, for metrics; without it they are not reported.
    log_stats: LogStats | None = None
    #: The task that retries marts which are behind.
    mart_retrier: MartRetrier | None = None
    #: The task that finds keepers which do not run.
    keeper_watch: KeeperWatch | None = None
    #: The task that ends analysts' sessions which fill the server's queue of notifications.
    notification_watch: NotificationWatch | None = None
    #: Memory budgets for bodies until their signature is verified: the large ones, and the small ones.
    unverified_budget: ByteBudget = field(
        default_factory=lambda: ByteBudget(UNVERIFIED_BYTES, share_bytes=BODY_LIMIT_BYTES)
    )
    small_budget: ByteBudget = field(
        default_factory=lambda: ByteBudget(SMALL_BODIES_BYTES, share_bytes=SMALL_SHARE_BYTES)
    )
    #: Their X-Forwarded-For is read.
    trusted_proxies: Sequence[settings.Network] = ()
    body_limit_bytes: int = BODY_LIMIT_BYTES
    body_seconds: float = BODY_SECONDS

    @property
    def metrics(self) -> Metrics:
        """The metrics of the server, which are the pipeline's."""
        return self.pipeline.metrics

    @property
    def intake(self) -> Intake:
        """The entry to which every source submits its transactions, deliveries included."""
        return Intake(self.decoder, self.pipeline)


def create_app(parts: Parts) -> Litestar:
    """Return the application; it starts the pipeline at startup and drains it at shutdown."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        parts.pipeline.start()
        if parts.sync_task is not None:
            parts.sync_task.start()
        if parts.mart_retrier is not None:
            parts.mart_retrier.start()
        if parts.keeper_watch is not None:
            parts.keeper_watch.start()
        if parts.notification_watch is not None:
            parts.notification_watch.start()
        try:
            async with run_sources(parts.sources, parts.intake, parts.database):
                yield
        finally:
            if parts.sync_task is not None:
                await parts.sync_task.stop()
            if parts.mart_retrier is not None:
                await parts.mart_retrier.stop()
            if parts.keeper_watch is not None:
                await parts.keeper_watch.stop()
            if parts.notification_watch is not None:
                await parts.notification_watch.stop()
            await parts.pipeline.close(parts.grace_seconds)
            if parts.pipeline.tracer is not None:
                parts.pipeline.tracer.close()
            if parts.log_stats is not None:
                await parts.log_stats.close()

    return Litestar(
        HANDLERS,
        state=State({"parts": parts, "receiver": Receiver(parts), "began": time.monotonic()}),
        lifespan=[lifespan],
        # The receiver enforces the limit itself, to respond with a problem and to reserve bytes meanwhile.
        request_max_body_size=None,
        openapi_config=None,
        # Logging is configured by the process (zmart.log): Litestar's would remove the masking of secrets.
        logging_config=None,
        exception_handlers={HTTPException: _handle_http_error, Exception: _handle_unexpected},
    )


@post(WEBHOOK_PATHS, status_code=200)
async def webhook(request: AnyRequest, state: State) -> Answer:
    """Receive a delivery."""
    receiver: Receiver = state["receiver"]
    return await receiver.receive(request)


@get("/health")
async def health(state: State) -> dict[str, str | float]:
    """Report that the process runs, without checking its dependencies."""
    return {
        "status": "healthy",
        "service": "event-indexer",
        "timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        "uptime": round(time.monotonic() - state["began"], 3),
        "environment": state["parts"].environment,
    }


@get("/ready")
async def ready(request: AnyRequest, state: State) -> Answer:
    """Report whether a delivery would be committed now, and if not, why.

    The texts of errors name nodes and hosts: they are for callers on this machine or with the token.
    """
    parts: Parts = state["parts"]
    has_texts = _may_read_details(request, parts)
    reasons = await readiness_problems(parts, has_texts=has_texts)
    content: dict[str, Any] = {"status": "unready" if reasons else "ready", "reasons": reasons}
    if parts.sync_task is not None:
        completeness = dataclasses.asdict(parts.sync_task.completeness)
        content["completeness"] = completeness if has_texts else completeness | {"reason": None}
    content["per_minute"] = parts.metrics.rates()
    content["sources"] = parts.metrics.race.as_json()
    if parts.log_stats is not None:
        content["size"] = await _read_size(parts.log_stats)
    return Response(content, status_code=503 if reasons else 200)


async def _read_size(log_stats: LogStats) -> dict[str, Any]:
    """Return the size of the database, and per million events, in bytes."""
    stats = await log_stats.refresh()
    return {"bytes": stats.database_bytes, "bytes_per_million_events": stats.bytes_per_million_events}


@get("/metrics")
async def metrics(request: AnyRequest, state: State) -> Answer:
    """Return the counters for Prometheus, to callers on this machine or with the token."""
    parts: Parts = state["parts"]
    if not _may_read_details(request, parts):
        return problems.problem(403, "forbidden", http_metrics.FORBIDDEN_MESSAGE)
    if parts.log_stats is not None:
        await parts.log_stats.refresh()
    return Response(parts.metrics.render(), media_type=http_metrics.CONTENT_TYPE)


HANDLERS: Sequence[ControllerRouterHandler] = [webhook, health, ready, metrics]


class Receiver:
    """Receives deliveries, one call each."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        unverified_budget, small_budget, log_stats = parts.unverified_budget, parts.small_budget, parts.log_stats
        about = "Bytes of signed deliveries that are not verified yet."
        parts.metrics.register_byte_gauge(
            "unproven_bytes", about, lambda: unverified_budget.used_bytes + small_budget.used_bytes
        )
        if (watch := parts.keeper_watch) is not None:
            parts.metrics.register_keepers(lambda: watch.states)
        if log_stats is not None:
            parts.metrics.register_log_stats(lambda: log_stats.latest)
        #: Only one delivery is decoded at a time. If a hundred deliveries took a turn each between two checks of the
        #: database's response, the writer, and every process that waits for its lock, would be idle for a tenth of a
        #: second.
        self._decode_lock = asyncio.Lock()

    async def receive(self, request: AnyRequest) -> Answer:
        """Return the response to a delivery. Never raises, because an exception would become a response of 500."""
        began = time.monotonic()
        if self._parts.pipeline.tracer is not None:
            tracing.received_at.set(began)
        answer = await self._receive(request)
        if answer.status_code in _COUNTED_STATUSES:
            self._parts.metrics.count_answer(time.monotonic() - began)
        return answer

    async def _receive(self, request: AnyRequest) -> Answer:
        reservation = self._parts.pipeline.budget.reserve()
        try:
            await self._deliver(request, reservation)
        except _DeliveryRefused as refusal:
            return self._refuse(refusal, request)
        except errors.Transient as exc:
            log.warning("delivery_not_committed", reason=str(exc))
            return self._fail(exc)
        except ClientException as exc:
            # For example a Content-Length that is not a number, if the server in front accepted it.
            return self._refuse(
                _DeliveryRefused(400, "bad_request", f"The request is malformed: {exc.detail}."), request
            )
        except InternalServerException:
            # The server raises this when a sender disconnects in the middle of the body.
            return self._refuse(_DeliveryRefused(400, "incomplete", "The body is incomplete."), request)
        except Exception as exc:
            log.exception("delivery_failed")
            return self._fail(exc)
        finally:
            reservation.release()
        self._parts.metrics.count_delivery("committed")
        return Response({"success": True}, status_code=200)

    async def _deliver(self, request: AnyRequest, reservation: Reservation) -> None:
        body = await self._read_verified_body(request, reservation)
        decoded = await self._decode(body)
        self._parts.metrics.ignored.inc(decoded.ignored)
        await self._parts.intake.submit_decoded(decoded, source="webhook", reservation=reservation)

    async def _read_verified_body(self, request: AnyRequest, reservation: Reservation) -> bytes:
        verifier, signature = self._parts.verifier, request.headers.get(SIGNATURE_HEADER)
        is_authorized = verifier.is_authorized(request.headers.get("authorization"))
        if not is_authorized and not verifier.can_verify(signature):
            raise _DeliveryRefused(401, "unauthorized", _UNVERIFIED_MESSAGE)
        if is_authorized:
            return await self._read_body(request, reservation)
        address = client_address.network(client_address.address(request.scope, self._parts.trusted_proxies))
        unverified = self._parts.small_budget.reserve(address)
        try:
            body = await self._read_body(request, unverified, is_small=True)
            if not verifier.is_signed(signature, body):
                raise _DeliveryRefused(401, "unauthorized", _UNVERIFIED_MESSAGE)
            reservation.grow(len(body))
        finally:
            unverified.release()
        return body

    async def _read_body(self, request: AnyRequest, reservation: Reservation, *, is_small: bool = False) -> bytes:
        """Return the body; one that outgrows the budget of small bodies moves to the other."""
        limit = self._parts.body_limit_bytes
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise _too_large_error(limit)
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._parts.body_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise _too_large_error(limit)
                    if is_small and size > SMALL_BODY_BYTES:
                        reservation.move_to(self._parts.unverified_budget)
                        is_small = False
                    reservation.grow(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise _DeliveryRefused(408, "timeout", "The body took too long to arrive.") from None
        return b"".join(chunks)

    async def _decode(self, body: bytes) -> DecodedDelivery:
        """Decode everything in a body, a few items at a time so that other requests get their turn."""
        try:
            is_large = len(body) > LARGE_BODY_BYTES
            items = (
                await asyncio.to_thread(delivery_body.split_items, body)
                if is_large
                else delivery_body.split_items(body)
            )
        except errors.InvalidInput as exc:
            raise _DeliveryRefused(422, "not_transactions", str(exc)) from None
        decoded = DecodedDelivery()
        for start in range(0, len(items), DECODE_CHUNK):
            async with self._decode_lock:
                for item in items[start : start + DECODE_CHUNK]:
                    decoded.add(self._parts.decoder.decode_item(item))
                await asyncio.sleep(0)
        return decoded

    def _refuse(self, refusal: _DeliveryRefused, request: AnyRequest) -> Answer:
        self._parts.metrics.count_delivery(refusal.code, refusal.status)
        client = request.client.host if request.client else None
        log.warning("delivery_refused", status=refusal.status, code=refusal.code, client=client)
        return problems.problem(refusal.status, refusal.code, str(refusal))

    def _fail(self, error: Exception) -> Answer:
        code, answer = problems.unavailable(error)
        self._parts.metrics.count_delivery(code, 503)
        return answer


#: Answers whose time depends on us; a refused delivery may have been slow to arrive.
_COUNTED_STATUSES = frozenset({200, 503})
_UNVERIFIED_MESSAGE = (
    "The delivery has no valid proof of its origin: send the webhook's authHeader as Authorization, or the "
    f"HMAC-SHA256 of the body in {SIGNATURE_HEADER}."
)


class _DeliveryRefused(Exception):
    """A delivery that can never succeed as it was sent."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


def _too_large_error(limit_bytes: int) -> _DeliveryRefused:
    return _DeliveryRefused(413, "too_large", f"A delivery has at most {limit_bytes >> 20} MB.")


_SEE_LOG = "it failed; the log has the reason."


async def readiness_problems(parts: Parts, *, has_texts: bool = True) -> list[str]:
    """Return why deliveries would not be committed now, one sentence each; empty when they would be.

    Without `has_texts`, an error is replaced by a reference to the log.
    """
    reasons = [f"writer: {reason}" for reason in _writer_reasons(parts.pipeline)]
    reasons += _full_budget_reasons(parts)
    if parts.sync_task is not None and parts.sync_task.completeness.state == "refused":
        reasons.append(f"chain: {parts.sync_task.completeness.reason if has_texts else _SEE_LOG}")
    for name, check in parts.checks.items():
        try:
            await run_within(CHECK_SECONDS, check())
        except TimeoutError:
            reasons.append(f"{name}: no answer within {CHECK_SECONDS:g} seconds.")
        except errors.ZmartError as exc:
            reasons.append(f"{name}: {exc if has_texts else _SEE_LOG}")
        except Exception:
            log.exception("readiness_check_failed", check=name)
            reasons.append(f"{name}: the check failed; the log contains the reason.")
    return reasons


def _writer_reasons(pipeline: Pipeline) -> list[str]:
    if not pipeline.is_open:
        return ["it has stopped."]
    if pipeline.busy_seconds > STUCK_COMMIT_SECONDS:
        return [f"the current commit has not ended for {pipeline.busy_seconds:.0f} seconds. See: zmart logs postgres"]
    seconds = pipeline.seconds_since_failure
    if seconds is not None and seconds < UNREADY_AFTER_FAILURE_SECONDS:
        return ["the last commit failed."]
    return []


def _full_budget_reasons(parts: Parts) -> Iterator[str]:
    """Yield a sentence for each budget that rejects deliveries or soon will.

    A sender gets 503 and retries, but an operator should know.
    """
    budgets = {
        "room": parts.pipeline.budget,
        "memory for signed deliveries": parts.unverified_budget,
        "memory for small signed deliveries": parts.small_budget,
    }
    yield from (_describe_full(name, budget) for name, budget in budgets.items() if budget.is_full)


def _describe_full(name: str, budget: ByteBudget) -> str:
    used, limit = budget.used_bytes / 2**20, budget.limit_bytes / 2**20
    return f"{name}: {used:.1f} of {limit:.1f} MB are in use; more deliveries are rejected until some are committed."


def _may_read_details(request: AnyRequest, parts: Parts) -> bool:
    """Return whether the caller is on this machine or has the token, so that it may read metrics and texts."""
    return http_metrics.may_read(request.client.host if request.client else None, request.headers, parts.metrics_token)


def _handle_http_error(request: AnyRequest, exc: HTTPException) -> Answer:
    if exc.status_code >= 500:
        return _handle_unexpected(request, exc)
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "refused")
    return problems.problem(exc.status_code, code, exc.detail)


def _handle_unexpected(request: AnyRequest, exc: Exception) -> Answer:
    log.error("request_failed", path=request.url.path, exc_info=exc)
    return problems.unavailable(exc)[1]
