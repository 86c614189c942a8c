"""Defines the five keepers: the instruction and key of each, and the event of the log that shows it as done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from zmart import errors
from zmart.domain.market import MarketState
from zmart.domain.votes import VoteKind

Name: TypeAlias = Literal[
    "proposal_tallies", "proposal_approvals", "market_activations", "market_finalizations", "dispute_settlements"
]
Key: TypeAlias = Literal["backend", "admin"]

NAMES: Final[tuple[Name, ...]] = get_args(Name)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One keeper."""

    name: Name
    #: The instruction, which is also the action of its intents. Finalizing and settling share one instruction, so a
    #: market has at most one of the two under way.
    instruction: str
    #: The state of a market in which the task is due.
    state: MarketState
    #: The event that the log holds when the task is done.
    event: str
    #: The key that signs and pays.
    key: Key
    #: The name of that key's account in the instruction.
    role: str
    #: The kind of ballots that the task counts.
    ballots: VoteKind | None
    #: The effect of the task, as text for operators.
    description: str


_TASKS: Final = (
    Task(
        name="proposal_tallies",
        instruction="aggregate_proposal_votes",
        state=MarketState.PROPOSED,
        event="ProposalAggregated",
        key="backend",
        role="backend_authority",
        ballots=VoteKind.PROPOSAL,
        description="Writes the ballots of a proposal on chain once they allow its approval, at most hourly.",
    ),
    Task(
        name="proposal_approvals",
        instruction="approve_proposal",
        state=MarketState.PROPOSED,
        event="ProposalApproved",
        key="admin",
        role="admin",
        ballots=VoteKind.PROPOSAL,
        description="Approves proposals whose tally on chain suffices and is still valid. Without the admin's key "
        "it exports unsigned transactions instead.",
    ),
    Task(
        name="market_activations",
        instruction="activate_market",
        state=MarketState.APPROVED,
        event="MarketActivated",
        key="admin",
        role="authority",
        ballots=VoteKind.PROPOSAL,
        description="Opens approved markets for trading, if the admin's key is present and the approval does not "
        "rest on unseen wallets.",
    ),
    Task(
        name="market_finalizations",
        instruction="finalize_market",
        state=MarketState.RESOLVING,
        event="MarketFinalized",
        key="backend",
        role="backend_authority",
        ballots=None,
        description="Makes a proposed outcome final once the chain's own dispute period is proven to be over without a "
        "dispute.",
    ),
    Task(
        name="dispute_settlements",
        instruction="finalize_market",
        state=MarketState.DISPUTED,
        event="MarketFinalized",
        key="backend",
        role="backend_authority",
        ballots=VoteKind.DISPUTE,
        description="Settles a dispute with its counted ballots once its voting window is proven to be over.",
    ),
)

TASKS: Final[dict[Name, Task]] = {task.name: task for task in _TASKS}

#: `aggregate_dispute_votes` is excluded on purpose: it finalizes without an outcome, or returns to RESOLVING with the
#: outcome that voters rejected (protocol.md 1.4.15).
FORBIDDEN_INSTRUCTION: Final = "aggregate_dispute_votes"


def select_tasks(names: Sequence[str]) -> list[Task]:
    """Return the tasks of these names in the order of a market's life, or all if none is named. Raises NotFound."""
    for name in names:
        if name not in NAMES:
            raise errors.NotFound(f"There is no keeper {name!r}.", help=f"Use one of: {', '.join(NAMES)}.")
    return [task for task in _TASKS if not names or task.name in names]
