"""Decodes a transaction's error, which gRPC sends as bincode, into the JSON value that JSON-RPC has for it.

A variant is a little-endian u32, and its fields follow. Both lists are in the order of the numbers. A number that is
not in them belongs to a newer node, and the caller asks JSON-RPC for the transaction instead.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from zmart import errors

_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")

TRANSACTION_ERRORS: Final = (
    "AccountInUse",
    "AccountLoadedTwice",
    "AccountNotFound",
    "ProgramAccountNotFound",
    "InsufficientFundsForFee",
    "InvalidAccountForFee",
    "AlreadyProcessed",
    "BlockhashNotFound",
    "InstructionError",
    "CallChainTooDeep",
    "MissingSignatureForFee",
    "InvalidAccountIndex",
    "SignatureFailure",
    "InvalidProgramForExecution",
    "SanitizeFailure",
    "ClusterMaintenance",
    "AccountBorrowOutstanding",
    "WouldExceedMaxBlockCostLimit",
    "UnsupportedVersion",
    "InvalidWritableAccount",
    "WouldExceedMaxAccountCostLimit",
    "WouldExceedAccountDataBlockLimit",
    "TooManyAccountLocks",
    "AddressLookupTableNotFound",
    "InvalidAddressLookupTableOwner",
    "InvalidAddressLookupTableData",
    "InvalidAddressLookupTableIndex",
    "InvalidRentPayingAccount",
    "WouldExceedMaxVoteCostLimit",
    "WouldExceedAccountDataTotalLimit",
    "DuplicateInstruction",
    "InsufficientFundsForRent",
    "MaxLoadedAccountsDataSizeExceeded",
    "InvalidLoadedAccountsDataSizeLimit",
    "ResanitizationNeeded",
    "ProgramExecutionTemporarilyRestricted",
    "UnbalancedTransaction",
    "ProgramCacheHitMaxLimit",
    "CommitCancelled",
)

INSTRUCTION_ERRORS: Final = (
    "GenericError",
    "InvalidArgument",
    "InvalidInstructionData",
    "InvalidAccountData",
    "AccountDataTooSmall",
    "InsufficientFunds",
    "IncorrectProgramId",
    "MissingRequiredSignature",
    "AccountAlreadyInitialized",
    "UninitializedAccount",
    "UnbalancedInstruction",
    "ModifiedProgramId",
    "ExternalAccountLamportSpend",
    "ExternalAccountDataModified",
    "ReadonlyLamportChange",
    "ReadonlyDataModified",
    "DuplicateAccountIndex",
    "ExecutableModified",
    "RentEpochModified",
    "NotEnoughAccountKeys",
    "AccountDataSizeChanged",
    "AccountNotExecutable",
    "AccountBorrowFailed",
    "AccountBorrowOutstanding",
    "DuplicateAccountOutOfSync",
    "Custom",
    "InvalidError",
    "ExecutableDataModified",
    "ExecutableLamportChange",
    "ExecutableAccountNotRentExempt",
    "UnsupportedProgramId",
    "CallDepth",
    "MissingAccount",
    "ReentrancyNotAllowed",
    "MaxSeedLengthExceeded",
    "InvalidSeeds",
    "InvalidRealloc",
    "ComputationalBudgetExceeded",
    "PrivilegeEscalation",
    "ProgramEnvironmentSetupFailure",
    "ProgramFailedToComplete",
    "ProgramFailedToCompile",
    "Immutable",
    "IncorrectAuthority",
    "BorshIoError",
    "AccountNotRentExempt",
    "InvalidAccountOwner",
    "ArithmeticOverflow",
    "UnsupportedSysvar",
    "IllegalOwner",
    "MaxAccountsDataAllocationsExceeded",
    "MaxAccountsExceeded",
    "MaxInstructionTraceLengthExceeded",
    "BuiltinProgramsMustConsumeComputeUnits",
)

#: Errors with one field, a byte.
_WITH_INDEX: Final = ("InsufficientFundsForRent", "ProgramExecutionTemporarilyRestricted")


def decode(data: bytes) -> Any:
    """Return the JSON value of an error. Raises DecodeError for bytes that are not exactly one known error."""
    try:
        value, end = _transaction_error(data)
    except (struct.error, IndexError, UnicodeDecodeError) as exc:
        raise errors.DecodeError(f"The bytes {data[:64].hex()} are no known error of a transaction.") from exc
    if end != len(data):
        raise errors.DecodeError(f"More bytes follow the error {value}: {data[:64].hex()}.")
    return value


def _transaction_error(data: bytes) -> tuple[Any, int]:
    name = TRANSACTION_ERRORS[_U32.unpack_from(data)[0]]
    if name == "InstructionError":
        inner, end = _instruction_error(data, 5)
        return {name: [data[4], inner]}, end
    if name == "DuplicateInstruction":
        return {name: data[4]}, 5
    if name in _WITH_INDEX:
        return {name: {"account_index": data[4]}}, 5
    return name, 4


def _instruction_error(data: bytes, offset: int) -> tuple[Any, int]:
    name = INSTRUCTION_ERRORS[_U32.unpack_from(data, offset)[0]]
    offset += 4
    if name == "Custom":
        return {name: _U32.unpack_from(data, offset)[0]}, offset + 4
    if name == "BorshIoError" and offset < len(data):
        # Nodes before Agave 3 send its text, newer ones do not.
        end = offset + 8 + _U64.unpack_from(data, offset)[0]
        if end > len(data):
            raise IndexError
        return {name: data[offset + 8 : end].decode()}, end
    return name, offset


def encode(error: Any) -> bytes:
    """Return the bincode of an error's JSON value. Raises DecodeError for a value that is no known error."""
    match error:
        case {"InstructionError": [int(index), {"Custom": int(code)}]}:
            return _variant("InstructionError") + bytes([index]) + _instruction("Custom") + _U32.pack(code)
        case {"InstructionError": [int(index), str(name)]} if name in INSTRUCTION_ERRORS:
            return _variant("InstructionError") + bytes([index]) + _instruction(name)
        case {"DuplicateInstruction": int(index)}:
            return _variant("DuplicateInstruction") + bytes([index])
        case {"InsufficientFundsForRent": {"account_index": int(index)}}:
            return _variant("InsufficientFundsForRent") + bytes([index])
        case str() if error in TRANSACTION_ERRORS:
            return _variant(error)
    raise errors.DecodeError(f"{error!r:.100} is no known error of a transaction.")


def _variant(name: str) -> bytes:
    return _U32.pack(TRANSACTION_ERRORS.index(name))


def _instruction(name: str) -> bytes:
    return _U32.pack(INSTRUCTION_ERRORS.index(name))
