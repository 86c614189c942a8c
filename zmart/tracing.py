"""Writes one OpenTelemetry trace for each commit: from the deliveries in ingest to the offer to the streams.

    commit                ingest: from the arrival of the first delivery to the end of the commit
      delivery            ingest: one for each delivery of the batch
      append              ingest: from handing the batch to the writer to the end of the commit
      push                each API process: from reading the commit's entries to their offer to the streams

The processes share no request that could carry a trace's id, and the log has no column for one. So every process
computes the ids from the mark of the commit, which is a part of its value in the chain of the log: the same in all
processes, and never the same for two commits.

Tracing is off unless OTEL_EXPORTER_OTLP_ENDPOINT is set. Then this module imports OpenTelemetry; before that it imports
nothing, and a caller's only cost is to compare its tracer with None.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zmart.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor

#: A batch has up to some hundred deliveries; further ones are counted in the span of the commit.
MOST_DELIVERIES: Final = 50
#: How long the end of a process waits for spans that are not sent yet.
FLUSH_SECONDS: Final = 1.5
#: When the request of this context arrived, on the clock of time.monotonic(); set only while tracing is on.
received_at: ContextVar[float | None] = ContextVar("received_at", default=None)
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class CommitTrace:
    """What ingest knows of a commit; all times in seconds."""

    epoch: str
    mark: str
    source: str
    first_seq: int
    last_seq: int
    transactions: int
    events: int
    #: From the arrival of each delivery to the end of the commit.
    delivery_seconds: Sequence[float]
    append_seconds: float
    #: Measured parts of the commit, by name.
    parts: Mapping[str, float] = field(default_factory=dict)


class CommitTracer:
    """Writes the spans of one process."""

    def __init__(self, processor: SpanProcessor, service_name: str) -> None:
        """Send spans to `processor`; `service_name` is the process's name in the traces."""
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        class PlannedIds(RandomIdGenerator):
            """Random ids, but those of the next span of a commit are set before."""

            planned: tuple[int, int] | None = None

            def is_trace_id_random(self) -> bool:
                """Return False: the ids of commits are computed."""
                return False

            def generate_trace_id(self) -> int:
                """Return the planned id of the trace, or a random one."""
                return self.planned[0] if self.planned else super().generate_trace_id()

            def generate_span_id(self) -> int:
                """Return the planned id of the span, or a random one."""
                return self.planned[1] if self.planned else super().generate_span_id()

        self._ids = PlannedIds()
        self._provider = TracerProvider(
            # A part of the spans of a trace is of no use, and the processes could not agree on the part.
            sampler=ALWAYS_ON,
            resource=Resource.create({SERVICE_NAME: service_name}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("zmart")

    def trace_commit(self, commit: CommitTrace) -> None:
        """Write the spans of a commit that ended now."""
        ended = time.time_ns()
        self._ids.planned = commit_ids(commit.epoch, commit.mark)
        root = self._tracer.start_span(
            "commit",
            context=_empty_context(),
            start_time=_before(ended, max([commit.append_seconds, *commit.delivery_seconds])),
            attributes={
                "zmart.source": commit.source,
                "zmart.epoch": commit.epoch,
                "zmart.first_seq": commit.first_seq,
                "zmart.last_seq": commit.last_seq,
                "zmart.transactions": commit.transactions,
                "zmart.events": commit.events,
                "zmart.deliveries": len(commit.delivery_seconds),
            },
        )
        self._ids.planned = None
        parent = _context(commit.epoch, commit.mark)
        for seconds in commit.delivery_seconds[:MOST_DELIVERIES]:
            self._tracer.start_span("delivery", context=parent, start_time=_before(ended, seconds)).end(ended)
        self._tracer.start_span(
            "append",
            context=parent,
            start_time=_before(ended, commit.append_seconds),
            attributes={f"zmart.{name}": seconds for name, seconds in commit.parts.items()},
        ).end(ended)
        root.end(ended)

    def trace_push(self, epoch: str, marks: Sequence[str], *, seconds: float, streams: int) -> None:
        """Write a span for each commit whose entries were offered to the streams just now."""
        ended = time.time_ns()
        for mark in marks:
            self._tracer.start_span(
                "push",
                context=_context(epoch, mark),
                start_time=_before(ended, seconds),
                attributes={"zmart.epoch": epoch, "zmart.streams": streams},
            ).end(ended)

    def close(self) -> None:
        """Send what is not sent yet, for a short time; a collector that is away does not delay the end."""
        flushing = threading.Thread(target=self._provider.force_flush, name="flush of traces", daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)


def open_tracer(settings: Settings, service_name: str) -> CommitTracer | None:
    """Return the tracer of a process, or None where OTEL_EXPORTER_OTLP_ENDPOINT is not set."""
    endpoint = settings.otlp_endpoint
    if endpoint is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    headers = settings.otlp_headers
    exporter = OTLPSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces", headers=_parse_headers(headers.reveal()) if headers else None
    )
    return CommitTracer(BatchSpanProcessor(exporter), f"zmart-{service_name}")


def commit_ids(epoch: str, mark: str) -> tuple[int, int]:
    """Return the ids of the trace and of the root span of a commit, by its epoch and mark."""
    digest = hashlib.sha256(f"zmart commit {epoch} {mark}".encode()).digest()
    # Zero is no valid id.
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


def _context(epoch: str, mark: str) -> Context:
    from opentelemetry import trace

    trace_id, span_id = commit_ids(epoch, mark)
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    parent = trace.NonRecordingSpan(trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))
    return trace.set_span_in_context(parent, _empty_context())


def _empty_context() -> Context:
    from opentelemetry.context import Context

    return Context()


def _before(ended: int, seconds: float) -> int:
    return ended - int(seconds * _NANOSECONDS)


def _parse_headers(text: str) -> dict[str, str]:
    """Return the headers of `name=value,name=value`."""
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
