"""Traces: one for each commit, the same in every process, and nothing at all while tracing is off."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zmart import settings, tracing
from zmart.tracing import CommitTrace, CommitTracer

OFF = """
import sys
import api.app, api.__main__, ingest.__main__
from zmart import settings, tracing
assert tracing.open_tracer(settings.load({}), "api") is None
print([name for name in sys.modules if name.split(".")[0] == "opentelemetry"])
"""
SECOND = 1_000_000_000


def commit(mark: str = "00ff", deliveries: tuple[float, ...] = (0.02, 0.01)) -> CommitTrace:
    """A commit of two events."""
    return CommitTrace(
        epoch="e",
        mark=mark,
        source="webhook",
        first_seq=3,
        last_seq=4,
        transactions=2,
        events=2,
        delivery_seconds=deliveries,
        append_seconds=0.005,
        parts={"folds_seconds": 0.001},
    )


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """What all processes of the test send their spans to."""
    return InMemorySpanExporter()


def process(exporter: InMemorySpanExporter, name: str) -> CommitTracer:
    """The tracer of one process."""
    return CommitTracer(SimpleSpanProcessor(exporter), name)


def by_name(exporter: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    """The finished spans by their names."""
    found: dict[str, list[ReadableSpan]] = {}
    for span in exporter.get_finished_spans():
        found.setdefault(span.name, []).append(span)
    return found


def test_the_spans_of_two_processes_are_one_trace(exporter: InMemorySpanExporter) -> None:
    """The parent of each is the commit, although the processes exchange nothing."""
    process(exporter, "api").trace_push("e", ["00ff"], seconds=0.003, streams=7)
    process(exporter, "ingest").trace_commit(commit())

    spans = by_name(exporter)
    assert {name: len(found) for name, found in spans.items()} == {"commit": 1, "delivery": 2, "append": 1, "push": 1}
    (root,) = spans["commit"]
    assert root.context is not None
    assert root.parent is None
    others = [*spans["delivery"], *spans["append"], *spans["push"]]
    assert {span.context.trace_id for span in others if span.context} == {root.context.trace_id}
    assert {span.parent.span_id for span in others if span.parent} == {root.context.span_id}
    assert len({span.context.span_id for span in others if span.context}) == 4
    assert spans["push"][0].resource.attributes["service.name"] == "api"
    assert spans["append"][0].attributes == {"zmart.folds_seconds": 0.001}
    # It begins with the first delivery.
    assert root.start_time == min(span.start_time or 0 for span in spans["delivery"])
    assert (root.end_time or 0) - (root.start_time or 0) == int(0.02 * SECOND)


def test_each_commit_has_a_trace_of_its_own(exporter: InMemorySpanExporter) -> None:
    """Another mark and another epoch are other traces; a second commit does not get the ids of the first."""
    tracer = process(exporter, "ingest")
    tracer.trace_commit(commit("00ff"))
    tracer.trace_commit(commit("0100"))
    tracer.trace_push("other", ["00ff"], seconds=0.0, streams=0)

    traces = {span.context.trace_id for span in exporter.get_finished_spans() if span.context}
    assert len(traces) == 3
    assert len({span.context.span_id for span in exporter.get_finished_spans() if span.context}) == 9


def test_a_large_batch_has_a_limited_number_of_spans(exporter: InMemorySpanExporter) -> None:
    """The others are in the count of the commit."""
    process(exporter, "ingest").trace_commit(commit(deliveries=(0.01,) * 200))
    spans = by_name(exporter)
    assert len(spans["delivery"]) == tracing.MOST_DELIVERIES
    assert spans["commit"][0].attributes is not None
    assert spans["commit"][0].attributes["zmart.deliveries"] == 200


def test_without_an_endpoint_nothing_is_imported() -> None:
    """Neither ingest nor the API imports a module of OpenTelemetry."""
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """The address of a collector, and what it received: path, header and body."""
    received: list[tuple[str, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["x-team"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_spans_reach_the_collector_of_the_settings(
    collector: tuple[str, list[tuple[str, str | None, bytes]]],
) -> None:
    """At the end of the process at the latest, with the headers of the settings, which are secret."""
    address, received = collector
    configured = settings.load(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_HEADERS": "X-Team=of-the-test"}
    )
    assert "of-the-test" in {secret.reveal().partition("=")[2] for secret in configured.secrets()}
    tracer = tracing.open_tracer(configured, "api")
    assert tracer is not None
    tracer.trace_push("e", ["00ff"], seconds=0.0, streams=1)
    tracer.close()

    ((path, header, body),) = received
    assert (path, header) == ("/v1/traces", "of-the-test")
    trace_id, _ = tracing.commit_ids("e", "00ff")
    assert trace_id.to_bytes(16) in body or body.startswith(b"\x1f\x8b")
