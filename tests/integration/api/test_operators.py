"""What is for operators only, and what counts in a caller's allowance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import api_fixtures
import httpx
import pytest
from api_fixtures import Log
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed
from wallets import SIGNING_IN, Wallet, bearer

from api.reads import readiness
from api.reads.database import ReadDatabase

TEXT = "the node at 10.1.2.3 refuses the key"
TOKEN = "a-token-for-metrics-and-alerts"


@pytest.fixture
def alerts(log: Log) -> Log:
    """Two open alerts of one kind and a closed one of another."""
    log.owner.execute(
        "insert into ops.alerts (kind, subject, severity, message, resolved_at) values"
        " ('source_stopped', 'one', 'warning', %s, null), ('source_stopped', 'two', 'critical', %s, null),"
        " ('mart_differs', '', 'critical', 'over', now())",
        [TEXT, TEXT],
    )
    return log


async def status(client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> httpx.Response:
    """The status as a caller sees it."""
    answer = await client.get("/api/status", headers=headers or {})
    assert answer.status_code == 200, answer.text
    return answer


async def test_everybody_sees_kinds_and_counts_of_alerts(alerts: Log) -> None:
    """Without a token, with a wrong one, and as another wallet: no text, no subject."""
    wallet = Wallet()
    configured = alerts.settings(**SIGNING_IN, METRICS_TOKEN=TOKEN, OPERATOR_WALLETS=Wallet().address)
    async with api_fixtures.served(configured) as client:
        others = [{}, bearer("x"), bearer(TOKEN[:-1]), {"Authorization": TOKEN}, await wallet.signed_in(client)]
        for headers in others:
            answer = await status(client, headers)
            (found,) = answer.json()["alerts"]
            assert (found["kind"], found["severity"], found["open"]) == ("source_stopped", "critical", 2)
            assert found["details"] is None
            assert TEXT not in answer.text


async def test_operators_see_the_texts_of_alerts(alerts: Log) -> None:
    """With METRICS_TOKEN, or signed in with a wallet of OPERATOR_WALLETS."""
    wallet = Wallet()
    configured = alerts.settings(
        **SIGNING_IN, METRICS_TOKEN=TOKEN, OPERATOR_WALLETS=f"{Wallet().address}, {wallet.address}"
    )
    async with api_fixtures.served(configured) as client:
        for headers in (bearer(TOKEN), await wallet.signed_in(client)):
            (found,) = (await status(client, headers)).json()["alerts"]
            assert {(one["subject"], one["message"]) for one in found["details"]} == {("one", TEXT), ("two", TEXT)}


async def test_errors_of_marts_and_of_the_chain_are_for_operators(log: Log) -> None:
    """The error of a stopped mart and that of an unreachable node: the state for all, the text for operators."""
    log.owner.execute(
        "update ops.models set stale_since = now(), applied_seq = 0, reason = %s"
        " where name = (select min(name) from ops.models)",
        [TEXT],
    )
    log.owner.execute(
        "insert into ops.cursors (name, value) values ('completeness', jsonb_build_object('state', 'unverified',"
        " 'reason', %s::text)) on conflict (name) do update set value = excluded.value",
        [TEXT],
    )
    async with api_fixtures.served(log.settings(METRICS_TOKEN=TOKEN)) as client:
        public = await status(client)
        assert TEXT not in public.text
        assert public.json()["completeness"]["state"] == "unverified"
        assert [one["reason"] for one in public.json()["models"] if one["is_stale"]] == [None]
        private = (await status(client, bearer(TOKEN))).json()
        assert private["completeness"]["reason"] == TEXT
        assert [one["reason"] for one in private["models"] if one["is_stale"]] == [TEXT]


@retry(stop=stop_after_delay(60), wait=wait_fixed(0.02), retry=retry_if_exception_type(AssertionError), reraise=True)
async def until(client: httpx.AsyncClient, is_right: Callable[[str], bool]) -> str:
    """The metrics, once they are as wanted."""
    text = (await client.get("/metrics")).text
    assert is_right(text), text
    return text


async def test_metrics_are_for_this_machine_and_for_operators(log: Log) -> None:
    """A forwarded request needs the token; the metrics show readiness, requests, connections and streams."""
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    async with api_fixtures.served(log.settings(METRICS_TOKEN=TOKEN)) as client:
        refused = await client.get("/metrics", headers=forwarded)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert (await client.get("/metrics", headers={**forwarded, **bearer(TOKEN)})).status_code == 200
        assert (await client.get("/nowhere")).status_code == 404
        for _ in range(2):
            assert (await client.get("/api/markets")).status_code == 200
        await until(client, lambda answer: "zmart_api_ready 1.0" in answer)
        text = await until(client, lambda _: True)
    assert 'zmart_api_requests_total{method="GET",route="/metrics",status="403"} 1.0' in text
    assert 'zmart_api_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'zmart_api_requests_total{method="GET",route="/api/markets",status="200"} 2.0' in text
    assert 'zmart_api_cache_lookups_total{result="hit"} 1.0' in text
    assert 'zmart_api_database_connections{pool="reads",state="idle"}' in text
    assert "zmart_api_ready 1.0" in text
    assert "zmart_push_position_seq 0.0" in text


async def test_the_delay_of_pushed_entries_is_measured(log: Log) -> None:
    """From the row in the log to the offer, for each entry."""
    async with api_fixtures.served(log.settings()) as client:
        await until(client, lambda answer: "zmart_api_ready 1.0" in answer)
        await log.three_markets()
        head = int(log.position().split(":")[1])
        text = await until(client, lambda answer: f"zmart_push_position_seq {head}.0" in answer)
    assert f"zmart_push_entries_total {head}.0" in text
    assert f"zmart_push_delay_seconds_count {head}.0" in text
    (total,) = [float(line.split()[1]) for line in text.splitlines() if line.startswith("zmart_push_delay_seconds_sum")]
    assert 0 < total < 60 * head


async def test_readiness_costs_the_same_however_many_ask(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty callers at once, and twenty after them, share a read; no limit counts them."""
    reads = 0
    read = readiness.read

    async def counted(database: ReadDatabase) -> readiness.DatabaseReadiness:
        nonlocal reads
        reads += 1
        return await read(database)

    monkeypatch.setattr(readiness, "read", counted)
    monkeypatch.setattr(readiness, "SHARED_SECONDS", 3600.0)
    async with api_fixtures.served(log.settings(RATE_LIMIT_PER_MINUTE="10")) as client:
        answers = [
            answer for _ in range(2) for answer in await asyncio.gather(*(client.get("/ready") for _ in range(20)))
        ]
    # 503 until the streams have read the end of the log; never 429.
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert reads == 1


async def test_without_a_token_nobody_is_an_operator(alerts: Log) -> None:
    """An empty token is none, and without JWT_SECRET no wallet is signed in."""
    async with api_fixtures.served(alerts.settings(OPERATOR_WALLETS=Wallet().address)) as client:
        for headers in ({}, bearer(""), {"Authorization": "Bearer"}, bearer("None")):
            assert (await status(client, headers)).json()["alerts"][0]["details"] is None


@pytest.mark.parametrize(
    ("path", "weight"),
    [("/api/status", 1), ("/status", 1), (f"/api/transactions/{'1' * 64}", 2), ("/api/markets", 1)],
)
async def test_what_costs_more_counts_more(log: Log, path: str, weight: int) -> None:
    """A look-up may call a node; the status without its prefix is not free, because it is read each time."""
    async with api_fixtures.served(
        log.settings(RATE_LIMIT_PER_MINUTE="100", SOLANA_RPC_URL="http://127.0.0.1:1")
    ) as one:
        answer: Any = await one.get(path)
        assert answer.headers["ratelimit-remaining"] == str(100 - weight), answer.text
