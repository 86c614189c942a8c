"""A compiled program behind the ledger: LiteSVM's own Memo under another id."""

from __future__ import annotations

from pathlib import Path

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from devchain import accounts, wire
from devchain.blocks import Genesis
from devchain.runtime import TransactionConfig
from devchain.vm import VmLedger
from zmart import errors
from zmart.domain.ids import Address

PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
NOW = 1_762_600_000
SOL = 1_000_000_000


@pytest.fixture
def chain(tmp_path: Path) -> VmLedger:
    """A ledger that runs a real program."""
    found = LiteSVM().get_account(Pubkey.from_string(accounts.MEMO_PROGRAM))
    assert found is not None
    file = tmp_path / "memo.so"
    file.write_bytes(found.data)
    genesis = Genesis.from_seed(bytes(32), NOW)
    return VmLedger(genesis, program_id=PROGRAM_ID, program_file=file)


def test_the_program_itself_runs(chain: VmLedger) -> None:
    """Its log, its units, and the ledger's fee."""
    alice = chain.genesis.signer("alice")
    chain.airdrop(alice.address, SOL)
    program = Pubkey.from_string(PROGRAM_ID)
    instruction = Instruction(program, b"hello", [AccountMeta(alice.pubkey, True, False)])
    landed = chain.send([instruction], [alice])
    assert landed.err is None
    assert "Program log: hello" in landed.logs
    assert landed.units_consumed == 500
    assert chain.accounts[alice.address].lamports == SOL - 5_000


def test_what_the_program_refuses_fails_and_pays(chain: VmLedger) -> None:
    """The error of the runtime, by its name."""
    alice, bob = (chain.genesis.signer(name) for name in ("alice", "bob"))
    chain.airdrop(alice.address, SOL)
    program = Pubkey.from_string(PROGRAM_ID)
    unsigned = Instruction(program, b"hello", [AccountMeta(bob.pubkey, False, False)])
    landed = chain.send([unsigned], [alice])
    assert landed.err == {"InstructionError": [0, "MissingRequiredSignature"]}
    assert chain.accounts[alice.address].lamports == SOL - 5_000


def test_lamports_move_in_the_ledger(chain: VmLedger) -> None:
    """Two transfers in sequence, and one that exceeds the balance."""
    alice, bob = (chain.genesis.signer(name) for name in ("alice", "bob"))
    chain.airdrop(alice.address, SOL)
    for lamports in (10_000_000, 20_000_000):
        params = TransferParams(from_pubkey=alice.pubkey, to_pubkey=bob.pubkey, lamports=lamports)
        assert chain.send([transfer(params)], [alice]).err is None
    assert chain.accounts[bob.address].lamports == 30_000_000
    params = TransferParams(from_pubkey=alice.pubkey, to_pubkey=bob.pubkey, lamports=SOL)
    landed = chain.send([transfer(params)], [alice])
    assert landed.err == {"InstructionError": [0, {"Custom": 1}]}
    programs = 2 + 2 * (chain.rent.exempt_lamports(36) + chain.rent.exempt_lamports(45))
    assert sum(account.lamports for account in chain.accounts.values()) == 500_000_000 * SOL + programs - 4 * 5_000


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    """With the next step, for a missing and for an invalid file."""
    nonsense = tmp_path / "nonsense.so"
    nonsense.write_bytes(b"nonsense")
    for file in (nonsense, tmp_path / "missing.so"):
        with pytest.raises(errors.ConfigurationError):
            VmLedger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID, program_file=file)


def test_version_1_runs_in_the_machine(chain: VmLedger) -> None:
    """With the fee and the units that its configuration states, and the chain's rent."""
    alice = chain.genesis.signer("alice")
    chain.airdrop(alice.address, SOL)
    instruction = Instruction(Pubkey.from_string(PROGRAM_ID), b"hello", [AccountMeta(alice.pubkey, True, False)])
    config = TransactionConfig(priority_fee_lamports=7, unit_limit=10_000, loaded_data_limit=1 << 20)
    landed = chain.submit(wire.sign_transaction_v1([instruction], [alice], chain.blockhash, config))
    assert (landed.err, landed.fee_lamports) == (None, 5_007)
    assert "Program log: hello" in landed.logs
    bob = chain.genesis.signer("bob")
    least = chain.rent.exempt_lamports(0)
    for lamports, err in ((least - 1, {"InsufficientFundsForRent": {"account_index": 1}}), (least, None)):
        params = TransferParams(from_pubkey=alice.pubkey, to_pubkey=bob.pubkey, lamports=lamports)
        assert chain.send([transfer(params)], [alice]).err == err
