"""The gRPC protocol: stubs equal to their definition, errors as JSON-RPC has them, and nothing that shows a key."""

from __future__ import annotations

from pathlib import Path

import pytest
from grpc_tools import protoc
from solders.transaction_status import InstructionErrorFieldless, TransactionErrorFieldless

from zmart import errors
from zmart.chain.geyser import conversion, transaction_errors
from zmart.chain.geyser.geyser_pb2 import (
    Transaction,
    TransactionError,
    TransactionInfo,
    TransactionMeta,
    TransactionUpdate,
)
from zmart.chain.geyser.stream import GeyserClient

ROOT = Path(__file__).parents[3]
FOLDER = "zmart/chain/geyser"


def test_the_stubs_are_those_of_the_definition(tmp_path: Path) -> None:
    """Made by the pinned grpcio-tools, whose output the pinned protobuf loads."""
    arguments = ["protoc", f"--proto_path={ROOT}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    assert protoc.main([*arguments, f"{ROOT}/{FOLDER}/geyser.proto"]) == 0
    for name in ("geyser_pb2.py", "geyser_pb2.pyi"):
        assert (tmp_path / FOLDER / name).read_text() == (ROOT / FOLDER / name).read_text(), name


def test_the_names_of_errors_are_those_of_solana() -> None:
    """The lists hold every error that solders knows, and those that have fields."""
    with_fields = {"InstructionError", "DuplicateInstruction", *("InsufficientFundsForRent", "Custom")}
    with_fields.add("ProgramExecutionTemporarilyRestricted")
    for listed, known in (
        (transaction_errors.TRANSACTION_ERRORS, TransactionErrorFieldless),
        (transaction_errors.INSTRUCTION_ERRORS, InstructionErrorFieldless),
    ):
        names = {name for name in dir(known) if name[0].isupper()}
        assert set(listed) - with_fields == names
        assert len(set(listed)) == len(listed)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("07000000", "BlockhashNotFound"),
        ("0800000002" + "19000000" + "89170000", {"InstructionError": [2, {"Custom": 6025}]}),
        ("0800000000" + "23000000", {"InstructionError": [0, "InvalidSeeds"]}),
        ("0800000001" + "2c000000", {"InstructionError": [1, "BorshIoError"]}),
        ("0800000001" + "2c000000" + "0200000000000000" + "6f68", {"InstructionError": [1, {"BorshIoError": "oh"}]}),
        ("1e00000005", {"DuplicateInstruction": 5}),
        ("1f00000003", {"InsufficientFundsForRent": {"account_index": 3}}),
        ("2300000003", {"ProgramExecutionTemporarilyRestricted": {"account_index": 3}}),
    ],
)
def test_an_error_in_bincode_is_read_as_json_rpc_has_it(data: str, value: object) -> None:
    """The bytes are written down from the numbers of Agave's enums."""
    assert transaction_errors.decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize("data", ["", "07", "ff000000", "0800000002", "0800000002ff000000", "0700000000"])
def test_unknown_bytes_are_no_error_that_we_guess(data: str) -> None:
    """A newer node's error is fetched by JSON-RPC instead."""
    with pytest.raises(errors.DecodeError):
        transaction_errors.decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    "info",
    [
        TransactionInfo(),
        TransactionInfo(signature=b"1" * 64, transaction=Transaction(signatures=[b"1" * 64])),
        TransactionInfo(signature=b"1" * 64, transaction=Transaction(signatures=[b"2" * 64]), meta=TransactionMeta()),
        TransactionInfo(
            signature=b"1" * 64,
            transaction=Transaction(signatures=[b"1" * 64]),
            meta=TransactionMeta(err=TransactionError(err=b"\xff\0\0\0")),
        ),
    ],
)
def test_an_incomplete_update_is_not_converted(info: TransactionInfo) -> None:
    """Without its results, with another signature, or with an unknown error."""
    with pytest.raises(errors.DecodeError):
        conversion.to_json(TransactionUpdate(slot=1, transaction=info), 5)


async def test_a_client_shows_no_key() -> None:
    """Neither the token nor a key in the address."""
    async with GeyserClient("https://grpc.example.org:443/key-in-path", "a-secret-token") as client:
        assert repr(client) == "GeyserClient(grpc.example.org)"
