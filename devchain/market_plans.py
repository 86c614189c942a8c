"""Plans demo markets: the course of a market is a function of the seed and the market's number.

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
#: The ways a market can end after an outcome was proposed.
ResolutionPath = Literal["plain", "upheld", "overturned", "bounced", "void"]
_RESOLUTION_PATHS: tuple[ResolutionPath, ...] = get_args(ResolutionPath)
_RESOLUTION_PATH_WEIGHTS = (70, 10, 10, 5, 5)
#: The resolution paths of the first markets, so that a short history contains all of them.
_FIRST_RESOLUTION_PATHS: tuple[ResolutionPath, ...] = ("plain", "overturned", "void", "bounced", "upheld", "plain")


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """The activity of the actors; seconds are those of the chain's clock."""

    #: The number of markets that are live at the same time.
    markets: int = 8
    wallets: int = 40
    trades_per_second: float = 0.5
    #: Percent of the trades that come from other wallets in transactions of version 1, from a vault that calls the
    #: program, and from a payer that cannot pay.
    v1_percent: float = 15.0
    vault_percent: float = 3.0
    unexecuted_percent: float = 0.0
    #: The longest time between two trades while a market is open, in seconds.
    longest_pause_seconds: float = 4.0
    proposal_seconds: int = 30
    trading_seconds: int = 900
    #: Written into the configuration; also the time during which a dispute is open for votes.
    dispute_period_seconds: int = 120
    claiming_seconds: int = 60
    #: Whether the actors also send the backend's transactions (tallies, approval, activation, finalization).
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
    #: Wallet and vote, in the order of voting.
    proposal_votes: tuple[tuple[int, bool], ...]
    dispute_votes: tuple[tuple[int, bool], ...]
    #: Whether the admin cancels a rejected proposal; otherwise it stays as it is.
    is_cancelled_when_rejected: bool
    is_cancelled_when_approved: bool
    activates_itself: bool
    trading_seconds: int
    #: The weight with which the market is chosen for a trade, and the probability that a buy is YES.
    popularity: float
    yes_probability: float
    outcome: bool
    resolution_path: ResolutionPath
    withdraws_early: bool

    @property
    def is_disputed(self) -> bool:
        """Return whether a wallet disputes the proposed outcome."""
        return self.resolution_path != "plain"

    @property
    def tally(self) -> tuple[int, int]:
        """Return the likes and dislikes, which are those on chain."""
        return _tally(self.proposal_votes)

    @property
    def dispute_tally(self) -> tuple[int, int]:
        """Return the agreeing and disagreeing votes of the dispute."""
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
    """Draw the votes of different wallets, so that the given share of them agrees."""
    count = draw.randrange(5, min(12, wallets))
    agreeing = round(count * agree)
    ballots = [(wallet, index < agreeing) for index, wallet in enumerate(draw.sample(range(wallets), count))]
    draw.shuffle(ballots)
    return tuple(ballots)


def _trading_seconds(draw: random.Random, number: int, tempo: Tempo) -> int:
    if number < len(_FIRST_RESOLUTION_PATHS):
        return tempo.trading_seconds // 12
    return int(tempo.trading_seconds * draw.uniform(0.5, 1.5))
