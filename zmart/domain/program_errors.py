"""Defines the errors of the on-chain program: the only copy of the table of protocol.md 1.8.

Anchor numbers the errors of a program from 6000 in order of declaration. Comments in the program and older documents
use other numberings; a name is the safest to match.
"""

from __future__ import annotations

import enum

from zmart import errors

#: The number of the first error that a program declares (Anchor's ERROR_CODE_OFFSET).
FIRST_CODE = 6000


class ErrorCode(enum.Enum):
    """One error of the program; the value is the message of its IDL."""

    InvalidFeeConfiguration = "Invalid fee configuration: total fees exceed 100%"
    InvalidThreshold = "Invalid threshold: must be ≤ 10000 (100%)"
    InvalidTimeLimit = "Invalid time limit: must be positive"
    AlreadyInitialized = "Global config already initialized"
    InvalidFeeStructure = "Invalid fee structure: total fees exceed 100%"
    InvalidGlobalConfig = "Invalid global config: must be canonical PDA"
    InvalidStateTransition = "Invalid state transition"
    InvalidMarketState = "Market not in required state"
    MarketPaused = "Market is paused"
    MarketCancelled = "Market is cancelled"
    ProtocolPaused = "Protocol is paused"
    CannotCancelMarket = "Cannot cancel market in current state"
    MarketAlreadyCancelled = "Market is already cancelled"
    ZeroAmount = "Trading amount must be greater than zero"
    InsufficientShares = "Insufficient shares to sell"
    SlippageExceeded = "Slippage tolerance exceeded"
    InsufficientLiquidity = "Insufficient liquidity"
    InvalidLiquidity = "Invalid liquidity amount"
    TradeTooSmall = "Trade amount below minimum (0.00001 SOL)"
    ResolutionPeriodNotEnded = "Resolution period not ended"
    DisputePeriodEnded = "Dispute period ended"
    NoResolutionProposed = "No resolution proposed"
    AlreadyClaimed = "Winnings already claimed"
    NoWinnings = "No winnings to claim"
    NoVotesRecorded = "No votes recorded"
    InsufficientVotes = "Insufficient votes to meet threshold"
    AlreadyResolved = "Market already resolved"
    DisputePeriodNotEnded = "Dispute period not ended"
    AlreadyDisputed = "Already disputed"
    Unauthorized = "Unauthorized"
    InvalidAdmin = "Invalid admin"
    InvalidResolver = "Invalid resolver"
    InsufficientReputation = "Insufficient reputation"
    OverflowError = "Arithmetic overflow"
    UnderflowError = "Arithmetic underflow"
    DivisionByZero = "Division by zero"
    InvalidFixedPoint = "Invalid fixed-point value"
    InvalidLogarithm = "Logarithm of non-positive number"
    ExponentialOverflow = "Exponential overflow"
    ExponentTooLarge = "Exponent too large"
    InvalidInput = "Invalid input value"
    BoundedLossExceeded = "Market loss exceeds theoretical maximum of b * ln(2)"
    InvalidBParameter = "Invalid LMSR b parameter"
    InvalidMarketId = "Invalid market ID"
    InvalidTimestamp = "Invalid timestamp"
    InvalidIpfsHash = "Invalid IPFS hash"
    InsufficientFunds = "Insufficient funds"
    WouldBreakRentExemption = "Transfer would leave account below rent-exempt minimum"
    Reentrant = "Reentrancy detected - operation already in progress"
    InvalidReservedField = "Reserved fields must be zero"
    AlreadyVoted = "User already voted"
    InvalidStateForVoting = "Invalid state for voting"

    @property
    def code(self) -> int:
        """Return the number in `custom program error: 0x...`."""
        return _CODES[self]

    def error(self) -> errors.ProgramError:
        """Return a new exception to raise."""
        return errors.ProgramError(self.name, self.code, self.value)


_CODES = {refusal: FIRST_CODE + index for index, refusal in enumerate(ErrorCode)}
_BY_CODE = {code: refusal for refusal, code in _CODES.items()}


def find_by_code(code: int) -> ErrorCode | None:
    """Return the error with this number, or None where the number is not one of this program's."""
    return _BY_CODE.get(code)
