"""Errors of nodes, and the classes that they become."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmart import errors
from zmart.chain import addresses, idl, rpc_errors

PROGRAM = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"
OTHER = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
ANCHOR = (
    "Program log: AnchorError thrown in programs/zmart-core/src/instructions/approve_proposal.rs:51. "
    "Error Code: InsufficientVotes. Error Number: 6025. Error Message: Insufficient votes to meet threshold."
)


def custom(code: int, index: int = 2) -> dict[str, Any]:
    """Return a transaction's err for a program's number."""
    return {"InstructionError": [index, {"Custom": code}]}


def failed(code: int, program: str = PROGRAM) -> str:
    """Return the runtime's line for it."""
    return f"Program {program} failed: custom program error: {code:#x}"


@pytest.mark.parametrize("refused", idl.load().errors, ids=lambda refused: refused.name)
@pytest.mark.parametrize("logs", [[], [failed(0)]], ids=["silent", "logged"])
def test_every_number_of_the_program_has_its_name(refused: idl.IdlErrorCode, logs: list[str]) -> None:
    """A custom number is decoded as the program's own, with logs or without."""
    logs = [failed(refused.code)] if logs else []
    error = rpc_errors.error_from_transaction(custom(refused.code), logs, program_id=PROGRAM)

    assert isinstance(error, rpc_errors.InstructionRefused)
    assert (error.name, error.code, error.instruction, error.program) == (refused.name, refused.code, 2, PROGRAM)


def test_an_anchor_error_has_its_name_and_message() -> None:
    """The name in the logs is used, with its message."""
    error = rpc_errors.error_from_transaction(custom(6025), [ANCHOR, failed(6025)], program_id=PROGRAM)

    assert str(error) == "InsufficientVotes (6025): Insufficient votes to meet threshold"
    assert isinstance(error, rpc_errors.InstructionRefused)
    assert error.logs == (ANCHOR, failed(6025))


def test_anchor_s_own_errors() -> None:
    """A wrong address fails in Anchor itself, with Anchor's name (protocol.md 1.4)."""
    line = (
        "Program log: AnchorError caused by account: market. Error Code: ConstraintSeeds. "
        "Error Number: 2006. Error Message: A seeds constraint was violated."
    )
    error = rpc_errors.error_from_transaction(custom(2006), [line, failed(2006)], program_id=PROGRAM)

    assert isinstance(error, rpc_errors.InstructionRefused)
    assert (error.name, error.code) == ("ConstraintSeeds", 2006)


def test_another_program_s_number_is_not_ours() -> None:
    """6025 of another program is only a number."""
    error = rpc_errors.error_from_transaction(custom(6025), [failed(6025, OTHER)], program_id=PROGRAM)

    assert isinstance(error, rpc_errors.InstructionRefused)
    assert (error.name, error.program) == ("Custom", OTHER)


@pytest.mark.parametrize("logs", [[], [failed(0, addresses.SYSTEM_PROGRAM), failed(0)]])
def test_an_account_that_exists(logs: list[str]) -> None:
    """A second vote and a taken market id fail inside the System program with 0 (protocol.md 1.4.12)."""
    error = rpc_errors.error_from_transaction(custom(0), logs, program_id=PROGRAM)

    assert isinstance(error, rpc_errors.AccountInUse)
    assert error.program == addresses.SYSTEM_PROGRAM


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        ("AlreadyProcessed", rpc_errors.AlreadyProcessed),
        ("BlockhashNotFound", rpc_errors.BlockhashUnknown),
        ("AccountNotFound", rpc_errors.TransactionError),
        ("AccountInUse", rpc_errors.TransactionError),
        ("InsufficientFundsForFee", rpc_errors.TransactionRefused),
        ({"InsufficientFundsForRent": {"account_index": 1}}, rpc_errors.TransactionRefused),
        ({"InstructionError": [0, "ComputationalBudgetExceeded"]}, rpc_errors.TransactionRefused),
        ({"InstructionError": [0, {"BorshIoError": "x"}]}, rpc_errors.TransactionRefused),
    ],
)
def test_the_chain_s_own_refusals(err: Any, kind: type[errors.ZmartError]) -> None:
    """The class decides whether the same transaction may land later."""
    assert type(rpc_errors.error_from_transaction(err)) is kind


PREFLIGHT = "Transaction simulation failed: "


@pytest.mark.parametrize(
    ("code", "message", "data", "kind"),
    [
        (-32002, f"{PREFLIGHT}Blockhash not found", None, rpc_errors.BlockhashUnknown),
        (-32002, f"{PREFLIGHT}This transaction has already been processed", None, rpc_errors.AlreadyProcessed),
        (-32002, f"{PREFLIGHT}x", {"err": "BlockhashNotFound", "logs": None}, rpc_errors.BlockhashUnknown),
        (-32002, "something else", None, rpc_errors.TransactionRefused),
        (-32002, "something else", [], rpc_errors.TransactionRefused),
        (-32003, "Transaction signature verification failure", None, rpc_errors.BadRequest),
        (-32004, "Block not available for slot 5", None, rpc_errors.NodeBehind),
        (-32005, "Node is unhealthy", None, rpc_errors.NodeBehind),
        (-32005, "Node is behind by 42 slots", {"numSlotsBehind": 42}, rpc_errors.NodeBehind),
        (-32007, "Slot 5 was skipped", None, rpc_errors.SlotSkipped),
        (-32009, "Slot 5 was skipped", None, rpc_errors.SlotSkipped),
        (-32001, "Block 5 cleaned up", None, rpc_errors.HistoryPruned),
        (-32015, "Transaction version (1) is not supported", None, rpc_errors.UnsupportedVersion),
        (-32016, "Minimum context slot has not been reached", {"contextSlot": 4}, rpc_errors.NodeBehind),
        (-32602, "Invalid params", None, rpc_errors.BadRequest),
        (-32601, "Method not found", None, rpc_errors.BadRequest),
        (-32603, "Internal error", None, rpc_errors.NodeFailed),
        (-32429, "rate limited", None, rpc_errors.RateLimited),
        (429, "Too many requests for a specific RPC call", None, rpc_errors.RateLimited),
        (-39999, "?", None, rpc_errors.NodeFailed),
    ],
)
def test_json_rpc_codes(code: int, message: str, data: Any, kind: type[errors.ZmartError]) -> None:
    """Every code has a type, the unknown ones too, with `data` or without."""
    assert type(rpc_errors.error_from_rpc(rpc_errors.JsonRpcError(code, message, data), method="m")) is kind


def test_preflight_without_data_keeps_the_number() -> None:
    """If a node omits `data`, the message still has instruction and number."""
    text = f"{PREFLIGHT}Error processing Instruction 2: custom program error: 0x1789"
    error = rpc_errors.error_from_rpc(
        rpc_errors.JsonRpcError(-32002, text), method="sendTransaction", program_id=PROGRAM
    )

    assert isinstance(error, rpc_errors.InstructionRefused)
    assert (error.name, error.instruction) == ("InsufficientVotes", 2)


def test_a_lagging_node_reports_its_slots_behind() -> None:
    """The number of slots is in the error."""
    error = rpc_errors.error_from_rpc(rpc_errors.JsonRpcError(-32005, "behind", {"numSlotsBehind": 42}), method="m")

    assert isinstance(error, rpc_errors.NodeBehind)
    assert error.slots == 42


@pytest.mark.parametrize(
    ("status", "headers", "error", "kind", "seconds"),
    [
        (429, {"retry-after": "7"}, None, rpc_errors.RateLimited, 7.0),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:01:30 GMT"}, None, rpc_errors.RateLimited, 30.0),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, None, rpc_errors.RateLimited, 0.0),
        (429, {"retry-after": "soon"}, None, rpc_errors.RateLimited, 5.0),
        (429, {"retry-after": "999999"}, None, rpc_errors.RateLimited, 300.0),
        (503, {"retry-after": "3"}, None, rpc_errors.NodeFailed, 3.0),
        (503, {}, None, rpc_errors.NodeFailed, 1.0),
        (401, {}, None, rpc_errors.ApiKeyRejected, None),
        (404, {}, None, rpc_errors.BadRequest, None),
        (400, {}, rpc_errors.JsonRpcError(-32005, "behind"), rpc_errors.NodeBehind, 1.0),
    ],
)
def test_http_statuses(
    status: int,
    headers: dict[str, str],
    error: rpc_errors.JsonRpcError | None,
    kind: type[errors.ZmartError],
    seconds: float | None,
) -> None:
    """A status has a type, and Retry-After is parsed."""
    found = rpc_errors.error_from_http(status, headers, error, method="m", node="n", now=60.0)

    assert type(found) is kind
    assert getattr(found, "retry_after_seconds", None) == seconds


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)


@given(
    words=JSON | st.fixed_dictionaries({}, optional={"code": st.integers() | JSON, "message": JSON, "data": JSON}),
    err=JSON | st.fixed_dictionaries({"InstructionError": st.lists(JSON, max_size=3)}),
    logs=st.lists(st.text(max_size=30) | JSON, max_size=3),
)
def test_any_node_error_becomes_a_zmart_error(words: Any, err: Any, logs: list[Any]) -> None:
    """Parsing an error never raises another."""
    error = rpc_errors.JsonRpcError.of(words)

    assert isinstance(rpc_errors.error_from_rpc(error, method="m"), errors.ZmartError)
    assert isinstance(rpc_errors.error_from_transaction(err, logs), errors.ZmartError)
    with_data = rpc_errors.JsonRpcError(-32002, error.message, {"err": err, "logs": logs})
    assert isinstance(rpc_errors.error_from_rpc(with_data, method="m"), errors.ZmartError)
