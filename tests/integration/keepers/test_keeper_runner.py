"""Keepers on the development chain: each does its part once it is proven, and says why not before."""

from __future__ import annotations

from keeper_stack import DISPUTE_PERIOD, Village, due, reasons

from orchestration.keepers.plans import Reason


async def test_a_proposal_is_tallied_approved_and_opened(village: Village) -> None:
    """Three keepers, two keys; done when the log holds the events, finalized."""
    market = village.propose(1)
    await village.log()

    tallied = await village.keep("proposal_tallies")
    assert due(tallied) == [market], tallied
    assert village.market(market).proposal_likes == 9
    await village.log()
    await village.keep("proposal_approvals")
    await village.log()
    await village.keep("market_activations")
    await village.log()
    await village.sweep()

    assert village.state(market) == "ACTIVE"
    assert village.intents() == [
        ("proposal_tallies", "done", 0),
        ("proposal_approvals", "done", 0),
        ("market_activations", "done", 0),
    ]
    assert village.alerts() == set()


async def test_an_outcome_is_final_after_the_chains_own_period(village: Village) -> None:
    """Neither a second before nor by a constant of ours."""
    market = village.open(1)
    village.resolve(market)
    await village.log()
    early = await village.keep("market_finalizations")
    assert reasons(early) == {market: Reason.PERIOD_RUNS}
    village.pass_time(DISPUTE_PERIOD)
    await village.log()

    await village.keep("market_finalizations")

    assert village.state(market) == "FINALIZED"
    assert village.market(market).final_outcome is True
