"""The schedule of keepers, and the text of a run."""

from __future__ import annotations

import pytest
from test_keeper_plans import proposed, resolving

from orchestration import keeper_jobs
from orchestration.keepers import report as rendering
from orchestration.keepers.actions import NAMES, TASKS
from orchestration.keepers.plans import PlanRow
from orchestration.keepers.reasons import Reason
from orchestration.keepers.runner import RoundReport
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
    assert rendering.summary(report(due, waiting)) == "proposal_tallies (dry run): 1 due, 1 wait; 0.0 s"


def test_a_deadline_reads_as_an_instant() -> None:
    """In UTC, with its Z."""
    row = PlanRow(task="market_finalizations", market=resolving(), reason=Reason.DUE, deadline=1_762_600_000)

    assert "2025-11-08 11:06:40Z" in rendering.plan_rows([row])[0]
