"""Executes transactions: instructions in order, calls between programs, logs and compute units.

A transaction writes its changes to its own overlay (`Execution.changed`) over the bank. If all instructions
succeed, the overlay is the result; if one fails, the whole overlay is discarded. The log contains the lines written
until then, truncated at ten thousand bytes as on validators.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from zmart.domain.ids import Address

from . import accounts
from .accounts import Account, Rent

#: Validators store this many bytes of a transaction's log, then write `Log truncated`.
LOG_LIMIT_BYTES: Final = 10_000
#: Compute units that an instruction may use unless the transaction sets a limit.
DEFAULT_INSTRUCTION_UNITS: Final = 200_000
#: The largest number of compute units of one transaction.
MAX_TRANSACTION_UNITS: Final = 1_400_000
#: Bytes of account data that a transaction may load unless it states less.
MAX_LOADED_DATA_BYTES: Final = 64 * 1024 * 1024
#: Bytes that count for each loaded account in addition to its data.
LOADED_ACCOUNT_OVERHEAD_BYTES: Final = 64
#: Compute units of an instruction of the System and ComputeBudget programs.
BUILTIN_UNITS: Final = 150

#: An error in the form of JSON-RPC: a string, or an object with one key.
ErrorJson: TypeAlias = str | dict[str, Any]


class InstructionAccount(NamedTuple):
    """An account of an instruction and its permissions."""

    address: Address
    is_signer: bool
    is_writable: bool


class ResolvedInstruction(NamedTuple):
    """One instruction with addresses in place of indices."""

    program_id: Address
    metas: tuple[InstructionAccount, ...]
    data: bytes


class InnerInstruction(NamedTuple):
    """A call from one program to another, made by a top-level instruction."""

    program_id: Address
    addresses: tuple[Address, ...]
    data: bytes
    stack_height: int


class TransactionConfig(NamedTuple):
    """The compute budget that a transaction of version 1 states; None where it does not state a value."""

    #: In lamports for the whole transaction, unlike the price of a unit that ComputeBudget instructions set.
    priority_fee_lamports: int | None = None
    unit_limit: int | None = None
    #: Bytes of account data that the transaction may load.
    loaded_data_limit: int | None = None
    heap_bytes: int | None = None

    def json(self) -> dict[str, int | None]:
        """Return the configuration in the form of `getTransaction` and webhooks."""
        return {
            "priorityFee": self.priority_fee_lamports,
            "computeUnitLimit": self.unit_limit,
            "loadedAccountsDataSizeLimit": self.loaded_data_limit,
            "heapSize": self.heap_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class ClockSysvar:
    """The chain's own time."""

    slot: int
    #: Seconds since 1970.
    unix_timestamp: int
    epoch: int = 0


class InstructionFailure(Exception):
    """An instruction failed: `error` is for JSON-RPC, the text is for the log."""

    def __init__(self, error: ErrorJson, text: str) -> None:
        super().__init__(text)
        self.error = error
        self.text = text

    @classmethod
    def custom(cls, code: int) -> InstructionFailure:
        """Return a failure with an error number that the program defines."""
        return cls({"Custom": code}, f"custom program error: {code:#x}")


MISSING_SIGNATURE = ("MissingRequiredSignature", "missing required signature for instruction")
PRIVILEGE = (
    "PrivilegeEscalation",
    "Cross-program invocation with unauthorized signer or writable account",
)
MISSING_ACCOUNT = ("MissingAccount", "An account required by the instruction is missing")
NOT_ENOUGH_KEYS = ("NotEnoughAccountKeys", "insufficient account keys for instruction")
INVALID_DATA = ("InvalidInstructionData", "invalid instruction data")
OUT_OF_UNITS = ("ComputationalBudgetExceeded", "exceeded CUs meter at BPF instruction")


class LogCollector:
    """Collects the log lines of one transaction, truncated as on validators."""

    __slots__ = ("_bytes", "_is_truncated", "lines")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._bytes = 0
        self._is_truncated = False

    def add(self, line: str) -> None:
        """Append a line. The first line that does not fit becomes `Log truncated`; shorter lines may follow it."""
        written = self._bytes + (len(line) if line.isascii() else len(line.encode()))
        if written < LOG_LIMIT_BYTES:
            self._bytes = written
            self.lines.append(line)
        elif not self._is_truncated:
            self._is_truncated = True
            self.lines.append("Log truncated")


class InvokeContext:
    """The context of one program call: its accounts, its log and the calls that it may make."""

    __slots__ = ("data", "depth", "execution", "metas", "program_id")

    def __init__(
        self,
        execution: Execution,
        program_id: Address,
        metas: Sequence[InstructionAccount],
        data: bytes,
        depth: int,
    ) -> None:
        self.execution = execution
        self.program_id = program_id
        self.metas = metas
        self.data = data
        self.depth = depth

    @property
    def clock(self) -> ClockSysvar:
        """Return the Clock sysvar."""
        return self.execution.clock

    @property
    def rent(self) -> Rent:
        """Return the Rent sysvar."""
        return self.execution.rent

    def log(self, text: str) -> None:
        """Log a line as `msg!` does."""
        self.execution.log.add(f"Program log: {text}")

    def log_data(self, data: bytes) -> None:
        """Log bytes as `sol_log_data` does, which Anchor's `emit!` uses."""
        self.execution.log.add(f"Program data: {base64.b64encode(data).decode()}")

    def account(self, address: Address) -> Account:
        """Return the account with the changes that the transaction has made so far."""
        return self.execution.account(address)

    def put(self, address: Address, account: Account) -> None:
        """Write an account."""
        self.execution.changed[address] = account

    def spend(self, units: int) -> None:
        """Use compute units; the instruction fails when they run out."""
        self.execution.spend(units)

    def invoke(
        self,
        program_id: Address,
        metas: Sequence[InstructionAccount],
        data: bytes,
        *,
        signed_for: Sequence[Address] = (),
    ) -> None:
        """Call another program, signing for derived addresses of the calling program."""
        self._require_privileges(metas, signed_for)
        self.execution.invoke(program_id, metas, data, self.depth + 1)

    def _require_privileges(self, metas: Sequence[InstructionAccount], signed_for: Sequence[Address]) -> None:
        mine = {meta.address: meta for meta in self.metas}
        for address, is_signer, is_writable in metas:
            caller = mine.get(address)
            if caller is None:
                self.execution.log.add(f"Instruction references an unknown account {address}")
                raise InstructionFailure(*MISSING_ACCOUNT)
            if is_writable and not caller.is_writable:
                self.execution.log.add(f"{address}'s writable privilege escalated")
                raise InstructionFailure(*PRIVILEGE)
            if is_signer and not caller.is_signer and address not in signed_for:
                self.execution.log.add(f"{address}'s signer privilege escalated")
                raise InstructionFailure(*PRIVILEGE)


#: A program: a function that reads and writes accounts through the call, or raises InstructionFailure.
Processor: TypeAlias = Callable[[InvokeContext], None]


class Execution:
    """The execution of one transaction over its own overlay."""

    __slots__ = ("_bank", "_inner", "_programs", "changed", "clock", "inner", "log", "rent", "units_left")

    def __init__(
        self,
        bank: Mapping[Address, Account],
        programs: Mapping[Address, Processor],
        clock: ClockSysvar,
        units: int,
        rent: Rent,
    ) -> None:
        self._bank = bank
        self._programs = programs
        self.clock = clock
        self.rent = rent
        self.log = LogCollector()
        self.units_left = units
        self.changed: dict[Address, Account] = {}
        #: Calls between programs, by the index of the top-level instruction.
        self.inner: dict[int, list[InnerInstruction]] = {}
        self._inner: list[InnerInstruction] = []

    def account(self, address: Address) -> Account:
        """Return the account from the overlay, else from the bank, else an empty one."""
        account = self.changed.get(address)
        if account is None:
            account = self._bank.get(address, accounts.ABSENT_ACCOUNT)
        return account

    def spend(self, units: int) -> None:
        """Subtract compute units; raise InstructionFailure when they run out."""
        if units > self.units_left:
            self.units_left = 0
            raise InstructionFailure(*OUT_OF_UNITS)
        self.units_left -= units

    def run(self, instructions: Sequence[ResolvedInstruction]) -> ErrorJson | None:
        """Run the instructions in order; return None when all succeeded, else the transaction's error."""
        for index, (program_id, metas, data) in enumerate(instructions):
            self._inner = []
            try:
                self.invoke(program_id, metas, data, 1)
            except InstructionFailure as failure:
                return {"InstructionError": [index, failure.error]}
            finally:
                if self._inner:
                    self.inner[index] = self._inner
        return None

    def invoke(self, program_id: Address, metas: Sequence[InstructionAccount], data: bytes, depth: int) -> None:
        """Run one program between its `invoke` line and its `success` or `failed` line."""
        if depth > 1:
            addresses = tuple(meta.address for meta in metas)
            self._inner.append(InnerInstruction(program_id, addresses, data, depth))
        self.log.add(f"Program {program_id} invoke [{depth}]")
        available = self.units_left
        try:
            self._process(program_id, metas, data, depth)
        except InstructionFailure as failure:
            self._log_units(program_id, available)
            self.log.add(f"Program {program_id} failed: {failure.text}")
            raise
        self._log_units(program_id, available)
        self.log.add(f"Program {program_id} success")

    def _process(self, program_id: Address, metas: Sequence[InstructionAccount], data: bytes, depth: int) -> None:
        self._programs[program_id](InvokeContext(self, program_id, metas, data, depth))

    def _log_units(self, program_id: Address, available: int) -> None:
        """Log the used units of a program in bytecode; programs built into the validator do not log them."""
        if program_id not in BUILTINS:
            used = available - self.units_left
            self.log.add(f"Program {program_id} consumed {used} of {available} compute units")


BUILTINS: Final = frozenset({accounts.SYSTEM_PROGRAM, accounts.COMPUTE_BUDGET_PROGRAM})
