"""One trace from a delivery over the commit to the streams, through the real applications and Postgres."""

from __future__ import annotations

from pathlib import Path

import api_fixtures
import httpx
import pytest
from api_fixtures import Log
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from ingest.decode.decoder import Decoder
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.webhook.app import Parts, create_app
from ingest.webhook.auth import Verifier
from zmart import settings, tracing
from zmart.tracing import CommitTracer

LIFECYCLE = Path(__file__).parents[2] / "recordings" / "lifecycle.json"
SECRET = "a-secret-of-the-webhook"


@retry(stop=stop_after_delay(60), wait=wait_fixed(0.02), retry=retry_if_exception_type(AssertionError), reraise=True)
async def ready(client: httpx.AsyncClient) -> None:
    """Wait until the streams follow the log."""
    assert (await client.get("/ready")).status_code == 200


@retry(stop=stop_after_delay(60), wait=wait_fixed(0.02), retry=retry_if_exception_type(AssertionError), reraise=True)
async def pushed(exporter: InMemorySpanExporter) -> None:
    """Wait until the entries were offered to the streams."""
    assert "push" in {span.name for span in exporter.get_finished_spans()}


async def test_a_delivery_and_its_push_are_one_trace(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spans lie in the order of events, and ingest and the API agree on the trace by the log alone."""
    exporter = InMemorySpanExporter()

    def open_tracer(_: settings.Settings, name: str) -> CommitTracer:
        return CommitTracer(SimpleSpanProcessor(exporter), name)

    monkeypatch.setattr(tracing, "open_tracer", open_tracer)
    pipeline = Pipeline(lambda: Writer.connect(log.database.dsn("zmart_ingest")))
    configured = log.settings()
    pipeline.tracer = tracing.open_tracer(configured, "ingest")
    parts = Parts(
        verifier=Verifier([SECRET]),
        decoder=Decoder(settings.DEFAULT_PROGRAM_ID),
        pipeline=pipeline,
        environment="localnet",
    )
    ingest = create_app(parts)
    transport = httpx.ASGITransport(ingest)  # type: ignore[arg-type]
    async with (
        api_fixtures.served(configured) as client,
        api_fixtures.alive(ingest),
        httpx.AsyncClient(transport=transport, base_url="http://ingest") as sender,
    ):
        await ready(client)
        headers = {"Authorization": SECRET}
        answer = await sender.post("/helius/webhook", content=LIFECYCLE.read_bytes(), headers=headers)
        assert answer.status_code == 200
        await pushed(exporter)

    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans.keys() == {"commit", "delivery", "append", "push"}
    assert len({span.context.trace_id for span in spans.values() if span.context}) == 1
    assert {name: span.resource.attributes["service.name"] for name, span in spans.items()} == {
        "commit": "ingest",
        "delivery": "ingest",
        "append": "ingest",
        "push": "api",
    }
    commit, delivery, append, push = (spans[name] for name in ("commit", "delivery", "append", "push"))
    assert (commit.start_time or 0) <= (delivery.start_time or 0) < (append.start_time or 0) < (push.end_time or 0)
    assert commit.attributes is not None
    assert commit.attributes["zmart.first_seq"] == 1
    head = int(log.position().split(":")[1])
    assert commit.attributes["zmart.last_seq"] == head


async def test_a_trace_that_fails_does_not_fail_the_delivery(log: Log) -> None:
    """The batch is committed, so its sender gets 200."""

    class FailingTracer(CommitTracer):
        def __init__(self) -> None:
            """Have no provider."""

        def trace_commit(self, commit: tracing.CommitTrace) -> None:
            raise RuntimeError(commit.mark)

    decoded = Decoder(settings.DEFAULT_PROGRAM_ID).decode_body(LIFECYCLE.read_bytes())
    async with Pipeline(lambda: Writer.connect(log.database.dsn("zmart_ingest"))) as pipeline:
        pipeline.tracer = FailingTracer()
        await pipeline.submit(decoded.transactions)
    assert int(log.position().split(":")[1]) > 0
