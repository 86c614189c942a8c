"""Decisions, without a chain or a database: the same facts give the same row, and every reason occurs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ingest.testing import address
from orchestration.keepers import plans
from orchestration.keepers.actions import FORBIDDEN_INSTRUCTION, TASKS
from orchestration.keepers.plan_inputs import MarketFacts, OpenIntent, ProtocolConfig, ProvenState, Rules, Tally
from orchestration.keepers.plans import PlanRow
from orchestration.keepers.reasons import PlanVerdict, Reason
from zmart import errors
from zmart.domain.market import MarketState

DAY = 86_400
NOW = 1_762_600_000
CONFIG = ProtocolConfig(
    admin=address(1),
    backend_authority=address(2),
    proposal_approval_threshold=7_000,
    dispute_success_threshold=6_000,
    dispute_period=3 * DAY,
    is_paused=False,
)
RULES = Rules(
    min_proposal_votes=10,
    approval_threshold_bps=7_000,
    dispute_threshold_bps=6_000,
    voting_window_seconds=3 * DAY,
    has_admin=True,
    approves=True,
    activates=True,
    batch_size=10,
)
PROVEN_STATE = ProvenState(
    verified_through=1_010, finalized_through=1_000, proven_at=NOW, chain_at=NOW + 5, slot=1_005, our_at=float(NOW + 6)
)


def market(state: MarketState, **known: Any) -> MarketFacts:
    """A market in a state, all of it final."""
    usual: dict[str, Any] = {
        "market_no": 1,
        "market_id": "01" * 32,
        "address": address(9),
        "state": state,
        "proposed_outcome": None,
        "was_disputed": False,
        "decisive_slot": 900,
        "created_at": NOW - 30 * DAY,
    }
    return MarketFacts(**{**usual, **known})


def proposed(agree: int = 9, disagree: int = 1, **known: Any) -> MarketFacts:
    """A proposal with votes on chain."""
    return market(MarketState.PROPOSED, tally=Tally(on_chain_agree=agree, on_chain_disagree=disagree), **known)


def resolving(**known: Any) -> MarketFacts:
    """An outcome that was proposed slightly more than the dispute period ago."""
    return market(
        MarketState.RESOLVING,
        **{"proposed_outcome": True, "resolution_proposed_at": NOW - 3 * DAY, **known},
    )


def disputed(tally: Tally, **known: Any) -> MarketFacts:
    """A dispute whose window has closed."""
    usual = {
        "proposed_outcome": True,
        "resolution_proposed_at": NOW - 5 * DAY,
        "dispute_initiated_at": NOW - 3 * DAY - plans.LARGEST_SKEW_SECONDS,
    }
    return market(MarketState.DISPUTED, tally=tally, **{**usual, **known})


def plan_one(
    name: str,
    found: MarketFacts,
    *,
    proven_state: ProvenState = PROVEN_STATE,
    config: ProtocolConfig = CONFIG,
    rules: Rules = RULES,
) -> PlanRow:
    """Return the row of the one market."""
    (row,) = plans.plan(TASKS[name], [found], proven_state=proven_state, config=config, rules=rules)  # type: ignore[index]
    return row


# Proposals


def test_a_tally_is_sent_when_it_makes_approval_possible() -> None:
    """Exactly at the threshold, with the counts as arguments."""
    row = plan_one("proposal_tallies", proposed(7, 3))

    assert row.reason is Reason.DUE
    assert row.arguments == {"final_likes": 7, "final_dislikes": 3}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (proposed(6, 3), Reason.TOO_FEW_BALLOTS),
        (proposed(0, 0), Reason.TOO_FEW_BALLOTS),
        (proposed(69, 31), Reason.BELOW_THRESHOLD),
        (proposed(6_999, 3_001), Reason.BELOW_THRESHOLD),
        (proposed(9, 1, likes=8, dislikes=2), Reason.TALLY_SUFFICES),
        (proposed(9, 1, last_sent_at=float(NOW - 3_500)), Reason.TALLIED_LATELY),
        (proposed(9, 1, decisive_slot=1_001), Reason.NOT_FINAL),
        (proposed(9, 1, gap_no=3), Reason.GAP),
        (proposed(1 << 32, 1), Reason.TOO_MANY_BALLOTS),
        (proposed(9, 1, open_intent=OpenIntent(7, "sent")), Reason.UNDER_WAY),
        (proposed(9, 1, open_intent=OpenIntent(7, "quarantined")), Reason.QUARANTINED),
        (proposed(9, 1, open_intent=OpenIntent(7, "planned")), Reason.DUE),
        (proposed(9, 1, last_sent_at=float(NOW - 3_700)), Reason.DUE),
    ],
)
def test_a_tally_waits_for_a_reason(found: MarketFacts, reason: Reason) -> None:
    """Too few, too low, already done, sent recently, not final, under way."""
    assert plan_one("proposal_tallies", found).reason is reason


#: Enough ballots, or a share that is high enough, only with unseen wallets; and the other way round.
UNSEEN_DECIDE = (
    Tally(unseen_agree=10),
    Tally(on_chain_agree=3, known_agree=2, unseen_agree=8),
    Tally(on_chain_agree=6, on_chain_disagree=4, unseen_agree=10),
    Tally(on_chain_agree=9, known_disagree=1, unseen_disagree=9),
)


@pytest.mark.parametrize("tally", UNSEEN_DECIDE)
@pytest.mark.parametrize("has_admin", [True, False])
def test_no_tally_and_no_approval_rests_on_unseen_wallets(tally: Tally, has_admin: bool) -> None:
    """Neither is sent or exported if the result differs without them; an operator reads both counts."""
    rules = replace(RULES, has_admin=has_admin)
    row = plan_one("proposal_tallies", market(MarketState.PROPOSED, tally=tally), rules=rules)
    assert row.reason is Reason.UNSEEN_DECIDE
    assert row.verdict is PlanVerdict.MANUAL_REVIEW
    assert row.arguments == {}
    agree, disagree = tally.without_unseen()
    assert f"without wallets unseen before the vote {agree}:{disagree}, " in row.detail

    tallied = market(MarketState.PROPOSED, tally=tally, likes=10, dislikes=0)
    assert plan_one("proposal_approvals", tallied, rules=rules).reason is Reason.UNSEEN_DECIDE
    assert plan_one("proposal_tallies", tallied, rules=rules).reason is Reason.TALLY_SUFFICES


def test_an_approval_that_unseen_wallets_bore_is_not_followed_by_an_activation() -> None:
    """An earlier release may have sent the approval. Ballots of unseen wallets against it block nothing."""
    for tally in UNSEEN_DECIDE[:3]:
        row = plan_one("market_activations", market(MarketState.APPROVED, tally=tally))
        assert row.reason is Reason.UNSEEN_DECIDE
    assert plan_one("market_activations", market(MarketState.APPROVED, tally=UNSEEN_DECIDE[3])).reason is Reason.DUE
    too_many = market(MarketState.APPROVED, tally=Tally(on_chain_agree=1 << 32))
    assert plan_one("market_activations", too_many).reason is Reason.TOO_MANY_BALLOTS


def test_what_is_written_on_chain_leaves_unseen_wallets_out() -> None:
    """The tally excludes them also if they change no result."""
    found = market(
        MarketState.PROPOSED, tally=Tally(on_chain_agree=8, known_agree=2, unseen_agree=8, unseen_disagree=1)
    )
    row = plan_one("proposal_tallies", found)
    assert (row.reason, row.arguments) == (Reason.DUE, {"final_likes": 10, "final_dislikes": 0})


def test_a_stricter_rule_of_ours_holds_over_the_chains() -> None:
    """Seven of ten suffices for the program, not for a setting of 80 %."""
    assert plan_one("proposal_tallies", proposed(7, 3), rules=replace(RULES, approval_threshold_bps=8_000)).reason is (
        Reason.BELOW_THRESHOLD
    )


def test_an_approval_rests_on_the_chains_tally_and_on_todays_ballots() -> None:
    """Both must suffice: counts on chain alone may be old (protocol.md 1.4.3)."""
    assert plan_one("proposal_approvals", proposed(9, 1)).reason is Reason.NO_TALLY
    assert plan_one("proposal_approvals", proposed(9, 1, likes=9, dislikes=1)).reason is Reason.DUE
    assert plan_one("proposal_approvals", proposed(9, 9, likes=9, dislikes=1)).reason is Reason.BALLOTS_TURNED
    assert plan_one("proposal_approvals", proposed(9, 1, likes=1, dislikes=0)).reason is Reason.NO_TALLY


def test_without_the_admins_key_an_approval_is_exported() -> None:
    """The backend's key is not the admin's (protocol.md 1.4.3); an activation is left to other wallets."""
    without = replace(RULES, has_admin=False)

    assert (
        plan_one("proposal_approvals", proposed(9, 1, likes=9, dislikes=1), rules=without).verdict is PlanVerdict.EXPORT
    )
    approved = market(MarketState.APPROVED)
    assert plan_one("market_activations", approved).reason is Reason.DUE
    assert plan_one("market_activations", approved, rules=without).reason is Reason.LEFT_TO_OTHERS
    assert (
        plan_one("market_activations", approved, rules=replace(RULES, activates=False)).reason is Reason.LEFT_TO_OTHERS
    )


def test_an_approval_is_left_to_an_operator_where_keepers_may_not_approve() -> None:
    """With KEEPER_APPROVES=false it is exported although the admin's key is there; the other keepers still act."""
    without = replace(RULES, approves=False)

    row = plan_one("proposal_approvals", proposed(9, 1, likes=9, dislikes=1), rules=without)
    assert (row.reason, row.verdict) == (Reason.LEFT_TO_OPERATOR, PlanVerdict.EXPORT)
    assert "zmart keeper approve" in row.detail
    assert plan_one("proposal_tallies", proposed(9, 1), rules=without).reason is Reason.DUE
    assert plan_one("market_activations", market(MarketState.APPROVED), rules=without).reason is Reason.DUE


# Decisions of an operator


def approve(row: PlanRow, *, proven_state: ProvenState = PROVEN_STATE) -> PlanRow:
    """Return the row as an operator sends it."""
    return plans.approve(row, proven_state, CONFIG)


def test_what_an_operator_sends_leaves_unseen_wallets_out() -> None:
    """The arguments and the outcome are those of the other ballots."""
    tally = Tally(on_chain_agree=3, known_agree=2, known_disagree=1, unseen_agree=8)
    row = approve(plan_one("proposal_tallies", market(MarketState.PROPOSED, tally=tally)))
    assert (row.reason, row.verdict) == (Reason.APPROVED, PlanVerdict.DUE)
    assert row.arguments == {"final_likes": 5, "final_dislikes": 1}

    row = approve(
        plan_one("dispute_settlements", disputed(Tally(on_chain_agree=5, on_chain_disagree=5, unseen_agree=9)))
    )
    assert (row.arguments, row.expected_outcome) == ({"dispute_agree": 5, "dispute_disagree": 5}, True)


def test_an_approval_on_a_tally_without_unseen_wallets_is_left_to_an_operator() -> None:
    """The tally on chain has fewer votes than our rules ask for; the program's own threshold must be met."""
    tally = Tally(on_chain_agree=2, unseen_agree=8)
    found = market(MarketState.PROPOSED, tally=tally, likes=2, dislikes=0)
    row = plan_one("proposal_approvals", found)
    assert row.reason is Reason.UNSEEN_DECIDE
    assert approve(row).reason is Reason.APPROVED
    assert plan_one("proposal_approvals", replace(found, likes=0)).reason is Reason.NO_TALLY
    assert plan_one("proposal_approvals", replace(found, dislikes=1)).reason is Reason.NO_TALLY


@pytest.mark.parametrize(
    ("name", "found", "message"),
    [
        ("proposal_tallies", market(MarketState.PROPOSED, tally=Tally(unseen_agree=10)), "approves nothing"),
        (
            "proposal_tallies",
            market(MarketState.PROPOSED, tally=Tally(on_chain_agree=6, on_chain_disagree=4, unseen_agree=10)),
            "approves nothing",
        ),
        ("dispute_settlements", disputed(Tally(unseen_agree=5)), "settles nothing"),
        (
            "dispute_settlements",
            disputed(Tally(on_chain_agree=5, on_chain_disagree=5, unseen_agree=9), decisive_slot=1_001),
            "not final",
        ),
        (
            "dispute_settlements",
            disputed(Tally(on_chain_agree=5, on_chain_disagree=5, unseen_agree=9), gap_no=3),
            "unproven in accepted gap 3",
        ),
        ("dispute_settlements", disputed(Tally()), "not left to an operator"),
        ("dispute_settlements", disputed(Tally(on_chain_agree=9), was_disputed=True), "not left to an operator"),
        ("market_finalizations", resolving(proposed_outcome=None), "not left to an operator"),
        ("proposal_tallies", proposed(1, 1), "not left to an operator"),
        ("proposal_tallies", proposed(9, 1, open_intent=OpenIntent(7, "quarantined")), "not left to an operator"),
    ],
)
def test_a_decision_replaces_no_proof(name: str, found: MarketFacts, message: str) -> None:
    """Nothing that the program would refuse, that is not final, or that another rule forbids becomes due."""
    with pytest.raises(errors.Conflict, match=message):
        approve(plan_one(name, found))


# Outcomes


def test_finalizing_waits_for_the_proven_time_not_the_clock() -> None:
    """The chain's own period, by the time of the proven slot: neither 48 h, nor this machine's clock."""
    found = resolving()
    early = replace(PROVEN_STATE, proven_at=NOW - 1, chain_at=NOW + 500)

    assert plan_one("market_finalizations", found).reason is Reason.DUE
    assert plan_one("market_finalizations", found).arguments == {"dispute_agree": None, "dispute_disagree": None}
    assert plan_one("market_finalizations", found, proven_state=early).reason is Reason.PERIOD_RUNS
    longer = CONFIG._replace(dispute_period=3 * DAY + 1)
    assert plan_one("market_finalizations", found, config=longer).reason is Reason.PERIOD_RUNS
    two_days = resolving(resolution_proposed_at=NOW - 2 * DAY - 60)
    assert plan_one("market_finalizations", two_days).reason is Reason.PERIOD_RUNS


def test_a_once_disputed_market_is_never_finalized_as_undisputed() -> None:
    """After a dispute that succeeded the program would confirm the rejected outcome (protocol.md 1.4.15)."""
    assert plan_one("market_finalizations", resolving(was_disputed=True)).reason is Reason.WAS_DISPUTED
    assert plan_one("market_finalizations", resolving(dispute_initiated_at=NOW - DAY)).reason is Reason.WAS_DISPUTED
    assert plan_one("market_finalizations", resolving(proposed_outcome=None)).reason is Reason.NULL_OUTCOME


@pytest.mark.parametrize(
    ("tally", "outcome"),
    [
        (Tally(on_chain_agree=6, on_chain_disagree=4), False),
        (Tally(on_chain_agree=59, on_chain_disagree=41), True),
        (Tally(on_chain_disagree=1), True),
        (Tally(on_chain_agree=3, known_agree=3, known_disagree=4, unseen_agree=1), False),
    ],
)
def test_a_dispute_is_settled_by_its_ballots(tally: Tally, outcome: bool) -> None:
    """At 60 % the proposed YES becomes NO, below it stays."""
    row = plan_one("dispute_settlements", disputed(tally))

    assert row.reason is Reason.DUE
    assert row.expected_outcome is outcome
    assert (row.arguments["dispute_agree"], row.arguments["dispute_disagree"]) == tally.without_unseen()


@pytest.mark.parametrize(
    ("tally", "changes", "reason"),
    [
        (Tally(), {}, Reason.ZERO_BALLOTS),
        (Tally(unseen_agree=5), {}, Reason.UNSEEN_DECIDE),
        (Tally(on_chain_agree=5, on_chain_disagree=5, unseen_agree=9), {}, Reason.UNSEEN_DECIDE),
        (Tally(on_chain_agree=6, on_chain_disagree=4, unseen_disagree=9), {}, Reason.UNSEEN_DECIDE),
        (Tally(on_chain_agree=6, on_chain_disagree=4), {"proposed_outcome": None}, Reason.NULL_OUTCOME),
        (Tally(on_chain_agree=6, on_chain_disagree=4), {"was_disputed": True}, Reason.WAS_DISPUTED),
        (Tally(on_chain_agree=1 << 32, on_chain_disagree=4), {}, Reason.TOO_MANY_BALLOTS),
        (Tally(on_chain_agree=9), {"dispute_initiated_at": NOW - 3 * DAY}, Reason.VOTING_RUNS),
        (Tally(on_chain_agree=9), {"decisive_slot": 1_001}, Reason.NOT_FINAL),
    ],
)
def test_an_undecided_dispute_waits_or_goes_to_manual_review(
    tally: Tally, changes: dict[str, Any], reason: Reason
) -> None:
    """No ballot is added, and ballots of unseen wallets alone do not decide."""
    assert plan_one("dispute_settlements", disputed(tally, **changes)).reason is reason


def test_a_stricter_dispute_threshold_that_disagrees_goes_to_manual_review() -> None:
    """The program applies its own threshold: 65 % reverses the outcome there and would not by ours."""
    strict = replace(RULES, dispute_threshold_bps=7_500)
    found = disputed(Tally(on_chain_agree=65, on_chain_disagree=35))

    assert plan_one("dispute_settlements", found, rules=strict).reason is Reason.THRESHOLDS_DISAGREE
    assert plan_one(
        "dispute_settlements", disputed(Tally(on_chain_agree=80, on_chain_disagree=20)), rules=strict
    ).reason is (Reason.DUE)


# All tasks


@pytest.mark.parametrize(
    ("standing", "config", "reason"),
    [
        (replace(PROVEN_STATE, finalized_through=None), CONFIG, Reason.UNVERIFIED),
        (replace(PROVEN_STATE, verified_through=None), CONFIG, Reason.UNVERIFIED),
        (replace(PROVEN_STATE, proven_at=None), CONFIG, Reason.UNVERIFIED),
        (replace(PROVEN_STATE, chain_at=NOW + 901, our_at=float(NOW + 901)), CONFIG, Reason.LOG_BEHIND),
        (replace(PROVEN_STATE, our_at=float(NOW + 70)), CONFIG, Reason.CLOCK_SKEW),
        (replace(PROVEN_STATE, our_at=float(NOW - 70)), CONFIG, Reason.CLOCK_SKEW),
        (replace(PROVEN_STATE, stale=("markets",)), CONFIG, Reason.MART_STALE),
        (replace(PROVEN_STATE, restored_at_slot=1_001 - plans.RESTORED_SLOTS), CONFIG, Reason.RESTORED),
        (PROVEN_STATE, CONFIG._replace(is_paused=True), Reason.PAUSED),
    ],
)
def test_nothing_is_planned_from_unproven_or_stale_state(
    standing: ProvenState, config: ProtocolConfig, reason: Reason
) -> None:
    """Unproven, old, skewed, stale or paused: every row has the reason and none is sent."""
    rows = plans.plan(
        TASKS["proposal_tallies"],
        [proposed(9, 1), proposed(1, 9, market_no=2)],
        proven_state=standing,
        config=config,
        rules=RULES,
    )

    assert {row.reason for row in rows} == {reason}
    assert PlanVerdict.DUE not in {row.verdict for row in rows}


def test_keepers_act_again_once_a_restored_log_has_caught_up() -> None:
    """From the slot on after which nothing that was signed before the restore can land."""
    caught_up = replace(PROVEN_STATE, restored_at_slot=1_000 - plans.RESTORED_SLOTS)

    assert plan_one("proposal_tallies", proposed(9, 1), proven_state=caught_up).reason is Reason.DUE


def test_clocks_may_disagree_where_no_ballot_is_dated_by_ours() -> None:
    """Finalizing reads the chain's clock alone; a development chain's is set by hand."""
    skewed = replace(PROVEN_STATE, our_at=float(NOW + 10_000))

    assert plan_one("market_finalizations", resolving(), proven_state=skewed).reason is Reason.DUE
    by_hand = replace(RULES, clocks_agree=False)
    assert plan_one("proposal_tallies", proposed(9, 1), proven_state=skewed, rules=by_hand).reason is Reason.DUE


def test_a_round_is_bounded_and_the_oldest_goes_first() -> None:
    """MARKET_MONITOR_BATCH_SIZE; the rest is for the next run."""
    found = [resolving(market_no=number, resolution_proposed_at=NOW - 3 * DAY - number) for number in range(1, 6)]
    rows = plans.plan(
        TASKS["market_finalizations"],
        found,
        proven_state=PROVEN_STATE,
        config=CONFIG,
        rules=replace(RULES, batch_size=2),
    )

    assert [row.market.market_no for row in rows if row.reason is Reason.DUE] == [5, 4]
    assert [row.reason for row in rows[2:]] == [Reason.NEXT_ROUND] * 3


def test_the_forbidden_instruction_is_no_task() -> None:
    """aggregate_dispute_votes is never called (protocol.md 1.4.15)."""
    assert FORBIDDEN_INSTRUCTION == "aggregate_dispute_votes"
    assert FORBIDDEN_INSTRUCTION not in {task.instruction for task in TASKS.values()}
