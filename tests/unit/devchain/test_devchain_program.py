"""The program by its tables: its writes, its errors and its logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from devchain import accounts
from devchain.accounts import MarketRecord, PositionRecord, VoteRecord
from devchain.blocks import Genesis, LandedTransaction
from devchain.ledger import Ledger
from devchain.program import Program
from devchain.wire import SigningKey
from zmart.chain import addresses, logs, transactions
from zmart.domain import events
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.domain.votes import VoteKind

PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
SOL = 1_000_000_000
NOW = 1_762_600_000
MARKET_ID = bytes([1]) * 32
CID = b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG"


class ProgramHarness:
    """A ledger with actors, and short forms of the instructions."""

    def __init__(self, *, faulty_sells: bool = False) -> None:
        genesis = Genesis.from_seed(bytes(32), NOW)
        program = Program(faulty_sells=faulty_sells)
        self.ledger = Ledger(genesis, program_id=PROGRAM_ID, program=program)
        for name in ("admin", "backend", "fee", "creator", "alice", "bob", "resolver"):
            setattr(self, name, genesis.signer(name))
            self.ledger.airdrop(getattr(self, name).address, 1_000 * SOL)
        self.market = addresses.market_address(PROGRAM_ID, MARKET_ID)

    admin: SigningKey
    backend: SigningKey
    fee: SigningKey
    creator: SigningKey
    alice: SigningKey
    bob: SigningKey
    resolver: SigningKey

    def do(
        self, name: str, signer: SigningKey, args: dict[str, Any] | None = None, **given: Address
    ) -> LandedTransaction:
        """Send one instruction in a transaction and a block of its own."""
        self.ledger.advance(self.ledger.clock.unix_timestamp)
        built = transactions.instruction(name, PROGRAM_ID, self.named(name, signer) | given, args, market_id=MARKET_ID)
        return self.ledger.send([built], [signer])

    def named(self, name: str, signer: SigningKey) -> dict[str, Address]:
        """Return the accounts that cannot be derived."""
        role = ROLES[name]
        named = {role: signer.address}
        if name in ("buy_shares", "sell_shares", "initialize_global_config"):
            named["protocol_fee_wallet"] = self.fee.address
        if name == "claim_winnings":
            named["resolver"] = self.record(MarketRecord).resolver
        return named

    def wait(self, seconds: int) -> None:
        """Advance the chain's clock."""
        self.ledger.advance(self.ledger.clock.unix_timestamp + seconds)

    def record(self, kind: type[Any], user: SigningKey | None = None) -> Any:
        """Return the market, or a wallet's position in it."""
        address = self.market
        if user is not None:
            address = addresses.position_address(PROGRAM_ID, self.market, user.address)
        account = self.ledger.account(address)
        assert account is not None
        assert isinstance(account.record, kind)
        return account.record

    def lamports(self, address: Address) -> int:
        """Return a balance."""
        account = self.ledger.account(address)
        return account.lamports if account else 0

    def initialized(self) -> ProgramHarness:
        """A stage with a configuration."""
        args = {"backend_authority": self.backend.address}
        assert self.do("initialize_global_config", self.admin, args).err is None
        return self

    def created(self, b: int = 100 * SOL, liquidity: int = SOL // 10) -> ProgramHarness:
        """A stage with a proposed market."""
        assert self.initialized().create(b, liquidity).err is None
        return self

    def create(self, b: int = 100 * SOL, liquidity: int = SOL // 10) -> LandedTransaction:
        """Propose the market."""
        args = {
            "market_id": MARKET_ID,
            "b_parameter": b,
            "initial_liquidity": liquidity,
            "ipfs_question_hash": CID,
        }
        return self.do("create_market", self.creator, args)

    def active(self, b: int = 100 * SOL, liquidity: int = SOL // 10) -> ProgramHarness:
        """A stage with an open market."""
        self.created(b, liquidity)
        counts = {"final_likes": 7, "final_dislikes": 3}
        assert self.do("aggregate_proposal_votes", self.backend, counts).err is None
        assert self.do("approve_proposal", self.admin).err is None
        assert self.do("activate_market", self.creator).err is None
        return self

    def traded(self) -> ProgramHarness:
        """A stage after the trades of protocol.md 2.7, rows 2 and 3, by different wallets."""
        self.active()
        assert self.buy(self.alice, True, SOL).err is None
        assert self.buy(self.bob, False, SOL // 2).err is None
        return self

    def resolving(self) -> ProgramHarness:
        """A stage with YES proposed."""
        self.traded()
        self.wait(10)
        args = {"proposed_outcome": True, "ipfs_evidence_hash": CID}
        assert self.do("resolve_market", self.resolver, args).err is None
        return self

    def disputed(self) -> ProgramHarness:
        """A stage with the outcome disputed."""
        self.resolving()
        self.wait(10)
        assert self.do("initiate_dispute", self.bob).err is None
        return self

    def finalized(self) -> ProgramHarness:
        """A stage with YES as the outcome."""
        self.resolving()
        self.wait(259_200)
        assert self.finalize().err is None
        return self

    def finalize(self, agree: int | None = None, disagree: int | None = None) -> LandedTransaction:
        """Finalize as the backend authority."""
        args = {"dispute_agree": agree, "dispute_disagree": disagree}
        return self.do("finalize_market", self.backend, args)

    def buy(self, who: SigningKey, outcome: bool, target: int) -> LandedTransaction:
        """Buy for at most this amount."""
        return self.do("buy_shares", who, {"outcome": outcome, "target_cost": target})

    def sell(self, who: SigningKey, outcome: bool, shares: int, at_least: int = 0) -> LandedTransaction:
        """Sell this number of shares."""
        args = {"outcome": outcome, "shares_to_sell": shares, "min_proceeds": at_least}
        return self.do("sell_shares", who, args)

    def configure(self, *rates: int, **others: Any) -> LandedTransaction:
        """Write the configuration."""
        args = {
            "protocol_fee_bps": rates[0],
            "resolver_reward_bps": rates[1],
            "liquidity_provider_fee_bps": rates[2],
            "proposal_approval_threshold": 7_000,
            "dispute_success_threshold": 6_000,
            "min_resolution_delay": None,
            "dispute_period": None,
        }
        return self.do("update_global_config", self.admin, args | others)


ROLES = {
    "initialize_global_config": "admin",
    "update_global_config": "admin",
    "emergency_pause": "admin",
    "create_market": "creator",
    "approve_proposal": "admin",
    "cancel_market": "admin",
    "activate_market": "authority",
    "aggregate_proposal_votes": "backend_authority",
    "aggregate_dispute_votes": "backend_authority",
    "finalize_market": "backend_authority",
    "buy_shares": "user",
    "sell_shares": "user",
    "claim_winnings": "user",
    "submit_proposal_vote": "user",
    "submit_dispute_vote": "user",
    "resolve_market": "resolver",
    "initiate_dispute": "initiator",
    "withdraw_liquidity": "creator",
}


def event(landed: LandedTransaction) -> Any:
    """Return the one event of a successful transaction."""
    assert landed.err is None, landed.logs
    ((_, found),) = logs.program_events(landed.logs, PROGRAM_ID)
    return found


def code(landed: LandedTransaction) -> int:
    """Return the error number of a failed transaction."""
    assert isinstance(landed.err, dict), landed.logs
    return int(landed.err["InstructionError"][1]["Custom"])


# Trades


def test_the_buys_of_the_worked_example_come_out_to_the_lamport() -> None:
    """Protocol.md 2.7, rows 5 to 7: shares, cost, price, and the resulting state."""
    stage = ProgramHarness().active(b=1_000 * SOL)
    expected = [
        (True, 1, 2_099_871_638, 999_736_100, 500_524_967),
        (False, 2, 3_637_075_426, 1_999_687_800, 499_615_699),
        (True, 10, 18_093_585_971, 9_999_721_600, 504_139_000),
    ]
    for outcome, target, shares, paid, price in expected:
        bought = event(stage.buy(stage.alice, outcome, target * SOL))
        assert (bought.shares, bought.cost, bought.new_price_yes) == (shares, paid, price)
    market = stage.record(MarketRecord)
    assert (market.shares_yes, market.shares_no) == (21_193_457_609, 4_637_075_426)
    assert market.total_volume == 12_999_145_500
    assert market.accumulated_resolver_fees == 236_348_100
    assert market.accumulated_lp_fees == 590_870_250
    assert market.current_liquidity == SOL // 10 + 827_218_350
    assert stage.lamports(stage.market) - accounts.rent_exempt_lamports(488) == 12_644_623_350


def test_a_buy_pays_market_and_protocol_by_two_calls() -> None:
    """The inner instructions create the position and move exactly the event's cost."""
    stage = ProgramHarness().active()
    before = stage.lamports(stage.fee.address)
    landed = stage.buy(stage.alice, True, SOL)
    assert stage.lamports(stage.fee.address) - before == 27_270_774
    calls = landed.inner[0]
    assert [call.data[0] for call in calls] == [0, 2, 2]
    assert sum(int.from_bytes(call.data[4:12], "little") for call in calls[1:]) == 999_928_380


def test_the_smallest_first_buy_is_where_the_chain_has_it() -> None:
    """Protocol.md 2.6: b of 100 SOL accepts 1,071,510 lamports and rejects one less."""
    assert code(ProgramHarness().active().buy(*_alice(ProgramHarness()), 1_071_509)) == 6034
    stage = ProgramHarness().active()
    assert event(stage.buy(stage.alice, True, 1_071_510)).shares > 0


def _alice(stage: ProgramHarness) -> tuple[SigningKey, bool]:
    return stage.alice, True


def test_a_tiny_buy_off_balance_gives_nothing_for_nothing() -> None:
    """It succeeds with zero shares at zero cost, and counts as a trade."""
    stage = ProgramHarness().traded()
    bought = event(stage.buy(stage.alice, True, 10_000))
    assert (bought.shares, bought.cost) == (0, 0)
    assert stage.record(PositionRecord, stage.alice).trades_count == 2


def test_a_market_below_the_smallest_b_lives_and_never_trades() -> None:
    """Protocol.md 2.6: created, approved, activated, and every buy is InvalidBParameter."""
    stage = ProgramHarness().active(b=99 * SOL)
    assert code(stage.buy(stage.alice, True, SOL)) == 6042


def test_a_sell_moves_lamports_out_of_the_market() -> None:
    """Protocol.md 2.7's quote, paid: net to the seller, protocol fee to its wallet."""
    stage = ProgramHarness().active(b=1_000 * SOL, liquidity=100 * SOL)
    for outcome, target in ((True, 1), (False, 2), (True, 10)):
        assert stage.buy(stage.alice, outcome, target * SOL).err is None
    before = stage.record(MarketRecord)
    held = stage.lamports(stage.market)
    sold = event(stage.sell(stage.alice, True, SOL))
    after = stage.record(MarketRecord)
    assert sold.proceeds == 454_188_600
    assert held - stage.lamports(stage.market) == 454_188_600 + 15_139_620
    assert before.current_liquidity - after.current_liquidity == 454_188_600 + 15_139_620
    assert after.total_volume - before.total_volume == 504_654_000
    assert stage.record(PositionRecord, stage.alice).total_invested == before.total_volume


def test_a_faulty_sell_fails_in_the_runtime() -> None:
    """As deployed, protocol.md 1.4.6: the market's account cannot sign for a System transfer."""
    stage = ProgramHarness(faulty_sells=True).active(liquidity=100 * SOL)
    assert stage.buy(stage.alice, True, SOL).err is None
    landed = stage.sell(stage.alice, True, SOL)
    assert landed.err == {"InstructionError": [0, "PrivilegeEscalation"]}
    assert f"{stage.market}'s signer privilege escalated" in landed.logs


@pytest.mark.parametrize(
    ("shares", "at_least", "number"),
    [(10 * SOL, 0, 6014), (10_000, 0, 6018), (SOL, SOL, 6015), (SOL, 0, 6016)],
)
def test_sells_are_refused_in_order(shares: int, at_least: int, number: int) -> None:
    """More than the seller has, too small, too low proceeds, more than the ledger has."""
    stage = ProgramHarness().traded()
    assert code(stage.sell(stage.alice, True, shares, at_least)) == number


def test_a_wallet_cannot_sell_the_position_of_another() -> None:
    """The position is derived from the signer, so another wallet's is a wrong address."""
    stage = ProgramHarness().traded()
    theirs = addresses.position_address(PROGRAM_ID, stage.market, stage.alice.address)
    args = {"outcome": True, "shares_to_sell": 1, "min_proceeds": 0}
    assert code(stage.do("sell_shares", stage.bob, args, position=theirs)) == 2006


def test_fees_that_are_not_ten_percent_break_buys() -> None:
    """Protocol.md 1.4.16: the divisor is hard-coded, and a fee of zero divides by zero."""
    stage = ProgramHarness().active()
    assert stage.configure(500, 500, 500).err is None
    assert code(stage.buy(stage.alice, True, SOL)) == 6015
    assert stage.configure(0, 0, 0).err is None
    assert code(stage.buy(stage.alice, True, SOL)) == 6035


# The protocol and the way to trading


def test_the_second_initialization_is_refused_by_the_system_program() -> None:
    """Protocol.md 1.4.1: the account is in use, for any caller."""
    stage = ProgramHarness().initialized()
    landed = stage.do("initialize_global_config", stage.bob, {"backend_authority": stage.bob.address})
    assert code(landed) == 0
    assert any("already in use" in line for line in landed.logs)


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"protocol_fee_bps": 9_301}, 6004),
        ({"dispute_success_threshold": 10_001}, 6001),
        ({"dispute_period": 0}, 6002),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(change: dict[str, int], number: int) -> None:
    """Rates above 100 %, thresholds above 100 %, a period of zero."""
    assert code(ProgramHarness().initialized().configure(300, 200, 500, **change)) == number


def test_a_pause_stops_creating_and_trading_and_nothing_else() -> None:
    """Protocol.md 1.4.17: votes, resolution and settlement continue."""
    stage = ProgramHarness().traded()
    assert event(stage.do("emergency_pause", stage.admin)).is_paused
    assert code(stage.buy(stage.alice, True, SOL)) == 6010
    assert code(stage.sell(stage.alice, True, 10_000_000)) == 6010
    stage.wait(5)
    args = {"proposed_outcome": True, "ipfs_evidence_hash": CID}
    assert stage.do("resolve_market", stage.bob, args).err is None
    assert not event(stage.do("emergency_pause", stage.admin)).is_paused


def test_creating_under_a_pause_is_refused() -> None:
    """ProtocolPaused, and no part of the account remains."""
    stage = ProgramHarness().initialized()
    assert stage.do("emergency_pause", stage.admin).err is None
    assert code(stage.create()) == 6010
    assert stage.lamports(stage.market) == 0


@pytest.mark.parametrize(("b", "liquidity", "number"), [(0, 1, 6042), (1, 0, 6017)])
def test_a_market_of_nothing_is_refused(b: int, liquidity: int, number: int) -> None:
    """Neither b nor the declared liquidity may be zero."""
    assert code(ProgramHarness().initialized().create(b, liquidity)) == number


def test_a_market_begins_with_shares_of_nobody() -> None:
    """Protocol.md 1.4.2: b/1000 on each side, the liquidity a number, the question's hash stored."""
    stage = ProgramHarness().created(b=100 * SOL + 999, liquidity=7)
    market = stage.record(MarketRecord)
    assert market.shares_yes == market.shares_no == 100_000_000
    assert (market.current_liquidity, market.ipfs_evidence_hash) == (7, CID)
    assert stage.lamports(stage.market) == 4_287_360


def test_approval_takes_counts_and_a_share_of_them() -> None:
    """NoVotesRecorded, InsufficientVotes, then APPROVED at exactly the threshold."""
    stage = ProgramHarness().created()
    assert code(stage.do("approve_proposal", stage.admin)) == 6024
    counts = {"final_likes": 69, "final_dislikes": 31}
    counted = event(stage.do("aggregate_proposal_votes", stage.backend, counts))
    assert (counted.approval_percentage, counted.approved) == (69, False)
    assert code(stage.do("approve_proposal", stage.admin)) == 6025
    counts = {"final_likes": 70, "final_dislikes": 30}
    assert event(stage.do("aggregate_proposal_votes", stage.backend, counts)).approved
    assert stage.do("approve_proposal", stage.admin).err is None
    assert stage.record(MarketRecord).state == MarketState.APPROVED


def test_a_vote_is_a_record_and_there_is_one() -> None:
    """Protocol.md 1.4.12: the second attempt fails in the System program, and the counters do not change."""
    stage = ProgramHarness().created()
    cast = event(stage.do("submit_proposal_vote", stage.bob, {"vote": True}))
    assert cast == events.ProposalVoteSubmitted(MARKET_ID, stage.bob.address, True, NOW)
    assert code(stage.do("submit_proposal_vote", stage.bob, {"vote": False})) == 0
    address = addresses.vote_address(PROGRAM_ID, stage.market, stage.bob.address, VoteKind.PROPOSAL)
    account = stage.ledger.account(address)
    assert account is not None
    assert account.lamports == 1_468_560
    assert isinstance(account.record, VoteRecord)
    assert stage.record(MarketRecord).proposal_likes == 0


def test_cancelling_leaves_the_flag_alone() -> None:
    """Protocol.md 1.4.18: state 6, cancelled_at, and is_cancelled false."""
    stage = ProgramHarness().created()
    assert stage.do("cancel_market", stage.admin).err is None
    market = stage.record(MarketRecord)
    assert (market.state, market.is_cancelled, market.cancelled_at) == (6, False, NOW)
    assert code(stage.do("cancel_market", stage.admin)) == 6012
    stage = ProgramHarness().active()
    assert code(stage.do("cancel_market", stage.admin)) == 6011


@pytest.mark.parametrize(
    ("name", "args", "number"),
    [
        ("approve_proposal", {}, 6006),
        ("activate_market", {}, 6006),
        ("submit_proposal_vote", {"vote": True}, 6051),
        ("submit_dispute_vote", {"vote": True}, 6051),
        ("aggregate_proposal_votes", {"final_likes": 1, "final_dislikes": 0}, 6051),
        ("aggregate_dispute_votes", {"final_agrees": 1, "final_disagrees": 0}, 6051),
        ("initiate_dispute", {}, 6007),
        ("finalize_market", {"dispute_agree": 1, "dispute_disagree": 0}, 6007),
        ("withdraw_liquidity", {}, 6007),
        ("claim_winnings", {}, 6007),
    ],
)
def test_an_active_market_refuses_what_belongs_elsewhere(name: str, args: dict[str, Any], number: int) -> None:
    """Every instruction has its own error for the wrong state."""
    stage = ProgramHarness().traded()
    signers = {
        "admin": stage.admin,
        "authority": stage.admin,
        "backend_authority": stage.backend,
        "creator": stage.creator,
    }
    signer = signers.get(ROLES[name], stage.alice)
    assert code(stage.do(name, signer, args)) == number


@pytest.mark.parametrize(
    "name",
    [
        "approve_proposal",
        "activate_market",
        "cancel_market",
        "emergency_pause",
        "aggregate_proposal_votes",
    ],
)
def test_roles_are_checked(name: str) -> None:
    """Another wallet's signature is Unauthorized, with the account's name."""
    stage = ProgramHarness().created()
    args = {"final_likes": 1, "final_dislikes": 0} if name.startswith("aggregate") else None
    landed = stage.do(name, stage.bob, args)
    assert code(landed) == 6029
    line = f"Program log: AnchorError caused by account: {ROLES[name]}. Error Code: Unauthorized."
    assert any(text.startswith(line) for text in landed.logs)


# Outcome and money


def test_resolving_takes_a_second_and_forgets_the_question() -> None:
    """Protocol.md 1.4.7: not in the second of activation; the evidence replaces the question."""
    stage = ProgramHarness().active()
    args = {"proposed_outcome": False, "ipfs_evidence_hash": bytes(46)}
    assert code(stage.do("resolve_market", stage.bob, args)) == 6044
    stage.wait(1)
    assert stage.do("resolve_market", stage.bob, args).err is None
    market = stage.record(MarketRecord)
    assert (market.resolver, market.proposed_outcome) == (stage.bob.address, False)
    assert market.ipfs_evidence_hash == bytes(46)


def test_the_dispute_window_closes_for_disputes_and_opens_for_finalizing() -> None:
    """Exactly dispute_period seconds after the proposed outcome."""
    stage = ProgramHarness().resolving()
    assert code(stage.do("initiate_dispute", stage.bob)) == 6044
    stage.wait(259_199)
    assert code(stage.finalize()) == 6027
    stage.wait(1)
    assert code(stage.do("initiate_dispute", stage.bob)) == 6020
    assert event(stage.finalize()) == events.MarketFinalized(MARKET_ID, True, False, stage.ledger.clock.unix_timestamp)


@pytest.mark.parametrize(("agree", "outcome"), [(59, True), (60, False)])
def test_a_dispute_turns_the_outcome_at_the_threshold(agree: int, outcome: bool) -> None:
    """Protocol.md 1.4.9: at once, without a wait, by the counts that the backend signs."""
    stage = ProgramHarness().disputed()
    assert code(stage.finalize()) == 6024
    assert code(stage.finalize(0, 0)) == 6024
    stage.wait(1)
    done = event(stage.finalize(agree, 100 - agree))
    assert (done.final_outcome, done.was_disputed) == (outcome, True)


def test_a_bounced_dispute_confirms_what_voters_rejected_and_is_forgotten() -> None:
    """Protocol.md 1.4.15: back to RESOLVING, then the old outcome and was_disputed false."""
    stage = ProgramHarness().disputed()
    counts = {"final_agrees": 6, "final_disagrees": 4}
    assert event(stage.do("aggregate_dispute_votes", stage.backend, counts)).dispute_succeeded
    market = stage.record(MarketRecord)
    assert (market.state, market.was_disputed) == (MarketState.RESOLVING, True)
    stage.wait(259_200)
    done = event(stage.finalize())
    assert (done.final_outcome, done.was_disputed) == (True, False)


def test_a_failed_dispute_ends_the_market_without_an_outcome() -> None:
    """FINALIZED, no outcome, finalized_at zero; claims return the invested amount."""
    stage = ProgramHarness().disputed()
    counts = {"final_agrees": 0, "final_disagrees": 0}
    assert not event(stage.do("aggregate_dispute_votes", stage.backend, counts)).dispute_succeeded
    market = stage.record(MarketRecord)
    assert (market.state, market.final_outcome, market.finalized_at) == (5, None, 0)
    assert market.resolved_at == stage.ledger.clock.unix_timestamp
    paid = event(stage.do("claim_winnings", stage.alice))
    assert (paid.outcome, paid.amount) == (None, 999_928_380)


def test_claims_pay_out_of_the_ledger_and_the_first_pays_the_resolver() -> None:
    """Protocol.md 2.7's settlement: 185,350,052 to the holder, 27,270,384 to the resolver."""
    stage = ProgramHarness().finalized()
    assert stage.record(MarketRecord).current_liquidity == 195_446_344
    resolver, alice = (stage.lamports(who.address) for who in (stage.resolver, stage.alice))
    paid = event(stage.do("claim_winnings", stage.alice))
    assert paid.amount == 185_350_052
    assert stage.lamports(stage.resolver.address) - resolver == 27_270_384
    assert stage.lamports(stage.alice.address) - alice == 185_350_052 - 5_000
    market = stage.record(MarketRecord)
    assert (market.accumulated_resolver_fees, market.current_liquidity) == (0, 195_446_344)
    assert code(stage.do("claim_winnings", stage.alice)) == 6022
    assert code(stage.do("claim_winnings", stage.bob)) == 6023


def test_a_claim_beyond_the_lamports_fails() -> None:
    """With 100 SOL declared the claim computes far more than the account has."""
    stage = ProgramHarness().active(liquidity=100 * SOL)
    stage.buy(stage.alice, True, SOL)
    stage.wait(10)
    args = {"proposed_outcome": True, "ipfs_evidence_hash": CID}
    stage.do("resolve_market", stage.resolver, args)
    stage.wait(259_200)
    assert stage.finalize().err is None
    assert code(stage.do("claim_winnings", stage.alice)) == 6016


def test_a_claim_names_the_resolver() -> None:
    """Another account in place of the resolver is InvalidResolver."""
    stage = ProgramHarness().finalized()
    landed = stage.do("claim_winnings", stage.alice, resolver=stage.bob.address)
    assert code(landed) == 6031


def test_withdrawing_empties_the_market_and_the_claims_with_it() -> None:
    """Protocol.md 1.4.11: everything above rent and 10,000; later claims get nothing."""
    stage = ProgramHarness().finalized()
    held = stage.lamports(stage.market)
    taken = event(stage.do("withdraw_liquidity", stage.creator)).amount
    assert taken == held - 4_287_360 - 10_000
    assert code(stage.do("claim_winnings", stage.alice)) == 6023
    assert code(stage.do("withdraw_liquidity", stage.creator)) == 6016
    assert code(stage.do("withdraw_liquidity", stage.bob)) == 6029


# Anchor


def test_the_log_of_a_buy_is_what_anchor_prints() -> None:
    """Invocations nest, the event is one data line, units are counted."""
    stage = ProgramHarness().active()
    lines = stage.buy(stage.alice, True, SOL).logs
    system = "11111111111111111111111111111111"
    assert lines[:2] == [f"Program {PROGRAM_ID} invoke [1]", "Program log: Instruction: BuyShares"]
    assert lines[2:8] == [f"Program {system} invoke [2]", f"Program {system} success"] * 3
    assert lines[8].startswith("Program data: 8GJFCv3q4k")
    assert lines[9].startswith(f"Program {PROGRAM_ID} consumed ")
    assert lines[9].endswith(" of 200000 compute units")
    assert lines[10:] == [f"Program {PROGRAM_ID} success"]


def test_the_log_of_a_refusal_names_the_error() -> None:
    """The lines that clients match: name, number and message, then the failed line in hexadecimal."""
    stage = ProgramHarness().active()
    lines = stage.buy(stage.alice, True, 9_999).logs
    assert any(
        "Error Code: TradeTooSmall. Error Number: 6018. "
        "Error Message: Trade amount below minimum (0.00001 SOL)." in line
        for line in lines
    )
    assert lines[-1] == f"Program {PROGRAM_ID} failed: custom program error: 0x1782"


@pytest.mark.parametrize(
    ("wrong", "number", "name"),
    [
        (lambda stage: {"market": stage.alice.address}, 3007, "AccountOwnedByWrongProgram"),
        (lambda stage: {"market": stage.nowhere}, 3012, "AccountNotInitialized"),
        (lambda stage: {"market": stage.config}, 3002, "AccountDiscriminatorMismatch"),
        (lambda stage: {"position": stage.nowhere}, 2006, "ConstraintSeeds"),
        (lambda stage: {"protocol_fee_wallet": stage.bob.address}, 6029, "Unauthorized"),
        (lambda stage: {"system_program": stage.nowhere}, 3008, "InvalidProgramId"),
    ],
)
def test_wrong_accounts_meet_anchors_own_errors(
    wrong: Callable[[Any], dict[str, Address]], number: int, name: str
) -> None:
    """Wrong owner, a missing account, another type, a wrong address, each with its number."""

    class Wrong(ProgramHarness):
        nowhere = Address("4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA")
        config = addresses.config_address(PROGRAM_ID)

    stage = Wrong()
    stage.active()
    args = {"outcome": True, "target_cost": SOL}
    landed = stage.do("buy_shares", stage.alice, args, **wrong(stage))
    assert code(landed) == number
    assert any(f"Error Code: {name}. Error Number: {number}." in line for line in landed.logs)


def test_unknown_instructions_and_cut_arguments_are_anchors_errors() -> None:
    """101 for an unknown discriminator, 102 for arguments that end too early."""
    from solders.instruction import Instruction
    from solders.pubkey import Pubkey

    stage = ProgramHarness()
    program = Pubkey.from_string(PROGRAM_ID)
    for data, number in ((b"nonsense", 101), (bytes.fromhex("28ef8a9a08256a6c01"), 102)):
        landed = stage.ledger.send([Instruction(program, data, [])], [stage.alice])
        assert code(landed) == number
    short = Instruction(program, bytes.fromhex("158f1b8ec8b5d2ff"), [])
    assert code(stage.ledger.send([short], [stage.alice])) == 3005


def test_a_missing_signature_is_3010() -> None:
    """An account that must sign and does not."""
    from solders.instruction import AccountMeta, Instruction

    stage = ProgramHarness().initialized()
    built = transactions.instruction("emergency_pause", PROGRAM_ID, {"admin": stage.admin.address})
    unsigned = [AccountMeta(meta.pubkey, False, meta.is_writable) for meta in built.accounts]
    landed = stage.ledger.send([Instruction(built.program_id, built.data, unsigned)], [stage.alice])
    assert code(landed) == 3010


def test_two_instructions_happen_together_or_not_at_all() -> None:
    """The first buy is undone when the second fails; the fee is not."""
    stage = ProgramHarness().active()
    before = stage.lamports(stage.alice.address)
    instructions = [
        transactions.instruction(
            "buy_shares",
            PROGRAM_ID,
            stage.named("buy_shares", stage.alice),
            {"outcome": True, "target_cost": target},
            market_id=MARKET_ID,
        )
        for target in (SOL, 9_999)
    ]
    landed = stage.ledger.send(instructions, [stage.alice])
    assert landed.err == {"InstructionError": [1, {"Custom": 6018}]}
    assert stage.record(MarketRecord).total_volume == 0
    assert stage.lamports(stage.alice.address) == before - 5_000


def test_a_long_log_is_cut_where_validators_cut_it() -> None:
    """Ten thousand bytes, then `Log truncated`; later lines that would fit are lost or printed."""
    stage = ProgramHarness().initialized()
    named = stage.named("emergency_pause", stage.admin)
    toggle = transactions.instruction("emergency_pause", PROGRAM_ID, named)
    landed = stage.ledger.send([toggle] * 40, [stage.admin])
    assert landed.err is None
    assert "Log truncated" in landed.logs
    assert sum(map(len, landed.logs)) <= 10_000 + len("Log truncated")
