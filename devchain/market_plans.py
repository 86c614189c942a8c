"""Plans of demo markets: the course of a market as a function of the seed and the market's number.

The first markets show everything that can happen to a market; the plans of later ones are drawn at random.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Literal, get_args

from . import questions
from .questions import QuestionText

SOL = 1_000_000_000
#: How a market ends, once somebody proposed an outcome.
ResolutionPath = Literal["plain", "upheld", "overturned", "bounced", "void"]
_RESOLUTION_PATHS: tuple[ResolutionPath, ...] = get_args(ResolutionPath)
_RESOLUTION_PATH_WEIGHTS = (70, 10, 10, 5, 5)
#: The endings of the first markets, so that a short history has seen everything.
_FIRST_RESOLUTION_PATHS: tuple[ResolutionPath, ...] = ("plain", "overturned", "void", "bounced", "upheld", "plain")


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """How busy the actors are; seconds are the chain's."""

    #: Markets alive at once.
    markets: int = 8
    wallets: int = 40
    trades_per_second: float = 0.5
    #: No two trades are further apart, while a market is open.
    longest_pause_seconds: float = 4.0
    proposal_seconds: int = 30
    trading_seconds: int = 900
    #: Written into the config; also how long a dispute is open for votes.
    dispute_period_seconds: int = 120
    claiming_seconds: int = 60
    #: Whether the backend's part (tallies, approval, activation, finalization) is played too.
    plays_backend: bool = True


@dataclass(frozen=True, kw_only=True)
class MarketPlan:
    """The planned course of a market."""

    number: int
    market_id: bytes
    question_text: QuestionText
    creator: int
    resolver: int
    disputer: int
    b_parameter: int
    initial_liquidity: int
    #: Wallet and vote, in the order they vote.
    proposal_votes: tuple[tuple[int, bool], ...]
    dispute_votes: tuple[tuple[int, bool], ...]
    #: Rejected proposals: cancelled by the admin, or left lying.
    is_cancelled_when_rejected: bool
    is_cancelled_when_approved: bool
    activates_itself: bool
    trading_seconds: int
    #: How often it is chosen for a trade, and how often a buy there is YES.
    popularity: float
    yes_probability: float
    outcome: bool
    resolution_path: ResolutionPath
    withdraws_early: bool

    @property
    def is_disputed(self) -> bool:
        """Whether somebody disputes the proposed outcome."""
        return self.resolution_path != "plain"

    @property
    def tally(self) -> tuple[int, int]:
        """Likes and dislikes: those on chain."""
        return _tally(self.proposal_votes)

    @property
    def dispute_tally(self) -> tuple[int, int]:
        """Agreeing and disagreeing votes of the dispute."""
        return _tally(self.dispute_votes)


def _tally(ballots: tuple[tuple[int, bool], ...]) -> tuple[int, int]:
    agree = sum(vote for _, vote in ballots)
    return agree, len(ballots) - agree


def plan_market(seed: int, number: int, tempo: Tempo) -> MarketPlan:
    """Return the plan of the market with that number."""
    draw = random.Random(f"plan {seed} {number}")  # noqa: S311 - a demo, not a secret
    is_first = number < len(_FIRST_RESOLUTION_PATHS)
    resolution_path = (
        _FIRST_RESOLUTION_PATHS[number] if is_first else draw.choices(_RESOLUTION_PATHS, _RESOLUTION_PATH_WEIGHTS)[0]
    )
    is_liked = is_first or draw.random() < 0.85
    if number == len(_FIRST_RESOLUTION_PATHS):
        is_liked = False
    overturns = resolution_path in ("overturned", "bounced")
    b = draw.choice((100, 100, 150, 250, 500)) * SOL
    wallets = range(tempo.wallets)
    return MarketPlan(
        number=number,
        market_id=hashlib.sha256(f"market {seed} {number}".encode()).digest(),
        question_text=questions.generate_question(seed, number),
        creator=draw.choice(wallets),
        resolver=draw.choice(wallets),
        disputer=draw.choice(wallets),
        b_parameter=b,
        initial_liquidity=draw.randrange(b // 50, b // 10, 1_000),
        proposal_votes=_ballots(draw, tempo.wallets, agree=0.9 if is_liked else 0.3),
        dispute_votes=_ballots(draw, tempo.wallets, agree=0.9 if overturns else 0.2),
        is_cancelled_when_rejected=number == len(_FIRST_RESOLUTION_PATHS) or draw.random() < 0.5,
        is_cancelled_when_approved=not is_first and draw.random() < 0.04,
        activates_itself=draw.random() < 0.5,
        trading_seconds=_trading_seconds(draw, number, tempo),
        popularity=draw.paretovariate(1.1),
        yes_probability=draw.uniform(0.25, 0.75),
        outcome=draw.random() < 0.5,
        resolution_path=resolution_path,
        withdraws_early=not is_first and draw.random() < 0.05,
    )


def _ballots(draw: random.Random, wallets: int, *, agree: float) -> tuple[tuple[int, bool], ...]:
    """Votes of different wallets whose share is on the side it should be."""
    count = draw.randrange(5, min(12, wallets))
    agreeing = round(count * agree)
    ballots = [(wallet, index < agreeing) for index, wallet in enumerate(draw.sample(range(wallets), count))]
    draw.shuffle(ballots)
    return tuple(ballots)


def _trading_seconds(draw: random.Random, number: int, tempo: Tempo) -> int:
    if number < len(_FIRST_RESOLUTION_PATHS):
        return tempo.trading_seconds // 12
    return int(tempo.trading_seconds * draw.uniform(0.5, 1.5))
