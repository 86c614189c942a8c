"""Keepers that do not run are reported by ingest, with what waits for them."""

from __future__ import annotations

import asyncio

import dagster as dg
import pytest
from keeper_stack import KeeperStack

from ingest import keeper_watch
from ingest.keeper_watch import KeeperState, KeeperWatch
from ingest.metrics import Metrics
from orchestration import keeper_jobs
from orchestration.resources import DatabaseResource
from zmart import errors
from zmart.chain.signer import Signer

LIMIT = 600.0


def _state(name: str, waiting: int, since_work: float | None, waited: float | None = None) -> KeeperState:
    return KeeperState(name=name, waiting=waiting, seconds_since_work=since_work, seconds_waited=waited)


@pytest.mark.parametrize(
    ("state", "is_idle"),
    [
        (_state("market_finalizations", 0, 9_000), False),
        (_state("market_finalizations", 2, 599), False),
        (_state("market_finalizations", 2, 601), True),
        (_state("market_finalizations", 2, None, 599), False),
        (_state("market_finalizations", 2, None, 601), True),
        # The creator may activate a market: a keeper that never did is not missed, one that stopped is.
        (_state("market_activations", 2, None, 9_000), False),
        (_state("market_activations", 2, 601), True),
    ],
)
def test_a_keeper_is_idle_when_markets_wait_and_it_does_not_work(state: KeeperState, is_idle: bool) -> None:
    """Neither quiet times nor a round that is due in a moment raise the alert."""
    assert state.is_idle(LIMIT) is is_idle
    assert (keeper_watch.idle_message([state], LIMIT) is not None) is is_idle


async def test_ingest_reports_keepers_that_do_not_run(stack: KeeperStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proposals that suffice wait; a round of the keeper closes the alert, a dry or failed one does not."""
    monkeypatch.setattr(keeper_watch, "LEAST_IDLE_SECONDS", 0.0)
    monkeypatch.setattr(keeper_watch, "MISSED_ROUNDS", 0)
    stack.propose(1)
    await stack.sync_log()
    configured = stack.with_settings(monitor={"dry_run": False, "enabled": True})
    watch = KeeperWatch(stack.database.dsn("zmart_ingest"), configured)
    metrics = Metrics()
    metrics.register_keepers(lambda: watch.states)
    await watch.check()
    await watch.check()
    assert ("keepers_idle", "") in stack.alerts()
    assert b'zmart_ingest_keeper_waiting_markets{keeper="proposal_tallies"} 1.0' in metrics.render()
    assert b'zmart_ingest_keeper_round_age_seconds{keeper="proposal_tallies"} -1.0' in metrics.render()

    await stack.run_keepers("proposal_tallies", is_dry=True)
    await _fail_a_round(stack, monkeypatch)
    assert stack.fetch_all("select is_dry, outcome, due, sent from ops.keeper_rounds order by is_dry") == [
        (False, "failed", 0, 0),
        (True, "worked", 1, 0),
    ]
    watch.limit_seconds = 0.0
    await watch.check()
    assert ("keepers_idle", "") in stack.alerts()

    watch.limit_seconds = 60.0
    await stack.run_keepers("proposal_tallies")
    await watch.check()
    assert ("keepers_idle", "") not in stack.alerts()
    assert stack.fetch_all("select outcome, due, sent from ops.keeper_rounds where not is_dry") == [("worked", 1, 1)]
    worked = stack.fetch_all("select worked_at from ops.keeper_rounds where not is_dry")
    await _fail_a_round(stack, monkeypatch)
    assert stack.fetch_all("select worked_at from ops.keeper_rounds where not is_dry") == worked
    assert stack.fetch_all("select value ->> 'proposal_tallies' from ops.cursors where name = 'keeper_backlog'")
    await watch.stop()


async def _fail_a_round(stack: KeeperStack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> int | None:
        raise errors.Unavailable("The node does not answer.")

    with monkeypatch.context() as failing:
        failing.setattr("orchestration.keepers.intent_store.IntentStore.acquire_lease", fail)
        with pytest.raises(errors.Unavailable):
            await stack.run_keepers("proposal_tallies")


async def test_proposed_and_approved_markets_can_be_overdue(
    stack: KeeperStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day after the votes sufficed, or after the approval; a proposal without enough votes never is."""
    stack.propose(1)
    stack.propose(2, likes=3, dislikes=0)
    approved = stack.propose(3)
    counts = {"final_likes": 9, "final_dislikes": 1}
    stack.act("aggregate_proposal_votes", stack.people["backend"], "backend_authority", counts, market=approved)
    stack.act("approve_proposal", stack.people["admin"], "admin", market=approved)
    stack.pass_time(90_000)
    stack.propose(4)
    await stack.sync_log()
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    database = DatabaseResource(dsn_of=stack.database.dsn)

    await asyncio.to_thread(keeper_jobs.overdue_markets, dg.build_sensor_context(), database=database)

    assert stack.alerts() == {("market_overdue", "01" * 32), ("market_overdue", "03" * 32)}


async def test_free_ballots_do_not_make_a_market_wait(stack: KeeperStack) -> None:
    """A market waits for a keeper by the ballots that a plan counts: on chain, or of a wallet with an earlier event."""
    voters = {voter.address: True for voter in stack.voters[:10]}
    free = stack.propose(1, likes=2, dislikes=0)
    await stack.sync_log()
    stack.cast(free, "proposal", {Signer.generate().address: True for _ in range(20)} | voters)

    def waiting() -> list[tuple[str]]:
        return stack.fetch_all("select market_id from ops.waiting_markets(10, 7000, 259200) order by 1")

    stack.propose(2, likes=1, dislikes=0)
    await stack.sync_log()
    assert waiting() == []

    by_known = stack.propose(3, likes=0, dislikes=0)
    stack.propose(4, likes=10, dislikes=0)
    await stack.sync_log()
    assert waiting() == [("04" * 32,)]
    known = stack.propose(5, likes=0, dislikes=0)
    await stack.sync_log()
    stack.cast(by_known, "proposal", voters)
    stack.cast(known, "proposal", voters)
    stack.act("emergency_pause", stack.people["admin"], "admin")
    await stack.sync_log()
    assert waiting() == [("04" * 32,), ("05" * 32,)]
