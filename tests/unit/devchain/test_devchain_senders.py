"""Traffic that does not come from demo wallets, transactions that never ran, and skipped blocks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from devchain import delivery, vault
from devchain.admission import TransactionRejected
from devchain.blocks import Genesis, LandedTransaction
from devchain.cluster import ClusterProfile
from devchain.history import PROGRAM_ID, History
from devchain.ledger import Ledger
from devchain.market_plans import Tempo
from devchain.service import DevelopmentChain, Options
from devchain.store import LedgerStore
from devchain.subscriptions import SubscriptionHub
from devchain.traders import Traders
from zmart.chain import logs
from zmart.domain.events import SharesBought

NOW = 1_762_600_000
SOL = 1_000_000_000
#: The program's error for a market that is finalized before its dispute period ends.
DISPUTE_PERIOD_NOT_ENDED = 6_027
TRADES = ("SharesBought", "SharesSold")


def history(**tempo: Any) -> History:
    """A played chain on which payers need not be able to pay."""
    return History(21, tempo=Tempo(**tempo), cluster=ClusterProfile(relaxes_fee_payer=True))


def is_trade(landed: LandedTransaction) -> bool:
    """Whether the program logged a trade."""
    return any(event.name in TRADES for _, event in logs.program_events(landed.logs, PROGRAM_ID))


def test_a_share_of_the_trades_is_of_version_1() -> None:
    """The default share of trades comes from other wallets; all of theirs are of version 1, and no demo wallet's is."""
    played = history()
    landed = list(played.play_landed(2_500))
    trades = [one for one in landed if is_trade(one)]
    versions = Counter(one.transaction.version for one in trades)
    assert 0.10 < versions[1] / len(trades) < 0.20
    outside = {key.address for key in played.traders.actors.outside}
    assert {one.transaction.payer for one in landed if one.transaction.version == 1} <= outside
    assert {one.transaction.payer for one in landed if one.transaction.version is None}.isdisjoint(outside)
    assert all(one.err is None or "InstructionError" in one.err for one in landed)


def test_other_wallets_claim_their_winnings() -> None:
    """They hold positions to the end, as the demo wallets do."""
    played = history(v1_percent=100.0)
    claims = [
        one
        for one in played.play_landed(1_500)
        if any(event.name == "WinningsClaimed" for _, event in logs.program_events(one.logs, PROGRAM_ID))
    ]
    assert {one.transaction.version for one in claims} == {1}


def test_a_vault_trades_at_depth_two() -> None:
    """The log shows our program at depth 2; the member pays, and the vault is the user of the event."""
    played = history(v1_percent=0.0, vault_percent=50.0)
    member = played.traders.actors.vault_member.address
    address = vault.vault_address(member)
    bought = [one for one in played.play_landed(600) if one.transaction.payer == member and one.err is None]
    assert bought
    for one in bought:
        assert f"Program {PROGRAM_ID} invoke [2]" in one.logs
        ((_, event),) = logs.program_events(one.logs, PROGRAM_ID)
        assert isinstance(event, SharesBought)
        assert event.user == address
        (calls,) = one.inner.values()
        assert (calls[0].program_id, calls[0].stack_height) == (PROGRAM_ID, 2)
        assert delivery.webhook_item(one)["meta"]["innerInstructions"][0]["instructions"][0]["stackHeight"] == 2


def test_a_vault_signs_for_its_own_member_only() -> None:
    """Another member cannot use it, and nothing signs without the member."""
    chain = Ledger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID)
    alice, bob = (chain.genesis.signer(name) for name in ("alice", "bob"))
    source = Pubkey.from_string(vault.vault_address(alice.address))
    for address in (alice.address, bob.address, vault.vault_address(alice.address)):
        chain.airdrop(address, SOL)
    payment = transfer(TransferParams(from_pubkey=source, to_pubkey=bob.pubkey, lamports=SOL // 2))
    assert chain.send([vault.wrap_instruction(payment, alice.pubkey)], [alice]).err is None
    chain.advance(NOW)
    stolen = vault.wrap_instruction(payment, alice.pubkey)
    own = AccountMeta(bob.pubkey, True, True)
    foreign = Instruction(stolen.program_id, stolen.data, [own, *stolen.accounts[1:]])
    assert chain.send([foreign], [bob]).err == {"InstructionError": [0, "InvalidSeeds"]}
    unsigned = Instruction(
        stolen.program_id, stolen.data, [AccountMeta(alice.pubkey, False, True), *stolen.accounts[1:]]
    )
    assert chain.send([unsigned], [bob]).err == {"InstructionError": [0, "MissingRequiredSignature"]}


def test_an_unpaid_transaction_lands_without_running(tmp_path: Path) -> None:
    """An error, no fee, null logs, no change; the same after a restart. Without the switch it cannot land."""
    store = LedgerStore(tmp_path / "ledger.sqlite", program_id=PROGRAM_ID)
    profile = ClusterProfile(relaxes_fee_payer=True)
    chain = Ledger(store.genesis(NOW), program_id=PROGRAM_ID, store=store, cluster=profile)
    alice = chain.genesis.signer("alice")
    params = TransferParams(from_pubkey=alice.pubkey, to_pubkey=chain.faucet.pubkey, lamports=1)
    landed = chain.send([transfer(params)], [alice])
    chain.advance(NOW)
    stored = Ledger(store.genesis(NOW), program_id=PROGRAM_ID, store=store).find(landed.signature)
    assert stored == landed
    meta = delivery.webhook_item(landed)["meta"]
    assert (meta["err"], meta["fee"], meta["logMessages"], meta["innerInstructions"]) == (
        "AccountNotFound",
        0,
        None,
        None,
    )
    assert chain.account(alice.address) is None
    strict = Ledger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID)
    with pytest.raises(TransactionRejected):
        strict.send([transfer(params)], [alice])


def test_unpaid_trades_are_a_share_of_the_traffic() -> None:
    """They name our program, and the others go on."""
    landed = list(history(unexecuted_percent=20.0).play_landed(400))
    assert 20 < sum(not one.was_executed for one in landed) < 140
    assert any(is_trade(one) for one in landed)


@pytest.fixture
def chain(tmp_path: Path) -> DevelopmentChain:
    """A chain without actors whose slots pass by hand; every block with transactions is skipped."""
    return DevelopmentChain(tmp_path, None, Options(traders=False, skipped_percent=100), program_id=PROGRAM_ID)


@pytest.mark.parametrize(("relanding", "count"), [(1.0, 1), (0.0, 0)])
def test_a_skipped_block_takes_its_transactions_back(chain: DevelopmentChain, relanding: float, count: int) -> None:
    """They are gone from the chain, were shown at `processed`, and may land again in the next block."""
    ledger = chain.ledger
    hub = SubscriptionHub(ledger)
    chain.skip_listeners.append(hub.on_skipped)
    session = hub.open()
    session.receive('{"jsonrpc":"2.0","id":1,"method":"logsSubscribe","params":["all",{"commitment":"processed"}]}')
    alice = ledger.genesis.signer("alice").address
    landed, slot, height = ledger.airdrop(alice, SOL), ledger.slot, ledger.open.height
    assert chain.skip_block(relanding=relanding) == [landed]
    assert (ledger.slot, ledger.open.height) == (slot + 1, height)
    assert [one.signature for one in ledger.open.transactions] == [landed.signature] * count
    assert (ledger.account(alice) is not None) == bool(count)
    chain.close_block(NOW)
    assert ledger.block(slot) is None
    assert ledger.is_known(landed.signature) == bool(count)
    messages = [session.outgoing.get_nowait() for _ in range(session.outgoing.qsize())]
    assert sum(landed.signature.encode() in (message or b"") for message in messages) == 1


def test_the_slot_clock_skips_the_chosen_share(chain: DevelopmentChain) -> None:
    """Blocks with transactions only; empty ones are closed."""
    before = chain.ledger.open.height
    chain.end_slot(NOW)
    assert chain.ledger.open.height == before + 1
    chain.ledger.airdrop(chain.ledger.genesis.signer("alice").address, SOL)
    chain.end_slot(NOW)
    assert chain.ledger.open.height == before + 1


def test_actors_act_by_seconds(tmp_path: Path) -> None:
    """The length of a slot does not change how often they act; the pace does."""
    for number, (seconds, pace, expected) in enumerate([(0.2, 1.0, 0.4), (0.4, 1.0, 0.4), (0.2, 2.0, 0.2)]):
        options = Options(pace=pace, cluster=ClusterProfile(slot_seconds=seconds))
        made = DevelopmentChain(tmp_path / str(number), None, options, program_id=PROGRAM_ID)
        assert made.actor_seconds == expected
        assert made.slot_seconds == seconds / pace


def test_trades_a_second_do_not_depend_on_slots() -> None:
    """As many trades in the same time, whether a slot has 0.2 s or 0.4 s."""
    counts = []
    for slots_a_round in (1, 2):
        played, now, trades = history(), float(NOW), 0
        while now < NOW + 600:
            for move in played.traders.step(now):
                trades += is_trade(played.ledger.submit(move.sign(played.ledger.blockhash)))
            for part in range(slots_a_round):
                played.ledger.advance(int(now + 0.4 * part / slots_a_round))
            now += 0.4
        counts.append(trades)
    assert abs(counts[0] - counts[1]) < 0.15 * max(counts)


@pytest.mark.parametrize(
    ("index", "fields"),
    [
        ("within-block", {"indexWithinBlock"}),
        ("transaction", {"transactionIndex"}),
        ("both", {"indexWithinBlock", "transactionIndex"}),
        ("none", set()),
    ],
)
def test_webhooks_name_the_place_as_chosen(index: str, fields: set[str]) -> None:
    """One field, the other, both, or neither."""
    chain = Ledger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID)
    item = delivery.webhook_item(chain.airdrop(chain.faucet.address, 1), index)
    assert {name for name in item if "ndex" in name} == fields


def test_other_wallets_claim_after_a_restart() -> None:
    """New actors find the positions of other wallets on the chain."""
    played = history(v1_percent=100.0)
    list(played.play_landed(300))
    ledger = played.ledger
    again = Traders(ledger, ledger.genesis, program_id=PROGRAM_ID, seed=21, tempo=Tempo(v1_percent=0.0))
    now, versions = float(ledger.clock.unix_timestamp), Counter[Any]()
    while now < ledger.genesis.created_at + 900:
        for move in again.step(now):
            landed = ledger.submit(move.sign(ledger.blockhash))
            events = [event.name for _, event in logs.program_events(landed.logs, PROGRAM_ID)]
            versions.update([landed.transaction.version] * ("WinningsClaimed" in events))
        now += 4
        ledger.advance(int(now))
    assert versions[1] > 0


def test_actors_count_deadlines_by_the_programs_clock() -> None:
    """Nobody finalizes too early, although the program reads the time of the parent block."""
    too_early = {"InstructionError": [0, {"Custom": DISPUTE_PERIOD_NOT_ENDED}]}
    assert not [one for one in history().play_landed(2_500) if one.err == too_early]


def test_an_empty_block_does_not_wake_the_delivery(tmp_path: Path) -> None:
    """The first block after a start does, for what an earlier process left; then blocks with transactions do."""
    destination = delivery.Destination(url="http://127.0.0.1:1/")
    chain = DevelopmentChain(tmp_path, destination, Options(traders=False), program_id=PROGRAM_ID)
    assert chain.webhooks is not None
    first = chain.close_block(NOW).slot
    assert chain.webhooks.confirmed_slot >= first
    before = chain.webhooks.confirmed_slot
    chain.close_block(NOW)
    assert chain.webhooks.confirmed_slot == before
    chain.ledger.airdrop(chain.ledger.faucet.address, 1)
    last = chain.close_block(NOW).slot
    assert chain.webhooks.confirmed_slot == last
