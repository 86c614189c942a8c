"""Keepers on the development chain: each acts once the condition is proven, and names the reason before."""

from __future__ import annotations

from keeper_stack import DISPUTE_PERIOD, KeeperStack, due, reasons

from orchestration.keepers.reasons import Reason


async def test_a_proposal_is_tallied_approved_and_opened(stack: KeeperStack) -> None:
    """Three keepers, two keys; done when the log contains the events, finalized."""
    market = stack.propose(1)
    await stack.sync_log()

    tallied = await stack.run_keepers("proposal_tallies")
    assert due(tallied) == [market], tallied
    assert stack.market(market).proposal_likes == 9
    await stack.sync_log()
    await stack.run_keepers("proposal_approvals")
    await stack.sync_log()
    await stack.run_keepers("market_activations")
    await stack.sync_log()
    await stack.sweep()

    assert stack.state(market) == "ACTIVE"
    assert stack.intents() == [
        ("proposal_tallies", "done", 0),
        ("proposal_approvals", "done", 0),
        ("market_activations", "done", 0),
    ]
    assert stack.alerts() == set()


async def test_an_outcome_is_final_after_the_chains_own_period(stack: KeeperStack) -> None:
    """Neither a second early nor by a constant of ours."""
    market = stack.open(1)
    stack.resolve(market)
    await stack.sync_log()
    early = await stack.run_keepers("market_finalizations")
    assert reasons(early) == {market: Reason.PERIOD_RUNS}
    stack.pass_time(DISPUTE_PERIOD)
    await stack.sync_log()

    await stack.run_keepers("market_finalizations")

    assert stack.state(market) == "FINALIZED"
    assert stack.market(market).final_outcome is True
