"""Deciding what is due: rows of the log, the program's configuration and our settings in, rows of a plan out.

Nothing here waits, reads a clock or asks a node. A market, a `Standing` (what is proven, and until when by the chain's
own clock), the `Config` the program would read now and our `Rules` make exactly one `Row`, with the reason in words;
the same input makes the same row, today and in a test.

What makes a deadline safe. `proven_at` is the chain's time at the slot through which the log is proven final. The
chain's time never goes back, so whatever happened before `proven_at` is in the log, and what is not in the log by then
happened later. A dispute can be opened only before `resolution_proposed_at + dispute_period`; once `proven_at` has
reached that instant and the log shows no dispute, there is none and never will be one. Ballots on chain before
`proven_at` are all counted, and ballots after a window's end never count.

Off-chain ballots of wallets that the chain has never shown cost nothing: ten of them were cast in 1.2 s from one
address, and a tally, an approval and an activation followed. So nothing is sent whose reason depends on them, and no
count that is sent includes them.

A row that is not sent says why, as one of the reasons below; `Verdict.PERSON` are those that no rule may decide.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

from zmart import errors
from zmart.domain import market as markets
from zmart.domain import votes
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.settings import Eligibility

from .actions import Name, Task

#: A tally is sent for one market at most so often: each costs a fee and shows up in its history.
TALLY_INTERVAL_SECONDS: Final = 3_600
#: How far the proven log may lie behind the chain's clock before nothing is decided by it.
LARGEST_LAG_SECONDS: Final = 900
#: How far this machine's clock and the chain's may lie apart where ballots are dated by ours. A dispute is settled so
#: much later, so that a ballot accepted in time by either clock is counted.
LARGEST_SKEW_SECONDS: Final = 60


class Verdict(enum.Enum):
    """What becomes of a row."""

    #: It is signed and sent.
    DUE = "due"
    #: It waits for the admin's signature, made elsewhere.
    EXPORT = "export"
    #: Nothing to do, or not yet.
    WAIT = "wait"
    #: It would be due, but something is not proven.
    REFUSED = "refused"
    #: A person decides.
    PERSON = "person"


class Reason(enum.Enum):
    """Why a row has its verdict."""

    DUE = ("due", Verdict.DUE)
    NO_ADMIN_KEY = ("unsigned, for the admin", Verdict.EXPORT)

    TOO_FEW_BALLOTS = ("too few ballots", Verdict.WAIT)
    BELOW_THRESHOLD = ("below the threshold", Verdict.WAIT)
    TALLY_SUFFICES = ("the tally on chain suffices", Verdict.WAIT)
    TALLIED_LATELY = ("tallied within the hour", Verdict.WAIT)
    NO_TALLY = ("no sufficient tally on chain", Verdict.WAIT)
    PERIOD_RUNS = ("the dispute period runs", Verdict.WAIT)
    VOTING_RUNS = ("voting runs", Verdict.WAIT)
    UNDER_WAY = ("under way", Verdict.WAIT)
    NEXT_ROUND = ("in the next round", Verdict.WAIT)
    LEFT_TO_OTHERS = ("left to admin and creator", Verdict.WAIT)
    PAUSED = ("the protocol is paused", Verdict.WAIT)
    NOT_YET = ("the program says not yet", Verdict.WAIT)

    UNVERIFIED = ("nothing of the log is proven", Verdict.REFUSED)
    LOG_BEHIND = ("the proven log is too old", Verdict.REFUSED)
    MART_STALE = ("a mart stopped following the log", Verdict.REFUSED)
    CLOCK_SKEW = ("clocks disagree", Verdict.REFUSED)
    NOT_FINAL = ("not final yet", Verdict.REFUSED)
    BALLOTS_TURNED = ("ballots have turned since the tally", Verdict.REFUSED)
    MARKET_MOVED = ("the market has moved on", Verdict.REFUSED)
    CONFIG_CHANGED = ("the configuration has changed", Verdict.REFUSED)
    RECORDS_DIFFER = ("vote records differ from the log", Verdict.REFUSED)
    SIMULATION = ("it cannot be simulated now", Verdict.REFUSED)
    BUDGET = ("the day's budget is used up", Verdict.REFUSED)

    ZERO_BALLOTS = ("a dispute without a ballot", Verdict.PERSON)
    NULL_OUTCOME = ("no outcome is proposed", Verdict.PERSON)
    WAS_DISPUTED = ("it was disputed before", Verdict.PERSON)
    UNSEEN_DECIDE = ("unseen wallets decide", Verdict.PERSON)
    THRESHOLDS_DISAGREE = ("our threshold and the chain's disagree", Verdict.PERSON)
    TOO_MANY_BALLOTS = ("more ballots than the program counts", Verdict.PERSON)
    PROGRAM = ("the program would refuse", Verdict.PERSON)
    QUARANTINED = ("quarantined after three attempts", Verdict.PERSON)

    def __init__(self, words: str, verdict: Verdict) -> None:
        self.words = words
        self.verdict = verdict


class Config(NamedTuple):
    """The program's configuration as its account has it; what a plan was made under must still hold when it is sent."""

    admin: Address
    backend_authority: Address
    proposal_approval_threshold: int
    dispute_success_threshold: int
    #: Seconds.
    dispute_period: int
    is_paused: bool


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What we ask for beyond the program."""

    min_proposal_votes: int
    approval_threshold_bps: int
    dispute_threshold_bps: int
    voting_window_seconds: int
    eligibility: Eligibility
    #: Whether the admin's key is here.
    has_admin: bool
    activates: bool
    #: Rows sent by one round.
    batch_size: int
    #: Whether this machine's clock has to agree with the chain's: not where a chain's clock is turned by hand.
    clocks_agree: bool = True


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is proven, and how old it is; instants are seconds since 1970."""

    #: Slots through which nothing confirmed is missing, and log and finalized chain are the same; None before that.
    verified_through: int | None
    finalized_through: int | None
    #: The chain's time at `finalized_through`.
    proven_at: int | None
    #: The chain's time now, finalized, and its slot.
    chain_at: int
    slot: int
    #: This machine's time as Postgres has it.
    our_at: float
    #: Models that stopped following the log, of those that plans read.
    stale: tuple[str, ...] = ()


class Tally(NamedTuple):
    """Ballots of one market that count, by class; agree is a like of a proposal, or agreement with a dispute."""

    on_chain_agree: int = 0
    on_chain_disagree: int = 0
    known_agree: int = 0
    known_disagree: int = 0
    unseen_agree: int = 0
    unseen_disagree: int = 0

    def counted(self, eligibility: Eligibility) -> tuple[int, int]:
        """Agree and disagree of those who may vote."""
        agree, disagree = self.without_unseen()
        if eligibility == "known":
            return agree, disagree
        return agree + self.unseen_agree, disagree + self.unseen_disagree

    def without_unseen(self) -> tuple[int, int]:
        """Agree and disagree of wallets the chain has shown."""
        return self.on_chain_agree + self.known_agree, self.on_chain_disagree + self.known_disagree


NO_BALLOTS: Final = Tally()


class Open(NamedTuple):
    """The intent that stands in the way of another."""

    intent_no: int
    state: str


@dataclass(frozen=True, kw_only=True)
class Market:
    """A market as the marts have it; instants are seconds since 1970, 0 before they are."""

    market_no: int
    market_id: str
    address: Address
    state: MarketState
    proposed_outcome: bool | None
    was_disputed: bool
    #: The slot of the last event that any decision reads.
    decisive_slot: int
    created_at: int
    resolution_proposed_at: int = 0
    dispute_initiated_at: int = 0
    #: The tally on chain.
    likes: int = 0
    dislikes: int = 0
    tally: Tally = NO_BALLOTS
    open: Open | None = None
    #: When an intent for the same action was last sent, by our clock.
    last_sent_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One market in a plan."""

    task: Name
    market: Market
    reason: Reason
    #: More about the reason, for people.
    words: str = ""
    arguments: Mapping[str, int | None] = field(default_factory=dict)
    #: The instant by the chain's clock from which it is due, where there is one.
    deadline: int | None = None
    #: The instant before which its ballots count, where that is not now.
    closing: int | None = None
    #: The outcome that the program must write, for who looks afterwards.
    expected_outcome: bool | None = None
    #: What was proven of it before it was signed.
    proof: Mapping[str, Any] = field(default_factory=dict)
    #: Base64, where a signature is to be made elsewhere.
    unsigned: str | None = None
    #: Of its simulation.
    logs: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What becomes of it."""
        return self.reason.verdict

    def refused(self, reason: Reason, words: str = "") -> Row:
        """The same row with another reason."""
        return replace(self, reason=reason, words=words)


def plan(task: Task, found: Iterable[Market], *, standing: Standing, config: Config, rules: Rules) -> list[Row]:
    """The plan of one keeper: what is due first, the oldest deadline first; beyond the batch it is the next round's."""
    general = _general(task, standing, config, rules)
    decide = _DECIDE[task.name]
    rows = [
        Row(task=task.name, market=market, reason=general[0], words=general[1])
        if general
        else _row(decide, market, standing, config, rules)
        for market in found
    ]
    rows.sort(key=_order)
    room = rules.batch_size
    for index, row in enumerate(rows):
        if row.verdict in (Verdict.DUE, Verdict.EXPORT):
            room -= 1
            if room < 0:
                rows[index] = row.refused(Reason.NEXT_ROUND)
    return rows


def _order(row: Row) -> tuple[int, int, int]:
    rank = {Verdict.DUE: 0, Verdict.EXPORT: 0, Verdict.PERSON: 1, Verdict.REFUSED: 2, Verdict.WAIT: 3}[row.verdict]
    return rank, row.deadline or row.market.created_at, row.market.market_no


def _general(task: Task, standing: Standing, config: Config, rules: Rules) -> tuple[Reason, str] | None:
    """What keeps everything from being decided."""
    if standing.finalized_through is None or standing.proven_at is None or standing.verified_through is None:
        return Reason.UNVERIFIED, "No walk has proven the log yet; see zmart status."
    if standing.stale:
        return (
            Reason.MART_STALE,
            f"{', '.join(standing.stale)}: one that is behind catches up; a stale one needs zmart rebuild NAME.",
        )
    lag = standing.chain_at - standing.proven_at
    if lag > LARGEST_LAG_SECONDS:
        return Reason.LOG_BEHIND, f"Proven through slot {standing.finalized_through}, {lag} s behind the chain."
    skew = abs(standing.chain_at - standing.our_at)
    if task.ballots is not None and rules.clocks_agree and skew > LARGEST_SKEW_SECONDS:
        return Reason.CLOCK_SKEW, f"The chain's finalized clock and ours are {skew:.0f} s apart."
    if config.is_paused:
        return Reason.PAUSED, "The admin has paused it; keepers wait until that is over."
    return None


_Decide = Callable[[Market, Standing, Config, Rules], Row]


def _row(decide: _Decide, market: Market, standing: Standing, config: Config, rules: Rules) -> Row:
    row = decide(market, standing, config, rules)
    if market.open is not None and market.open.state == "quarantined":
        number = market.open.intent_no
        return row.refused(Reason.QUARANTINED, f"Look at intent {number}, then: zmart keeper release {number}")
    if market.open is not None and market.open.state != "planned":
        return row.refused(Reason.UNDER_WAY, f"Intent {market.open.intent_no} is {market.open.state}.")
    final = standing.finalized_through
    if row.verdict in (Verdict.DUE, Verdict.EXPORT) and (final is None or market.decisive_slot > final):
        return row.refused(Reason.NOT_FINAL, f"Slot {market.decisive_slot} is not final yet.")
    return row


# Proposals


def tally(market: Market, standing: Standing, config: Config, rules: Rules) -> Row:
    """Whether the counted ballots of a proposal are worth writing on chain."""
    row = Row(task="proposal_tallies", market=market, reason=Reason.DUE)
    try:
        votes.total(market.likes, market.dislikes)
        short, short_without_unseen = _shorts(market.tally, config, rules)
    except errors.ProgramError:
        return row.refused(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    if short is not None and short_without_unseen is not None:
        return row.refused(*short)
    if _suffices(market.likes, market.dislikes, config, rules):
        return row.refused(Reason.TALLY_SUFFICES, _in_words(market.likes, market.dislikes))
    if short is not None or short_without_unseen is not None:
        return row.refused(Reason.UNSEEN_DECIDE, _with_and_without(market.tally, rules))
    if market.last_sent_at is not None and standing.our_at - market.last_sent_at < TALLY_INTERVAL_SECONDS:
        return row.refused(Reason.TALLIED_LATELY)
    likes, dislikes = market.tally.without_unseen()
    return replace(row, arguments={"final_likes": likes, "final_dislikes": dislikes}, words=_in_words(likes, dislikes))


def approval(market: Market, standing: Standing, config: Config, rules: Rules) -> Row:
    """Whether the tally on chain suffices, and the ballots still say so."""
    row = Row(task="proposal_approvals", market=market, reason=Reason.DUE)
    try:
        if not _suffices(market.likes, market.dislikes, config, rules):
            return row.refused(Reason.NO_TALLY, _in_words(market.likes, market.dislikes))
        short, short_without_unseen = _shorts(market.tally, config, rules)
    except errors.ProgramError:
        return row.refused(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    if short is not None and short_without_unseen is not None:
        return row.refused(Reason.BALLOTS_TURNED, f"Counted now: {short[1]}")
    if short is not None or short_without_unseen is not None:
        return row.refused(Reason.UNSEEN_DECIDE, _with_and_without(market.tally, rules))
    if not rules.has_admin:
        return row.refused(Reason.NO_ADMIN_KEY, "Sign it with the admin's key, or set ADMIN_KEYPAIR_PATH.")
    return replace(row, words=_in_words(market.likes, market.dislikes))


def activation(market: Market, standing: Standing, config: Config, rules: Rules) -> Row:
    """Whether opening the market is ours to do, and its approval needed no ballots of unseen wallets."""
    row = Row(task="market_activations", market=market, reason=Reason.DUE)
    if not rules.has_admin:
        return row.refused(Reason.LEFT_TO_OTHERS, "ADMIN_KEYPAIR_PATH is not set; the creator may activate it, too.")
    if not rules.activates:
        return row.refused(Reason.LEFT_TO_OTHERS, "KEEPER_ACTIVATES is off.")
    try:
        short, short_without_unseen = _shorts(market.tally, config, rules)
    except errors.ProgramError:
        return row.refused(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    # Only this direction counts: ballots of unseen wallets against an approved market must not hold it back.
    if short is None and short_without_unseen is not None:
        return row.refused(Reason.UNSEEN_DECIDE, _with_and_without(market.tally, rules))
    return row


_Short: TypeAlias = tuple[Reason, str] | None


def _shorts(tally: Tally, config: Config, rules: Rules) -> tuple[_Short, _Short]:
    """What the ballots lack for an approval: all that count, and those without unseen wallets."""
    return _short(tally.counted(rules.eligibility), config, rules), _short(tally.without_unseen(), config, rules)


def _short(counts: tuple[int, int], config: Config, rules: Rules) -> _Short:
    likes, dislikes = counts
    said = _in_words(likes, dislikes)
    if votes.total(likes, dislikes) < rules.min_proposal_votes:
        return Reason.TOO_FEW_BALLOTS, f"{said}, at least {rules.min_proposal_votes} are wanted"
    if not votes.is_threshold_reached(likes, dislikes, _approval_bps(config, rules)):
        return Reason.BELOW_THRESHOLD, f"{said}, {_approval_bps(config, rules) / 100:g} % are wanted"
    return None


def _suffices(likes: int, dislikes: int, config: Config, rules: Rules) -> bool:
    """Whether an approval by these counts is possible, by the program's rules and ours."""
    return votes.total(likes, dislikes) >= rules.min_proposal_votes and votes.is_threshold_reached(
        likes, dislikes, _approval_bps(config, rules)
    )


def _approval_bps(config: Config, rules: Rules) -> int:
    return max(config.proposal_approval_threshold, rules.approval_threshold_bps)


# Endings


def finalization(market: Market, standing: Standing, config: Config, rules: Rules) -> Row:
    """Whether an undisputed outcome is out of reach of any dispute (protocol.md 1.4.9)."""
    deadline = markets.dispute_closes_at(market.resolution_proposed_at, config.dispute_period)
    row = Row(
        task="market_finalizations",
        market=market,
        reason=Reason.DUE,
        deadline=deadline,
        arguments={"dispute_agree": None, "dispute_disagree": None},
        expected_outcome=market.proposed_outcome,
    )
    if market.was_disputed or market.dispute_initiated_at:
        words = "A dispute brought it back to RESOLVING: finalizing would confirm what voters may have rejected."
        return row.refused(Reason.WAS_DISPUTED, words)
    if market.proposed_outcome is None:
        return row.refused(Reason.NULL_OUTCOME)
    if _proven_at(standing) < deadline:
        return row.refused(Reason.PERIOD_RUNS, f"{deadline - _proven_at(standing)} s to go by what is proven")
    return row


def settlement(market: Market, standing: Standing, config: Config, rules: Rules) -> Row:
    """Whether a dispute's ballots decide it, whichever way one counts them (protocol.md 1.4.9, 4.5)."""
    closes_at = market.dispute_initiated_at + rules.voting_window_seconds
    deadline = closes_at + (LARGEST_SKEW_SECONDS if rules.clocks_agree else 0)
    row = Row(task="dispute_settlements", market=market, reason=Reason.DUE, deadline=deadline, closing=closes_at)
    if market.was_disputed:
        return row.refused(Reason.WAS_DISPUTED, "Who voted in the earlier dispute cannot vote in this one.")
    if market.proposed_outcome is None:
        return row.refused(Reason.NULL_OUTCOME)
    if _proven_at(standing) < deadline:
        return row.refused(Reason.VOTING_RUNS, f"{deadline - _proven_at(standing)} s to go by what is proven")
    return _settled(row, market, config, rules)


def _settled(row: Row, market: Market, config: Config, rules: Rules) -> Row:
    agree, disagree = market.tally.counted(rules.eligibility)
    try:
        total = votes.total(agree, disagree)
    except errors.ProgramError:
        return row.refused(Reason.TOO_MANY_BALLOTS, "The program counts in 32 bits.")
    if total == 0:
        return row.refused(Reason.ZERO_BALLOTS, "The program settles nothing without a ballot; none is invented.")
    seen = market.tally.without_unseen()
    chain = _outcome(market, (agree, disagree), config.dispute_success_threshold)
    ours = _outcome(market, (agree, disagree), rules.dispute_threshold_bps)
    if sum(seen) == 0 or {_outcome(market, seen, bps) for bps in _dispute_bps(config, rules)} != {chain, ours}:
        return row.refused(Reason.UNSEEN_DECIDE, _with_and_without(market.tally, rules))
    said = _in_words(*seen)
    if ours != chain:
        return row.refused(Reason.THRESHOLDS_DISAGREE, f"{said}; the chain would write {_outcome_word(chain)}")
    return replace(
        row,
        arguments={"dispute_agree": seen[0], "dispute_disagree": seen[1]},
        expected_outcome=chain,
        words=f"{said}: {_outcome_word(chain)}",
    )


def _outcome(market: Market, counts: tuple[int, int], threshold_bps: int) -> bool | None:
    return markets.disputed_outcome(
        market.proposed_outcome, agree=counts[0], disagree=counts[1], threshold_bps=threshold_bps
    )


def _dispute_bps(config: Config, rules: Rules) -> tuple[int, int]:
    return config.dispute_success_threshold, rules.dispute_threshold_bps


def _proven_at(standing: Standing) -> int:
    return -1 if standing.proven_at is None else standing.proven_at


def _in_words(agree: int, disagree: int) -> str:
    return f"{agree}:{disagree}, {votes.share_bps(agree, disagree) / 100:.2f} %"


def _with_and_without(tally: Tally, rules: Rules) -> str:
    counted, without = _in_words(*tally.counted(rules.eligibility)), _in_words(*tally.without_unseen())
    return f"{counted}; without wallets that the chain has never shown {without}"


def _outcome_word(outcome: bool | None) -> str:
    return {True: "YES", False: "NO", None: "INVALID"}[outcome]


_DECIDE: Final[Mapping[Name, _Decide]] = {
    "proposal_tallies": tally,
    "proposal_approvals": approval,
    "market_activations": activation,
    "market_finalizations": finalization,
    "dispute_settlements": settlement,
}
