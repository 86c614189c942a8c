"""The HTTP side of ingest: a delivery is proven, read, decoded, committed, then acknowledged.

    POST /helius/webhook   (also /api/webhooks/helius)
        200  committed, with fsync; an empty array is committed at once
        400  no whole, well-formed request
        401  no proof, or a wrong one            413  more than 32 MB, said before it is read whole
        408  the body took too long to arrive    422  not a JSON array of transactions
        503  anything else: deliver again after Retry-After

The proof in a header is looked at before the body; a signature needs the body, which is then
bounded all the same. Bytes count against the pipeline's room while they arrive, so many senders at
once get 503 rather than all the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import hmac
import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException, HTTPException, InternalServerException
from litestar.types import ControllerRouterHandler

from zmart import errors

from ..decode import delivery_body
from ..decode.decoder import Decoded, Decoder
from ..log_stats import Look
from ..metrics import Metrics
from ..store.behind_marts import BehindMarts
from ..store.group_commit import Hold, Pipeline, Room
from ..sync.database import Notebook
from ..sync.sources import Intake, Source, running
from ..sync.task import Watch
from . import problems
from .auth import SIGNATURE_HEADER, Verifier

log = structlog.get_logger()

WEBHOOK_PATHS = ["/helius/webhook", "/api/webhooks/helius"]
BODY_LIMIT_BYTES = 32 << 20
#: Room for bodies whose proof is in them: anybody may send those, so they must not take the room of proven ones. The
#: greatest delivery has to fit.
UNPROVEN_BYTES = BODY_LIMIT_BYTES
#: Helius gives up after seconds; whoever takes longer holds room that others need.
BODY_SECONDS = 30.0
#: Items decoded before others get their turn, about a millisecond.
TURN = 25
#: Bodies beyond this are split by a thread: it takes a millisecond or more.
LARGE_BODY_BYTES = 1 << 20
CHECK_SECONDS = 2.0
#: How long after a failed commit the server calls itself not ready.
FAILURE_SECONDS = 10.0

#: Raises a ZmartError that says what is not as it should be.
Check: TypeAlias = Callable[[], Awaitable[object]]
AnyRequest: TypeAlias = Request[Any, Any, State]
Answer: TypeAlias = Response[Any]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a server is made of."""

    verifier: Verifier
    decoder: Decoder
    pipeline: Pipeline
    #: The cluster's name, for /health.
    environment: str
    #: What readiness asks besides the pipeline, by name.
    checks: Mapping[str, Check] = field(default_factory=dict)
    #: The task that completes and proves the log; without one nothing is said about that.
    watch: Watch | None = None
    #: What brings transactions besides deliveries, and where they say that they cannot.
    sources: Sequence[Source] = ()
    notebook: Notebook | None = None
    #: Lets metrics be read from elsewhere than loopback.
    metrics_token: str | None = None
    #: How long a stop waits for what is queued.
    grace_seconds: float = 1.5
    #: What the database says of the log, for metrics; without it nothing is said about that.
    look: Look | None = None
    #: The task that retries marts which are behind.
    behind: BehindMarts | None = None
    #: Where bodies stay until their signature is proven.
    unproven: Room = field(default_factory=lambda: Room(UNPROVEN_BYTES))
    body_limit_bytes: int = BODY_LIMIT_BYTES
    body_seconds: float = BODY_SECONDS

    @property
    def metrics(self) -> Metrics:
        """The pipeline's counters are the server's."""
        return self.pipeline.metrics

    @property
    def intake(self) -> Intake:
        """What every source brings its transactions to, deliveries included."""
        return Intake(self.decoder, self.pipeline)


def create_app(parts: Parts) -> Litestar:
    """The application; it starts the pipeline and drains it when it stops."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        parts.pipeline.start()
        if parts.watch is not None:
            parts.watch.start()
        if parts.behind is not None:
            parts.behind.start()
        try:
            async with running(parts.sources, parts.intake, parts.notebook):
                yield
        finally:
            if parts.watch is not None:
                await parts.watch.stop()
            if parts.behind is not None:
                await parts.behind.stop()
            await parts.pipeline.close(parts.grace_seconds)
            if parts.look is not None:
                await parts.look.close()

    return Litestar(
        HANDLERS,
        state=State({"parts": parts, "receiver": Receiver(parts), "began": time.monotonic()}),
        lifespan=[lifespan],
        # The receiver counts by itself, to answer with a problem and to hold room meanwhile.
        request_max_body_size=None,
        openapi_config=None,
        # Logging is the process's own (zmart.log): Litestar's would replace the mask of secrets.
        logging_config=None,
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
    )


@post(WEBHOOK_PATHS, status_code=200)
async def webhook(request: AnyRequest, state: State) -> Answer:
    """Take a delivery."""
    receiver: Receiver = state["receiver"]
    return await receiver.receive(request)


@get("/health")
async def health(state: State) -> dict[str, str | float]:
    """Say that the process runs, and nothing about what it stands on."""
    return {
        "status": "healthy",
        "service": "event-indexer",
        "timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        "uptime": round(time.monotonic() - state["began"], 3),
        "environment": state["parts"].environment,
    }


@get("/ready")
async def ready(state: State) -> Answer:
    """Say whether a delivery would be committed now, and if not, why."""
    parts: Parts = state["parts"]
    reasons = await unreadiness(parts)
    content: dict[str, Any] = {"status": "unready" if reasons else "ready", "reasons": reasons}
    if parts.watch is not None:
        content["completeness"] = dataclasses.asdict(parts.watch.standing)
    content["per_minute"] = parts.metrics.rates()
    if parts.look is not None:
        seen = await parts.look.again()
        content["size"] = {"bytes": seen.database_bytes, "bytes_per_million_events": seen.bytes_per_million_events}
    return Response(content, status_code=503 if reasons else 200)


@get("/metrics")
async def metrics(request: AnyRequest, state: State) -> Answer:
    """Counters for Prometheus, to callers on this machine or with the token."""
    parts: Parts = state["parts"]
    if not (_is_local(request) or _has_token(request, parts.metrics_token)):
        detail = "Metrics are for this machine; elsewhere they need METRICS_TOKEN as a bearer token."
        return problems.problem(403, "forbidden", detail)
    if parts.look is not None:
        await parts.look.again()
    return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


HANDLERS: Sequence[ControllerRouterHandler] = [webhook, health, ready, metrics]


class Receiver:
    """Takes deliveries, one call each."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        unproven, look = parts.unproven, parts.look
        about = "Bytes of signed deliveries whose signature is not proven yet."
        parts.metrics.watch_room("unproven_bytes", about, lambda: unproven.used_bytes)
        if look is not None:
            parts.metrics.watch_condition(lambda: look.seen)
        #: One delivery is decoded at a time. A hundred that take a turn each between two looks at the database's answer
        #: would let the writer, and everyone who waits for its lock, stand still for a tenth of a second.
        self._decoding = asyncio.Lock()

    async def receive(self, request: AnyRequest) -> Answer:
        """The answer to a delivery; never an exception, for that would be an answer of 500."""
        hold = self._parts.pipeline.room.hold()
        try:
            await self._deliver(request, hold)
        except _Refused as refusal:
            return self._refuse(refusal, request)
        except errors.Transient as exc:
            log.warning("delivery not committed", reason=str(exc))
            return self._fail(exc)
        except ClientException as exc:
            # Such as a Content-Length that is no number, where the server in front let it pass.
            return self._refuse(_Refused(400, "bad_request", f"The request is malformed: {exc.detail}."), request)
        except InternalServerException:
            # The server's words for a sender that hung up in the middle of the body.
            return self._refuse(_Refused(400, "incomplete", "The body did not end."), request)
        except Exception as exc:
            log.exception("delivery failed")
            return self._fail(exc)
        finally:
            hold.release()
        self._parts.metrics.count_delivery("committed")
        return Response({"success": True})

    async def _deliver(self, request: AnyRequest, hold: Hold) -> None:
        body = await self._proven_body(request, hold)
        decoded = await self._decoded(body)
        self._parts.metrics.ignored.inc(decoded.ignored)
        await self._parts.intake.take(decoded, source="webhook", hold=hold)

    async def _proven_body(self, request: AnyRequest, hold: Hold) -> bytes:
        verifier, signature = self._parts.verifier, request.headers.get(SIGNATURE_HEADER)
        known = verifier.knows(request.headers.get("authorization"))
        if not known and not verifier.may_sign(signature):
            raise _Refused(401, "unauthorized", _UNPROVEN)
        if known:
            return await self._body(request, hold)
        unproven = self._parts.unproven.hold()
        try:
            body = await self._body(request, unproven)
            if not verifier.signed(signature, body):
                raise _Refused(401, "unauthorized", _UNPROVEN)
            hold.grow(len(body))
        finally:
            unproven.release()
        return body

    async def _body(self, request: AnyRequest, hold: Hold) -> bytes:
        limit = self._parts.body_limit_bytes
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise _too_large(limit)
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._parts.body_seconds):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise _too_large(limit)
                    hold.grow(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise _Refused(408, "timeout", "The body took too long to arrive.") from None
        return b"".join(chunks)

    async def _decoded(self, body: bytes) -> Decoded:
        """Everything in a body, a few items at a time so that other requests get their turn."""
        try:
            is_large = len(body) > LARGE_BODY_BYTES
            items = await asyncio.to_thread(delivery_body.items, body) if is_large else delivery_body.items(body)
        except errors.InvalidInput as exc:
            raise _Refused(422, "not_transactions", str(exc)) from None
        decoded = Decoded()
        for start in range(0, len(items), TURN):
            async with self._decoding:
                for item in items[start : start + TURN]:
                    decoded.add(self._parts.decoder.item(item))
                await asyncio.sleep(0)
        return decoded

    def _refuse(self, refusal: _Refused, request: AnyRequest) -> Answer:
        self._parts.metrics.count_delivery(refusal.code, refusal.status)
        client = request.client.host if request.client else None
        log.warning("delivery refused", status=refusal.status, code=refusal.code, client=client)
        return problems.problem(refusal.status, refusal.code, str(refusal))

    def _fail(self, error: Exception) -> Answer:
        code, answer = problems.unavailable(error)
        self._parts.metrics.count_delivery(code, 503)
        return answer


_UNPROVEN = (
    "The delivery does not prove where it comes from: send the webhook's authHeader as "
    f"Authorization, or the HMAC-SHA256 of the body in {SIGNATURE_HEADER}."
)


class _Refused(Exception):
    """What can never succeed as it was sent."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


def _too_large(limit_bytes: int) -> _Refused:
    return _Refused(413, "too_large", f"A delivery has at most {limit_bytes >> 20} MB.")


async def unreadiness(parts: Parts) -> list[str]:
    """Why deliveries would not be committed now, one sentence each; empty when they would."""
    reasons = [f"writer: {reason}" for reason in _writer_reasons(parts.pipeline)]
    reasons += _full(parts)
    if parts.watch is not None and parts.watch.standing.state == "refused":
        reasons.append(f"chain: {parts.watch.standing.reason}")
    for name, check in parts.checks.items():
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except TimeoutError:
            reasons.append(f"{name}: no answer within {CHECK_SECONDS:g} seconds.")
        except errors.ZmartError as exc:
            reasons.append(f"{name}: {exc}")
        except Exception:
            log.exception("readiness check failed", check=name)
            reasons.append(f"{name}: the check failed; the log says why.")
    return reasons


def _writer_reasons(pipeline: Pipeline) -> list[str]:
    if not pipeline.is_open:
        return ["it has stopped."]
    seconds = pipeline.seconds_since_failure
    if seconds is not None and seconds < FAILURE_SECONDS:
        return ["the last commit failed."]
    return []


def _full(parts: Parts) -> Iterator[str]:
    """Rooms that refuse, or will: a sender is told 503 and comes again, but somebody should know."""
    for name, room in (("room", parts.pipeline.room), ("room for signed deliveries", parts.unproven)):
        if room.is_full:
            used, limit = room.used_bytes / 2**20, room.limit_bytes / 2**20
            yield f"{name}: {used:.1f} of {limit:.1f} MB are in hand; more is refused until some is committed."


def _is_local(request: AnyRequest) -> bool:
    """Whether the caller is this machine, and not a proxy on it that speaks for another."""
    if request.client is None or request.headers.get("x-forwarded-for"):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _has_token(request: AnyRequest, token: str | None) -> bool:
    given = request.headers.get("authorization", "").encode("latin-1", "replace")
    return token is not None and hmac.compare_digest(given, f"Bearer {token}".encode())


def _http_error(request: AnyRequest, exc: HTTPException) -> Answer:
    if exc.status_code >= 500:
        return _unexpected(request, exc)
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "refused")
    return problems.problem(exc.status_code, code, exc.detail)


def _unexpected(request: AnyRequest, exc: Exception) -> Answer:
    log.error("request failed", path=request.url.path, exc_info=exc)
    return problems.unavailable(exc)[1]
