"""What happens around a program: instructions in order, calls between programs, logs, units.

A transaction runs on a sheet of its own laid over the bank. Every instruction writes on the sheet;
when all of them end well the sheet is the result, when one fails nothing of it is. The log keeps
what was said until then, cut at ten thousand bytes as validators cut it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from zmart.domain.ids import Address

from . import accounts
from .accounts import Account

#: Validators keep this many bytes of a transaction's log, then write `Log truncated`.
LOG_LIMIT_BYTES: Final = 10_000
#: Compute units an instruction may use unless the transaction says otherwise.
DEFAULT_INSTRUCTION_UNITS: Final = 200_000
#: Compute units no transaction may exceed.
MAX_TRANSACTION_UNITS: Final = 1_400_000
#: Compute units of an instruction of the System and ComputeBudget programs.
BUILTIN_UNITS: Final = 150

#: An error as JSON-RPC writes it: a word, or an object with one key.
ErrorJson: TypeAlias = str | dict[str, Any]


class InstructionAccount(NamedTuple):
    """An account of an instruction and what may be done to it."""

    address: Address
    is_signer: bool
    is_writable: bool


class ResolvedInstruction(NamedTuple):
    """One instruction with addresses in place of indices."""

    program_id: Address
    metas: tuple[InstructionAccount, ...]
    data: bytes


class InnerInstruction(NamedTuple):
    """A call from program to program, under the top-level instruction that led to it."""

    program_id: Address
    addresses: tuple[Address, ...]
    data: bytes
    stack_height: int


@dataclass(frozen=True, kw_only=True)
class ClockSysvar:
    """The chain's own time."""

    slot: int
    #: Seconds since 1970.
    unix_timestamp: int
    epoch: int = 0


class InstructionFailure(Exception):
    """An instruction ended badly: `error` for JSON-RPC, the text for the log."""

    def __init__(self, error: ErrorJson, text: str) -> None:
        super().__init__(text)
        self.error = error
        self.text = text

    @classmethod
    def custom(cls, code: int) -> InstructionFailure:
        """A program's own number."""
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
    """The lines of one transaction, cut as validators cut them."""

    __slots__ = ("_bytes", "_is_truncated", "lines")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._bytes = 0
        self._is_truncated = False

    def add(self, line: str) -> None:
        """Append a line; the first that does not fit becomes `Log truncated`, shorter ones may."""
        written = self._bytes + (len(line) if line.isascii() else len(line.encode()))
        if written < LOG_LIMIT_BYTES:
            self._bytes = written
            self.lines.append(line)
        elif not self._is_truncated:
            self._is_truncated = True
            self.lines.append("Log truncated")


class InvokeContext:
    """One program at work: its accounts, its words and what it may call."""

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
        """The Clock sysvar."""
        return self.execution.clock

    def log(self, text: str) -> None:
        """`msg!`."""
        self.execution.log.add(f"Program log: {text}")

    def log_data(self, data: bytes) -> None:
        """`sol_log_data`, which Anchor's `emit!` uses."""
        self.execution.log.add(f"Program data: {base64.b64encode(data).decode()}")

    def account(self, address: Address) -> Account:
        """The account as the transaction has left it so far."""
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
        """Call another program, signing for derived addresses of one's own."""
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


#: A program: reads and writes accounts through the call, or raises InstructionFailure.
Processor: TypeAlias = Callable[[InvokeContext], None]


class Execution:
    """One transaction at work on its sheet."""

    __slots__ = ("_bank", "_inner", "_programs", "changed", "clock", "inner", "log", "units_left")

    def __init__(
        self,
        bank: Mapping[Address, Account],
        programs: Mapping[Address, Processor],
        clock: ClockSysvar,
        units: int,
    ) -> None:
        self._bank = bank
        self._programs = programs
        self.clock = clock
        self.log = LogCollector()
        self.units_left = units
        self.changed: dict[Address, Account] = {}
        #: Calls between programs, by the index of the top-level instruction.
        self.inner: dict[int, list[InnerInstruction]] = {}
        self._inner: list[InnerInstruction] = []

    def account(self, address: Address) -> Account:
        """The account on the sheet, else in the bank, else an empty one."""
        account = self.changed.get(address)
        if account is None:
            account = self._bank.get(address, accounts.ABSENT_ACCOUNT)
        return account

    def spend(self, units: int) -> None:
        """Take units off the meter."""
        if units > self.units_left:
            self.units_left = 0
            raise InstructionFailure(*OUT_OF_UNITS)
        self.units_left -= units

    def run(self, instructions: Sequence[ResolvedInstruction]) -> ErrorJson | None:
        """Run them in order; None when all ended well, else the transaction's error."""
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
        """Programs in bytecode say what they used; those built into the validator do not."""
        if program_id not in BUILTINS:
            used = available - self.units_left
            self.log.add(f"Program {program_id} consumed {used} of {available} compute units")


BUILTINS: Final = frozenset({accounts.SYSTEM_PROGRAM, accounts.COMPUTE_BUDGET_PROGRAM})
