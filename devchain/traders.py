"""Generates the transactions of the demo actors: creators, voters, traders, resolvers, an admin, a backend.

The course of a market is its `MarketPlan`, which is a function of the seed and the market's number; the times
follow from the timestamps in the market's account. So the actors need no memory of their own: they read the chain,
find the transactions that are due, and continue after a restart without a gap. `Traders.step` yields one
transaction at a time and reads the chain again after each, because the caller has sent it by then.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from zmart import errors
from zmart.chain import addresses
from zmart.domain import market, votes
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.domain.votes import VoteKind

from . import questions
from .accounts import ConfigRecord, MarketRecord, PositionRecord
from .actors import AccountReader, ActorClient, ActorKeys, FollowedMarket, PlannedTransaction
from .blocks import Genesis
from .market_plans import SOL, MarketPlan, Tempo, plan_market
from .protocol_admin import ProtocolAdmin
from .trades import TradeGenerator

#: Applies where keepers act for the backend: a proposal that is not approved after this many times the voting time is
#: given up.
KEEPER_GIVE_UP_FACTOR = 20
#: Market numbers that may be missing on the chain, because their creation failed.
_LOST_NUMBERS = 50


class Traders:
    """All actors together, as one generator of transactions."""

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
        self._client = ActorClient(bank, self.actors, program_id=program_id)
        self._seed = seed
        self._draw = random.Random(f"traders {seed}")  # noqa: S311 - a demo, not a secret
        self._admin = ProtocolAdmin(self._client, self.tempo, self._draw)
        self._trades = TradeGenerator(self._client, self.tempo, self._draw)
        self._followed: dict[Address, FollowedMarket] = {}
        self._next_number = 0
        self._resume()

    def step(self, now: float) -> Iterator[PlannedTransaction]:
        """Yield every transaction that is due at a time of the chain's clock, one at a time."""
        yield from self._admin.initialize()
        yield from self._create_market()
        for followed in tuple(self._followed.values()):
            # Deadlines count by the program's clock, which may be a block behind.
            yield from self._step_market(followed, self._client.bank.clock.unix_timestamp)
        yield from self._trades.step(self._followed.values(), now)
        yield from self._admin.disturb(now)

    @property
    def markets(self) -> int:
        """Return how many markets were ever planned."""
        return self._next_number

    def plan(self, number: int) -> MarketPlan:
        """Return the plan of the market with that number."""
        return plan_market(self._seed, number, self.tempo)

    @property
    def config(self) -> ConfigRecord | None:
        """Return the protocol's configuration on the chain."""
        return self._client.config

    def _resume(self) -> None:
        """Follow the unfinished markets of an earlier run, as far as their plans are known."""
        found = {
            address: account.record
            for address, account in self._client.bank.owned_by(self._client.program_id)
            if isinstance(account.record, MarketRecord | PositionRecord)
        }
        markets = {a: r for a, r in found.items() if isinstance(r, MarketRecord)}
        for number in range(len(markets) + _LOST_NUMBERS):
            self._resume_market(number, markets)
        wallets = {key.address: index for index, key in enumerate(self.actors.traders)}
        for record in found.values():
            followed = self._followed.get(record.market) if isinstance(record, PositionRecord) else None
            if followed is not None and isinstance(record, PositionRecord) and record.user in wallets:
                followed.holders[wallets[record.user]] = None

    def _resume_market(self, number: int, markets: dict[Address, MarketRecord]) -> None:
        market_plan = self.plan(number)
        address = addresses.market_address(self._client.program_id, market_plan.market_id)
        record = markets.get(address)
        if record is None:
            return
        self._next_number = number + 1
        if not self._is_over(record, address):
            self._followed[address] = followed = FollowedMarket(market_plan, address)
            for kind in VoteKind:
                followed.votes[kind] = self._votes_cast(followed, kind)

    def _is_over(self, record: MarketRecord, address: Address) -> bool:
        if record.state == MarketState.FINALIZED:
            return record.current_liquidity == 0
        return record.state == MarketState.CANCELLED

    def _votes_cast(self, followed: FollowedMarket, kind: VoteKind) -> int:
        client = self._client
        ballots = (followed.plan.proposal_votes, followed.plan.dispute_votes)[kind]
        records = (
            addresses.vote_address(client.program_id, followed.account, client.address(wallet), kind)
            for wallet, _ in ballots
        )
        return sum(client.bank.account(record) is not None for record in records)

    def _create_market(self) -> Iterator[PlannedTransaction]:
        config = self._client.config
        if config is None or config.is_paused or self._count_live_markets() >= self.tempo.markets:
            return
        market_plan = self.plan(self._next_number)
        self._next_number += 1
        address = addresses.market_address(self._client.program_id, market_plan.market_id)
        creator = self.actors.wallets[market_plan.creator]
        yield from self._client.plan_transaction(
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
        self._followed[address] = FollowedMarket(market_plan, address)

    def _count_live_markets(self) -> int:
        records = (self._client.market(followed) for followed in self._followed.values())
        return sum(record is not None and record.state < MarketState.FINALIZED for record in records)

    def _step_market(self, followed: FollowedMarket, now: float) -> Iterator[PlannedTransaction]:
        record = self._client.market(followed)
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
        self, followed: FollowedMarket, record: MarketRecord, now: float
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
            yield from self._backend_transaction("aggregate_proposal_votes", followed, counts)
        if votes.is_threshold_reached(likes, dislikes, votes.PROPOSAL_APPROVAL_THRESHOLD_BPS):
            yield from self._admin_transaction("approve_proposal", followed)
        else:
            yield from self._drop_proposal(followed)

    def _drop_proposal(self, followed: FollowedMarket) -> Iterator[PlannedTransaction]:
        """Cancel a proposal that was not approved, or stop following it."""
        if followed.plan.is_cancelled_when_rejected:
            yield from self._admin_transaction("cancel_market", followed)
        else:
            del self._followed[followed.account]

    def _vote(self, followed: FollowedMarket, kind: VoteKind, progress: float) -> Iterator[PlannedTransaction]:
        """Yield the ballots that are due after that fraction of the voting time."""
        ballots = (followed.plan.proposal_votes, followed.plan.dispute_votes)[kind]
        due = min(len(ballots), math.floor(progress * (len(ballots) + 1)))
        for wallet, vote in ballots[followed.votes[kind] : due]:
            followed.votes[kind] += 1
            key = self.actors.wallets[wallet]
            accounts = {"user": key.address}
            name = f"submit_{kind.label}_vote"
            yield from self._client.plan_transaction(name, key, accounts, {"vote": vote}, followed=followed)

    def _backend_transaction(
        self, name: str, followed: FollowedMarket, args: dict[str, object]
    ) -> Iterator[PlannedTransaction]:
        accounts = {"backend_authority": self.actors.backend.address}
        yield from self._client.plan_transaction(name, self.actors.backend, accounts, args, followed=followed)

    def _admin_transaction(self, name: str, followed: FollowedMarket) -> Iterator[PlannedTransaction]:
        accounts = {"admin": self.actors.admin.address}
        yield from self._client.plan_transaction(name, self.actors.admin, accounts, followed=followed)

    def _activate_market(
        self, followed: FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        if now - record.approved_at < self.tempo.proposal_seconds / 4:
            return
        if followed.plan.is_cancelled_when_approved:
            yield from self._admin_transaction("cancel_market", followed)
            return
        if not followed.plan.activates_itself and not self.tempo.plays_backend:
            return
        creator = self.actors.wallets[followed.plan.creator]
        key = creator if followed.plan.activates_itself else self.actors.admin
        accounts = {"authority": key.address}
        yield from self._client.plan_transaction("activate_market", key, accounts, followed=followed)

    def _resolve_market(
        self, followed: FollowedMarket, record: MarketRecord, now: float
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
        yield from self._client.plan_transaction("resolve_market", key, accounts, args, followed=followed)

    def _dispute_or_finalize(
        self, followed: FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        elapsed = now - record.resolution_proposed_at
        period = self._dispute_period()
        if followed.plan.is_disputed and not record.was_disputed and elapsed < period:
            if elapsed > period / 4:
                key = self.actors.wallets[followed.plan.disputer]
                accounts = {"initiator": key.address}
                yield from self._client.plan_transaction("initiate_dispute", key, accounts, followed=followed)
        elif elapsed > period + 1 and self.tempo.plays_backend:
            args: dict[str, object] = {"dispute_agree": None, "dispute_disagree": None}
            yield from self._backend_transaction("finalize_market", followed, args)

    def _dispute_period(self) -> int:
        config = self._client.config
        return config.dispute_period if config else market.DISPUTE_PERIOD_SECONDS

    def _decide_dispute(
        self, followed: FollowedMarket, record: MarketRecord, now: float
    ) -> Iterator[PlannedTransaction]:
        elapsed = now - record.dispute_initiated_at
        yield from self._vote(followed, VoteKind.DISPUTE, elapsed / (self._dispute_period() / 2))
        if elapsed < self._dispute_period() / 2 + 1 or not self.tempo.plays_backend:
            return
        agree, disagree = followed.plan.dispute_tally
        if followed.plan.resolution_path in ("bounced", "void"):
            counts: dict[str, object] = {"final_agrees": agree, "final_disagrees": disagree}
            yield from self._backend_transaction("aggregate_dispute_votes", followed, counts)
        else:
            counts = {"dispute_agree": agree, "dispute_disagree": disagree}
            yield from self._backend_transaction("finalize_market", followed, counts)

    def _pay_out(self, followed: FollowedMarket, record: MarketRecord, now: float) -> Iterator[PlannedTransaction]:
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

    def _claim(self, followed: FollowedMarket, wallet: int) -> Iterator[PlannedTransaction]:
        """Yield a claim that can succeed and, in about 5 % of the other cases, one that cannot."""
        record, mine = self._client.market(followed), self._client.position(followed, wallet)
        if record is None or mine is None or mine.has_claimed:
            return
        if not self._can_claim(followed, record, mine) and self._draw.random() > 0.05:
            return
        key = self.actors.traders[wallet]
        accounts = {"user": key.address, "resolver": record.resolver}
        yield from self._client.plan_transaction("claim_winnings", key, accounts, followed=followed)

    def _can_claim(self, followed: FollowedMarket, record: MarketRecord, mine: PositionRecord) -> bool:
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
        return self._client.lamports(followed.account) > payout + reserved_lamports

    def _withdraw(self, followed: FollowedMarket) -> Iterator[PlannedTransaction]:
        key = self.actors.wallets[followed.plan.creator]
        accounts = {"creator": key.address}
        if self._client.lamports(followed.account) > SOL // 100:
            yield from self._client.plan_transaction("withdraw_liquidity", key, accounts, followed=followed)
