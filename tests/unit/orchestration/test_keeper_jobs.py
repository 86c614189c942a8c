"""The schedule of keepers, and the text of a run."""

from __future__ import annotations

import re

import dagster as dg
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from test_keeper_plans import proposed, resolving

from orchestration import documents, keeper_jobs
from orchestration.assets import keepers
from orchestration.definitions import definitions
from orchestration.keepers import report as rendering
from orchestration.keepers.actions import NAMES, TASKS
from orchestration.keepers.plans import PlanRow
from orchestration.keepers.reasons import Reason
from orchestration.keepers.round_report import RoundReport
from zmart import settings


@pytest.mark.parametrize(
    ("interval_ms", "cron"),
    [
        (1_000, "* * * * *"),
        (60_000, "* * * * *"),
        (120_000, "1-59/2 * * * *"),
        (300_000, "4-59/5 * * * *"),
        (1_800_000, "4-59/30 * * * *"),
        (3_600_000, "4 */1 * * *"),
        (7_200_000, "4 */2 * * *"),
        (864_000_000, "4 0 * * *"),
    ],
)
def test_the_schedule_follows_the_interval(interval_ms: int, cron: str) -> None:
    """In milliseconds, as in earlier releases."""
    assert keeper_jobs.cron(interval_ms) == cron


def test_what_the_schedule_starts() -> None:
    """Settling waits until it is enabled, activating until there is a key for it, everything until there is any."""
    bare = settings.load({})
    keyed = settings.load({"BACKEND_KEYPAIR_PATH": "k", "ADMIN_KEYPAIR_PATH": "k", "MARKET_MONITOR_ENABLED": "true"})

    assert not keeper_jobs.has_key(bare)
    assert keeper_jobs.scheduled_tasks(bare) == ["proposal_tallies", "proposal_approvals"]
    assert keeper_jobs.has_key(keyed)
    assert keeper_jobs.scheduled_tasks(keyed) == list(NAMES)


def test_the_schedule_confirms_what_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runs sign, and contain keepers only."""
    monkeypatch.setenv("BACKEND_KEYPAIR_PATH", "k")
    (schedule,) = keeper_jobs.schedules()
    data = schedule.evaluate_tick(dg.build_schedule_context(repository_def=definitions.get_repository_def()))
    assert data.run_requests is not None
    (request,) = data.run_requests
    names = ["proposal_tallies", "proposal_approvals"]
    assert request.asset_selection == [keepers.key(name) for name in names]
    assert request.run_config == keepers.confirmed_config(names)
    config = keepers.KeeperRunConfig(**request.run_config["ops"]["keepers__proposal_tallies"]["config"])
    assert keepers.why_dry(config, request.asset_selection, is_dry_by_setting=False) == ""
    assert "MARKET_MONITOR_DRY_RUN" in keepers.why_dry(config, request.asset_selection, is_dry_by_setting=True)


def test_each_keeper_links_to_its_documents() -> None:
    """The links lead to pages and sections that are served; no other file is."""
    client = TestClient(Starlette(routes=[documents.route()]))
    for asset in keepers.assets():
        text = str(asset.metadata_by_key[asset.key]["documents"].value)
        links = re.findall(r"\]\((/[^)]+)\)", text)
        assert any(link.startswith("/zmart-docs/runbook#") for link in links)
        for link in links:
            path, _, section = link.partition("#")
            page = client.get(path)
            assert page.status_code == 200
            assert f'id="{section}"' in page.text or not section, link
    assert [client.get(f"/zmart-docs/{name}").status_code for name in ("helius", "..%2F.env")] == [404, 404]


def report(*rows: PlanRow) -> RoundReport:
    """A run with these rows."""
    return RoundReport(task=TASKS["proposal_tallies"], is_dry=True, rows=rows)


def test_a_plan_reads_as_a_table() -> None:
    """Rows that act first, rows that only wait last; a bar in a text breaks nothing; too many are counted."""
    due = PlanRow(task="proposal_tallies", market=proposed(9, 1), reason=Reason.DUE, detail="a | b")
    waiting = PlanRow(task="proposal_tallies", market=proposed(1, 1), reason=Reason.TOO_FEW_BALLOTS)
    table = rendering.markdown(rendering.PLAN, rendering.plan_rows([due, waiting]))

    assert table.splitlines()[2].startswith("| 010101010101… | PROPOSED | due | due |")
    assert "a \\| b" in table
    assert "chain 9:1, known 0:0, unseen 0:0" in table
    many = rendering.markdown(rendering.PLAN, rendering.plan_rows([waiting] * 150))
    assert many.endswith("... and 50 more.")
    assert rendering.summary(report(due, waiting)) == (
        "proposal_tallies (dry run): 1 due, 1 wait (1 too few ballots); 0.0 s"
    )


def test_a_deadline_reads_as_an_instant() -> None:
    """In UTC, with its Z."""
    row = PlanRow(task="market_finalizations", market=resolving(), reason=Reason.DUE, deadline=1_762_600_000)

    assert "2025-11-08 11:06:40Z" in rendering.plan_rows([row])[0]
