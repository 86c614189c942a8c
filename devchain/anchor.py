"""What Anchor does before a handler runs and after it: accounts by role, checks, errors, events.

Anchor goes through the accounts of an instruction in three passes (protocol.md 1.4): it opens every
account that must exist already, creates those marked `init`, then checks the constraints of the
others in order. Only then the handler runs, and what it changed is written back when it ends well.
The passes decide which error a bad call meets first, so they are kept apart here too.

A `Frame` is one instruction on its way through them, with its accounts under their names.
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
from .accounts import Account, Config, Market, Position, Record, Vote
from .runtime import Call, InstructionFailure, Meta

_R = TypeVar("_R", bound=Record)


#: Compute units of dispatch and of opening accounts, in this model.
OPENING_UNITS: Final = 3_800


class Framework(enum.Enum):
    """Errors of Anchor itself, with its number and message."""

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


class Kind(enum.Enum):
    """What an instruction expects an account to be."""

    SIGNER = "signer"
    UNCHECKED = "unchecked"
    SYSTEM = "system"
    CONFIG = "config"
    MARKET = "market"
    POSITION = "position"
    VOTE = "vote"

    @property
    def record(self) -> type[Record] | None:
        """The record in it, for the program's own accounts."""
        return _RECORDS.get(self)


_RECORDS: dict[Kind, type[Record]] = {
    Kind.CONFIG: Config,
    Kind.MARKET: Market,
    Kind.POSITION: Position,
    Kind.VOTE: Vote,
}


class Role(NamedTuple):
    """An account of an instruction: its name, what it is, and what Anchor does with it."""

    name: str
    kind: Kind
    is_writable: bool
    #: Created here; `is_optional_init` only where it does not exist.
    is_init: bool
    is_optional_init: bool


class Frame:
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

    #: The records among the accounts; a handler only touches those of its own instruction.
    config: Config
    market: Market
    position: Position
    vote: Vote

    def __init__(self, handler: Handler, call: Call, metas: Mapping[str, Meta], args: Mapping[str, Any]) -> None:
        self.handler = handler
        self.call = call
        self.metas = metas
        self.args = args
        self.now = call.clock.unix_timestamp
        self._written: list[tuple[Address, Record]] = []

    def address(self, name: str) -> Address:
        """The address given for an account."""
        return self.metas[name].address

    def lamports(self, name: str) -> int:
        """The balance of an account by now."""
        return self.call.account(self.metas[name].address).lamports

    def pay(self, source: str, destination: str, lamports: int) -> None:
        """A System transfer by call; `source` must have signed the transaction."""
        payer = Meta(self.address(source), True, True)
        payee = Meta(self.address(destination), False, True)
        system, data = accounts.SYSTEM_PROGRAM, builtins.transfer_data(lamports)
        self.call.invoke(system, (payer, payee), data)

    def move(self, source: str, destination: str, lamports: int) -> None:
        """Move lamports out of an account of the program's own, without a call."""
        call = self.call
        giver, taker = self.address(source), self.address(destination)
        account = call.account(giver)
        call.put(giver, account.with_lamports(account.lamports - lamports))
        other = call.account(taker)
        call.put(taker, other.with_lamports(other.lamports + lamports))

    def hold(self, role: Role, record: Record) -> None:
        """Keep a record under its kind's name, to be written back if the role is writable."""
        if role.is_writable:
            record = accounts.copied(record)
            self._written.append((self.metas[role.name].address, record))
        setattr(self, role.kind.value, record)

    def write_back(self) -> None:
        """Anchor's exit: records into accounts."""
        for address, record in self._written:
            account = self.call.account(address)
            fresh = Account.holding(record, lamports=account.lamports, owner=account.owner)
            self.call.put(address, fresh)

    def emit(self, event: Event) -> None:
        """`emit!`."""
        self.call.log_data(codec.default().encode_event(event))


@dataclass(frozen=True, kw_only=True)
class Handler:
    """An instruction of the program."""

    name: str
    roles: tuple[Role, ...]
    #: Checks that belong to an account, in the order of the accounts: (account, check).
    constraints: tuple[tuple[str, Callable[[Frame], None]], ...]
    run: Callable[[Frame], None]
    #: Which ballot it casts, for the two that cast one.
    vote_kind: VoteKind | None = None
    #: Compute units it takes in this model.
    units: int = 12_000

    @property
    def title(self) -> str:
        """Its name as Anchor logs it."""
        return "".join(word.capitalize() for word in self.name.split("_"))


def roles(name: str, kinds: Mapping[str, str]) -> tuple[Role, ...]:
    """The roles of an instruction, in the order and with the flags of the IDL.

    `kinds` says what each account is; `+` after the kind marks `init`, `?` marks `init_if_needed`.
    """
    described = next(known for known in idl.load().instructions if known.name == name)
    return tuple(_role(meta, kinds.get(meta.name, "")) for meta in described.accounts)


def _role(meta: idl.IdlInstructionAccount, spelled: str) -> Role:
    default = "signer" if meta.signer else _DEFAULT_KINDS.get(meta.name, "unchecked")
    kind = Kind(spelled.rstrip("+?") or default)
    return Role(meta.name, kind, meta.writable, spelled[-1:] in ("+", "?"), spelled[-1:] == "?")


_DEFAULT_KINDS = {"global_config": "config", "market": "market", "system_program": "system"}


def process(handler: Handler, call: Call, args: Mapping[str, Any]) -> None:
    """Run one instruction through Anchor's passes."""
    call.log(f"Instruction: {handler.title}")
    call.spend(OPENING_UNITS)
    if len(call.metas) < len(handler.roles):
        fail(call, Framework.AccountNotEnoughKeys)
    metas = {role.name: meta for role, meta in zip(handler.roles, call.metas, strict=False)}
    frame = Frame(handler, call, metas, args)
    _open(handler, frame)
    _create(handler, frame)
    _check(handler, frame)
    call.spend(handler.units)
    _run(handler, frame)
    frame.write_back()


def _open(handler: Handler, frame: Frame) -> None:
    for role in handler.roles:
        if role.is_init:
            continue
        if role.kind is Kind.SIGNER:
            if not frame.metas[role.name].is_signer:
                fail(frame.call, Framework.AccountNotSigner, account=role.name)
        elif role.kind is Kind.SYSTEM:
            _require_program(frame, role)
        elif role.kind.record is not None:
            frame.hold(role, _opened(frame, role, role.kind.record))


def _require_program(frame: Frame, role: Role) -> None:
    given = frame.address(role.name)
    if given != accounts.SYSTEM_PROGRAM:
        pair = (given, accounts.SYSTEM_PROGRAM)
        fail(frame.call, Framework.InvalidProgramId, account=role.name, pair=pair)


def _opened(frame: Frame, role: Role, kind: type[_R]) -> _R:
    account = frame.call.account(frame.address(role.name))
    if account.owner == accounts.SYSTEM_PROGRAM and account.lamports == 0:
        fail(frame.call, Framework.AccountNotInitialized, account=role.name)
    if account.owner != frame.call.program_id:
        pair = (account.owner, frame.call.program_id)
        fail(frame.call, Framework.AccountOwnedByWrongProgram, account=role.name, pair=pair)
    if not isinstance(account.record, kind):
        fail(frame.call, Framework.AccountDiscriminatorMismatch, account=role.name)
    return account.record


def _create(handler: Handler, frame: Frame) -> None:
    for role in handler.roles:
        if not role.is_init:
            continue
        expected, bump = _canonical(role, frame)
        _require_seeds(role, frame, expected)
        kind = role.kind.record
        assert kind is not None
        account = frame.call.account(expected)
        if role.is_optional_init and account.owner == frame.call.program_id:
            frame.hold(role, _opened(frame, role, kind))
        else:
            _allocate(handler, role, frame, account)
            frame.hold(role, kind(bump=bump))


def _allocate(handler: Handler, role: Role, frame: Frame, account: Account) -> None:
    """Anchor creates in one call, or funds, allocates and assigns what already holds lamports."""
    kind = role.kind.record
    assert kind is not None
    call, address = frame.call, frame.address(role.name)
    payer = next(r.name for r in handler.roles if r.kind is Kind.SIGNER)
    fresh, giver = Meta(address, True, True), Meta(frame.address(payer), True, True)
    system, size, rent = (
        accounts.SYSTEM_PROGRAM,
        kind.size_bytes,
        accounts.rent_exempt(kind.size_bytes),
    )
    if account.lamports == 0:
        data = builtins.create_account_data(rent, size, call.program_id)
        call.invoke(system, (giver, fresh), data, signed_for=(address,))
        return
    if account.lamports < rent:
        frame.pay(payer, role.name, rent - account.lamports)
    call.invoke(system, (fresh,), builtins.allocate_data(size), signed_for=(address,))
    owner = builtins.assign_data(call.program_id)
    call.invoke(system, (fresh,), owner, signed_for=(address,))


def _check(handler: Handler, frame: Frame) -> None:
    """The third pass, by account: derived address, `mut`, the instruction's own checks."""
    for role in handler.roles:
        if not role.is_init and role.kind.record is not None:
            _require_seeds(role, frame, _canonical(role, frame)[0])
        if role.is_writable and not frame.metas[role.name].is_writable:
            fail(frame.call, Framework.ConstraintMut, account=role.name)
        for account, check in handler.constraints:
            if account == role.name:
                _checked(account, check, frame)


def _checked(account: str, check: Callable[[Frame], None], frame: Frame) -> None:
    try:
        check(frame)
    except errors.ProgramError as refusal:
        _fail_with(frame.call, f"caused by account: {account}", refusal)


def _require_seeds(role: Role, frame: Frame, expected: Address) -> None:
    given = frame.address(role.name)
    if given != expected:
        fail(frame.call, Framework.ConstraintSeeds, account=role.name, pair=(given, expected))


def _canonical(role: Role, frame: Frame) -> tuple[Address, int]:
    """The derived address and bump of an account of the program (protocol.md 1.2)."""
    program_id = frame.call.program_id
    if role.kind is Kind.CONFIG:
        return addresses.config_address(program_id), addresses.config_bump(program_id)
    if role.kind is Kind.MARKET:
        identity = frame.args["market_id"] if role.is_init else frame.market.market_id
        return (
            addresses.market_address(program_id, identity),
            addresses.market_bump(program_id, identity),
        )
    market, user = frame.address("market"), frame.address("user")
    if role.kind is Kind.VOTE:
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


def _run(handler: Handler, frame: Frame) -> None:
    """The handler; what the program refuses is logged with the source file it says no in."""
    try:
        handler.run(frame)
    except errors.ProgramError as refusal:
        _fail_with(frame.call, f"thrown in {_source(handler, refusal)}", refusal)


#: Errors of the fixed-point arithmetic, which Anchor places in the file of the arithmetic.
_ARITHMETIC: Final = frozenset(range(6033, 6041)) | {6042}


def _source(handler: Handler, refusal: errors.ProgramError) -> str:
    """A file and line as Anchor prints them; the line is this model's: the error's own number."""
    folder = "math/lmsr" if refusal.code in _ARITHMETIC else f"instructions/{handler.name}"
    return f"programs/zmart-core/src/{folder}.rs:{refusal.code - 5_900}"


def _fail_with(call: Call, place: str, refusal: errors.ProgramError) -> NoReturn:
    message = ErrorCode[refusal.name].value
    call.log(
        f"AnchorError {place}. Error Code: {refusal.name}. Error Number: {refusal.code}. Error Message: {message}."
    )
    raise InstructionFailure.custom(refusal.code) from refusal


def fail(
    call: Call,
    error: Framework,
    *,
    account: str | None = None,
    pair: tuple[str, str] | None = None,
) -> NoReturn:
    """Refuse in Anchor's own name; `pair` is what was given and what was expected."""
    number, message = error.value
    place = f"caused by account: {account}" if account else "occurred"
    call.log(f"AnchorError {place}. Error Code: {error.name}. Error Number: {number}. Error Message: {message}.")
    for side, key in zip(("Left:", "Right:"), pair or (), strict=False):
        call.log(side)
        call.log(key)
    raise InstructionFailure.custom(number)
