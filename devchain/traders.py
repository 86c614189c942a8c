"""Actors that keep a market alive: creators, voters, traders, resolvers, an admin, a backend.

What happens to a market is written in its `Plan`, which is a function of the seed and the market's
number; when it happens follows from the timestamps in its account. So the actors need no memory of
their own: they look at the chain, see what is due, and go on after a restart as if they had never
stopped. `Traders.step` yields one move at a time, and looks again after each, because the caller
has sent it by then.

The first markets are a tour through everything that can happen to one; later ones are drawn.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

from solders.instruction import Instruction
from solders.system_program import TransferParams, transfer

from zmart import errors
from zmart.chain import addresses, transactions
from zmart.domain import lmsr, market, votes
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.domain.votes import VoteKind

from . import builtins, questions
from .accounts import Account, ConfigRecord, MarketRecord, PositionRecord
from .ledger import Genesis
from .questions import QuestionText
from .wire import SigningKey

SOL = 1_000_000_000
#: A wallet below this asks the faucet for more.
POOR_LAMPORTS = 500 * SOL
GRANT_LAMPORTS = 20_000 * SOL
#: Traders turn to the other side when one is this far ahead, in b: the program's exponential is
#: far from the truth beyond (protocol.md 2.6).
IMBALANCE_LIMIT = 1.5

#: How a market ends, once somebody proposed an outcome.
ResolutionPath = Literal["plain", "upheld", "overturned", "bounced", "void"]
_RESOLUTION_PATHS: tuple[ResolutionPath, ...] = get_args(ResolutionPath)
_RESOLUTION_PATH_WEIGHTS = (70, 10, 10, 5, 5)
#: The endings of the first markets, so that a short history has seen everything.
_FIRST_RESOLUTION_PATHS: tuple[ResolutionPath, ...] = ("plain", "overturned", "void", "bounced", "upheld", "plain")
#: Where keepers decide: after so many times the voting time, a proposal that is not approved is given up.
KEEPER_GIVE_UP_FACTOR = 20
#: Numbers that may be missing on the chain, of markets whose creation failed.
_LOST_NUMBERS = 50


class AccountReader(Protocol):
    """What actors read."""

    def account(self, address: Address) -> Account | None:
        """One account, or None."""
        ...

    def owned_by(self, owner: Address) -> Iterator[tuple[Address, Account]]:
        """The accounts of a program."""
        ...


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


class PlannedTransaction(NamedTuple):
    """A transaction somebody wants: signers first to pay."""

    name: str
    instructions: list[Instruction]
    signers: list[SigningKey]


class ActorKeys:
    """The actors' keys, all drawn from the chain's seed."""

    def __init__(self, genesis: Genesis, wallets: int) -> None:
        self.faucet = genesis.signer("faucet")
        self.admin = genesis.signer("admin")
        self.backend = genesis.signer("backend")
        self.fee_wallet = genesis.signer("fee wallet")
        self.wallets = [genesis.signer(f"wallet {index}") for index in range(wallets)]


@dataclass(frozen=True, kw_only=True)
class MarketPlan:
    """A market's fate."""

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
    """The fate of the market with that number."""
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


class _FollowedMarket:
    """A market the actors still have business with."""

    __slots__ = ("account", "claims", "holders", "plan", "votes")

    def __init__(self, plan: MarketPlan, account: Address) -> None:
        self.plan = plan
        self.account = account
        #: Wallets that traded, in the order they came.
        self.holders: dict[int, None] = {}
        self.claims = 0
        #: Ballots cast by kind.
        self.votes = [0, 0]


class Traders:
    """The actors together; one generator of moves."""

    def __init__(
        self,
        bank: AccountReader,
        genesis: Genesis,
        *,
        program_id: Address,
        seed: int = 1,
        tempo: Tempo | None = None,
    ) -> None:
        self.tempo = tempo or Tempo()
        self.actors = ActorKeys(genesis, self.tempo.wallets)
        self._bank = bank
        self._program_id = program_id
        self._seed = seed
        self._draw = random.Random(f"traders {seed}")  # noqa: S311 - a demo, not a secret
        self._followed: dict[Address, _FollowedMarket] = {}
        self._next_number = 0
        self._next_trade_at: float | None = None
        self._next_disturbance_at: float | None = None
        self._disturbances = 0
        self._grants = 0
        self._config = addresses.config_address(program_id)
        weights = [1 / (rank + 1) ** 0.8 for rank in range(self.tempo.wallets)]
        self._wallet_weights = list(itertools.accumulate(weights))
        self._resume()

    def step(self, now: float) -> Iterator[PlannedTransaction]:
        """Everything that is due at an instant of the chain's clock, one move at a time."""
        yield from self._initialize_protocol()
        yield from self._create_market()
        for followed in tuple(self._followed.values()):
            yield from self._step_market(followed, now)
        yield from self._trade(now)
        yield from self._disturb(now)

    @property
    def markets(self) -> int:
        """How many markets were ever planned."""
        return self._next_number

    def plan(self, number: int) -> MarketPlan:
        """A market's fate by number."""
        return plan_market(self._seed, number, self.tempo)

    # Looking

    @property
    def config(self) -> ConfigRecord | None:
        """The protocol's configuration as the chain has it."""
        account = self._bank.account(self._config)
        record = account.record if account else None
        return record if isinstance(record, ConfigRecord) else None

    def _market(self, followed: _FollowedMarket) -> MarketRecord | None:
        account = self._bank.account(followed.account)
        record = account.record if account else None
        return record if isinstance(record, MarketRecord) else None

    def _position(self, followed: _FollowedMarket, wallet: int) -> PositionRecord | None:
        user = self._address(wallet)
        address = addresses.position_address(self._program_id, followed.account, user)
        account = self._bank.account(address)
        record = account.record if account else None
        return record if isinstance(record, PositionRecord) else None

    def _lamports(self, address: Address) -> int:
        account = self._bank.account(address)
        return account.lamports if account else 0

    def _address(self, wallet: int) -> Address:
        return self.actors.wallets[wallet].address

    def _resume(self) -> None:
        """Follow again what an earlier run left behind, as far as the plans are known."""
        found = {
            address: account.record
            for address, account in self._bank.owned_by(self._program_id)
            if isinstance(account.record, MarketRecord | PositionRecord)
        }
        markets = {a: r for a, r in found.items() if isinstance(r, MarketRecord)}
        for number in range(len(markets) + _LOST_NUMBERS):
            self._resume_market(number, markets)
        wallets = {self._address(index): index for index in range(self.tempo.wallets)}
        for record in found.values():
            followed = self._followed.get(record.market) if isinstance(record, PositionRecord) else None
            if followed is not None and isinstance(record, PositionRecord) and record.user in wallets:
                followed.holders[wallets[record.user]] = None

    def _resume_market(self, number: int, markets: dict[Address, MarketRecord]) -> None:
        market_plan = self.plan(number)
        address = addresses.market_address(self._program_id, market_plan.market_id)
        record = markets.get(address)
        if record is None:
            return
        self._next_number = number + 1
        if not self._is_over(record, address):
            self._followed[address] = followed = _FollowedMarket(market_plan, address)
            for kind in VoteKind:
                followed.votes[kind] = self._votes_cast(followed, kind)

    def _is_over(self, record: MarketRecord, address: Address) -> bool:
        if record.state == MarketState.FINALIZED:
            return record.current_liquidity == 0
        return record.state == MarketState.CANCELLED

    def _votes_cast(self, followed: _FollowedMarket, kind: VoteKind) -> int:
        ballots = followed.plan.proposal_votes, followed.plan.dispute_votes
        return sum(
            self._bank.account(addresses.vote_address(self._program_id, followed.account, self._address(wallet), kind))
            is not None
            for wallet, _ in ballots[kind]
        )

    # Moves

    def _move(
        self,
        name: str,
        signer: SigningKey,
        accounts: dict[str, Address],
        args: dict[str, object] | None = None,
        *,
        followed: _FollowedMarket | None = None,
    ) -> Iterator[PlannedTransaction]:
        """One instruction, after a grant where the signer is poor."""
        yield from self._grant(signer)
        if followed is not None:
            accounts = {"market": followed.account, **accounts}
        built = transactions.instruction(name, self._program_id, accounts, args)
        yield PlannedTransaction(name, [built], [signer])

    def _grant(self, key: SigningKey) -> Iterator[PlannedTransaction]:
        if self._lamports(key.address) >= POOR_LAMPORTS:
            return
        self._grants += 1
        params = TransferParams(from_pubkey=self.actors.faucet.pubkey, to_pubkey=key.pubkey, lamports=GRANT_LAMPORTS)
        # Two grants alike would be one transaction.
        limit = builtins.unit_limit_instruction(10_000 + self._grants % 100_000)
        yield PlannedTransaction("grant", [limit, transfer(params)], [self.actors.faucet])

    def _initialize_protocol(self) -> Iterator[PlannedTransaction]:
        if not self.tempo.plays_backend:
            # Keepers pay for what they do and cannot ask the faucet.
            yield from self._grant(self.actors.backend)
            yield from self._grant(self.actors.admin)
        if self.config is None:
            yield from self._grant(self.actors.fee_wallet)
            yield from self._move(
                "initialize_global_config",
                self.actors.admin,
                {
                    "admin": self.actors.admin.address,
                    "protocol_fee_wallet": self.actors.fee_wallet.address,
                },
                {"backend_authority": self.actors.backend.address},
            )
            yield from self._configure(300, 200, 500)

    def _configure(self, protocol: int, resolver: int, lp: int) -> Iterator[PlannedTransaction]:
        """Rates that sum to 10 %, for anything else breaks buys (protocol.md 1.4.16)."""
        yield from self._move(
            "update_global_config",
            self.actors.admin,
            {"admin": self.actors.admin.address},
            {
                "protocol_fee_bps": protocol,
                "resolver_reward_bps": resolver,
                "liquidity_provider_fee_bps": lp,
                "proposal_approval_threshold": votes.PROPOSAL_APPROVAL_THRESHOLD_BPS,
                "dispute_success_threshold": votes.DISPUTE_SUCCESS_THRESHOLD_BPS,
                "min_resolution_delay": None,
                "dispute_period": self.tempo.dispute_period_seconds,
            },
        )

    def _create_market(self) -> Iterator[PlannedTransaction]:
        config = self.config
        if config is None or config.is_paused or self._count_live_markets() >= self.tempo.markets:
            return
        market_plan = self.plan(self._next_number)
        self._next_number += 1
        address = addresses.market_address(self._program_id, market_plan.market_id)
        creator = self.actors.wallets[market_plan.creator]
        yield from self._move(
            "create_market",
            creator,
            {"creator": creator.address},
            {
                "market_id": market_plan.market_id,
                "b_parameter": market_plan.b_parameter,
                "initial_liquidity": market_plan.initial_liquidity,
                "ipfs_question_hash": market_plan.question_text.for_market(
                    market_plan.market_id, creator.address
                ).cid.encode(),
            },
        )
        self._followed[address] = _FollowedMarket(market_plan, address)

    def _count_live_markets(self) -> int:
        records = (self._market(followed) for followed in self._followed.values())
        return sum(record is not None and record.state < MarketState.FINALIZED for record in records)

    def _step_market(self, followed: _FollowedMarket, now: float) -> Iterator[PlannedTransaction]:
        record = self._market(followed)
        if record is None:
            del self._followed[followed.account]
            return
        match MarketState(record.state):
            case MarketState.PROPOSED:
                yield from self._step_proposal(followed, record, now)
            case MarketState.APPROVED:
                yield from self._activate_market(followed, record, now)
            case MarketState.ACTIVE:
                yield from self._resolve_market(followed, record, now)
            case MarketState.RESOLVING:
                yield from self._dispute_or_finalize(followed, record, now)
            case MarketState.DISPUTED:
                yield from self._decide_dispute(followed, record, now)
            case MarketState.FINALIZED:
                yield from self._pay_out(followed, record, now)
            case MarketState.CANCELLED:
                del self._followed[followed.account]

    def _step_proposal(
        self, followed: _FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        elapsed = now - record.created_at
        yield from self._vote(followed, VoteKind.PROPOSAL, elapsed / self.tempo.proposal_seconds)
        if elapsed < self.tempo.proposal_seconds or not self.tempo.plays_backend:
            if elapsed > KEEPER_GIVE_UP_FACTOR * self.tempo.proposal_seconds:
                yield from self._drop_proposal(followed)
            return
        likes, dislikes = followed.plan.tally
        if record.proposal_total_votes == 0:
            counts: dict[str, object] = {"final_likes": likes, "final_dislikes": dislikes}
            yield from self._backend_move("aggregate_proposal_votes", followed, counts)
        if votes.is_threshold_reached(likes, dislikes, votes.PROPOSAL_APPROVAL_THRESHOLD_BPS):
            yield from self._admin_move("approve_proposal", followed)
        else:
            yield from self._drop_proposal(followed)

    def _drop_proposal(self, followed: _FollowedMarket) -> Iterator[PlannedTransaction]:
        """A proposal that nobody approves is cancelled, or left lying."""
        if followed.plan.is_cancelled_when_rejected:
            yield from self._admin_move("cancel_market", followed)
        else:
            del self._followed[followed.account]

    def _vote(self, followed: _FollowedMarket, kind: VoteKind, progress: float) -> Iterator[PlannedTransaction]:
        """The ballots due when that part of the voting time has passed."""
        ballots = (followed.plan.proposal_votes, followed.plan.dispute_votes)[kind]
        due = min(len(ballots), math.floor(progress * (len(ballots) + 1)))
        for wallet, vote in ballots[followed.votes[kind] : due]:
            followed.votes[kind] += 1
            key = self.actors.wallets[wallet]
            accounts = {"user": key.address}
            name = f"submit_{kind.label}_vote"
            yield from self._move(name, key, accounts, {"vote": vote}, followed=followed)

    def _backend_move(
        self, name: str, followed: _FollowedMarket, args: dict[str, object]
    ) -> Iterator[PlannedTransaction]:
        accounts = {"backend_authority": self.actors.backend.address}
        yield from self._move(name, self.actors.backend, accounts, args, followed=followed)

    def _admin_move(self, name: str, followed: _FollowedMarket) -> Iterator[PlannedTransaction]:
        accounts = {"admin": self.actors.admin.address}
        yield from self._move(name, self.actors.admin, accounts, followed=followed)

    def _activate_market(
        self, followed: _FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        if now - record.approved_at < self.tempo.proposal_seconds / 4:
            return
        if followed.plan.is_cancelled_when_approved:
            yield from self._admin_move("cancel_market", followed)
            return
        if not followed.plan.activates_itself and not self.tempo.plays_backend:
            return
        creator = self.actors.wallets[followed.plan.creator]
        key = creator if followed.plan.activates_itself else self.actors.admin
        accounts = {"authority": key.address}
        yield from self._move("activate_market", key, accounts, followed=followed)

    def _resolve_market(
        self, followed: _FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        if now - record.activated_at < followed.plan.trading_seconds:
            return
        key = self.actors.wallets[followed.plan.resolver]
        evidence = questions.content_id(b"evidence for " + followed.plan.market_id)
        args: dict[str, object] = {
            "proposed_outcome": followed.plan.outcome,
            "ipfs_evidence_hash": evidence,
        }
        accounts = {"resolver": key.address}
        yield from self._move("resolve_market", key, accounts, args, followed=followed)

    def _dispute_or_finalize(
        self, followed: _FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        elapsed = now - record.resolution_proposed_at
        period = self._dispute_period()
        if followed.plan.is_disputed and not record.was_disputed and elapsed < period:
            if elapsed > period / 4:
                key = self.actors.wallets[followed.plan.disputer]
                accounts = {"initiator": key.address}
                yield from self._move("initiate_dispute", key, accounts, followed=followed)
        elif elapsed > period + 1 and self.tempo.plays_backend:
            args: dict[str, object] = {"dispute_agree": None, "dispute_disagree": None}
            yield from self._backend_move("finalize_market", followed, args)

    def _dispute_period(self) -> int:
        config = self.config
        return config.dispute_period if config else market.DISPUTE_PERIOD_SECONDS

    def _decide_dispute(
        self, followed: _FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        elapsed = now - record.dispute_initiated_at
        yield from self._vote(followed, VoteKind.DISPUTE, elapsed / (self._dispute_period() / 2))
        if elapsed < self._dispute_period() / 2 + 1 or not self.tempo.plays_backend:
            return
        agree, disagree = followed.plan.dispute_tally
        if followed.plan.resolution_path in ("bounced", "void"):
            counts: dict[str, object] = {"final_agrees": agree, "final_disagrees": disagree}
            yield from self._backend_move("aggregate_dispute_votes", followed, counts)
        else:
            counts = {"dispute_agree": agree, "dispute_disagree": disagree}
            yield from self._backend_move("finalize_market", followed, counts)

    def _pay_out(self, followed: _FollowedMarket, record: MarketRecord, now: float) -> Iterator[PlannedTransaction]:
        since = now - (record.finalized_at or record.resolved_at)
        if followed.plan.withdraws_early and record.current_liquidity:
            yield from self._withdraw(followed)
        holders = list(followed.holders)
        due = math.floor(len(holders) * since / self.tempo.claiming_seconds)
        for wallet in holders[followed.claims : due]:
            followed.claims += 1
            yield from self._claim(followed, wallet)
        if since > self.tempo.claiming_seconds:
            if not followed.plan.withdraws_early:
                yield from self._withdraw(followed)
            del self._followed[followed.account]

    def _claim(self, followed: _FollowedMarket, wallet: int) -> Iterator[PlannedTransaction]:
        """A claim that can succeed; now and then one that cannot."""
        record, mine = self._market(followed), self._position(followed, wallet)
        if record is None or mine is None or mine.has_claimed:
            return
        if not self._can_claim(followed, record, mine) and self._draw.random() > 0.05:
            return
        key = self.actors.wallets[wallet]
        accounts = {"user": key.address, "resolver": record.resolver}
        yield from self._move("claim_winnings", key, accounts, followed=followed)

    def _can_claim(self, followed: _FollowedMarket, record: MarketRecord, mine: PositionRecord) -> bool:
        try:
            payout = market.claim_payout(
                final_outcome=record.final_outcome,
                shares_yes=mine.shares_yes,
                shares_no=mine.shares_no,
                total_invested=mine.total_invested,
                market_shares_yes=record.shares_yes,
                market_shares_no=record.shares_no,
                current_liquidity=record.current_liquidity,
            )
        except errors.ProgramError:
            return False
        reserved_lamports = 2 * record.accumulated_resolver_fees + SOL // 100
        return self._lamports(followed.account) > payout + reserved_lamports

    def _withdraw(self, followed: _FollowedMarket) -> Iterator[PlannedTransaction]:
        key = self.actors.wallets[followed.plan.creator]
        accounts = {"creator": key.address}
        if self._lamports(followed.account) > SOL // 100:
            yield from self._move("withdraw_liquidity", key, accounts, followed=followed)

    # Trades

    def _trade(self, now: float) -> Iterator[PlannedTransaction]:
        if self._next_trade_at is None:
            self._next_trade_at = now
        config = self.config
        if config is None or config.is_paused:
            self._next_trade_at = now
            return
        if self._next_trade_at > now:
            return
        open_markets = self._open_markets()
        while self._next_trade_at <= now:
            gap = self._draw.expovariate(self.tempo.trades_per_second)
            self._next_trade_at += min(gap, self.tempo.longest_pause_seconds)
            if open_markets:
                yield from self._one_trade(*self._choose_market(open_markets))

    def _open_markets(self) -> list[tuple[_FollowedMarket, MarketRecord]]:
        markets = ((followed, self._market(followed)) for followed in self._followed.values())
        return [(f, m) for f, m in markets if m is not None and m.state == MarketState.ACTIVE]

    def _choose_market(
        self, open_markets: list[tuple[_FollowedMarket, MarketRecord]]
    ) -> tuple[_FollowedMarket, MarketRecord]:
        weights = [followed.plan.popularity for followed, _ in open_markets]
        followed, record = self._draw.choices(open_markets, weights)[0]
        return followed, self._market(followed) or record

    def _one_trade(self, followed: _FollowedMarket, record: MarketRecord) -> Iterator[PlannedTransaction]:
        point = self._draw.random() * self._wallet_weights[-1]
        wallet = bisect(self._wallet_weights, point)
        key = self.actors.wallets[wallet]
        yield from self._grant(key)
        built = self._sell(followed, record, wallet) or self._buy(followed, record, wallet)
        if self._draw.random() < 0.03:
            built += self._buy(followed, record, wallet)
        followed.holders[wallet] = None
        yield PlannedTransaction("trade", built, [key])
        if self._draw.random() < 0.01:
            yield PlannedTransaction("failing trade", [self._failing_buy(followed, wallet)], [key])

    def _failing_buy(self, followed: _FollowedMarket, wallet: int) -> Instruction:
        """A buy below the program's minimum: failed transactions belong to a chain's life."""
        return self._trade_instruction(
            "buy_shares", followed, wallet, outcome=True, target_cost=lmsr.MIN_TRADE_LAMPORTS - 1
        )

    def _buy(self, followed: _FollowedMarket, record: MarketRecord, wallet: int) -> list[Instruction]:
        b = record.b_parameter
        ahead = (record.shares_yes - record.shares_no) / b
        yes = self._draw.random() < followed.plan.yes_probability
        if abs(ahead) > IMBALANCE_LIMIT:
            yes = ahead < 0
        size = min(self._draw.lognormvariate(-5.0, 0.9), 0.3)
        target = max(int(b * size), b // 50_000)
        return [self._trade_instruction("buy_shares", followed, wallet, outcome=yes, target_cost=target)]

    def _sell(self, followed: _FollowedMarket, record: MarketRecord, wallet: int) -> list[Instruction]:
        """A sell the program will take, or nothing."""
        if self._draw.random() > 0.3:
            return []
        mine = self._position(followed, wallet)
        if mine is None:
            return []
        yes = mine.shares_yes >= mine.shares_no
        held = mine.shares_yes if yes else mine.shares_no
        shares = int(held * self._draw.choice((0.25, 0.5, 0.5, 1.0)))
        if not _can_sell(record, yes=yes, shares=shares):
            return []
        return [
            self._trade_instruction("sell_shares", followed, wallet, outcome=yes, shares_to_sell=shares, min_proceeds=0)
        ]

    def _trade_instruction(self, name: str, followed: _FollowedMarket, wallet: int, **args: object) -> Instruction:
        accounts = {
            "market": followed.account,
            "user": self._address(wallet),
            "protocol_fee_wallet": self.actors.fee_wallet.address,
        }
        return transactions.instruction(name, self._program_id, accounts, args)

    def _disturb(self, now: float) -> Iterator[PlannedTransaction]:
        """Now and then the admin changes the rates, or stops everything for a moment."""
        config = self.config
        if config is None:
            return
        if config.is_paused:
            yield from self._toggle_pause()
        if self._next_disturbance_at is None:
            self._next_disturbance_at = now + 60
        if now < self._next_disturbance_at:
            return
        self._disturbances += 1
        self._next_disturbance_at = now + self.tempo.trading_seconds * self._draw.uniform(1, 3)
        if self._disturbances % 2:
            self._next_disturbance_at = min(self._next_disturbance_at, now + 60 * self._disturbances)
            yield from self._toggle_pause()
        else:
            yield from self._configure(*self._draw.choice(_RATES))

    def _toggle_pause(self) -> Iterator[PlannedTransaction]:
        accounts = {"admin": self.actors.admin.address}
        yield from self._move("emergency_pause", self.actors.admin, accounts)


#: Fee rates the admin tries; always 10 % together.
_RATES = ((300, 200, 500), (250, 250, 500), (400, 100, 500), (300, 300, 400))


def _can_sell(record: MarketRecord, *, yes: bool, shares: int) -> bool:
    try:
        gross = lmsr.sell(record.shares_yes, record.shares_no, record.b_parameter, yes=yes, shares=shares)
    except errors.ProgramError:
        return False
    remaining = record.current_liquidity - gross
    return gross >= lmsr.MIN_TRADE_LAMPORTS and remaining > record.initial_liquidity // 4
