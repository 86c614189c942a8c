"""Runs a compiled program in LiteSVM instead of the model, behind the same ledger.

The virtual machine stores nothing between transactions. For each transaction the ledger loads its accounts into the
machine and simulates; the resulting accounts become the ledger's. So slots, fees, forks, the RPC and the webhooks
are the ledger's in both cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from solders.account import Account as SoldersAccount
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.rent import Rent as SoldersRent
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from zmart import errors
from zmart.domain.ids import Address

from . import wire
from .accounts import Account
from .admission import compute_budget_of, resolve_instructions
from .blocks import ExecutionResult, Genesis
from .cluster import ClusterProfile
from .ledger import Ledger
from .runtime import ErrorJson, InnerInstruction, Processor
from .store import LedgerStore


class VmLedger(Ledger):
    """A ledger whose transactions run in LiteSVM, which has no program in Python."""

    other_programs: ClassVar[dict[Address, Processor]] = {}

    def __init__(
        self,
        genesis: Genesis,
        *,
        program_id: Address,
        program_file: Path,
        store: LedgerStore | None = None,
        cluster: ClusterProfile | None = None,
    ) -> None:
        self._vm = make_vm(program_id, program_file)
        super().__init__(genesis, program_id=program_id, store=store, cluster=cluster)
        self._vm.set_rent(SoldersRent(self.rent.lamports_per_byte, 1.0, 50))

    def run(self, transaction: wire.WireTransaction) -> ExecutionResult:
        """Return the result of running a transaction in the program itself, without applying it.

        Raises TransactionRejected where the transaction cannot land.
        """
        budget = compute_budget_of(transaction, resolve_instructions(transaction))
        fee = self._fee(transaction, budget)
        charged = {transaction.payer: self._charge_fee(transaction, fee)}
        self._load_accounts(transaction)
        simulated = self._vm.simulate_transaction(VersionedTransaction.from_bytes(transaction.raw))
        err: ErrorJson | None = None
        changed = charged
        if isinstance(simulated, FailedTransactionMetadata):
            err = error_json(simulated.err())
        else:
            changed = self._changed_in_vm(simulated.post_accounts())
        meta = simulated.meta()
        return ExecutionResult(
            err=err,
            fee_lamports=fee,
            logs=list(meta.logs()),
            inner=_inner_instructions(transaction, meta.inner_instructions()),
            units_consumed=meta.compute_units_consumed(),
            loaded_bytes=self._loaded_bytes(transaction),
            pre_balances=self._balances(transaction, self.accounts),
            post_balances=self._balances(transaction, changed),
            changed=changed,
        )

    def _load_accounts(self, transaction: wire.WireTransaction) -> None:
        clock = self._vm.get_clock()
        clock.slot, clock.unix_timestamp = self.clock.slot, self.clock.unix_timestamp
        self._vm.set_clock(clock)
        for key in transaction.keys:
            if key not in self.programs:
                account = self.accounts.get(key, Account(0))
                self._vm.set_account(Pubkey.from_string(key), _to_solders_account(account))

    def _changed_in_vm(self, accounts: Sequence[tuple[Any, Any]]) -> dict[Address, Account]:
        found = {Address(str(key)): account for key, account in accounts}
        return {
            address: Account(account.lamports, Address(str(account.owner)), bytes(account.data))
            for address, account in found.items()
            if address not in self.programs
        }


def make_vm(program_id: Address, program_file: Path) -> LiteSVM:
    """Return a virtual machine with the program loaded; raise ConfigurationError where the file is not a program."""
    vm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
    try:
        vm.add_program(Pubkey.from_string(program_id), program_file.read_bytes())
    except OSError as exc:
        message = f"The program {program_file} cannot be read: {exc.strerror or exc}."
        raise errors.ConfigurationError(message, help="Set the path of a compiled program.") from exc
    except Exception as exc:
        message = f"{program_file} is not a program that LiteSVM can load: {exc}."
        raise errors.ConfigurationError(message, help="Build it with cargo build-sbf.") from exc
    return vm


def error_json(error: Any) -> ErrorJson:
    """Return an error of solders in the form of JSON-RPC."""
    if hasattr(error, "index") and hasattr(error, "err"):
        inner = error.err
        custom = getattr(inner, "code", None)
        return {"InstructionError": [error.index, _variant_name(inner) if custom is None else {"Custom": custom}]}
    if hasattr(error, "account_index"):
        return {_variant_name(error): {"account_index": error.account_index}}
    return _variant_name(error)


def _variant_name(error: Any) -> str:
    """Return the variant's name, of an enum or of a class whose name has the enum's name as a prefix."""
    text = str(error)
    if text.isidentifier() or ("." in text and text.replace(".", "").isidentifier()):
        return text.rpartition(".")[2]
    return type(error).__name__.removeprefix("TransactionError").removeprefix("InstructionError")


def _inner_instructions(
    transaction: wire.WireTransaction, calls: Sequence[Sequence[Any]]
) -> dict[int, list[InnerInstruction]]:
    return {
        index: [_inner_instruction(call, transaction.keys) for call in inner]
        for index, inner in enumerate(calls)
        if inner
    }


def _inner_instruction(call: Any, keys: Sequence[Address]) -> InnerInstruction:
    instruction = call.instruction()
    return InnerInstruction(
        keys[instruction.program_id_index],
        tuple(keys[place] for place in instruction.accounts),
        bytes(instruction.data),
        call.stack_height(),
    )


def _to_solders_account(account: Account) -> SoldersAccount:
    return SoldersAccount(lamports=account.lamports, data=account.data, owner=Pubkey.from_string(account.owner))
