"""Maps errors of nodes and transactions to types; the class determines the next step, never the message.

    NodeError (Transient)              this node failed now; another node may answer at once
    ├── RateLimited                    states after how many seconds to retry
    ├── NodeBehind                     it lags, or has not reached the requested slot
    ├── TimedOut, Unreachable          no answer; whether a transaction arrived is unknown
    └── NodeFailed, InvalidResponse    an answer without a usable result
    ApiKeyRejected (Unauthorized)      the node does not accept our key; another may
    BadRequest (InvalidInput)          every node would refuse it
    UnsupportedVersion (Permanent)     the transaction's version is above the limit that this release states
    SlotSkipped, History... (NotFound)
    TransactionError (Transient)       the same transaction may land later: BlockhashUnknown, busy accounts
    TransactionRefused (Permanent)     it never lands as it is
    AlreadyProcessed (Conflict)        it landed: read its status
    InstructionRefused (ProgramError)  a program refused it, with the name and number of its error

The refusal of a transaction is decoded from the node's response: `err` (`{"InstructionError": [2, {"Custom": 6025}]}`)
contains the instruction and the number. The logs contain the program and, for errors of Anchor, the name: `Error Code:
InsufficientVotes. Error Number: 6025.` The name is the safest to match (protocol.md 1.8).

All of this works on plain JSON. solders would parse these responses too, but it panics on -32002 and -32005 without
`data` and turns unknown codes into integers.
"""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from zmart import errors
from zmart.domain import program_errors

from . import addresses

#: How long to avoid a node whose response does not contain a time.
RATE_LIMIT_SECONDS: Final = 5.0
#: Longer than any node intends; a header with a longer time is limited to this.
LONGEST_RATE_LIMIT_SECONDS: Final = 300.0


class NodeError(errors.Unavailable):
    """The node gave no usable answer."""


class RateLimited(NodeError):
    """The node limits the rate of requests."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        seconds = RATE_LIMIT_SECONDS if retry_after_seconds is None else retry_after_seconds
        self.retry_after_seconds = min(max(0.0, seconds), LONGEST_RATE_LIMIT_SECONDS)


class NodeBehind(NodeError):
    """The node has not caught up with the cluster."""

    def __init__(self, message: str, *, slots: int | None = None) -> None:
        super().__init__(message)
        #: How many slots it lags, where the node reports it.
        self.slots = slots


class TimedOut(NodeError):
    """The node did not answer in time; whether it acted is unknown."""


class Unreachable(NodeError):
    """The node cannot be reached."""


class NodeFailed(NodeError):
    """The node failed to answer."""


class InvalidResponse(NodeError):
    """The response does not have the form that JSON-RPC or this method requires."""


class ApiKeyRejected(errors.Unauthorized):
    """The node does not accept our key."""


class BadRequest(errors.InvalidInput):
    """The node refuses the request itself; every node would refuse it."""


class UnsupportedVersion(errors.Permanent):
    """The transaction has a newer version than this release reads; a newer release reads it."""


class SlotSkipped(errors.NotFound):
    """The node serves no block of the slot: it was skipped, or this node lacks it; the code does not show which."""


class HistoryPruned(errors.NotFound):
    """The node no longer stores the requested history."""


class TransactionError(errors.Transient):
    """The transaction cannot land now."""


class BlockhashUnknown(TransactionError):
    """The node does not know the transaction's blockhash: it is too old, or the node is behind."""


class TransactionRefused(errors.Permanent):
    """The transaction can never land as it is."""


class AlreadyProcessed(errors.Conflict):
    """The same transaction has landed already; its status contains the result."""


class InstructionRefused(errors.ProgramError):
    """A program refused an instruction.

    `name` and `code` are the program's; `program` is its address where the logs contain it, `instruction` the index of
    the instruction, compute budget included. `logs` are the simulation's or the transaction's.
    """

    def __init__(self, refusal: ProgramErrorInfo, *, instruction: int | None, logs: Sequence[str]) -> None:
        super().__init__(refusal.name, refusal.code, refusal.message)
        self.program = refusal.program
        self.instruction = instruction
        self.logs = tuple(logs)


class AccountInUse(InstructionRefused):
    """The account to be created exists: a market id that is taken, a vote cast before (protocol.md 1.4.12)."""


class ProgramErrorInfo(NamedTuple):
    """The details of a program's error."""

    name: str
    code: int
    message: str
    program: str | None = None


class JsonRpcError(NamedTuple):
    """The `error` of a JSON-RPC response."""

    code: int
    message: str
    data: Any = None

    @classmethod
    def of(cls, value: Any) -> JsonRpcError:
        """Return the value that a node sent as an error."""
        if not isinstance(value, dict):
            return cls(0, str(value)[:_LONGEST_TEXT])
        code = value.get("code")
        message = value.get("message")
        return cls(
            code if isinstance(code, int) else 0,
            message[:_LONGEST_TEXT] if isinstance(message, str) else "no message",
            value.get("data"),
        )


#: No node intentionally sends a longer text.
_LONGEST_TEXT: Final = 1_000


# Transactions


def error_from_transaction(err: Any, logs: Sequence[str] = (), *, program_id: str | None = None) -> errors.ZmartError:
    """Return the error for a transaction's `err`, whichever call it came from; never raise.

    Numbers are read as those of `program_id` unless the logs name another program as the one that failed.
    """
    match err:
        case "AlreadyProcessed":
            return AlreadyProcessed()
        case "BlockhashNotFound":
            return BlockhashUnknown()
        case {"InstructionError": [int(index), inner]}:
            return _error_from_instruction(index, inner, [line for line in logs if isinstance(line, str)], program_id)
        case str() if err in _TRANSIENT_ERRORS:
            return TransactionError(f"The chain returns the error {err}.")
    return TransactionRefused(f"The chain returns the error {_describe(err)}.")


#: AccountNotFound is a fee payer that the node has not seen: often a node that is behind (protocol.md 11).
_TRANSIENT_ERRORS: Final = frozenset(
    {
        "AccountInUse",
        "AccountNotFound",
        "ClusterMaintenance",
        "CommitCancelled",
        "ProgramCacheHitMaxLimit",
        "ResanitizationNeeded",
        "WouldExceedAccountDataBlockLimit",
        "WouldExceedMaxAccountCostLimit",
        "WouldExceedMaxBlockCostLimit",
        "WouldExceedMaxVoteCostLimit",
    }
)


def _error_from_instruction(index: int, inner: Any, logs: Sequence[str], program_id: str | None) -> errors.ZmartError:
    match inner:
        case {"Custom": int(code)}:
            refusal = _program_error_info(code, logs, program_id)
            kind = AccountInUse if refusal.name == ALREADY_IN_USE else InstructionRefused
            return kind(refusal, instruction=index, logs=logs)
    last = f" The last log line: {logs[-1]}" if logs else ""
    return TransactionRefused(f"Instruction {index} fails with {_describe(inner)}.{last}")


ALREADY_IN_USE: Final = "AccountAlreadyInUse"

_FAILED: Final = re.compile(r"Program (\w{32,44}) failed: custom program error: 0x([0-9a-fA-F]+)")
_ANCHOR: Final = re.compile(r"Error Code: (\w+)\. Error Number: (\d+)\. Error Message: (.*?)\.?$")


def _program_error_info(code: int, logs: Sequence[str], program_id: str | None) -> ProgramErrorInfo:
    """Return the error of a number: Anchor's own text, else the failing program's table, else only the number."""
    failed = next((match[1] for line in logs if (match := _FAILED.search(line))), None)
    anchor_match = next(
        (match for line in reversed(logs) if (match := _ANCHOR.search(line)) and int(match[2]) == code), None
    )
    if anchor_match is not None:
        return ProgramErrorInfo(anchor_match[1], code, anchor_match[3], failed)
    if code == 0 and failed in (None, addresses.SYSTEM_PROGRAM):
        return ProgramErrorInfo(ALREADY_IN_USE, 0, "The account to create exists already", addresses.SYSTEM_PROGRAM)
    declared = program_errors.find_by_code(code)
    if declared is not None and (failed is None or program_id in (None, failed)):
        return ProgramErrorInfo(declared.name, code, declared.value, failed or program_id)
    return ProgramErrorInfo("Custom", code, f"custom program error {code:#x}", failed)


def _describe(err: Any) -> str:
    match err:
        case {**parts} if len(parts) == 1:
            ((name, more),) = parts.items()
            return f"{name} {more}"[:_LONGEST_TEXT]
    return str(err)[:_LONGEST_TEXT]


# JSON-RPC


def error_from_rpc(
    error: JsonRpcError, *, method: str, node: str = "the node", program_id: str | None = None
) -> errors.ZmartError:
    """Return the error for a JSON-RPC error object, with or without `data`, known code or not; never raise."""
    message = f"{node} answers {method}: {error.message.rstrip('.')} ({error.code})."
    if error.code == -32002:
        return _error_from_preflight(error, message, program_id)
    kind = _KINDS.get(error.code, NodeFailed)
    return NodeBehind(message, slots=_slots_behind(error.data)) if kind is NodeBehind else kind(message)


#: Codes of Agave and JSON-RPC, and those that providers use for limits and keys (solana.md 6). An unknown code is a
#: NodeFailed.
_KINDS: Final[Mapping[int, type[errors.ZmartError]]] = {
    **dict.fromkeys((-32004, -32005, -32014, -32016), NodeBehind),
    **dict.fromkeys((429, -32429), RateLimited),
    **dict.fromkeys((401, 403, -32401, -32403), ApiKeyRejected),
    **dict.fromkeys((-32007, -32009), SlotSkipped),
    **dict.fromkeys((-32001, -32011, -32020, -32021), HistoryPruned),
    **dict.fromkeys((-32700, -32600, -32601, -32602), BadRequest),
    **dict.fromkeys((-32003, -32006, -32010, -32013, -32018), BadRequest),
    -32015: UnsupportedVersion,
}


def _slots_behind(data: Any) -> int | None:
    slots = data.get("numSlotsBehind") if isinstance(data, dict) else None
    return slots if isinstance(slots, int) else None


def _error_from_preflight(error: JsonRpcError, message: str, program_id: str | None) -> errors.ZmartError:
    """Return the error of a failed simulation; without `data`, the message still contains the essential part."""
    data = error.data if isinstance(error.data, dict) else {}
    logs = data.get("logs")
    err = data.get("err") or _err_from_message(error.message)
    if err is None:
        return TransactionRefused(message)
    return error_from_transaction(err, logs if isinstance(logs, list) else [], program_id=program_id)


_IN_MESSAGE: Final = re.compile(r"Error processing Instruction (\d+): custom program error: 0x([0-9a-fA-F]+)")


def _err_from_message(message: str) -> Any:
    if match := _IN_MESSAGE.search(message):
        return {"InstructionError": [int(match[1]), {"Custom": int(match[2], 16)}]}
    if "already been processed" in message:
        return "AlreadyProcessed"
    return "BlockhashNotFound" if "Blockhash not found" in message else None


# HTTP


def error_from_http(
    status: int, headers: Mapping[str, str], error: JsonRpcError | None, *, method: str, node: str, now: float
) -> errors.ZmartError:
    """Return the error for an HTTP status that is not 200; `error` is the JSON-RPC error in its body, if any.

    `now` is Unix time, for a Retry-After that is a date.
    """
    message = f"{node} answers {method} with HTTP {status}."
    if status == 429 or (error is not None and error.code in (429, -32429)):
        return RateLimited(message, retry_after_seconds=retry_after(headers.get("retry-after"), now))
    if status in (401, 403):
        return ApiKeyRejected(message, help="Check the key in SOLANA_RPC_URL or HELIUS_RPC_URL.")
    if status >= 500 or status == 408:
        failed = NodeFailed(message)
        failed.retry_after_seconds = retry_after(headers.get("retry-after"), now) or failed.retry_after_seconds
        return failed
    if error is not None:
        return error_from_rpc(error, method=method, node=node)
    return BadRequest(message, help="Check that SOLANA_RPC_URL is the JSON-RPC address of a node.")


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date (RFC 9110 10.2.3); None where it is neither."""
    if value is None:
        return None
    if value.strip().isdigit():
        return min(float(value), LONGEST_RATE_LIMIT_SECONDS)
    try:
        then = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    zoned = then if then.tzinfo else then.replace(tzinfo=datetime.UTC)
    return min(max(0.0, zoned.timestamp() - now), LONGEST_RATE_LIMIT_SECONDS)
