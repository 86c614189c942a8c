"""Decides which markets are due: rows of the log, the program's configuration and settings in, rows of a plan out.

The functions here do no I/O: they do not wait, read a clock or call a node. A market, a `ProvenState` (which part of
the log is proven, and up to which time by the chain's own clock), the `ProtocolConfig` that the program would read
now and our `Rules` make exactly one `PlanRow`, with its reason as text. The same input always makes the same row, in
production and in a test.

A deadline is safe for this reason: `proven_at` is the chain's time at the slot through which the log is proven final.
The chain's time never goes back, so everything that happened before `proven_at` is in the log, and everything that is
not in the log by then happened later. A dispute can be opened only before `resolution_proposed_at + dispute_period`.
Once `proven_at` has reached that instant and the log shows no dispute, none exists and none can be opened any more.
All ballots on chain before `proven_at` are counted, and ballots after a window's end never count.

Off-chain ballots of unseen wallets cost nothing: ten of them were cast in 1.2 s from one address, and a tally, an
approval and an activation followed. So no transaction is sent whose reason depends on them, and no count that is sent
includes them. A wallet is seen if it had a finalized event before the vote opened: one that appears on chain later
could make a free ballot count after the fact. BALLOT_ELIGIBILITY decides who may cast, and nothing here.

A row that is not sent has a reason of reasons.py. An operator decides the rows of `PlanVerdict.MANUAL_REVIEW`,
because no rule may decide them. `approve` makes a row due that an operator decided to send; the counts that it sends
are those without unseen wallets, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from zmart import errors
from zmart.domain import market as markets
from zmart.domain import votes

from .actions import Name, Task
from .plan_inputs import MarketFacts, ProtocolConfig, ProvenState, Rules, Tally
from .reasons import PlanVerdict, Reason

#: Minimum interval between two tallies of one market: each costs a fee and shows up in the market's history.
TALLY_INTERVAL_SECONDS: Final = 3_600
#: Maximum lag of the proven log behind the chain's clock. Beyond it, every row is refused.
LARGEST_LAG_SECONDS: Final = 900
#: Slots after a restore through which the log must be proven before anything is sent. A transaction that was signed
#: just before it is dead after 150 blocks, which begin up to 32 slots after the finalized one; the rest is for empty
#: slots.
RESTORED_SLOTS: Final = 512
#: Maximum difference between this machine's clock and the chain's clock where our clock dates the ballots. A dispute
#: is settled this much later, so that a ballot accepted in time by either clock is counted.
LARGEST_SKEW_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One market in a plan."""

    task: Name
    market: MarketFacts
    reason: Reason
    #: More about the reason, as text for operators.
    detail: str = ""
    arguments: Mapping[str, int | None] = field(default_factory=dict)
    #: The instant by the chain's clock from which the row is due, if there is one.
    deadline: int | None = None
    #: The instant before which its ballots count, if that is not now.
    closing: int | None = None
    #: The outcome that the program must write; the sweep compares it afterwards.
    expected_outcome: bool | None = None
    #: The proofs that were made before the row was signed.
    proof: Mapping[str, Any] = field(default_factory=dict)
    #: The transaction in base64, if it is to be signed elsewhere.
    unsigned: str | None = None
    #: The log lines of its simulation.
    logs: tuple[str, ...] = ()

    @property
    def verdict(self) -> PlanVerdict:
        """Return the verdict of its reason."""
        return self.reason.verdict

    def with_reason(self, reason: Reason, detail: str = "") -> PlanRow:
        """Return the same row with another reason."""
        return replace(self, reason=reason, detail=detail)


def plan(
    task: Task, found: Iterable[MarketFacts], *, proven_state: ProvenState, config: ProtocolConfig, rules: Rules
) -> list[PlanRow]:
    """Return the plan of one keeper: due rows first, oldest deadline first; rows beyond the batch get NEXT_ROUND."""
    general = _blocking_reason(task, proven_state, config, rules)
    decide = _DECIDE[task.name]
    rows = [
        PlanRow(task=task.name, market=market, reason=general[0], detail=general[1])
        if general
        else _decide_row(decide, market, proven_state, config, rules)
        for market in found
    ]
    rows.sort(key=_sort_key)
    remaining = rules.batch_size
    for index, row in enumerate(rows):
        if row.verdict in (PlanVerdict.DUE, PlanVerdict.EXPORT):
            remaining -= 1
            if remaining < 0:
                rows[index] = row.with_reason(Reason.NEXT_ROUND)
    return rows


def _sort_key(row: PlanRow) -> tuple[int, int, int]:
    rank = {
        PlanVerdict.DUE: 0,
        PlanVerdict.EXPORT: 0,
        PlanVerdict.MANUAL_REVIEW: 1,
        PlanVerdict.REFUSED: 2,
        PlanVerdict.WAIT: 3,
    }[row.verdict]
    return rank, row.deadline or row.market.created_at, row.market.market_no


def _blocking_reason(
    task: Task, proven_state: ProvenState, config: ProtocolConfig, rules: Rules
) -> tuple[Reason, str] | None:
    """Return the reason that blocks all rows of the plan, or None."""
    if (found := _log_reason(proven_state)) is not None:
        return found
    skew = abs(proven_state.chain_at - proven_state.our_at)
    if task.ballots is not None and rules.clocks_agree and skew > LARGEST_SKEW_SECONDS:
        return Reason.CLOCK_SKEW, f"The chain's finalized clock and ours are {skew:.0f} s apart."
    if config.is_paused:
        return Reason.PAUSED, "The admin has paused it; keepers wait until it is unpaused."
    return None


def _log_reason(proven_state: ProvenState) -> tuple[Reason, str] | None:
    """Return the reason for which the log is not proven far enough to decide anything, or None."""
    if (
        proven_state.finalized_through is None
        or proven_state.proven_at is None
        or proven_state.verified_through is None
    ):
        return Reason.UNVERIFIED, "No walk has verified the log yet; see zmart status."
    if proven_state.stale:
        return (
            Reason.MART_STALE,
            f"{', '.join(proven_state.stale)}: a mart that is behind is retried; a stale one needs zmart rebuild NAME.",
        )
    lag = proven_state.chain_at - proven_state.proven_at
    if lag > LARGEST_LAG_SECONDS:
        return Reason.LOG_BEHIND, f"Proven through slot {proven_state.finalized_through}, {lag} s behind the chain."
    needed = (proven_state.restored_at_slot or 0) + RESTORED_SLOTS
    if proven_state.restored_at_slot is not None and proven_state.finalized_through < needed:
        return (
            Reason.RESTORED,
            f"It is proven through slot {proven_state.finalized_through}; keepers wait for {needed}.",
        )
    return None


_Decide = Callable[[MarketFacts, ProvenState, ProtocolConfig, Rules], PlanRow]


def _decide_row(
    decide: _Decide, market: MarketFacts, proven_state: ProvenState, config: ProtocolConfig, rules: Rules
) -> PlanRow:
    row = decide(market, proven_state, config, rules)
    if (blocked := _intent_reason(market)) is not None:
        return row.with_reason(*blocked)
    final = proven_state.finalized_through
    if row.verdict in (PlanVerdict.DUE, PlanVerdict.EXPORT) and (final is None or market.decisive_slot > final):
        return row.with_reason(Reason.NOT_FINAL, f"Slot {market.decisive_slot} is not final yet.")
    if row.verdict in (PlanVerdict.DUE, PlanVerdict.EXPORT) and market.gap_no is not None:
        return row.with_reason(Reason.GAP, f"Gap {market.gap_no} has to be filled first; see zmart gap list.")
    return row


def _intent_reason(market: MarketFacts) -> tuple[Reason, str] | None:
    """Return the reason why the market's open intent blocks another one, or None."""
    intent = market.open_intent
    if intent is None or intent.state == "planned":
        return None
    if intent.state == "quarantined":
        return Reason.QUARANTINED, f"Inspect intent {intent.intent_no}, then: zmart keeper release {intent.intent_no}"
    return Reason.UNDER_WAY, f"Intent {intent.intent_no} is {intent.state}."


# Proposals


def tally(market: MarketFacts, proven_state: ProvenState, config: ProtocolConfig, rules: Rules) -> PlanRow:
    """Decide whether to write the counted ballots of a proposal on chain."""
    row = PlanRow(task="proposal_tallies", market=market, reason=Reason.DUE)
    try:
        votes.total(market.likes, market.dislikes)
        short, short_without_unseen = _shorts(market.tally, config, rules)
    except errors.ProgramError:
        return row.with_reason(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    if short is not None and short_without_unseen is not None:
        return row.with_reason(*short)
    if _is_sufficient(market.likes, market.dislikes, config, rules):
        return row.with_reason(Reason.TALLY_SUFFICES, _format_counts(market.likes, market.dislikes))
    if short is not None or short_without_unseen is not None:
        return row.with_reason(Reason.UNSEEN_DECIDE, _with_and_without(market.tally))
    if market.last_sent_at is not None and proven_state.our_at - market.last_sent_at < TALLY_INTERVAL_SECONDS:
        return row.with_reason(Reason.TALLIED_LATELY)
    likes, dislikes = market.tally.without_unseen()
    return replace(
        row, arguments={"final_likes": likes, "final_dislikes": dislikes}, detail=_format_counts(likes, dislikes)
    )


def approval(market: MarketFacts, proven_state: ProvenState, config: ProtocolConfig, rules: Rules) -> PlanRow:
    """Decide whether the tally on chain suffices and the ballots counted now still support it."""
    row = PlanRow(task="proposal_approvals", market=market, reason=Reason.DUE)
    try:
        against = _reason_against_approval(market, config, rules)
    except errors.ProgramError:
        return row.with_reason(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    if against is not None:
        return row.with_reason(*against)
    if not rules.has_admin:
        return row.with_reason(Reason.NO_ADMIN_KEY, "Sign it with the admin's key, or set ADMIN_KEYPAIR_PATH.")
    if not rules.approves:
        return row.with_reason(
            Reason.LEFT_TO_OPERATOR, "KEEPER_APPROVES is off. To send it: zmart keeper approve MARKET --reason TEXT"
        )
    return replace(row, detail=_format_counts(market.likes, market.dislikes))


def _reason_against_approval(market: MarketFacts, config: ProtocolConfig, rules: Rules) -> _Reason:
    """Return why tally and ballots allow no approval, or None. Raises OverflowError beyond 32 bits."""
    short, short_without_unseen = _shorts(market.tally, config, rules)
    is_undecided = (short is None) != (short_without_unseen is None)
    if not _is_sufficient(market.likes, market.dislikes, config, rules):
        # Unseen wallets suffice: the tally on chain is without them, and an operator may approve on it.
        if short is None and is_undecided and _would_approve(market, config):
            return Reason.UNSEEN_DECIDE, _with_and_without(market.tally)
        return Reason.NO_TALLY, _format_counts(market.likes, market.dislikes)
    if is_undecided:
        return Reason.UNSEEN_DECIDE, _with_and_without(market.tally)
    return None if short is None else (Reason.BALLOTS_TURNED, f"Counted now: {short[1]}")


def activation(market: MarketFacts, proven_state: ProvenState, config: ProtocolConfig, rules: Rules) -> PlanRow:
    """Decide whether this keeper may open the market; its approval must not need ballots of unseen wallets."""
    row = PlanRow(task="market_activations", market=market, reason=Reason.DUE)
    if not rules.has_admin:
        return row.with_reason(
            Reason.LEFT_TO_OTHERS, "ADMIN_KEYPAIR_PATH is not set; the creator may activate it, too."
        )
    if not rules.activates:
        return row.with_reason(Reason.LEFT_TO_OTHERS, "KEEPER_ACTIVATES is off.")
    try:
        short, short_without_unseen = _shorts(market.tally, config, rules)
    except errors.ProgramError:
        return row.with_reason(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    # Only this direction counts: ballots of unseen wallets against an approved market must not block its activation.
    if short is None and short_without_unseen is not None:
        return row.with_reason(Reason.UNSEEN_DECIDE, _with_and_without(market.tally))
    return row


_Reason: TypeAlias = tuple[Reason, str] | None


def _shorts(tally: Tally, config: ProtocolConfig, rules: Rules) -> tuple[_Reason, _Reason]:
    """Return what is missing for an approval, first by all ballots that count, then without unseen wallets."""
    return _missing_for_approval(tally.with_unseen(), config, rules), _missing_for_approval(
        tally.without_unseen(), config, rules
    )


def _missing_for_approval(counts: tuple[int, int], config: ProtocolConfig, rules: Rules) -> _Reason:
    likes, dislikes = counts
    summary = _format_counts(likes, dislikes)
    if votes.total(likes, dislikes) < rules.min_proposal_votes:
        return Reason.TOO_FEW_BALLOTS, f"{summary}, at least {rules.min_proposal_votes} are required"
    if not votes.is_threshold_reached(likes, dislikes, _approval_bps(config, rules)):
        return Reason.BELOW_THRESHOLD, f"{summary}, {_approval_bps(config, rules) / 100:g} % are required"
    return None


def _is_sufficient(likes: int, dislikes: int, config: ProtocolConfig, rules: Rules) -> bool:
    """Return whether these counts allow an approval, by the program's rules and by ours."""
    return votes.total(likes, dislikes) >= rules.min_proposal_votes and votes.is_threshold_reached(
        likes, dislikes, _approval_bps(config, rules)
    )


def _would_approve(market: MarketFacts, config: ProtocolConfig) -> bool:
    """Return whether the program would approve the market on the tally on chain (protocol.md 1.4.3)."""
    return votes.is_threshold_reached(market.likes, market.dislikes, config.proposal_approval_threshold)


def _approval_bps(config: ProtocolConfig, rules: Rules) -> int:
    return max(config.proposal_approval_threshold, rules.approval_threshold_bps)


# Finalization and settlement


def finalization(market: MarketFacts, proven_state: ProvenState, config: ProtocolConfig, rules: Rules) -> PlanRow:
    """Decide whether an undisputed outcome can no longer be disputed (protocol.md 1.4.9)."""
    deadline = markets.dispute_closes_at(market.resolution_proposed_at, config.dispute_period)
    row = PlanRow(
        task="market_finalizations",
        market=market,
        reason=Reason.DUE,
        deadline=deadline,
        arguments={"dispute_agree": None, "dispute_disagree": None},
        expected_outcome=market.proposed_outcome,
    )
    if market.was_disputed or market.dispute_initiated_at:
        detail = (
            "A dispute returned it to RESOLVING: finalizing would confirm an outcome that voters may have rejected."
        )
        return row.with_reason(Reason.WAS_DISPUTED, detail)
    if market.proposed_outcome is None:
        return row.with_reason(Reason.NULL_OUTCOME)
    if _proven_at(proven_state) < deadline:
        return row.with_reason(
            Reason.PERIOD_RUNS, f"{deadline - _proven_at(proven_state)} s left by the proven chain time"
        )
    return row


def settlement(market: MarketFacts, proven_state: ProvenState, config: ProtocolConfig, rules: Rules) -> PlanRow:
    """Decide whether a dispute's ballots give the same outcome by every way of counting (protocol.md 1.4.9, 4.5)."""
    closes_at = market.dispute_initiated_at + rules.voting_window_seconds
    deadline = closes_at + (LARGEST_SKEW_SECONDS if rules.clocks_agree else 0)
    row = PlanRow(task="dispute_settlements", market=market, reason=Reason.DUE, deadline=deadline, closing=closes_at)
    if market.was_disputed:
        return row.with_reason(Reason.WAS_DISPUTED, "Voters of the earlier dispute cannot vote in this one.")
    if market.proposed_outcome is None:
        return row.with_reason(Reason.NULL_OUTCOME)
    if _proven_at(proven_state) < deadline:
        return row.with_reason(
            Reason.VOTING_RUNS, f"{deadline - _proven_at(proven_state)} s left by the proven chain time"
        )
    return _settlement_row(row, market, config, rules)


def _settlement_row(row: PlanRow, market: MarketFacts, config: ProtocolConfig, rules: Rules) -> PlanRow:
    agree, disagree = market.tally.with_unseen()
    try:
        total = votes.total(agree, disagree)
    except errors.ProgramError:
        return row.with_reason(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    if total == 0:
        return row.with_reason(
            Reason.ZERO_BALLOTS, "The program settles nothing without a ballot, and keepers do not add one."
        )
    seen_counts = market.tally.without_unseen()
    chain = _outcome(market, (agree, disagree), config.dispute_success_threshold)
    ours = _outcome(market, (agree, disagree), rules.dispute_threshold_bps)
    if sum(seen_counts) == 0 or {_outcome(market, seen_counts, bps) for bps in _dispute_bps(config, rules)} != {
        chain,
        ours,
    }:
        return row.with_reason(Reason.UNSEEN_DECIDE, _with_and_without(market.tally))
    counts = _format_counts(*seen_counts)
    if ours != chain:
        return row.with_reason(Reason.THRESHOLDS_DISAGREE, f"{counts}; the chain would write {_outcome_label(chain)}")
    return replace(
        row,
        arguments={"dispute_agree": seen_counts[0], "dispute_disagree": seen_counts[1]},
        expected_outcome=chain,
        detail=f"{counts}: {_outcome_label(chain)}",
    )


# Decisions of an operator

#: Reasons for which an operator may let a row be sent.
LEFT_TO_OPERATOR: Final = (Reason.UNSEEN_DECIDE, Reason.THRESHOLDS_DISAGREE, Reason.LEFT_TO_OPERATOR)


def approve(row: PlanRow, proven_state: ProvenState, config: ProtocolConfig) -> PlanRow:
    """Return the row as due because an operator decided so, with the counts without unseen wallets.

    Everything that does not depend on free ballots still holds: the log is proven, the market is final in it, windows
    are over, and the program's own threshold is met. Raises Conflict for a row that was not left to an operator, or
    that the program would not accept.
    """
    market, final = row.market, proven_state.finalized_through
    if row.reason not in LEFT_TO_OPERATOR:
        raise errors.Conflict(
            f"{row.task} of market {market.market_id} is not left to an operator: {row.reason.label}. {row.detail}",
            help="See: zmart keeper plan --all",
        )
    if final is None or market.decisive_slot > final:
        raise errors.Conflict(f"Slot {market.decisive_slot} is not final yet.", help="Try again in a minute.")
    if market.gap_no is not None:
        raise errors.Conflict(
            f"Transactions of market {market.market_id} are missing or unproven in accepted gap {market.gap_no}.",
            help="Wait until the gap is filled (zmart gap list), or sign the transaction by hand.",
        )
    agree, disagree = market.tally.without_unseen()
    approved = row.with_reason(Reason.APPROVED, row.detail)
    if row.task == "proposal_tallies":
        if not votes.is_threshold_reached(agree, disagree, config.proposal_approval_threshold):
            raise errors.Conflict(
                f"Without unseen wallets the ballots are {_format_counts(agree, disagree)}; "
                "on such a tally the program approves nothing.",
                help="Ask for votes on chain. Keepers write no ballots of unseen wallets on chain.",
            )
        return replace(approved, arguments={"final_likes": agree, "final_dislikes": disagree})
    if row.task == "dispute_settlements":
        if agree + disagree == 0:
            raise errors.Conflict(
                "The dispute has no ballot but those of unseen wallets, and the program settles nothing without one.",
                help="Ask for votes on chain, and raise DISPUTE_VOTING_WINDOW so that they count.",
            )
        return replace(
            approved,
            arguments={"dispute_agree": agree, "dispute_disagree": disagree},
            expected_outcome=_outcome(market, (agree, disagree), config.dispute_success_threshold),
        )
    return approved


def _outcome(market: MarketFacts, counts: tuple[int, int], threshold_bps: int) -> bool | None:
    return markets.disputed_outcome(
        market.proposed_outcome, agree=counts[0], disagree=counts[1], threshold_bps=threshold_bps
    )


def _dispute_bps(config: ProtocolConfig, rules: Rules) -> tuple[int, int]:
    return config.dispute_success_threshold, rules.dispute_threshold_bps


def _proven_at(proven_state: ProvenState) -> int:
    return -1 if proven_state.proven_at is None else proven_state.proven_at


def _format_counts(agree: int, disagree: int) -> str:
    return f"{agree}:{disagree}, {votes.share_bps(agree, disagree) / 100:.2f} %"


def _with_and_without(tally: Tally) -> str:
    counted, without = (
        _format_counts(*tally.with_unseen()),
        _format_counts(*tally.without_unseen()),
    )
    return f"{counted}; without wallets unseen before the vote {without}"


def _outcome_label(outcome: bool | None) -> str:
    return {True: "YES", False: "NO", None: "INVALID"}[outcome]


_DECIDE: Final[Mapping[Name, _Decide]] = {
    "proposal_tallies": tally,
    "proposal_approvals": approval,
    "market_activations": activation,
    "market_finalizations": finalization,
    "dispute_settlements": settlement,
}
