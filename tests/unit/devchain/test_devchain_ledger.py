"""The ledger: blocks, fees, blockhashes, forks, and its file."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from devchain import accounts, builtins, wire
from devchain.accounts import Account, Rent
from devchain.admission import TransactionRejected
from devchain.blocks import Genesis, LandedTransaction
from devchain.cluster import TOWER
from devchain.ledger import BLOCKHASH_AGE, Ledger
from devchain.store import LedgerStore, Place
from devchain.wire import SigningKey
from zmart import errors
from zmart.domain.ids import Address

PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
NOW = 1_762_600_000
SOL = 1_000_000_000


@pytest.fixture
def chain() -> Ledger:
    """A new chain in memory, whose blocks can be undone for 32 slots."""
    return Ledger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID, cluster=TOWER)


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], Ledger]:
    """Opens one chain's file repeatedly."""

    def opened() -> Ledger:
        store = LedgerStore(tmp_path / "ledger.sqlite", program_id=PROGRAM_ID)
        return Ledger(store.genesis(NOW), program_id=PROGRAM_ID, store=store, cluster=TOWER)

    return opened


def somebody(chain: Ledger, name: str = "somebody", lamports: int = 10 * SOL) -> SigningKey:
    """A funded wallet."""
    signer = chain.genesis.signer(name)
    chain.airdrop(signer.address, lamports)
    return signer


def payment(source: SigningKey, destination: Address, lamports: int) -> Instruction:
    """A System transfer."""
    to = Pubkey.from_string(destination)
    return transfer(TransferParams(from_pubkey=source.pubkey, to_pubkey=to, lamports=lamports))


def test_a_transfer_costs_its_fee(chain: Ledger) -> None:
    """Five thousand lamports per signature, in the balances, too."""
    alice, bob = somebody(chain, "alice"), somebody(chain, "bob")
    landed = chain.send([payment(alice, bob.address, SOL)], [alice])
    assert (landed.err, landed.fee_lamports) == (None, 5_000)
    assert landed.pre_balances[:2] == [10 * SOL, 10 * SOL]
    assert landed.post_balances[:2] == [9 * SOL - 5_000, 11 * SOL]


def test_a_failed_transaction_lands_and_pays(chain: Ledger) -> None:
    """Only its error and its fee remain."""
    alice = somebody(chain, lamports=SOL)
    landed = chain.send([payment(alice, chain.faucet.address, 2 * SOL)], [alice])
    assert landed.err == {"InstructionError": [0, {"Custom": 1}]}
    assert f"Transfer: insufficient lamports {SOL - 5_000}, need {2 * SOL}" in landed.logs
    assert chain.accounts[alice.address].lamports == SOL - 5_000
    assert chain.open.transactions[-1] is landed


def test_a_priority_fee_is_paid_by_the_unit(chain: Ledger) -> None:
    """Units times price, in micro-lamports, rounded up."""
    alice = somebody(chain)
    price = Instruction(
        Pubkey.from_string(accounts.COMPUTE_BUDGET_PROGRAM),
        b"\x03" + (1_500).to_bytes(8, "little"),
        [],
    )
    limit = builtins.unit_limit_instruction(1_001)
    landed = chain.send([limit, price, payment(alice, chain.faucet.address, 1)], [alice])
    assert landed.fee_lamports == 5_000 + 2
    assert landed.units_consumed == 450


def test_a_limit_too_low_stops_the_transaction(chain: Ledger) -> None:
    """It runs out of units, lands, and pays."""
    alice = somebody(chain)
    landed = chain.send([builtins.unit_limit_instruction(200), payment(alice, chain.faucet.address, 1)], [alice])
    assert landed.err == {"InstructionError": [1, "ComputationalBudgetExceeded"]}


def test_nothing_lands_twice(chain: Ledger) -> None:
    """The same bytes again are AlreadyProcessed."""
    alice = somebody(chain)
    transaction = wire.sign_transaction([payment(alice, chain.faucet.address, 1)], [alice], chain.blockhash)
    chain.submit(transaction)
    with pytest.raises(TransactionRejected) as rejected:
        chain.submit(transaction)
    assert rejected.value.error == "AlreadyProcessed"


def test_a_blockhash_is_good_for_150_blocks(chain: Ledger) -> None:
    """At the last valid height it lands, one block later it never will."""
    alice = somebody(chain)
    early = [wire.sign_transaction([payment(alice, chain.faucet.address, n)], [alice], chain.blockhash) for n in (1, 2)]
    last = chain.last_valid_height(early[0].blockhash)
    while chain.open.height < (last or 0):
        chain.advance(NOW)
    assert chain.open.height == 1 + BLOCKHASH_AGE - 1
    assert chain.submit(early[0]).err is None
    chain.advance(NOW)
    with pytest.raises(TransactionRejected) as rejected:
        chain.submit(early[1])
    assert rejected.value.error == "BlockhashNotFound"


@pytest.mark.parametrize(
    ("lamports", "error"),
    [
        (0, "AccountNotFound"),
        (4_999, "InsufficientFundsForFee"),
        (Rent().exempt_lamports(0) + 4_999, {"InsufficientFundsForRent": {"account_index": 0}}),
    ],
)
def test_a_payer_who_cannot_pay_is_turned_away(chain: Ledger, lamports: int, error: object) -> None:
    """No account, no fee, or no rent after the fee: nothing lands."""
    alice = chain.genesis.signer("alice")
    chain.put(alice.address, Account(lamports))
    with pytest.raises(TransactionRejected) as rejected:
        chain.send([payment(alice, chain.faucet.address, 1)], [alice])
    assert rejected.value.error == error


def test_nobody_is_left_below_rent(chain: Ledger) -> None:
    """A transfer that would leave its receiver with less than the rent fails, with the account's index."""
    alice = somebody(chain)
    bob = chain.genesis.signer("bob")
    landed = chain.send([payment(alice, bob.address, chain.rent.exempt_lamports(0) - 1)], [alice])
    assert landed.err == {"InsufficientFundsForRent": {"account_index": 1}}
    assert chain.account(bob.address) is None


def test_an_unknown_program_fails_the_transaction(chain: Ledger) -> None:
    """It lands without a log."""
    alice = somebody(chain)
    landed = chain.send([Instruction(chain.genesis.signer("x").pubkey, b"", [])], [alice])
    assert (landed.err, landed.logs) == ("ProgramAccountNotFound", [])


def test_skipped_slots_have_no_block(chain: Ledger) -> None:
    """The slot advances by the skip, the height by one."""
    before = chain.open
    chain.advance(NOW, skipped_slots=3)
    assert (chain.open.slot - before.slot, chain.open.height - before.height) == (4, 1)
    assert chain.open.parent_slot == before.slot


def test_time_never_goes_back(chain: Ledger) -> None:
    """A clock that was set back does not move the chain's."""
    chain.advance(NOW + 5)
    chain.advance(NOW - 5)
    assert chain.clock.unix_timestamp == NOW + 5


def test_older_slots_can_be_read_until_they_are_final(chain: Ledger) -> None:
    """An account at each commitment."""
    alice = somebody(chain, lamports=SOL)
    address, seen = alice.address, {}
    for _ in range(40):
        seen[chain.slot] = chain.accounts[address].lamports
        chain.advance(NOW)
        chain.airdrop(address, SOL)
    for slot in range(chain.finalized_slot + 1, chain.slot):
        account = chain.account(address, at_slot=slot)
        assert account is not None
        assert account.lamports == seen[slot] if slot in seen else True


def test_a_fork_undoes_what_its_blocks_did(chain: Ledger) -> None:
    """Accounts are restored, signatures are unknown, blockhashes invalid, and new blocks follow."""
    alice = somebody(chain, lamports=SOL)
    chain.advance(NOW)
    before = dict(chain.accounts)
    dead = []
    for amount in (1, 2, 3):
        chain.send([payment(alice, chain.faucet.address, amount)], [alice])
        chain.advance(NOW)
        dead.append(chain.open.previous_blockhash)
    open_slot = chain.slot
    lost = chain.fork(3)
    assert len(lost) == 3
    assert {a: v for a, v in chain.accounts.items() if not v.is_empty} == before
    assert not any(chain.is_known(landed.signature) for landed in lost)
    assert not any(chain.is_valid_blockhash(blockhash) for blockhash in dead)
    assert chain.slot > open_slot
    assert chain.send([payment(alice, chain.faucet.address, 1)], [alice]).err is None


def test_a_fork_stops_at_what_is_final(chain: Ledger) -> None:
    """Finalized blocks stay, for any depth of the fork."""
    for _ in range(50):
        chain.airdrop(chain.genesis.signer("alice").address, SOL)
        chain.advance(NOW)
    final = chain.finalized_slot
    chain.fork(1_000)
    assert final in chain.blocks
    assert max(chain.blocks) == final


def test_a_file_takes_up_where_it_ended(stored: Callable[[], Ledger]) -> None:
    """Every account, the newest blocks, the known signatures, one genesis."""
    first = stored()
    alice = somebody(first)
    landed = first.send([payment(alice, first.faucet.address, 5)], [alice])
    first.advance(NOW + 7)
    again = stored()
    assert again.genesis == first.genesis
    assert again.accounts == first.accounts
    assert again.find(landed.signature) == landed
    assert again.slot == first.slot
    assert again.is_valid_blockhash(landed.transaction.blockhash)


def test_the_open_block_dies_with_the_process(stored: Callable[[], Ledger]) -> None:
    """A block that was not closed is not there, not even partly."""
    first = stored()
    alice = somebody(first)
    first.advance(NOW)
    first.send([payment(alice, first.faucet.address, 5)], [alice])
    again = stored()
    account = again.account(alice.address)
    assert account is not None
    assert account.lamports == 10 * SOL
    assert len(again.recent) == 1


def test_a_copied_file_at_any_moment_is_a_whole_chain(stored: Callable[[], Ledger], tmp_path: Path) -> None:
    """The file of a killed process, write-ahead log included, opens at a block's end."""
    chain = stored()
    alice, draw = somebody(chain), random.Random(1)
    for round_ in range(6):
        for amount in range(draw.randrange(4)):
            chain.send([payment(alice, chain.faucet.address, 1 + amount)], [alice])
        closed = chain.advance(NOW)
        chain.airdrop(alice.address, SOL)
        folder = tmp_path / f"copy {round_}"
        folder.mkdir()
        for file in tmp_path.glob("ledger.sqlite*"):
            shutil.copy(file, folder)
        copy = LedgerStore(folder / "ledger.sqlite", program_id=PROGRAM_ID)
        assert copy.recent_blocks(1)[0].blockhash == closed.blockhash
        lamports = sum(account.lamports for account in copy.accounts().values())
        fees = sum(landed.fee_lamports for block in copy.recent_blocks(300) for landed in block.transactions)
        # Two built-in programs; the others are deployed: 36 bytes each, and 45 of their bytecode's account.
        deployed = chain.rent.exempt_lamports(36) + chain.rent.exempt_lamports(45)
        programs = 2 + (len(chain.programs) - 2) * deployed
        assert lamports + fees == 500_000_000 * SOL + programs
        copy.close()


def test_forks_are_forgotten_by_the_file_too(stored: Callable[[], Ledger]) -> None:
    """Dropped transactions and accounts are not there after a restart."""
    chain = stored()
    alice = somebody(chain)
    chain.advance(NOW)
    landed = chain.send([payment(alice, chain.faucet.address, 5)], [alice])
    chain.advance(NOW)
    chain.fork(1)
    chain.advance(NOW)
    again = stored()
    assert again.find(landed.signature) is None
    assert again.account(alice.address) == chain.account(alice.address)


def test_another_programs_chain_is_refused(stored: Callable[[], Ledger], tmp_path: Path) -> None:
    """The message has the file's program, and the next step."""
    stored()
    other = LedgerStore(tmp_path / "ledger.sqlite", program_id=accounts.MEMO_PROGRAM)
    with pytest.raises(errors.ConfigurationError, match="remove the file"):
        other.genesis(NOW)


def test_signatures_of_an_address_come_newest_first(stored: Callable[[], Ledger]) -> None:
    """Both ends of the range are excluded."""
    chain = stored()
    alice = somebody(chain)
    sent = []
    for amount in range(5):
        sent.append(chain.send([payment(alice, chain.faucet.address, amount)], [alice]))
        chain.advance(NOW)
    assert chain.store is not None
    found = chain.store.mentions(
        alice.address,
        before=Place(sent[4].slot, sent[4].index),
        until=Place(sent[1].slot, sent[1].index),
    )
    assert [landed.signature for landed in found] == [sent[3].signature, sent[2].signature]


def test_two_chains_are_two_clusters() -> None:
    """Every seed has its genesis hash, and none is a real cluster's."""
    hashes = {Genesis.from_seed(bytes([n]) * 32, NOW).hash for n in range(20)}
    assert len(hashes) == 20
    assert "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d" not in hashes


def test_a_dead_blockhash_is_not_revived_by_a_restart(stored: Callable[[], Ledger]) -> None:
    """An unknown hash is never valid."""
    assert not stored().is_valid_blockhash(str(Hash(bytes([9]) * 32)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("pay"), st.integers(0, 2), st.integers(0, 2), st.integers(0, SOL)),
            st.tuples(st.just("advance"), st.integers(0, 2)),
            st.tuples(st.just("fork"), st.integers(0, 40)),
        ),
        max_size=40,
    )
)
def test_lamports_neither_appear_nor_vanish(steps: list[tuple[Any, ...]]) -> None:
    """For any payments, blocks and forks, balances and the fees of the remaining blocks add up."""
    chain = Ledger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID, cluster=TOWER)
    total = sum(account.lamports for account in chain.accounts.values())
    wallets = [somebody(chain, f"wallet {n}", lamports=SOL) for n in range(3)]
    for step in steps:
        match step:
            case ("pay", source, destination, lamports):
                built = payment(wallets[source], wallets[destination].address, lamports)
                with contextlib.suppress(TransactionRejected):
                    chain.send([built], [wallets[source]])
            case ("advance", skipped):
                chain.advance(NOW, skipped_slots=skipped)
            case ("fork", depth):
                chain.fork(depth)
        standing = [*chain.open.transactions, *_transactions(chain)]
        fees = sum(landed.fee_lamports for landed in standing)
        assert sum(account.lamports for account in chain.accounts.values()) + fees == total
        assert {landed.signature for landed in standing} == set(chain.recent)


def _transactions(chain: Ledger) -> list[LandedTransaction]:
    return [landed for block in chain.blocks.values() for landed in block.transactions]
