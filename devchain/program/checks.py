"""Defines checks and account constraints that several instructions share."""

from __future__ import annotations

from collections.abc import Callable

from zmart.domain import market
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.domain.program_errors import ErrorCode

from ..accounts import MarketRecord
from ..anchor import InstructionFrame

Constraint = tuple[str, Callable[[InstructionFrame], None]]


def require_state(frame: InstructionFrame) -> None:
    """Raise unless the market is in a state that the instruction allows."""
    market.require_state(frame.handler.name, MarketState(frame.market.state))


def require_running(frame: InstructionFrame) -> None:
    """Raise ProtocolPaused if the protocol is paused."""
    if frame.config.is_paused:
        raise ErrorCode.ProtocolPaused.error()


def require_unlocked(it: MarketRecord) -> None:
    """Raise Reentrant if the market is locked against reentrance."""
    if it.is_locked:
        raise ErrorCode.Reentrant.error()


def require_rent_left(frame: InstructionFrame, lamports: int) -> None:
    """Raise unless the market's account can pay that many lamports and stay exempt from rent."""
    remaining = frame.lamports("market") - lamports
    if remaining < 0:
        raise ErrorCode.InsufficientFunds.error()
    if remaining < frame.call.rent.exempt_lamports(MarketRecord.size_bytes):
        raise ErrorCode.WouldBreakRentExemption.error()


def _constraint(is_match: Callable[[InstructionFrame], bool], refusal: ErrorCode) -> Callable[[InstructionFrame], None]:
    def check(frame: InstructionFrame) -> None:
        if not is_match(frame):
            raise refusal.error()

    return check


def _require_address(
    account: str, owner: Callable[[InstructionFrame], Address]
) -> tuple[str, Callable[[InstructionFrame], None]]:
    """Return the constraint that the given account is the one that a record names, else Unauthorized."""

    def is_match(frame: InstructionFrame) -> bool:
        return frame.address(account) == owner(frame)

    return account, _constraint(is_match, ErrorCode.Unauthorized)


ADMIN = _require_address("admin", lambda frame: frame.config.admin)
BACKEND = _require_address("backend_authority", lambda frame: frame.config.backend_authority)
FEE_WALLET = _require_address("protocol_fee_wallet", lambda frame: frame.config.protocol_fee_wallet)
RESOLVER = (
    "resolver",
    _constraint(lambda f: f.address("resolver") == f.market.resolver, ErrorCode.InvalidResolver),
)
ADMIN_OR_CREATOR = (
    "authority",
    _constraint(
        lambda f: f.address("authority") in (f.config.admin, f.market.creator),
        ErrorCode.Unauthorized,
    ),
)
CREATOR = (
    "market",
    _constraint(lambda f: f.address("creator") == f.market.creator, ErrorCode.Unauthorized),
)
OWNER = (
    "position",
    _constraint(lambda f: f.position.user == f.address("user"), ErrorCode.Unauthorized),
)
UNCLAIMED = ("position", _constraint(lambda f: not f.position.has_claimed, ErrorCode.AlreadyClaimed))
STATE = ("market", require_state)
