"""Holds the state of one chain: accounts, slots, blocks and fees; a transaction is applied entirely or not at all.

There is always one open block. A transaction runs as soon as it is submitted and lands in the open block, with
commitment `processed`. `advance` closes the block, writes it to the store in one database transaction and opens the
next. So a process that is killed loses at most its open block, as after a dropped fork, and never half of a block.

A slot's changes can be undone until the slot is finalized, because the ledger stores the accounts as they were
before each such slot. Reads at an older commitment and forks use these stored accounts.

A ledger without a store exists only in memory and drops old blocks.
"""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from solders.hash import Hash
from solders.instruction import Instruction as SoldersInstruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from zmart.chain import client
from zmart.domain.ids import Address, Signature

from . import accounts, builtins, runtime, vault, wire
from .accounts import Account
from .admission import PayerRejected, TransactionRejected, compute_budget_of, loading_error, resolve_instructions
from .blocks import Block, ExecutionResult, Genesis, LandedTransaction
from .cluster import CONFIRMED_DEPTH, ClusterProfile
from .program import Program
from .runtime import ClockSysvar, ErrorJson, Execution, Processor
from .store import LedgerStore
from .wire import SigningKey

#: The fee that the payer pays for each signature, in lamports.
FEE_LAMPORTS_PER_SIGNATURE: Final = 5_000
#: Number of blocks for which a blockhash stays valid (solana.md 4).
BLOCKHASH_AGE: Final = 150
SLOTS_PER_EPOCH: Final = 432_000
#: The Clock sysvar, which holds the chain's time; its owner; and the layout of its data: slot, start time of the
#: epoch, epoch, the last epoch whose leaders are known, time.
CLOCK: Final = client.CLOCK
SYSVAR_OWNER: Final = Address("Sysvar1111111111111111111111111111111111111")
CLOCK_LAYOUT: Final = struct.Struct("<QqQQq")
#: Initial balance of the faucet: half a billion SOL.
FAUCET_LAMPORTS: Final = 500_000_000 * 1_000_000_000


class Ledger:
    """One chain; use it from one thread only."""

    #: Programs besides those of a validator and ours.
    other_programs: ClassVar[dict[Address, Processor]] = {vault.PROGRAM_ID: vault.process}

    def __init__(
        self,
        genesis: Genesis,
        *,
        program_id: Address,
        program: Processor | None = None,
        store: LedgerStore | None = None,
        cluster: ClusterProfile | None = None,
    ) -> None:
        self.genesis = genesis
        self.program_id = program_id
        self.store = store
        self.cluster = cluster or ClusterProfile()
        self.rent = self.cluster.rent
        self.faucet = genesis.signer("faucet")
        self.programs = {**builtins.PROGRAMS, **self.other_programs, program_id: program or Program()}
        self.accounts: dict[Address, Account] = {}
        #: Recent transactions by signature; older ones are in the store.
        self.recent: dict[Signature, LandedTransaction] = {}
        #: Recent closed blocks by slot, oldest first.
        self.blocks: OrderedDict[int, Block] = OrderedDict()
        self._undo: dict[int, dict[Address, Account]] = {}
        self._heights: OrderedDict[str, int] = OrderedDict()
        self._forks = 0
        #: The newest slot of an earlier process. The account states before it are no longer known, so it cannot be
        #: undone.
        self._resumed_slot = 0
        self._airdrops = 0
        #: The time of the open block's parent.
        self._parent_time = genesis.created_at
        #: The block in which transactions land.
        self.open: Block = self._open_first_block()

    # Time

    @property
    def slot(self) -> int:
        """Return the slot of the open block."""
        return self.open.slot

    @property
    def confirmed_slot(self) -> int:
        """Return the newest slot that is confirmed."""
        return self._newest_closed_slot(self.open.slot - CONFIRMED_DEPTH)

    @property
    def finalized_slot(self) -> int:
        """Return the newest slot that is finalized."""
        return self._newest_closed_slot(self.open.slot - self.cluster.finalized_depth)

    @property
    def clock(self) -> ClockSysvar:
        """Return the Clock sysvar that programs read in the open block.

        Under Alpenglow it is set at the end of a block, so transactions read the time of the parent block.
        """
        slot = self.open.slot
        time = self._parent_time if self.cluster.is_alpenglow else self.open.time
        return ClockSysvar(slot=slot, unix_timestamp=time, epoch=slot // SLOTS_PER_EPOCH)

    @property
    def blockhash(self) -> Hash:
        """Return the newest blockhash, for signing."""
        return Hash.from_string(self.open.previous_blockhash)

    def last_valid_height(self, blockhash: str) -> int | None:
        """Return the last block height at which a blockhash is valid, or None where the blockhash is unknown."""
        height = self._heights.get(blockhash)
        return None if height is None else height + BLOCKHASH_AGE

    def is_valid_blockhash(self, blockhash: str) -> bool:
        """Return whether a transaction with that blockhash can land now."""
        last = self.last_valid_height(blockhash)
        return last is not None and self.open.height <= last

    def advance(self, unix_timestamp: int, *, skipped_slots: int = 0) -> Block:
        """Close the open block, open the next, and return the closed block."""
        closed = self.open
        closed.blockhash = self._hash(closed.slot)
        closed.changed = self._changed_accounts(closed.slot)
        if self.store is not None:
            self.store.append(closed, closed.changed)
        self.blocks[closed.slot] = closed
        self._heights[closed.blockhash] = closed.height
        self.open = self._next_block(closed, unix_timestamp, skipped_slots)
        self._prune()
        return closed

    # Transactions

    def submit(self, transaction: wire.WireTransaction) -> LandedTransaction:
        """Run a transaction in the open block; its signatures must have been verified.

        The transaction lands whether it succeeds or fails. Raises TransactionRejected where no block could hold it.
        """
        self.require_not_landed(transaction)
        try:
            outcome = self.run(transaction)
        except PayerRejected as rejected:
            if not self.cluster.relaxes_fee_payer:
                raise
            outcome = self._unexecuted(transaction, rejected.error)
        return self.land(transaction, outcome)

    def _unexecuted(self, transaction: wire.WireTransaction, error: ErrorJson) -> ExecutionResult:
        """Return the result of a transaction that lands without running, because its payer cannot pay (SIMD-0290)."""
        balances = self._balances(transaction, self.accounts)
        return ExecutionResult(
            err=error,
            fee_lamports=0,
            logs=[],
            inner={},
            units_consumed=0,
            loaded_bytes=0,
            pre_balances=balances,
            post_balances=balances,
            changed={},
            was_executed=False,
        )

    def land(self, transaction: wire.WireTransaction, outcome: ExecutionResult) -> LandedTransaction:
        """Append a transaction that just ran to the open block, with its result."""
        self._write(outcome.changed)
        landed = LandedTransaction(
            transaction=transaction,
            slot=self.open.slot,
            index=len(self.open.transactions),
            block_time=self.open.time,
            err=outcome.err,
            fee_lamports=outcome.fee_lamports,
            logs=outcome.logs,
            inner=outcome.inner,
            units_consumed=outcome.units_consumed,
            pre_balances=outcome.pre_balances,
            post_balances=outcome.post_balances,
            was_executed=outcome.was_executed,
        )
        self.open.transactions.append(landed)
        self.recent[landed.signature] = landed
        return landed

    def send(self, instructions: Sequence[SoldersInstruction], signers: Sequence[SigningKey]) -> LandedTransaction:
        """Sign with the newest blockhash and submit; the first signer pays."""
        return self.submit(wire.sign_transaction(instructions, signers, self.blockhash))

    def airdrop(self, address: Address, lamports: int) -> LandedTransaction:
        """Transfer lamports from the faucet; each call makes a distinct transaction."""
        self._airdrops += 1
        params = TransferParams(
            from_pubkey=self.faucet.pubkey, to_pubkey=Pubkey.from_string(address), lamports=lamports
        )
        limit = builtins.unit_limit_instruction(20_000 + self._airdrops % 100_000)
        return self.send([limit, transfer(params)], [self.faucet])

    def run(self, transaction: wire.WireTransaction) -> ExecutionResult:
        """Return the result of running a transaction now, without applying it.

        Raises TransactionRejected where the transaction could not land.
        """
        instructions = resolve_instructions(transaction)
        budget = compute_budget_of(transaction, instructions)
        fee = self._fee(transaction, budget)
        payer = self._charge_fee(transaction, fee)
        pre = self._balances(transaction, self.accounts)
        sheet = {transaction.payer: payer}
        execution = Execution(self.accounts, self.programs, self.clock, budget.units, self.rent)
        execution.changed.update(sheet)
        loaded_bytes = self._loaded_bytes(transaction)
        err = self._unknown_program(instructions) or loading_error(loaded_bytes, budget)
        err = err or execution.run(instructions)
        err = err or self._rent_error(transaction, execution.changed)
        changed = sheet if err else execution.changed
        return ExecutionResult(
            err=err,
            fee_lamports=fee,
            logs=execution.log.lines,
            inner=execution.inner,
            units_consumed=budget.units - execution.units_left,
            loaded_bytes=loaded_bytes,
            pre_balances=pre,
            post_balances=self._balances(transaction, changed),
            changed=changed,
        )

    def fee(self, transaction: wire.WireTransaction) -> int:
        """Return the cost of landing, in lamports; raise TransactionRejected where the message is invalid."""
        return self._fee(transaction, compute_budget_of(transaction, resolve_instructions(transaction)))

    def _fee(self, transaction: wire.WireTransaction, budget: builtins.ComputeBudget) -> int:
        signatures = FEE_LAMPORTS_PER_SIGNATURE * transaction.header[0]
        return signatures + budget.priority_fee_lamports

    def require_not_landed(self, transaction: wire.WireTransaction) -> None:
        """Raise TransactionRejected for a transaction that has landed and for an expired or unknown blockhash."""
        if self.is_known(transaction.signature):
            raise TransactionRejected("AlreadyProcessed")
        if not self.is_valid_blockhash(transaction.blockhash):
            raise TransactionRejected("BlockhashNotFound")

    def is_known(self, signature: Signature) -> bool:
        """Return whether the transaction is in a block of this fork."""
        return signature in self.recent

    def _charge_fee(self, transaction: wire.WireTransaction, fee: int) -> Account:
        account = self.accounts.get(transaction.payer)
        if account is None or account.lamports == 0:
            raise PayerRejected("AccountNotFound")
        if account.owner != accounts.SYSTEM_PROGRAM or account.size_bytes:
            raise PayerRejected("InvalidAccountForFee")
        if account.lamports < fee:
            raise PayerRejected("InsufficientFundsForFee")
        charged = account.with_lamports(account.lamports - fee)
        if charged.lamports and not self.rent.is_exempt(charged) and self.rent.is_exempt(account):
            raise PayerRejected({"InsufficientFundsForRent": {"account_index": 0}})
        return charged

    def _loaded_bytes(self, transaction: wire.WireTransaction) -> int:
        """Return the bytes of account data that a transaction loads, as the limit on them counts."""
        found = [self.accounts[key] for key in transaction.keys if key in self.accounts]
        return sum(account.size_bytes + runtime.LOADED_ACCOUNT_OVERHEAD_BYTES for account in found)

    def _balances(self, transaction: wire.WireTransaction, changed: Mapping[Address, Account]) -> list[int]:
        bank, absent = self.accounts, accounts.ABSENT_ACCOUNT
        return [(changed.get(key) or bank.get(key) or absent).lamports for key in transaction.keys]

    def _unknown_program(self, instructions: Sequence[runtime.ResolvedInstruction]) -> ErrorJson | None:
        for instruction in instructions:
            if instruction.program_id not in self.programs:
                exists = instruction.program_id in self.accounts
                return "InvalidProgramForExecution" if exists else "ProgramAccountNotFound"
        return None

    def _rent_error(self, transaction: wire.WireTransaction, changed: Mapping[Address, Account]) -> ErrorJson | None:
        """Return an error if an account ends with a balance between zero and its rent, unless it began with one."""
        for address, account in changed.items():
            if account.lamports == 0 or self.rent.is_exempt(account):
                continue
            before = self.accounts.get(address, accounts.ABSENT_ACCOUNT)
            if before.lamports == 0 or self.rent.is_exempt(before):
                index = transaction.keys.index(address)
                return {"InsufficientFundsForRent": {"account_index": index}}
        return None

    # Accounts

    def account(self, address: Address, *, at_slot: int | None = None) -> Account | None:
        """Return an account as it is in the open block, or as it was after an unfinalized slot."""
        if address == CLOCK:
            return self._clock_account(at_slot)
        account = self.accounts.get(address)
        if at_slot is not None:
            for slot in range(self.open.slot, at_slot, -1):
                before = self._undo.get(slot)
                if before is not None and address in before:
                    account = before[address]
        return None if account is None or account.is_empty else account

    def _clock_account(self, at_slot: int | None) -> Account:
        """Return the Clock sysvar as a block left it; in the open block, as its programs read it."""
        block = self.open if at_slot is None else self.blocks.get(at_slot, self.open)
        epoch = block.slot // SLOTS_PER_EPOCH
        time = self.clock.unix_timestamp if block is self.open else block.time
        data = CLOCK_LAYOUT.pack(block.slot, self.genesis.created_at, epoch, epoch + 1, time)
        return Account(self.rent.exempt_lamports(len(data)), SYSVAR_OWNER, data)

    def owned_by(self, owner: Address, *, at_slot: int | None = None) -> Iterator[tuple[Address, Account]]:
        """Yield the accounts that a program owns."""
        for address in tuple(self.accounts):
            account = self.account(address, at_slot=at_slot)
            if account is not None and account.owner == owner:
                yield address, account

    def put(self, address: Address, account: Account) -> None:
        """Write an account directly, without a transaction; for preparing tests."""
        self._write({address: account})

    def _write(self, changed: Mapping[Address, Account]) -> None:
        before = self._undo.setdefault(self.open.slot, {})
        for address, account in changed.items():
            if address not in before:
                before[address] = self.accounts.get(address, accounts.ABSENT_ACCOUNT)
            self.accounts[address] = account

    def _changed_accounts(self, slot: int) -> dict[Address, Account]:
        return {address: self.accounts[address] for address in self._undo.get(slot, ())}

    def fork(self, depth: int) -> list[LandedTransaction]:
        """Drop the open block and the newest `depth` closed ones, as if they had never existed.

        Their blockhashes become invalid, and slot numbers continue from here. Finalized blocks stay, and so do
        those of an earlier process. Returns the dropped transactions.
        """
        undoable = [s for s in self.blocks if s > max(self.finalized_slot, self._resumed_slot)]
        dropped = undoable[-depth:] if depth else []
        lost = [*self.open.transactions]
        self.accounts.update(self._undo.pop(self.open.slot, {}))
        # The store holds what closed blocks changed; it never held the open block.
        restored: dict[Address, Account] = {}
        for slot in reversed(dropped):
            restored |= self._undo.pop(slot, {})
        self.accounts.update(restored)
        for slot in reversed(dropped):
            block = self.blocks.pop(slot)
            lost += block.transactions
            self._heights.pop(block.blockhash, None)
        for landed in lost:
            self.recent.pop(landed.signature, None)
        self._forks += 1
        if self.store is not None:
            self.store.revert_blocks(dropped, restored, self._forks)
        self._reopen(self.open)
        return lost

    def skip(self) -> Block:
        """Drop the open block, as if the cluster had skipped it after it was processed; return what it held."""
        abandoned = self.open
        abandoned.changed = self._changed_accounts(abandoned.slot)
        self.fork(0)
        return abandoned

    def _reopen(self, abandoned: Block) -> None:
        parent = next(reversed(self.blocks.values()))
        self.open = self._next_block(parent, abandoned.time, abandoned.slot - parent.slot)

    # Start, lookup and pruning

    def _open_first_block(self) -> Block:
        """Return the first open block of this process."""
        if self.store is not None and self.store.has_blocks():
            return self._resume(self.store)
        self.open = _genesis_block(self.genesis.created_at)
        for program_id in self.programs:
            self._put_program(program_id)
        self.put(self.faucet.address, Account(FAUCET_LAMPORTS))
        self.advance(self.genesis.created_at)
        return self.open

    def _put_program(self, program_id: Address) -> None:
        if program_id in runtime.BUILTINS:
            self.put(program_id, builtins.builtin_account())
            return
        self.put(program_id, builtins.program_account(program_id, self.rent))
        self.put(*builtins.program_data_account(program_id, self.rent))

    def _resume(self, store: LedgerStore) -> Block:
        """Continue after the last block in the store, whose state is complete."""
        self.accounts = store.accounts()
        self._forks = store.forks()
        for block in store.recent_blocks(2 * BLOCKHASH_AGE):
            self.blocks[block.slot] = block
            self._heights[block.blockhash] = block.height
            for landed in block.transactions:
                self.recent[landed.signature] = landed
        last = next(reversed(self.blocks.values()))
        self._resumed_slot = last.slot
        return self._next_block(last, last.time, 0)

    def _next_block(self, closed: Block, unix_timestamp: int, skipped_slots: int) -> Block:
        self._parent_time = closed.time
        return Block(
            slot=closed.slot + 1 + skipped_slots,
            parent_slot=closed.slot,
            height=closed.height + 1,
            time=max(closed.time, unix_timestamp),
            blockhash="",
            previous_blockhash=closed.blockhash,
        )

    def _hash(self, slot: int) -> str:
        text = f"{self.genesis.hash} {slot} {self._forks}".encode()
        return str(Hash(hashlib.sha256(text).digest()))

    def slot_at(self, commitment: str) -> int:
        """Return the newest slot of a commitment; for `processed` that is the slot of the open block."""
        match commitment:
            case "processed":
                return self.open.slot
            case "confirmed":
                return self.confirmed_slot
        return self.finalized_slot

    def find(self, signature: Signature) -> LandedTransaction | None:
        """Return a transaction of this fork, however old it is."""
        landed = self.recent.get(signature)
        if landed is None and self.store is not None:
            landed = self.store.transaction(signature)
        return landed

    def transaction_count(self) -> int:
        """Return how many transactions have landed, including those of the open block."""
        if self.store is None:
            return len(self.recent)
        return self.store.count() + len(self.open.transactions)

    def block(self, slot: int) -> Block | None:
        """Return a closed block of this fork, however old it is."""
        block = self.blocks.get(slot)
        if block is None and self.store is not None:
            block = self.store.block(slot)
        return block

    def _newest_closed_slot(self, slot: int) -> int:
        """Return the slot of the newest closed block at or before a slot."""
        if slot in self.blocks:
            return slot
        return next((known for known in reversed(self.blocks) if known <= slot), 0)

    def _prune(self) -> None:
        """Drop data that can no longer be undone or used."""
        for slot in [s for s in self._undo if s <= self.open.slot - self.cluster.finalized_depth - 1]:
            del self._undo[slot]
        while len(self.blocks) > 2 * BLOCKHASH_AGE:
            _, block = self.blocks.popitem(last=False)
            self._heights.pop(block.blockhash, None)
            for landed in block.transactions:
                self.recent.pop(landed.signature, None)


def _genesis_block(created_at: int) -> Block:
    return Block(slot=0, parent_slot=0, height=0, time=created_at, blockhash="", previous_blockhash=str(Hash.default()))
