"""Models the work of Anchor around a handler: accounts by role, checks, errors, events.

Anchor goes through the accounts of an instruction in three passes (protocol.md 1.4): it loads every account that
must exist already, creates those marked `init`, then checks the constraints of the others in order. Only then the
handler runs, and its changes are written back if it succeeds. The passes decide which error an invalid call gets
first, so they are separate here too.

An `InstructionFrame` is one instruction during these passes, with its accounts by name.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from zmart import errors
from zmart.chain import addresses, codec, idl
from zmart.domain.events import Event
from zmart.domain.ids import Address
from zmart.domain.program_errors import ErrorCode
from zmart.domain.votes import VoteKind

from . import accounts, builtins
from .accounts import Account, AccountRecord, ConfigRecord, MarketRecord, PositionRecord, VoteRecord
from .runtime import InstructionAccount, InstructionFailure, InvokeContext

_R = TypeVar("_R", bound=AccountRecord)


#: Compute units of the dispatch and of loading accounts, in this model.
OPENING_UNITS: Final = 3_800


class AnchorError(enum.Enum):
    """The errors of Anchor itself, each with its number and message."""

    InstructionFallbackNotFound = (101, "Fallback functions are not supported")
    InstructionDidNotDeserialize = (
        102,
        "The program could not deserialize the given instruction",
    )
    ConstraintMut = (2000, "A mut constraint was violated")
    ConstraintSeeds = (2006, "A seeds constraint was violated")
    AccountDiscriminatorMismatch = (
        3002,
        "8 byte discriminator did not match what was expected",
    )
    AccountNotEnoughKeys = (3005, "Not enough account keys given to the instruction")
    AccountOwnedByWrongProgram = (
        3007,
        "The given account is owned by a different program than expected",
    )
    InvalidProgramId = (3008, "Program ID was not as expected")
    AccountNotSigner = (3010, "The given account did not sign")
    AccountNotInitialized = (
        3012,
        "The program expected this account to be already initialized",
    )


class AccountKind(enum.Enum):
    """The kind of account that an instruction expects."""

    SIGNER = "signer"
    UNCHECKED = "unchecked"
    SYSTEM = "system"
    CONFIG = "config"
    MARKET = "market"
    POSITION = "position"
    VOTE = "vote"

    @property
    def record(self) -> type[AccountRecord] | None:
        """Return the type of the record in it, for the program's own accounts."""
        return _RECORDS.get(self)


_RECORDS: dict[AccountKind, type[AccountRecord]] = {
    AccountKind.CONFIG: ConfigRecord,
    AccountKind.MARKET: MarketRecord,
    AccountKind.POSITION: PositionRecord,
    AccountKind.VOTE: VoteRecord,
}


class AccountRole(NamedTuple):
    """An account of an instruction: its name, its kind, and how Anchor handles it."""

    name: str
    kind: AccountKind
    is_writable: bool
    #: The instruction creates this account; with `is_optional_init` only if it does not exist.
    is_init: bool
    is_optional_init: bool


class InstructionFrame:
    """One instruction: accounts by name, records to read and change, arguments, the clock."""

    __slots__ = (
        "_written",
        "args",
        "call",
        "config",
        "handler",
        "market",
        "metas",
        "now",
        "position",
        "vote",
    )

    #: The records among the accounts; a handler only uses those of its own instruction.
    config: ConfigRecord
    market: MarketRecord
    position: PositionRecord
    vote: VoteRecord

    def __init__(
        self, handler: Handler, call: InvokeContext, metas: Mapping[str, InstructionAccount], args: Mapping[str, Any]
    ) -> None:
        self.handler = handler
        self.call = call
        self.metas = metas
        self.args = args
        self.now = call.clock.unix_timestamp
        self._written: list[tuple[Address, AccountRecord]] = []

    def address(self, name: str) -> Address:
        """Return the address given for an account."""
        return self.metas[name].address

    def lamports(self, name: str) -> int:
        """Return the current balance of an account."""
        return self.call.account(self.metas[name].address).lamports

    def transfer_lamports(self, source: str, destination: str, lamports: int) -> None:
        """Call a System transfer; `source` must have signed the transaction."""
        payer = InstructionAccount(self.address(source), True, True)
        payee = InstructionAccount(self.address(destination), False, True)
        system, data = accounts.SYSTEM_PROGRAM, builtins.transfer_data(lamports)
        self.call.invoke(system, (payer, payee), data)

    def move_lamports(self, source: str, destination: str, lamports: int) -> None:
        """Move lamports out of an account that the program owns, without a call."""
        call = self.call
        giver, taker = self.address(source), self.address(destination)
        account = call.account(giver)
        call.put(giver, account.with_lamports(account.lamports - lamports))
        other = call.account(taker)
        call.put(taker, other.with_lamports(other.lamports + lamports))

    def set_record(self, role: AccountRole, record: AccountRecord) -> None:
        """Set a record under the name of its kind; it is written back if the role is writable."""
        if role.is_writable:
            record = accounts.copy_record(record)
            self._written.append((self.metas[role.name].address, record))
        setattr(self, role.kind.value, record)

    def write_back(self) -> None:
        """Write the records back into their accounts, as Anchor does on exit."""
        for address, record in self._written:
            account = self.call.account(address)
            fresh = Account.from_record(record, lamports=account.lamports, owner=account.owner)
            self.call.put(address, fresh)

    def emit(self, event: Event) -> None:
        """Emit an event as `emit!` does."""
        self.call.log_data(codec.default().encode_event(event))


@dataclass(frozen=True, kw_only=True)
class Handler:
    """An instruction of the program."""

    name: str
    roles: tuple[AccountRole, ...]
    #: Checks that belong to an account, in the order of the accounts: (account, check).
    constraints: tuple[tuple[str, Callable[[InstructionFrame], None]], ...]
    run: Callable[[InstructionFrame], None]
    #: The kind of ballot, for the two instructions that cast one.
    vote_kind: VoteKind | None = None
    #: Compute units that the handler uses in this model.
    units: int = 12_000

    @property
    def title(self) -> str:
        """Return the handler's name as Anchor logs it."""
        return "".join(word.capitalize() for word in self.name.split("_"))


def instruction_roles(name: str, kinds: Mapping[str, str]) -> tuple[AccountRole, ...]:
    """Return the roles of an instruction, in the order and with the flags of the IDL.

    `kinds` gives the kind of each account; `+` after the kind marks `init`, `?` marks `init_if_needed`.
    """
    described = next(definition for definition in idl.load().instructions if definition.name == name)
    return tuple(_role(meta, kinds.get(meta.name, "")) for meta in described.accounts)


def _role(meta: idl.IdlInstructionAccount, kind_text: str) -> AccountRole:
    default = "signer" if meta.signer else _DEFAULT_KINDS.get(meta.name, "unchecked")
    kind = AccountKind(kind_text.rstrip("+?") or default)
    return AccountRole(meta.name, kind, meta.writable, kind_text[-1:] in ("+", "?"), kind_text[-1:] == "?")


_DEFAULT_KINDS = {"global_config": "config", "market": "market", "system_program": "system"}


def process(handler: Handler, call: InvokeContext, args: Mapping[str, Any]) -> None:
    """Run one instruction through Anchor's passes."""
    call.log(f"Instruction: {handler.title}")
    call.spend(OPENING_UNITS)
    if len(call.metas) < len(handler.roles):
        fail(call, AnchorError.AccountNotEnoughKeys)
    metas = {role.name: meta for role, meta in zip(handler.roles, call.metas, strict=False)}
    frame = InstructionFrame(handler, call, metas, args)
    _load_accounts(handler, frame)
    _create_accounts(handler, frame)
    _check_constraints(handler, frame)
    call.spend(handler.units)
    _run_handler(handler, frame)
    frame.write_back()


def _load_accounts(handler: Handler, frame: InstructionFrame) -> None:
    for role in handler.roles:
        if role.is_init:
            continue
        if role.kind is AccountKind.SIGNER:
            if not frame.metas[role.name].is_signer:
                fail(frame.call, AnchorError.AccountNotSigner, account=role.name)
        elif role.kind is AccountKind.SYSTEM:
            _require_program(frame, role)
        elif role.kind.record is not None:
            frame.set_record(role, _load_record(frame, role, role.kind.record))


def _require_program(frame: InstructionFrame, role: AccountRole) -> None:
    address = frame.address(role.name)
    if address != accounts.SYSTEM_PROGRAM:
        pair = (address, accounts.SYSTEM_PROGRAM)
        fail(frame.call, AnchorError.InvalidProgramId, account=role.name, pair=pair)


def _load_record(frame: InstructionFrame, role: AccountRole, kind: type[_R]) -> _R:
    account = frame.call.account(frame.address(role.name))
    if account.owner == accounts.SYSTEM_PROGRAM and account.lamports == 0:
        fail(frame.call, AnchorError.AccountNotInitialized, account=role.name)
    if account.owner != frame.call.program_id:
        pair = (account.owner, frame.call.program_id)
        fail(frame.call, AnchorError.AccountOwnedByWrongProgram, account=role.name, pair=pair)
    if not isinstance(account.record, kind):
        fail(frame.call, AnchorError.AccountDiscriminatorMismatch, account=role.name)
    return account.record


def _create_accounts(handler: Handler, frame: InstructionFrame) -> None:
    for role in handler.roles:
        if not role.is_init:
            continue
        expected, bump = _derive_address(role, frame)
        _require_seeds(role, frame, expected)
        kind = role.kind.record
        assert kind is not None
        account = frame.call.account(expected)
        if role.is_optional_init and account.owner == frame.call.program_id:
            frame.set_record(role, _load_record(frame, role, kind))
        else:
            _allocate_account(handler, role, frame, account)
            frame.set_record(role, kind(bump=bump))


def _allocate_account(handler: Handler, role: AccountRole, frame: InstructionFrame, account: Account) -> None:
    """Create an account as Anchor does.

    One call creates it; an account that already holds lamports is funded, allocated and assigned.
    """
    kind = role.kind.record
    assert kind is not None
    call, address = frame.call, frame.address(role.name)
    payer = next(r.name for r in handler.roles if r.kind is AccountKind.SIGNER)
    fresh, giver = InstructionAccount(address, True, True), InstructionAccount(frame.address(payer), True, True)
    system, size, rent = (
        accounts.SYSTEM_PROGRAM,
        kind.size_bytes,
        call.rent.exempt_lamports(kind.size_bytes),
    )
    if account.lamports == 0:
        data = builtins.create_account_data(rent, size, call.program_id)
        call.invoke(system, (giver, fresh), data, signed_for=(address,))
        return
    if account.lamports < rent:
        frame.transfer_lamports(payer, role.name, rent - account.lamports)
    call.invoke(system, (fresh,), builtins.allocate_data(size), signed_for=(address,))
    owner = builtins.assign_data(call.program_id)
    call.invoke(system, (fresh,), owner, signed_for=(address,))


def _check_constraints(handler: Handler, frame: InstructionFrame) -> None:
    """Run the third pass, account by account: derived address, `mut`, the instruction's own checks."""
    for role in handler.roles:
        if not role.is_init and role.kind.record is not None:
            _require_seeds(role, frame, _derive_address(role, frame)[0])
        if role.is_writable and not frame.metas[role.name].is_writable:
            fail(frame.call, AnchorError.ConstraintMut, account=role.name)
        for account, check in handler.constraints:
            if account == role.name:
                _run_constraint(account, check, frame)


def _run_constraint(account: str, check: Callable[[InstructionFrame], None], frame: InstructionFrame) -> None:
    try:
        check(frame)
    except errors.ProgramError as refusal:
        _fail_with(frame.call, f"caused by account: {account}", refusal)


def _require_seeds(role: AccountRole, frame: InstructionFrame, expected: Address) -> None:
    address = frame.address(role.name)
    if address != expected:
        fail(frame.call, AnchorError.ConstraintSeeds, account=role.name, pair=(address, expected))


def _derive_address(role: AccountRole, frame: InstructionFrame) -> tuple[Address, int]:
    """Return the derived address and bump of an account of the program (protocol.md 1.2)."""
    program_id = frame.call.program_id
    if role.kind is AccountKind.CONFIG:
        return addresses.config_address(program_id), addresses.config_bump(program_id)
    if role.kind is AccountKind.MARKET:
        identity = frame.args["market_id"] if role.is_init else frame.market.market_id
        return (
            addresses.market_address(program_id, identity),
            addresses.market_bump(program_id, identity),
        )
    market, user = frame.address("market"), frame.address("user")
    if role.kind is AccountKind.VOTE:
        kind = frame.handler.vote_kind
        assert kind is not None
        return (
            addresses.vote_address(program_id, market, user, kind),
            addresses.vote_bump(program_id, market, user, kind),
        )
    return (
        addresses.position_address(program_id, market, user),
        addresses.position_bump(program_id, market, user),
    )


def _run_handler(handler: Handler, frame: InstructionFrame) -> None:
    """Run the handler; a rejection is logged with the source file that raised it."""
    try:
        handler.run(frame)
    except errors.ProgramError as refusal:
        _fail_with(frame.call, f"thrown in {_source_location(handler, refusal)}", refusal)


#: Errors of the fixed-point arithmetic; Anchor reports the source file of the arithmetic for them.
_ARITHMETIC: Final = frozenset(range(6033, 6041)) | {6042}


def _source_location(handler: Handler, refusal: errors.ProgramError) -> str:
    """Return a file and line as Anchor prints them; the line is derived from the error number in this model."""
    folder = "math/lmsr" if refusal.code in _ARITHMETIC else f"instructions/{handler.name}"
    return f"programs/zmart-core/src/{folder}.rs:{refusal.code - 5_900}"


def _fail_with(call: InvokeContext, place: str, refusal: errors.ProgramError) -> NoReturn:
    message = ErrorCode[refusal.name].value
    call.log(
        f"AnchorError {place}. Error Code: {refusal.name}. Error Number: {refusal.code}. Error Message: {message}."
    )
    raise InstructionFailure.custom(refusal.code) from refusal


def fail(
    call: InvokeContext,
    error: AnchorError,
    *,
    account: str | None = None,
    pair: tuple[str, str] | None = None,
) -> NoReturn:
    """Fail with an error of Anchor itself; `pair` is the given and the expected value."""
    number, message = error.value
    place = f"caused by account: {account}" if account else "occurred"
    call.log(f"AnchorError {place}. Error Code: {error.name}. Error Number: {number}. Error Message: {message}.")
    for side, key in zip(("Left:", "Right:"), pair or (), strict=False):
        call.log(side)
        call.log(key)
    raise InstructionFailure.custom(number)
