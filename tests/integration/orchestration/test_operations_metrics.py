"""The metrics of keepers, alerts and runs, read from the database, and the server that serves them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest
from dagster_postgres import PostgresRunStorage
from metrics_page import collected, documented
from prometheus_client.parser import text_string_to_metric_families

from ingest.testing import address
from orchestration import code_server
from orchestration.metrics import OperationsMetrics
from zmart import errors, testing
from zmart.http.server import bind_listener
from zmart.run.supervisor import dagster_services
from zmart.settings import Secret

TOKEN = "a-token-for-metrics"
RECORDS = f"""
insert into raw.markets_seen (market_no, account, market_id) values (1, '{address(1)}', repeat('1', 64));
insert into ops.intents (market_no, action, plan, lease_epoch, state) values (1, 'finalize_market', '{{}}', 1, 'sent');
insert into ops.submissions (signature, intent_no, transaction_bytes, last_valid_block_height, ending, fee_lamports)
select s, intent_no, '', 1, e, f from ops.intents,
(values ('a', 'landed', 5000), ('b', 'expired', 7000), ('c', null, 6000)) as v (s, e, f);
insert into ops.keeper_rounds (keeper, is_dry, worked_at, outcome, due, sent, message, seconds) values
('proposal_tallies', false, now() - interval '1 minute', 'worked', 2, 1, '', 0.5),
('proposal_approvals', true, null, 'stopped', 0, 0, 'no key', 0.1);
insert into ops.alerts (kind, severity, message, resolved_at) values
('mart_stale', 'critical', 'now', null), ('mart_differs', 'warning', 'over', now());
insert into dagster.runs (run_id, pipeline_name, status, end_time) values
('1', 'reconciliation', 'SUCCESS', extract(epoch from now()) - 60), ('2', 'reconciliation', 'STARTED', null);
insert into dagster.daemon_heartbeats (daemon_type, daemon_id, timestamp)
values ('SENSOR', 'x', now() at time zone 'UTC');
"""


@pytest.fixture
def records(database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """A database with records of each kind."""
    PostgresRunStorage(dagster_services.storage_url(database.dsn("zmart_keeper")))
    with database.connect("postgres") as owner:
        owner.execute(RECORDS)
    return database


@pytest.fixture
def url(records: testing.PostgresDatabase) -> Iterator[str]:
    """The address of the server."""
    metrics = OperationsMetrics(lambda: records.dsn("zmart_keeper"), daily_budget_lamports=50_000)
    with contextlib.closing(bind_listener("127.0.0.1", 0, server="metrics", help="")) as listener:
        server = code_server.serve_in_thread(listener, metrics, Secret(TOKEN))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.shutdown()


def test_the_records_of_keepers_and_runs_are_metrics(url: str) -> None:
    """With the page's names, types and labels, and the values of the records."""
    answer = httpx.get(f"{url}/metrics")
    families = list(text_string_to_metric_families(answer.text))
    assert collected(families) == documented("zmart_keeper_", "zmart_dagster_", "process_")
    values = {(s.name, *s.labels.values()): s.value for one in families for s in one.samples}
    assert values["zmart_keeper_open_intents", "finalize_market", "sent"] == 1
    endings = [values["zmart_keeper_submissions_total", ending] for ending in ("landed", "failed", "expired")]
    assert endings == [1, 0, 1]
    assert values["zmart_keeper_open_submissions",] == 1
    # An expired one costs nothing.
    assert values["zmart_keeper_spent_today_lamports",] == 11_000
    assert values["zmart_keeper_daily_budget_lamports",] == 50_000
    assert values["zmart_keeper_round_age_seconds", "proposal_tallies", "live"] >= 60
    assert values["zmart_keeper_round_age_seconds", "proposal_approvals", "dry"] == -1
    assert values["zmart_keeper_round_failed", "proposal_approvals", "dry"] == 1
    assert values["zmart_dagster_open_alerts", "mart_stale", "critical"] == 1
    assert [values["zmart_dagster_alerts", one] for one in ("info", "warning", "critical")] == [0, 0, 1]
    assert values["zmart_dagster_active_runs", "started"] == 1
    assert 60 <= values["zmart_dagster_success_age_seconds", "reconciliation"] < 600
    assert 0 <= values["zmart_dagster_heartbeat_age_seconds", "sensor"] < 600


def test_only_this_machine_and_the_token_may_read(url: str) -> None:
    """A forwarded request needs the token; other paths do not exist."""
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    refused = httpx.get(f"{url}/metrics", headers=forwarded)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    allowed = httpx.get(f"{url}/metrics", headers={**forwarded, "Authorization": f"Bearer {TOKEN}"})
    assert allowed.status_code == 200
    assert httpx.get(f"{url}/health").json()["service"] == "dagster-code"
    assert httpx.get(f"{url}/other").status_code == 404


@pytest.mark.parametrize("error", [errors.ConfigurationError("no address"), None])
def test_a_database_that_is_away_is_a_metric(error: Exception | None) -> None:
    """The scrape succeeds and says so; the metrics of the process are still there."""

    def dsn() -> str:
        if error is not None:
            raise error
        return "postgresql://nobody@127.0.0.1:1/none"

    text = OperationsMetrics(dsn, daily_budget_lamports=1).render().decode()
    assert "zmart_dagster_database_up 0.0" in text
    assert "process_cpu_seconds_total" in text
    assert "zmart_keeper" not in text


def test_a_taken_port_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The variable is named, and the status is 2."""
    with contextlib.closing(bind_listener("127.0.0.1", 0, server="other", help="")) as taken:
        monkeypatch.setenv("DAGSTER_METRICS_PORT", str(taken.getsockname()[1]))
        assert code_server.main([]) == 2
    assert "DAGSTER_METRICS_PORT" in capsys.readouterr().err
