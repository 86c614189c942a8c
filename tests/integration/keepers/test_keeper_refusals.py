"""Faults around keepers: a reason for each, an alert where an operator is needed, never a second transaction."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import psycopg
import pytest
from keeper_stack import DISPUTE_PERIOD, WINDOW, KeeperStack, due, reasons, row_of
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from devchain.accounts import Account, VoteRecord, copy_record
from devchain.testing import PROGRAM_ID
from orchestration.keepers import runner
from orchestration.keepers.plan_inputs import Tally
from orchestration.keepers.reasons import PlanVerdict, Reason
from orchestration.keepers.submit import Timing
from zmart import errors
from zmart.chain import addresses, rpc_errors
from zmart.chain.rpc import RpcClient
from zmart.chain.signer import Signer
from zmart.domain.ids import Address
from zmart.domain.votes import VoteKind
from zmart.settings import Cluster

#: More than 40 s in all: keepers wait for what does not land.
pytestmark = pytest.mark.drill

#: More blocks than the life of a blockhash.
A_LONG_TIME = 200
#: Waits only long enough to see that nothing lands.
BRIEF = Timing(poll_seconds=0.02, resend_seconds=0.1, wait_seconds=0.3, lease_seconds=30.0, unconfirmed_seconds=0.0)
REFUSED = {"code": -32005, "message": "Node is behind by 9 slots", "data": {"numSlotsBehind": 9}}


async def due_market(stack: KeeperStack, number: int = 1) -> str:
    """A market that is due for finalization."""
    market = stack.open(number)
    stack.resolve(market)
    stack.pass_time(DISPUTE_PERIOD)
    await stack.sync_log()
    return market


async def fault(stack: KeeperStack, **words: Any) -> None:
    """Let the node fail."""
    await stack.node.call("devchain_fault", words)


def sent(stack: KeeperStack) -> int:
    """Return the number of transactions that were signed and stored."""
    return int(stack.fetch_all("select count(*) from ops.submissions")[0][0])


# Preflight


async def test_wrong_key_fails_preflight(stack: KeeperStack) -> None:
    """The key must be the program's own authority; with another nothing is planned."""
    await due_market(stack)
    wrong_key = stack.folder / "wrong_key.json"
    Signer.generate().save(wrong_key)

    for variable, name in (("backend_keypair_path", "backend authority"), ("admin_keypair_path", "admin")):
        wrong = stack.with_settings(chain={variable: wrong_key})
        with pytest.raises(errors.ConfigurationError, match=f"The {name} on chain is"):
            await stack.run_keepers("market_finalizations", configured=wrong)
        assert ("keeper_configuration", "") in stack.alerts()
    assert sent(stack) == 0
    await stack.run_keepers("market_finalizations")
    assert ("keeper_configuration", "") not in stack.alerts()


async def test_settings_of_a_shell_neither_raise_nor_close_the_alert(stack: KeeperStack) -> None:
    """`zmart keeper` prints a wrong variable of the shell; the alert is about the service's own configuration."""
    wrong = stack.with_settings(chain={"cluster": Cluster.DEVNET})
    dsn = stack.database.dsn("zmart_keeper")
    with pytest.raises(errors.ConfigurationError, match="SOLANA_CLUSTER is devnet"):
        async with runner.open_runner(wrong, dsn=dsn, updates_alerts=False):
            pass
    assert ("keeper_configuration", "") not in stack.alerts()

    with pytest.raises(errors.ConfigurationError):
        await stack.run_keepers(configured=wrong)
    async with runner.open_runner(stack.configured, dsn=dsn, updates_alerts=False):
        assert ("keeper_configuration", "") in stack.alerts()


async def test_wrong_chain_fails_preflight(stack: KeeperStack) -> None:
    """By genesis hash, by the log's own chain, by program."""
    with pytest.raises(errors.ConfigurationError, match="SOLANA_CLUSTER is devnet, but the node is on localnet"):
        await stack.run_keepers(configured=stack.with_settings(chain={"cluster": Cluster.DEVNET}))
    elsewhere = stack.with_settings(chain={"program_id": stack.people["admin"].address})
    with pytest.raises(errors.ConfigurationError, match="The log is of program"):
        await stack.run_keepers(configured=elsewhere)
    with stack.database.connect() as connection:
        connection.execute("update raw.identity set genesis_hash = 'another'")
    with pytest.raises(errors.ConfigurationError, match="The log is of genesis hash another"):
        await stack.run_keepers()


async def test_rules_looser_than_the_programs_are_refused(stack: KeeperStack) -> None:
    """Our thresholds may be stricter; and the window must be the one that the API shows."""
    for changes, message in (
        ({"proposal_approval_threshold_bps": 6_999}, "PROPOSAL_APPROVAL_THRESHOLD is 0.6999, looser"),
        ({"dispute_threshold_bps": 5_999}, "DISPUTE_THRESHOLD is 0.5999, looser"),
        ({"dispute_voting_window_seconds": 60}, "the API shows 259200 s"),
    ):
        with pytest.raises(errors.ConfigurationError, match=message):
            await stack.run_keepers(configured=stack.with_settings(voting=changes))


async def test_the_configuration_is_at_the_address_with_the_hyphen(stack: KeeperStack) -> None:
    """Older services derive global_config, which does not exist (protocol.md 1.2)."""
    wrong, _ = Pubkey.find_program_address([b"global_config"], Pubkey.from_string(PROGRAM_ID))
    async with RpcClient([stack.node.url]) as chain:
        assert (await chain.account(str(wrong), commitment="confirmed")).value is None
        found = await chain.account(addresses.config_address(PROGRAM_ID), commitment="confirmed")
    assert found.value is not None
    stack.node.ledger.put(addresses.config_address(PROGRAM_ID), Account(0))
    stack.pass_blocks(3)
    with pytest.raises(errors.ConfigurationError, match="seed global-config, with a hyphen"):
        await stack.run_keepers()


async def test_signing_takes_a_key_and_planning_does_not(stack: KeeperStack) -> None:
    """A dry run simulates as the authority on chain."""
    market = await due_market(stack)
    without = stack.with_settings(chain={"backend_keypair_path": None, "admin_keypair_path": None})

    report = await stack.run_keepers("market_finalizations", is_dry=True, configured=without)
    with pytest.raises(errors.ConfigurationError, match="whose key is not configured"):
        await stack.run_keepers("market_finalizations", configured=without)

    assert due(report) == [market]
    assert any("FinalizeMarket" in line or "finalize" in line.lower() for line in row_of(report, market).logs)
    assert sent(stack) == 0
    assert stack.intents() == []


# Between plan and chain


async def test_a_paused_protocol_is_left_alone(stack: KeeperStack) -> None:
    """The program would accept it; during an emergency nothing irreversible is sent."""
    market = await due_market(stack)
    stack.act("emergency_pause", stack.people["admin"], "admin")
    await stack.sync_log()

    assert reasons(await stack.run_keepers("market_finalizations")) == {market: Reason.PAUSED}
    stack.act("emergency_pause", stack.people["admin"], "admin")
    await stack.sync_log()
    assert due(await stack.run_keepers("market_finalizations")) == [market]


async def test_a_market_that_moved_on_is_not_sent(stack: KeeperStack) -> None:
    """The admin approved it a moment ago: the account has it, the log not yet."""
    market = stack.propose(1)
    counts = {"final_likes": 9, "final_dislikes": 1}
    stack.act("aggregate_proposal_votes", stack.people["backend"], "backend_authority", counts, market=market)
    await stack.sync_log()
    stack.act("approve_proposal", stack.people["admin"], "admin", market=market)
    stack.pass_blocks(3)

    report = await stack.run_keepers("proposal_approvals")

    assert reasons(report) == {market: Reason.MARKET_MOVED}
    assert "APPROVED on chain" in row_of(report, market).detail
    assert sent(stack) == 0


async def test_a_dispute_in_the_last_moment_is_not_finalized_over(stack: KeeperStack) -> None:
    """Between the simulation and the send: the node rejects, which proves nothing, and the blockhash expires."""
    market = await due_market(stack)
    config = stack.node.ledger.account(addresses.config_address(PROGRAM_ID))
    assert config is not None

    def interfere(point: str) -> None:
        if point == "before send":
            stack.configure(dispute_period=10 * DISPUTE_PERIOD)
            stack.dispute(market, agree=1)

    report = await stack.run_keepers("market_finalizations", checkpoint=interfere, timing=BRIEF)
    assert [one.state for one in report.sent] == ["sent"]
    assert "NoVotesRecorded" in report.sent[0].message
    assert stack.state(market) == "DISPUTED"
    stack.configure()
    stack.pass_blocks(A_LONG_TIME)
    await stack.sync_log()
    await stack.sweep()
    await stack.run_keepers("market_finalizations")

    assert stack.state(market) == "DISPUTED"
    assert stack.intents() == [("market_finalizations", "refused", 1)]


async def test_a_threshold_raised_on_the_way_is_not_an_alert(stack: KeeperStack) -> None:
    """InsufficientVotes means that it is too early (protocol.md 4.5)."""
    market = stack.propose(1)
    await stack.sync_log()
    await stack.run_keepers("proposal_tallies")
    await stack.sync_log()

    def interfere(point: str) -> None:
        if point == "before send":
            stack.configure(proposal_approval_threshold=9_900)

    report = await stack.run_keepers("proposal_approvals", checkpoint=interfere, timing=BRIEF)
    assert "InsufficientVotes" in report.sent[0].message
    strict = stack.with_settings(voting={"proposal_approval_threshold_bps": 9_900})
    stack.pass_blocks(A_LONG_TIME)
    await stack.sync_log()
    await stack.run_keepers("proposal_approvals", configured=strict)

    assert stack.state(market) == "PROPOSED"
    assert stack.alerts() == set()
    assert stack.intents()[1:] == [("proposal_approvals", "refused", 1)]


async def test_threshold_changed_in_flight_raises_an_alert_when_the_outcome_differs(stack: KeeperStack) -> None:
    """The program settles by its configuration at that moment; its outcome is compared with the planned one."""
    market = stack.open(1)
    stack.resolve(market)
    stack.dispute(market, agree=6, disagree=4)
    stack.pass_time(WINDOW)
    await stack.sync_log()

    def interfere(point: str) -> None:
        if point == "before send":
            stack.configure(dispute_success_threshold=9_000)

    await stack.run_keepers("dispute_settlements", checkpoint=interfere)
    stack.configure()
    await stack.sync_log()
    await stack.sweep()

    assert stack.market(market).final_outcome is True
    assert {kind for kind, _ in stack.alerts()} == {"outcome_differs"}


async def test_what_the_programs_arithmetic_refuses_goes_to_a_person(stack: KeeperStack) -> None:
    """A ledger that lost more than it can (protocol.md 1.4.9): simulated, reported, not sent."""
    market = await due_market(stack)
    account = stack.node.ledger.account(Address(market))
    assert account is not None
    record = copy_record(stack.market(market))
    record.initial_liquidity = 10**12
    stack.node.ledger.put(
        Address(market), Account.from_record(record, lamports=account.lamports, owner=Address(PROGRAM_ID))
    )
    stack.pass_blocks(3)

    report = await stack.run_keepers("market_finalizations")

    assert reasons(report) == {market: Reason.PROGRAM}
    assert "BoundedLossExceeded" in row_of(report, market).detail
    assert {kind for kind, _ in stack.alerts()} == {"keeper_program"}
    assert stack.intents() == []


# Ballots


async def test_a_dispute_without_ballots_stays_a_dispute(stack: KeeperStack) -> None:
    """Neither of the program's exits is used: no ballot is added (protocol.md 4.5)."""
    market = stack.open(1)
    stack.resolve(market)
    stack.dispute(market)
    stack.pass_time(WINDOW)
    await stack.sync_log()

    report = await stack.run_keepers("dispute_settlements")

    assert reasons(report) == {market: Reason.ZERO_BALLOTS}
    assert report.is_review_needed
    assert {kind for kind, _ in stack.alerts()} == {"keeper_zero_ballots"}
    stack.vote("submit_dispute_vote", market, 1, 0)
    assert stack.state(market) == "DISPUTED"
    assert sent(stack) == 0


def fresh(count: int, *, agree: bool = True) -> dict[str, bool]:
    """Cast ballots of new wallets, which cost nothing."""
    return {Signer.generate().address: agree for _ in range(count)}


async def test_new_wallets_move_nothing_on_chain(stack: KeeperStack) -> None:
    """Ten new wallets vote off chain; keepers send no tally, no approval and no activation because of them."""
    market = stack.propose(1, likes=0, dislikes=0)
    await stack.sync_log()
    stack.cast(market, "proposal", fresh(10))

    for name in ("proposal_tallies", "proposal_approvals", "market_activations"):
        await stack.run_keepers(name)
        await stack.sync_log()
    assert stack.state(market) == "PROPOSED"
    report = await stack.run_keepers("proposal_tallies")
    assert reasons(report) == {market: Reason.UNSEEN_DECIDE}
    assert report.is_review_needed
    assert "10:0, 100.00 %; without wallets unseen before the vote 0:0" in row_of(report, market).detail
    assert {kind for kind, _ in stack.alerts()} == {"keeper_unseen_decide"}

    counts = {"final_likes": 10, "final_dislikes": 0}
    stack.act("aggregate_proposal_votes", stack.people["backend"], "backend_authority", counts, market=market)
    await stack.sync_log()
    without = stack.with_settings(chain={"admin_keypair_path": None})
    exported = await stack.run_keepers("proposal_approvals", configured=without)
    assert reasons(exported) == {market: Reason.UNSEEN_DECIDE}
    assert row_of(exported, market).unsigned is None
    assert reasons(await stack.run_keepers("proposal_approvals")) == {market: Reason.UNSEEN_DECIDE}

    stack.act("approve_proposal", stack.people["admin"], "admin", market=market)
    await stack.sync_log()
    assert reasons(await stack.run_keepers("market_activations")) == {market: Reason.UNSEEN_DECIDE}
    assert stack.state(market) == "APPROVED"
    assert sent(stack) == 0


async def test_an_event_after_the_vote_opened_makes_no_ballot_count(stack: KeeperStack) -> None:
    """Ten free ballots do not count because their wallets appear on chain later; in the next market they do."""
    market = stack.propose(1, likes=0, dislikes=0)
    ballots = {voter.address: True for voter in stack.voters[:10]}
    await stack.sync_log()
    stack.cast(market, "proposal", ballots)
    stack.propose(2, likes=10, dislikes=0)
    await stack.sync_log()

    report = await stack.run_keepers("proposal_tallies", is_dry=True)
    assert reasons(report)[market] is Reason.UNSEEN_DECIDE
    assert row_of(report, market).market.tally == Tally(unseen_agree=10)
    shown = "select off_chain_known_agree, off_chain_unseen_agree from marts.vote_tallies where market_id = %s"
    assert stack.fetch_all(shown, "01" * 32) == [(0, 10)]

    later = stack.propose(3, likes=0, dislikes=0)
    await stack.sync_log()
    stack.cast(later, "proposal", ballots)
    report = await stack.run_keepers("proposal_tallies", is_dry=True)
    assert reasons(report)[later] is Reason.DUE
    assert row_of(report, later).market.tally == Tally(known_agree=10)
    assert stack.fetch_all(shown, "03" * 32) == [(10, 0)]


async def test_a_dispute_counts_wallets_seen_before_it_began(stack: KeeperStack) -> None:
    """A wallet that first trades during the vote is unseen in it, one that traded before is known."""
    market = stack.open(1)
    stack.buy(market, 10)
    stack.resolve(market)
    stack.dispute(market, agree=4, disagree=2)
    other = stack.open(2)
    stack.buy(other, 11)
    await stack.sync_log()
    stack.cast(market, "dispute", {stack.voters[10].address: True, stack.voters[11].address: True})
    stack.pass_time(WINDOW)
    await stack.sync_log()

    report = await stack.run_keepers("dispute_settlements", is_dry=True)
    assert row_of(report, market).market.tally == Tally(
        on_chain_agree=4, on_chain_disagree=2, known_agree=1, unseen_agree=1
    )
    assert row_of(report, market).arguments == {"dispute_agree": 5, "dispute_disagree": 2}


async def test_new_wallets_are_not_in_what_is_written_on_chain(stack: KeeperStack) -> None:
    """The counts of a proposal and of a dispute exclude them, also if they change no result."""
    market = stack.propose(1)
    await stack.sync_log()
    stack.cast(market, "proposal", fresh(5))
    await stack.run_keepers("proposal_tallies")
    assert (stack.market(market).proposal_likes, stack.market(market).proposal_dislikes) == (9, 1)

    disputed = stack.open(2)
    stack.resolve(disputed)
    stack.dispute(disputed, agree=6, disagree=4)
    await stack.sync_log()
    stack.cast(disputed, "dispute", fresh(5))
    stack.pass_time(WINDOW)
    await stack.sync_log()
    await stack.run_keepers("dispute_settlements")
    assert (stack.market(disputed).dispute_agree, stack.market(disputed).dispute_disagree) == (6, 4)
    assert stack.alerts() == set()


async def test_vote_records_that_the_log_does_not_know_stop_a_tally(stack: KeeperStack) -> None:
    """A ballot that never reached the log would be missing in the count."""
    market = stack.propose(1)
    await stack.sync_log()
    voter = stack.voters[11].address
    record = VoteRecord(market=Address(market), user=voter, vote_type=0, vote=False, voted_at=1)
    address = addresses.vote_address(PROGRAM_ID, market, voter, VoteKind.PROPOSAL)
    stack.node.ledger.put(address, Account.from_record(record, lamports=2_000_000, owner=Address(PROGRAM_ID)))
    stack.pass_blocks(40)

    report = await stack.run_keepers("proposal_tallies")

    assert reasons(report) == {market: Reason.RECORDS_DIFFER}
    assert "The chain counts 9:2, the log 9:1." in row_of(report, market).detail
    assert ("keeper_records_differ", f"proposal_tallies {row_of(report, market).market.market_id}") in stack.alerts()
    assert sent(stack) == 0


async def test_an_account_that_only_looks_like_a_vote_record_stops_nothing(stack: KeeperStack) -> None:
    """With Anchor anyone can create a buffer for an IDL, of any size, with any address and any bytes in it."""
    market = stack.propose(1)
    record = VoteRecord(market=Address(market), user=stack.voters[11].address, vote_type=0, vote=False, voted_at=1)
    forged = hashlib.sha256(b"account:IdlAccount").digest()[:8] + record.encode()[8:]
    assert len(forged) == record.size_bytes
    for data in (forged, bytes(len(forged)), bytes(100)):
        stack.node.ledger.put(Signer.generate().address, Account(2_000_000, Address(PROGRAM_ID), data))
    await stack.sync_log()

    report = await stack.run_keepers("proposal_tallies")

    assert due(report) == [market]
    assert (stack.market(market).proposal_likes, stack.market(market).proposal_dislikes) == (9, 1)


async def test_a_dispute_that_was_bounced_is_left_to_a_person(stack: KeeperStack) -> None:
    """aggregate_dispute_votes returned it to RESOLVING with the rejected outcome (protocol.md 1.4.15)."""
    market = stack.open(1)
    stack.resolve(market)
    stack.dispute(market, agree=9, disagree=1)
    counts = {"final_agrees": 9, "final_disagrees": 1}
    stack.act("aggregate_dispute_votes", stack.people["backend"], "backend_authority", counts, market=market)
    stack.pass_time(DISPUTE_PERIOD)
    await stack.sync_log()
    assert stack.state(market) == "RESOLVING"

    assert reasons(await stack.run_keepers("market_finalizations")) == {market: Reason.WAS_DISPUTED}
    assert stack.state(market) == "RESOLVING"


async def test_without_the_admins_key_approvals_are_exported(stack: KeeperStack) -> None:
    """An unsigned transaction that the admin can sign with another tool, and that works."""
    market = stack.propose(1)
    await stack.sync_log()
    await stack.run_keepers("proposal_tallies")
    await stack.sync_log()
    without = stack.with_settings(chain={"admin_keypair_path": None})

    report = await stack.run_keepers("proposal_approvals", configured=without)

    row = row_of(report, market)
    assert row.verdict is PlanVerdict.EXPORT
    assert row.unsigned is not None
    unsigned = VersionedTransaction.from_bytes(base64.b64decode(row.unsigned))
    admin = stack.people["admin"]
    signed = VersionedTransaction(unsigned.message, [admin.key])
    async with RpcClient([stack.node.url]) as chain:
        await chain.send(bytes(signed), preflight_commitment="confirmed")
    assert stack.state(market) == "APPROVED"


async def test_approvals_are_left_to_an_operator_where_keepers_may_not_approve(stack: KeeperStack) -> None:
    """KEEPER_APPROVES=false: with the admin's key configured nothing is signed, and the transaction is exported."""
    market = stack.propose(1)
    await stack.sync_log()
    await stack.run_keepers("proposal_tallies")
    await stack.sync_log()
    before = sent(stack)

    report = await stack.run_keepers("proposal_approvals", configured=stack.with_settings(keepers={"approves": False}))

    row = row_of(report, market)
    assert (row.reason, row.verdict) == (Reason.LEFT_TO_OPERATOR, PlanVerdict.EXPORT)
    assert row.unsigned is not None
    assert (sent(stack), stack.state(market)) == (before, "PROPOSED")


# Nodes


async def test_a_node_that_lies_about_success_is_not_believed(stack: KeeperStack) -> None:
    """The node reports finalized, the log never has it: an alert, not done; only once proven dead, sent again."""
    market = await due_market(stack)
    lie = {"slot": 9, "confirmations": None, "err": None, "confirmationStatus": "finalized"}
    await fault(stack, method="sendTransaction", count=10**6, error=REFUSED)
    await fault(stack, method="getSignatureStatuses", count=10**6, result={"context": {"slot": 9}, "value": [lie]})

    await stack.run_keepers("market_finalizations", timing=BRIEF)
    stack.pass_blocks(A_LONG_TIME)
    await stack.sync_log()
    for _ in range(3):
        await stack.run_keepers("market_finalizations", timing=BRIEF)
    assert stack.intents() == [("market_finalizations", "landed", 0)]
    assert {kind for kind, _ in stack.alerts()} == {"keeper_unconfirmed"}
    assert sent(stack) == 1

    await stack.node.call("devchain_clear")
    await stack.run_keepers("market_finalizations")
    await stack.sync_log()
    await stack.sweep()
    assert stack.intents() == [("market_finalizations", "done", 1)]
    assert len(stack.landed_signatures(market, "finalize_market")) == 1
    assert stack.alerts() == set()


async def test_a_send_that_fails_and_lands_all_the_same_is_sent_once(stack: KeeperStack) -> None:
    """The response was lost, the transaction was not."""
    market = await due_market(stack)
    await fault(stack, method="sendTransaction", count=1, error=REFUSED, lets_through=True)

    report = await stack.run_keepers("market_finalizations")

    assert [one.state for one in report.sent] == ["landed"]
    assert len(stack.landed_signatures(market, "finalize_market")) == 1


@pytest.mark.parametrize("failure", [{"status": 429}, {"status": 503}, {"error": REFUSED}])
async def test_failing_node_changes_nothing(stack: KeeperStack, failure: dict[str, Any]) -> None:
    """The run ends with the node's error, the next one continues."""
    market = await due_market(stack)
    await fault(stack, method="*", count=10**6, **failure)
    with pytest.raises(rpc_errors.NodeError):
        await stack.run_keepers("market_finalizations")
    assert stack.intents() == []
    await stack.node.call("devchain_clear")

    assert due(await stack.run_keepers("market_finalizations")) == [market]


async def test_a_round_ends_with_the_blockhash_of_what_it_sent(stack: KeeperStack) -> None:
    """A transaction that does not land is waited for until the finalized height shows that it cannot any more, not for
    the whole time of a round; the same round records that it expired, and the next one signs again."""
    market = await due_market(stack)
    await fault(stack, method="sendTransaction", count=10**6, error=REFUSED)
    patient = Timing(poll_seconds=0.02, resend_seconds=0.1, wait_seconds=10**6, lease_seconds=30.0)

    def pass_time(point: str) -> None:
        if point == "after send":
            stack.pass_blocks(A_LONG_TIME)

    report = await stack.run_keepers("market_finalizations", timing=patient, checkpoint=pass_time)
    assert [(one.state, one.is_past_its_height) for one in report.sent] == [("sent", True)]
    assert report.swept.expired == [1]
    assert stack.intents() == [("market_finalizations", "planned", 1)]

    await stack.node.call("devchain_clear")
    await stack.sync_log()
    assert due(await stack.run_keepers("market_finalizations")) == [market]
    assert len(stack.landed_signatures(market, "finalize_market")) == 1


async def test_what_is_refused_on_chain_is_over_when_that_is_final(stack: KeeperStack) -> None:
    """It landed and failed: paid for once, closed when no fork can undo it."""
    market = await due_market(stack)

    def interfere(point: str) -> None:
        if point == "before send":
            counts = {"dispute_agree": None, "dispute_disagree": None}
            stack.act("finalize_market", stack.people["backend"], "backend_authority", counts, market=market)

    await fault(stack, method="sendTransaction", count=1, error=REFUSED)
    report = await stack.run_keepers("market_finalizations", checkpoint=interfere)
    assert "Rejected on chain: InvalidMarketState" in report.sent[0].message
    assert stack.intents() == [("market_finalizations", "sent", 0)]
    await stack.sync_log()
    await stack.sweep()

    assert stack.intents() == [("market_finalizations", "refused", 1)]
    assert stack.fetch_all("select ending from ops.submissions") == [("failed",)]
    assert stack.alerts() == set()


async def test_three_attempts_and_a_person_looks(stack: KeeperStack) -> None:
    """Quarantined, reported, not retried; released, it starts from the beginning."""
    market = await due_market(stack)
    await fault(stack, method="sendTransaction", count=10**6, error=REFUSED)
    for _ in range(3):
        await stack.run_keepers("market_finalizations", timing=BRIEF)
        stack.pass_blocks(A_LONG_TIME)
        await stack.sync_log()
        await stack.sweep()
    assert stack.intents() == [("market_finalizations", "quarantined", 3)]
    assert ("intent_quarantined", "1") in stack.alerts()

    await stack.node.call("devchain_clear")
    assert reasons(await stack.run_keepers("market_finalizations")) == {market: Reason.QUARANTINED}
    assert stack.fetch_all("select ops.release_intent(1, 'a person')") == [(True,)]
    assert due(await stack.run_keepers("market_finalizations")) == [market]
    assert stack.state(market) == "FINALIZED"
    assert len(stack.landed_signatures(market, "finalize_market")) == 1


async def test_what_the_chain_takes_back_is_open_again(stack: KeeperStack) -> None:
    """Done, retracted, reopened; when the log contains it again it is done again, and nothing was sent twice."""
    market = await due_market(stack)
    await stack.run_keepers("market_finalizations")
    await stack.sync_log()
    await stack.sweep()
    assert stack.intents() == [("market_finalizations", "done", 0)]
    (signature,) = stack.landed_signatures(market, "finalize_market")
    async with stack.pipeline.exclusive_writer() as writer:
        await writer.retract([signature])

    swept = await stack.sweep()

    assert swept.reopened == [1]
    assert [state for _, state, _ in stack.intents()] == ["landed"]
    assert ("keeper_reopened", "1") in stack.alerts()
    await stack.sync_log()
    await stack.sweep()
    assert stack.intents() == [("market_finalizations", "done", 0)]
    assert sent(stack) == 1
    assert stack.alerts() == set()


# Money and rights


async def test_the_days_budget_is_a_hard_stop(stack: KeeperStack) -> None:
    """Beyond it nothing is stored, so nothing is sent, and an alert is raised."""
    market = await due_market(stack)
    poor = stack.with_settings(keepers={"daily_budget_lamports": 4_999})

    report = await stack.run_keepers("market_finalizations", configured=poor)

    assert "budget" in row_of(report, market).detail
    assert {kind for kind, _ in stack.alerts()} == {"keeper_budget"}
    assert sent(stack) == 0
    assert reasons(report) == {market: Reason.BUDGET}
    enough = stack.with_settings(keepers={"daily_budget_lamports": 5_000})
    assert len((await stack.run_keepers("market_finalizations", configured=enough)).sent) == 1
    assert stack.alerts() == set()


async def test_low_fee_payer_balance_raises_an_alert(stack: KeeperStack) -> None:
    """An alert while it can still pay."""
    await due_market(stack)
    rich = stack.with_settings(keepers={"low_balance_lamports": 10**15})

    await stack.run_keepers("market_finalizations", configured=rich)

    assert stack.alerts() == {("fee_payer_low", stack.people["backend"].address)}


def test_the_database_refuses_a_second_send(marts_database: Any) -> None:
    """In any state of a keeper: not without the lease, not twice for an intent, not under another epoch."""
    store = "select ops.store_submission('keepers', %s, %s, %s, 'x', 1, 'p', 5000, 1, 100000)"
    with marts_database.connect() as owner:
        owner.execute("insert into raw.markets_seen values (1, 'account', null)")
    with marts_database.connect("zmart_keeper") as keeper:
        (epoch,) = keeper.execute("select ops.acquire_lease('keepers', 'one', 60)").fetchone()
        assert keeper.execute("select ops.acquire_lease('keepers', 'two', 60)").fetchone() in (None, (None,))
        plan = "select ops.open_intent('keepers', %s, 1, 'finalize_market', '{}', '{}')"
        (intent,) = keeper.execute(plan, [epoch]).fetchone()
        assert keeper.execute(plan, [epoch]).fetchone() == (intent,)
        keeper.execute(store, [epoch, intent, "first"])
        assert keeper.execute(plan, [epoch]).fetchone() == (None,)
        with pytest.raises(psycopg.Error, match="is not planned under epoch"):
            keeper.execute(store, [epoch, intent, "second"])
        keeper.execute("update ops.intents set state = 'planned'")
        with pytest.raises(psycopg.errors.UniqueViolation, match="submissions_open"):
            keeper.execute(store, [epoch, intent, "second"])
        keeper.execute("select ops.release_lease('keepers', %s)", [epoch])
        with pytest.raises(psycopg.Error, match="is no longer held"):
            keeper.execute(store, [epoch, intent, "second"])
    for role in ("zmart_ingest", "zmart_api", "analyst"):
        with marts_database.connect(role) as other, pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(store, [epoch, intent, "third"])


async def test_the_nodes_estimate_of_the_fee_is_paid(stack: KeeperStack) -> None:
    """With KEEPER_FEE_ESTIMATE a round pays the node's estimate, below the cap."""
    market = await due_market(stack)
    levels = {"min": 0, "low": 1, "medium": 2, "high": 90_000, "veryHigh": 10**9, "unsafeMax": 10**12}
    await fault(stack, method="getPriorityFeeEstimate", count=10, result={"priorityFeeLevels": levels})

    report = await stack.run_keepers(
        "market_finalizations", configured=stack.with_settings(keepers={"fee_estimate": True})
    )

    ((units,),) = stack.fetch_all("select units from ops.submissions")
    assert [(one.row.market.address, one.state) for one in report.sent] == [(market, "landed")]
    assert report.sent[0].fee_lamports == 5_000 + -(-units * 90_000 // 1_000_000)
