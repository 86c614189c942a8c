"""Implements the built-in programs of a validator, as far as clients of a market need them.

The System program creates accounts and moves lamports. ComputeBudget carries a limit and a price, which the ledger
reads before anything runs. Memo writes its text into the log.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from solders.instruction import Instruction as SoldersInstruction
from solders.pubkey import Pubkey

from zmart.domain.ids import Address

from . import accounts, runtime
from .accounts import Account
from .runtime import InstructionAccount, InstructionFailure, InvokeContext, ResolvedInstruction, TransactionConfig

#: Errors of the System program (`SystemError`).
ACCOUNT_ALREADY_IN_USE: Final = 0
RESULT_WITH_NEGATIVE_LAMPORTS: Final = 1
#: The largest size of an account, in bytes.
MAX_ACCOUNT_BYTES: Final = 10 * 1024 * 1024

_TRANSFER = struct.Struct("<IQ")
_CREATE = struct.Struct("<IQQ32s")
_ASSIGN = struct.Struct("<I32s")
_ALLOCATE = struct.Struct("<IQ")
#: The upgradeable loader's accounts: a tag and the address of the bytecode; a tag, slot of deployment and authority.
_PROGRAM = struct.Struct("<I32s")
_PROGRAM_DATA = struct.Struct("<IQB32s")


def transfer_data(lamports: int) -> bytes:
    """Return the data of a System transfer."""
    return _TRANSFER.pack(2, lamports)


def create_account_data(lamports: int, space_bytes: int, owner: Address) -> bytes:
    """Return the data of a System create_account."""
    return _CREATE.pack(0, lamports, space_bytes, bytes(Pubkey.from_string(owner)))


def allocate_data(space_bytes: int) -> bytes:
    """Return the data of a System allocate."""
    return _ALLOCATE.pack(8, space_bytes)


def assign_data(owner: Address) -> bytes:
    """Return the data of a System assign."""
    return _ASSIGN.pack(1, bytes(Pubkey.from_string(owner)))


def process_system(call: InvokeContext) -> None:
    """Run the System program: create_account, assign, transfer and allocate."""
    call.spend(runtime.BUILTIN_UNITS)
    tag = int.from_bytes(call.data[:4], "little") if len(call.data) >= 4 else -1
    handler = _SYSTEM.get(tag)
    if handler is None:
        raise InstructionFailure(*runtime.INVALID_DATA)
    try:
        handler(call)
    except struct.error:
        raise InstructionFailure(*runtime.INVALID_DATA) from None


def _create_account(call: InvokeContext) -> None:
    payer, fresh = _two_metas(call)
    _, lamports, space, owner = _CREATE.unpack_from(call.data)
    if call.account(fresh.address).lamports > 0:
        _refuse_in_use(call, "Create Account", fresh)
    _allocate_account(call, fresh, space)
    account = call.account(fresh.address).with_owner(Address(str(Pubkey(owner))))
    call.put(fresh.address, account)
    _move(call, payer, fresh, lamports)


def _assign(call: InvokeContext) -> None:
    (account,) = _first_metas(call, 1)
    _, owner = _ASSIGN.unpack_from(call.data)
    _require_signer(call, account, "Assign")
    fresh = call.account(account.address).with_owner(Address(str(Pubkey(owner))))
    call.put(account.address, fresh)


def _transfer(call: InvokeContext) -> None:
    source, destination = _two_metas(call)
    _, lamports = _TRANSFER.unpack_from(call.data)
    _move(call, source, destination, lamports)


def _allocate(call: InvokeContext) -> None:
    (account,) = _first_metas(call, 1)
    _, space = _ALLOCATE.unpack_from(call.data)
    _allocate_account(call, account, space)


def _allocate_account(call: InvokeContext, meta: InstructionAccount, space: int) -> None:
    _require_signer(call, meta, "Allocate")
    account = call.account(meta.address)
    if account.size_bytes > 0 or account.owner != accounts.SYSTEM_PROGRAM:
        _refuse_in_use(call, "Allocate", meta)
    if space > MAX_ACCOUNT_BYTES:
        raise InstructionFailure.custom(3)
    call.put(meta.address, account.with_data(bytes(space)))


def _move(call: InvokeContext, source: InstructionAccount, destination: InstructionAccount, lamports: int) -> None:
    _require_signer(call, source, "Transfer", form="`from` account {} must sign")
    account = call.account(source.address)
    if account.size_bytes > 0:
        _log(call, "Transfer: `from` must not carry data")
        raise InstructionFailure("InvalidArgument", "invalid program argument")
    if lamports > account.lamports:
        _log(call, f"Transfer: insufficient lamports {account.lamports}, need {lamports}")
        raise InstructionFailure.custom(RESULT_WITH_NEGATIVE_LAMPORTS)
    call.put(source.address, account.with_lamports(account.lamports - lamports))
    other = call.account(destination.address)
    call.put(destination.address, other.with_lamports(other.lamports + lamports))


_SYSTEM: dict[int, Callable[[InvokeContext], None]] = {
    0: _create_account,
    1: _assign,
    2: _transfer,
    8: _allocate,
}


def _first_metas(call: InvokeContext, count: int) -> Sequence[InstructionAccount]:
    if len(call.metas) < count:
        raise InstructionFailure(*runtime.NOT_ENOUGH_KEYS)
    return call.metas[:count]


def _two_metas(call: InvokeContext) -> tuple[InstructionAccount, InstructionAccount]:
    first, second = _first_metas(call, 2)
    return first, second


def _require_signer(
    call: InvokeContext, meta: InstructionAccount, verb: str, form: str = "'to' account {} must sign"
) -> None:
    if not meta.is_signer:
        _log(call, f"{verb}: {form.format(_format_address(meta))}")
        raise InstructionFailure(*runtime.MISSING_SIGNATURE)


def _refuse_in_use(call: InvokeContext, verb: str, meta: InstructionAccount) -> None:
    _log(call, f"{verb}: account {_format_address(meta)} already in use")
    raise InstructionFailure.custom(ACCOUNT_ALREADY_IN_USE)


def _format_address(meta: InstructionAccount) -> str:
    return f"Address {{ address: {meta.address}, base: None }}"


def _log(call: InvokeContext, text: str) -> None:
    """Log a line as built-in programs do, without the `Program log:` of programs in bytecode."""
    call.execution.log.add(text)


def unit_limit_instruction(units: int) -> SoldersInstruction:
    """Return a ComputeBudget instruction that sets the units a transaction may use."""
    return SoldersInstruction(Pubkey.from_string(accounts.COMPUTE_BUDGET_PROGRAM), struct.pack("<BI", 2, units), [])


class ComputeBudget(NamedTuple):
    """The compute budget that a transaction requests."""

    #: Compute units that it may use.
    units: int
    priority_fee_lamports: int
    #: Bytes of account data that it may load.
    loaded_data_limit: int = runtime.MAX_LOADED_DATA_BYTES


def budget_of_config(config: TransactionConfig) -> ComputeBudget:
    """Return the budget that a transaction of version 1 states; a limit that is absent is 0."""
    return ComputeBudget(
        min(config.unit_limit or 0, runtime.MAX_TRANSACTION_UNITS),
        config.priority_fee_lamports or 0,
        min(config.loaded_data_limit or 0, runtime.MAX_LOADED_DATA_BYTES),
    )


def read_compute_budget(instructions: Sequence[ResolvedInstruction]) -> ComputeBudget:
    """Return the budget that ComputeBudget instructions request; raise ValueError with the index of an invalid one.

    The priority fee is the price of all units, in millionths of a lamport for one, rounded up to lamports.
    """
    limit: int | None = None
    price, others = 0, 0
    for index, (program_id, _, data) in enumerate(instructions):
        if program_id != accounts.COMPUTE_BUDGET_PROGRAM:
            others += program_id not in runtime.BUILTINS
        elif data[:1] == b"\2" and len(data) >= 5:
            limit = int.from_bytes(data[1:5], "little")
        elif data[:1] == b"\3" and len(data) >= 9:
            price = int.from_bytes(data[1:9], "little")
        elif data[:1] not in (b"\1", b"\4"):
            raise ValueError(index)
    if limit is None:
        builtin = len(instructions) - others
        limit = others * runtime.DEFAULT_INSTRUCTION_UNITS + builtin * _BUILTIN_DEFAULT_UNITS
    units = min(limit, runtime.MAX_TRANSACTION_UNITS)
    return ComputeBudget(units, -(-units * price // 1_000_000))


#: Units reserved for an instruction of a built-in program when no limit is set.
_BUILTIN_DEFAULT_UNITS: Final = 3_000


def process_compute_budget(call: InvokeContext) -> None:
    """Use the units of a ComputeBudget instruction.

    It has no other effect: it was read before anything ran, and in a transaction of version 1 nothing reads it.
    """
    call.spend(runtime.BUILTIN_UNITS)


def process_memo(call: InvokeContext) -> None:
    """Run the Memo program: every given account must sign, and the text goes to the log."""
    call.spend(1_000 + 50 * len(call.data))
    for meta in call.metas:
        if not meta.is_signer:
            raise InstructionFailure(*runtime.MISSING_SIGNATURE)
    try:
        text = call.data.decode()
    except UnicodeDecodeError:
        raise InstructionFailure(*runtime.INVALID_DATA) from None
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    call.log(f'Memo (len {len(call.data)}): "{escaped}"')


def builtin_account() -> Account:
    """Return the account at the address of a program that the validator contains."""
    return Account(1, accounts.NATIVE_LOADER, b"", executable=True)


def program_account(program_id: Address, rent: accounts.Rent) -> Account:
    """Return the account at the address of a deployed program: it refers to the account with its bytes."""
    data = _PROGRAM.pack(2, bytes(_program_data_key(program_id)))
    return Account(rent.exempt_lamports(len(data)), accounts.UPGRADEABLE_LOADER, data, executable=True)


def program_data_account(program_id: Address, rent: accounts.Rent) -> tuple[Address, Account]:
    """Return the account that a program account refers to: deployed in slot 0, not upgradeable, without bytecode."""
    data = _PROGRAM_DATA.pack(3, 0, 0, bytes(32))
    account = Account(rent.exempt_lamports(len(data)), accounts.UPGRADEABLE_LOADER, data)
    return Address(str(_program_data_key(program_id))), account


def _program_data_key(program_id: Address) -> Pubkey:
    loader = Pubkey.from_string(accounts.UPGRADEABLE_LOADER)
    return Pubkey.find_program_address([bytes(Pubkey.from_string(program_id))], loader)[0]


PROGRAMS: dict[Address, runtime.Processor] = {
    accounts.SYSTEM_PROGRAM: process_system,
    accounts.COMPUTE_BUDGET_PROGRAM: process_compute_budget,
    accounts.MEMO_PROGRAM: process_memo,
}
