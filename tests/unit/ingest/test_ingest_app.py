"""The HTTP side: every response, and the commit behind it."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import pytest
import structlog
from ingest_cases import BOUGHT, PROGRAM, SOLD
from litestar.testing import AsyncTestClient
from structlog.testing import capture_logs

from ingest import testing
from ingest.decode.decoder import Decoder
from ingest.records import DeadLetter, TransactionRow
from ingest.store.byte_budget import ByteBudget
from ingest.store.group_commit import BatchLimits, BatchWriter, Pipeline
from ingest.webhook import auth
from ingest.webhook.app import Parts, create_app
from ingest.webhook.auth import Verifier
from zmart import errors

HEADER = "hush-header-value"
KEY = "hush-signing-key"
AUTHORIZED_HEADERS = {"Authorization": HEADER}
TOKEN = "a-token-for-metrics"
WEBHOOK = "/helius/webhook"
BODY = testing.body(testing.item(PROGRAM, [BOUGHT]))


class FailingWriter(testing.MemoryWriter):
    """A writer that fails on request."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> testing.MemoryAppendResult:
        """Fail, or store."""
        if self.error is not None:
            raise self.error
        return await super().append(transactions, source=source, dead_letters=dead_letters, wanted=wanted)


@pytest.fixture
def writer() -> FailingWriter:
    """The transactions that the server commits."""
    return FailingWriter()


@pytest.fixture
def parts(writer: FailingWriter) -> Callable[..., Parts]:
    """Create the parts of a server; any of them can be replaced."""

    def make(*, limits: BatchLimits | None = None, **overrides: Any) -> Parts:
        async def connect() -> BatchWriter:
            return writer

        fields = {
            "verifier": Verifier([HEADER], KEY),
            "decoder": Decoder(PROGRAM),
            "pipeline": Pipeline(connect, limits=limits),
            "environment": "localnet",
        } | overrides
        return Parts(**fields)

    return make


@pytest.fixture
async def client(parts: Callable[..., Parts]) -> AsyncIterator[AsyncTestClient[Any]]:
    """A client of a running server."""
    async with AsyncTestClient(create_app(parts())) as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a response is a problem of RFC 9457 with the older members."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["message"] == body["detail"]
    assert body["error"] == body["title"]
    return body


@pytest.mark.parametrize("path", [WEBHOOK, "/api/webhooks/helius"])
async def test_a_delivery_is_committed_before_it_is_acknowledged(
    client: AsyncTestClient[Any], writer: FailingWriter, path: str
) -> None:
    """Both addresses accept it."""
    answer = await client.post(path, content=BODY, headers=AUTHORIZED_HEADERS)
    assert answer.status_code == 200
    assert list(writer.transactions) == [testing.signature(1)]


async def test_an_empty_array_is_acknowledged(client: AsyncTestClient[Any]) -> None:
    """There is nothing to commit."""
    assert (await client.post(WEBHOOK, content=b"[]", headers=AUTHORIZED_HEADERS)).status_code == 200


async def test_a_signature_alone_suffices(client: AsyncTestClient[Any], writer: FailingWriter) -> None:
    """HMAC-SHA256 of the raw body, even beside a wrong Authorization."""
    headers = {"x-helius-signature": auth.signature(BODY, KEY), "Authorization": "wrong"}
    assert (await client.post(WEBHOOK, content=BODY, headers=headers)).status_code == 200
    assert len(writer.transactions) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "hush-header-valuf"},
        {"Authorization": ""},
        {"Authorization": f"Bearer {HEADER}"},
        {"x-helius-signature": "0" * 64},
        {"x-helius-signature": auth.signature(BODY + b" ", KEY)},
        {"Authorization": "wrong", "x-helius-signature": "wrong"},
    ],
)
async def test_an_unauthorized_delivery_is_refused_with_one_log_line(
    client: AsyncTestClient[Any], writer: FailingWriter, headers: dict[str, str]
) -> None:
    """401, nothing stored, and a log line without the secret, the header or the body."""
    with capture_logs() as lines:
        answer = await client.post(WEBHOOK, content=BODY, headers=headers)
    problem = assert_problem(answer, 401, "unauthorized")
    assert writer.transactions == {}
    assert len(lines) == 1
    text = json.dumps(lines) + json.dumps(problem)
    for secret in (HEADER, KEY, "hush", "Bearer", "0" * 64, PROGRAM, testing.signature(1)):
        assert secret not in text


async def post_stream(server: Parts, chunk: bytes, headers: dict[str, str]) -> tuple[Any, int]:
    """Send a hundred chunks without a length; return the response and the number of chunks read."""
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield chunk

    transport = httpx.ASGITransport(create_app(server))  # type: ignore[arg-type]
    async with (
        server.pipeline,
        httpx.AsyncClient(transport=transport, base_url="http://i") as client,
    ):
        answer = await client.post(WEBHOOK, content=chunks(), headers=headers)
    return answer, read


async def test_an_unauthorized_body_is_not_read(parts: Callable[..., Parts]) -> None:
    """Without a signature to verify, no byte of an unproven body is read."""
    answer, read = await post_stream(parts(), b"[]", {})
    assert_problem(answer, 401, "unauthorized")
    assert read == 0


@pytest.mark.parametrize(
    "body",
    [b"{}", b"not json", b"", b"null", b"[", gzip.compress(BODY), b"\xff"],
    ids=["object", "text", "empty", "null", "half", "compressed", "not UTF-8"],
)
async def test_a_body_that_is_no_array_is_rejected_with_the_expectation(
    client: AsyncTestClient[Any], body: bytes
) -> None:
    """422 has the expected and the received form."""
    problem = assert_problem(
        await client.post(WEBHOOK, content=body, headers=AUTHORIZED_HEADERS), 422, "not_transactions"
    )
    assert "Expected a JSON array of transactions" in problem["detail"]
    assert "webhooks send it, received " in problem["detail"]


async def test_one_bad_item_does_not_affect_the_others(client: AsyncTestClient[Any], writer: FailingWriter) -> None:
    """Good, bad, enhanced and foreign items are each processed in their way, and the response is 200."""
    body = testing.body(
        testing.item(PROGRAM, [BOUGHT], number=1),
        {"slot": "no"},
        testing.enhanced_item(PROGRAM, 2),
        testing.item(testing.address(5), number=3),
        testing.item(PROGRAM, [SOLD], number=4),
    )
    assert (await client.post(WEBHOOK, content=body, headers=AUTHORIZED_HEADERS)).status_code == 200
    assert list(writer.transactions) == [testing.signature(1), testing.signature(4)]
    assert [dead_letter.reason_code for dead_letter in writer.dead_letters] == ["malformed"]
    assert writer.wanted == {testing.signature(2)}


async def test_more_than_the_limit_is_refused_by_its_announced_length(
    parts: Callable[..., Parts],
) -> None:
    """Before a byte is read."""
    async with AsyncTestClient(create_app(parts(body_limit_bytes=1 << 20))) as client:
        answer = await client.post(WEBHOOK, content=b" " * (1 << 20) + b"[]", headers=AUTHORIZED_HEADERS)
        assert "1 MB" in assert_problem(answer, 413, "too_large")["detail"]
        exact = b" " * ((1 << 20) - 2) + b"[]"
        assert (await client.post(WEBHOOK, content=exact, headers=AUTHORIZED_HEADERS)).status_code == 200


async def test_an_announced_length_beyond_the_limit_is_not_read(
    parts: Callable[..., Parts],
) -> None:
    """The announced length alone is enough for a rejection."""
    announced = AUTHORIZED_HEADERS | {"Content-Length": str(100 << 18)}
    answer, read = await post_stream(parts(body_limit_bytes=1 << 20), b" " * (1 << 18), announced)
    assert_problem(answer, 413, "too_large")
    assert read == 0


async def test_more_than_the_limit_is_refused_while_it_streams(parts: Callable[..., Parts]) -> None:
    """A body without a length is counted, not read to its end, and its budget is returned."""
    server = parts(body_limit_bytes=1 << 20)
    answer, read = await post_stream(server, b" " * (1 << 18), AUTHORIZED_HEADERS)
    assert_problem(answer, 413, "too_large")
    assert read == 5
    assert server.pipeline.budget.used_bytes == 0


async def test_a_full_budget_returns_503_with_retry_after(parts: Callable[..., Parts]) -> None:
    """503 with Retry-After, and the budget of the bytes is returned."""
    server = parts(limits=BatchLimits(budget_bytes=100))
    async with AsyncTestClient(create_app(server)) as client:
        answer = await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
    assert_problem(answer, 503, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert server.pipeline.budget.used_bytes == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Unavailable("Postgres is not answering."), "unavailable"),
        (errors.Overloaded("Postgres has no connection left."), "overloaded"),
        (errors.Unauthorized("Postgres: password authentication failed."), "failed"),
        (ValueError("a bug that quotes hush"), "failed"),
    ],
)
async def test_an_uncommitted_delivery_is_never_acknowledged(
    client: AsyncTestClient[Any], writer: FailingWriter, error: Exception, code: str
) -> None:
    """Every later failure is 503 with Retry-After, so that Helius delivers again."""
    writer.error = error
    answer = await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
    problem = assert_problem(answer, 503, code)
    assert int(answer.headers["retry-after"]) >= 1
    assert "hush" not in json.dumps(problem)
    writer.error = None
    assert (await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)).status_code == 200


async def test_a_bug_is_logged_with_its_traceback_and_no_secret(
    client: AsyncTestClient[Any], writer: FailingWriter
) -> None:
    """The log has the line of code, not the header or the body."""
    writer.error = ValueError("a bug")
    with capture_logs([structlog.processors.format_exc_info]) as lines:
        await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
    assert len(lines) == 1
    text = json.dumps(lines)
    assert "Traceback" in text
    assert "ValueError: a bug" in text
    for secret in (HEADER, KEY, testing.signature(1)):
        assert secret not in text


async def test_a_decoder_with_a_bug_is_no_500(parts: Callable[..., Parts]) -> None:
    """An unexpected error is 503 as well, so that the sender repeats the delivery."""

    class Broken(Decoder):
        def decode_item(self, raw: bytes) -> None:
            raise KeyError(raw)

    server = parts(decoder=Broken(PROGRAM))
    async with AsyncTestClient(create_app(server)) as client:
        assert_problem(await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS), 503, "failed")
    assert b'deliveries_total{outcome="failed"} 1.0' in server.metrics.render()


async def test_health_returns_the_process_fields(client: AsyncTestClient[Any]) -> None:
    """The fields that clients know, with any state of the database."""
    body = (await client.get("/health")).json()
    assert body.keys() == {"status", "service", "timestamp", "uptime", "environment"}
    assert (body["status"], body["service"], body["environment"]) == (
        "healthy", "event-indexer", "localnet",
    )  # fmt: skip
    assert body["uptime"] >= 0
    assert body["timestamp"].startswith("20")


async def test_ready_is_ready(client: AsyncTestClient[Any]) -> None:
    """Without any reason."""
    answer = await client.get("/ready")
    body = answer.json()
    assert (answer.status_code, body["status"], body["reasons"]) == (200, "ready", [])


async def test_ready_names_the_failing_checks(parts: Callable[..., Parts]) -> None:
    """Each reason begins with the name of the failing part."""

    async def no_database() -> None:
        raise errors.Unavailable("Postgres is not answering.")

    async def bug() -> None:
        raise KeyError("secret")

    server = parts(checks={"database": no_database, "chain": bug}, metrics_token=TOKEN)
    async with AsyncTestClient(create_app(server)) as client:
        answer = await client.get("/ready", headers={"Authorization": f"Bearer {TOKEN}"})
        public = await client.get("/ready")
    assert answer.status_code == public.status_code == 503
    assert answer.json()["status"] == "unready"
    assert public.json()["reasons"][0] == "database: it failed; the log has the reason."
    assert answer.json()["reasons"] == [
        "database: Postgres is not answering.",
        "chain: the check failed; the log contains the reason.",
    ]


async def test_a_slow_answer_is_counted(parts: Callable[..., Parts], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every committed delivery is timed, a slow one also counted; what was refused is not."""
    server = parts()
    async with AsyncTestClient(create_app(server)) as client:
        await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
        assert server.metrics.slow_answer_count == 0
        monkeypatch.setattr("ingest.metrics.SLOW_ANSWER_SECONDS", 0.0)
        await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
        await client.post(WEBHOOK, content=BODY)
    assert server.metrics.slow_answer_count == 1
    text = server.metrics.render().decode()
    assert "zmart_ingest_slow_answers_total 1.0" in text
    assert "zmart_ingest_answer_seconds_count 2.0" in text


async def test_ready_reports_a_failed_last_commit(client: AsyncTestClient[Any], writer: FailingWriter) -> None:
    """Until the next one succeeds."""
    writer.error = errors.Unavailable("Postgres is not answering.")
    await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
    assert (await client.get("/ready")).json()["reasons"] == ["writer: the last commit failed."]
    writer.error = None
    await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
    assert (await client.get("/ready")).status_code == 200


async def test_metrics_count_deliveries_by_outcome(client: AsyncTestClient[Any]) -> None:
    """In Prometheus' text format, to an authorized client."""
    await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
    await client.post(WEBHOOK, content=BODY)
    client.app.state["parts"].metrics.deliveries.labels("committed")
    text = client.app.state["parts"].metrics.render().decode()
    assert 'zmart_ingest_deliveries_total{outcome="committed"} 1.0' in text
    assert 'zmart_ingest_deliveries_total{outcome="unauthorized"} 1.0' in text


async def test_refusals_are_counted_by_status(client: AsyncTestClient[Any], writer: FailingWriter) -> None:
    """The unacknowledged deliveries, and the rate of the acknowledged ones."""
    await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)
    await client.post(WEBHOOK, content=BODY)
    await client.post(WEBHOOK, content=b"{}", headers=AUTHORIZED_HEADERS)
    writer.error = errors.Unavailable("Postgres is not answering.")
    await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)

    text = client.app.state["parts"].metrics.render().decode()
    for status in (401, 422, 503):
        assert f'zmart_ingest_refused_total{{status="{status}"}} 1.0' in text
    assert 'zmart_ingest_deliveries_per_minute{source="webhook"} 1.0' in text


async def test_unverified_bodies_cannot_use_the_verified_budget(parts: Callable[..., Parts]) -> None:
    """A body with its own proof waits in a separate budget: a full one is reported and rejects; others are accepted."""
    server = parts(small_budget=ByteBudget(100))
    unverified_headers = {auth.SIGNATURE_HEADER: "00" * 32}
    async with AsyncTestClient(create_app(server)) as client:
        assert_problem(await client.post(WEBHOOK, content=BODY, headers=unverified_headers), 503, "overloaded")
        assert (await client.post(WEBHOOK, content=BODY, headers=AUTHORIZED_HEADERS)).status_code == 200
        reasons = (await client.get("/ready")).json()["reasons"]
    assert [reason.split(":")[0] for reason in reasons] == ["memory for small signed deliveries"]
    assert (server.small_budget.used_bytes, server.pipeline.budget.used_bytes) == (0, 0)


async def test_a_signed_delivery_counts_as_proven_once_its_signature_is(parts: Callable[..., Parts]) -> None:
    """Then its bytes are in the pipeline's budget like all others, and rejected when that is full."""
    server = parts(limits=BatchLimits(budget_bytes=100))
    signed = {auth.SIGNATURE_HEADER: auth.signature(BODY, KEY)}
    async with AsyncTestClient(create_app(server)) as client:
        assert_problem(await client.post(WEBHOOK, content=BODY, headers=signed), 503, "overloaded")
    assert (server.small_budget.used_bytes, server.pipeline.budget.used_bytes) == (0, 0)


async def test_metrics_need_the_token_from_other_hosts(parts: Callable[..., Parts]) -> None:
    """From other machines they need the token; a request through a proxy counts as another machine's."""
    async with AsyncTestClient(create_app(parts(metrics_token="token"))) as client:
        assert_problem(await client.get("/metrics"), 403, "forbidden")
        wrong = {"Authorization": "Bearer tokem"}
        assert_problem(await client.get("/metrics", headers=wrong), 403, "forbidden")
        right = {"Authorization": "Bearer token"}
        assert (await client.get("/metrics", headers=right)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("GET", WEBHOOK, 405, "method_not_allowed")],
)
async def test_not_found_is_a_problem_document(
    client: AsyncTestClient[Any], method: str, path: str, status: int, code: str
) -> None:
    """The same form for every rejection."""
    assert_problem(await client.request(method, path), status, code)
