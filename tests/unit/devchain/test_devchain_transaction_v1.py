"""Transactions of version 1: their bytes, limits, JSON and fees."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV1
from solders.message import TransactionConfig as SoldersTransactionConfig
from solders.pubkey import Pubkey
from solders.rpc.responses import GetTransactionResp
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from devchain import accounts, arguments, delivery, views, wire
from devchain.admission import TransactionRejected
from devchain.blocks import Block, Genesis, LandedTransaction
from devchain.ledger import Ledger
from devchain.rpc_errors import RpcError
from devchain.runtime import TransactionConfig
from devchain.wire import SigningKey
from zmart import errors
from zmart.domain import base58
from zmart.domain.ids import Address

PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
NOW = 1_762_600_000
SOL = 1_000_000_000
VECTOR = json.loads((Path(__file__).parents[2] / "data" / "transaction_v1.json").read_text())
RAW = bytes.fromhex("".join(VECTOR["parts_hex"].values()))
#: Enough for a transfer, with a priority fee in lamports.
CONFIG = TransactionConfig(priority_fee_lamports=1_000, unit_limit=10_000, loaded_data_limit=65_536)


@pytest.fixture
def chain() -> Ledger:
    """A new chain in memory."""
    return Ledger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID)


@pytest.fixture
def alice(chain: Ledger) -> SigningKey:
    """A wallet with 10 SOL."""
    signer = chain.genesis.signer("alice")
    chain.airdrop(signer.address, 10 * SOL)
    return signer


def payment(chain: Ledger, signer: SigningKey) -> Instruction:
    """A transfer of one lamport to the faucet."""
    params = TransferParams(from_pubkey=signer.pubkey, to_pubkey=chain.faucet.pubkey, lamports=1)
    return transfer(params)


def send(chain: Ledger, signer: SigningKey, *instructions: Instruction, config: Any = CONFIG) -> LandedTransaction:
    """Land a transaction of version 1."""
    built = instructions or (payment(chain, signer),)
    return chain.submit(wire.sign_transaction_v1(built, [signer], chain.blockhash, config))


def replaced(part: str, value: bytes) -> bytes:
    """The vector with another value of one part."""
    return b"".join(value if name == part else bytes.fromhex(text) for name, text in VECTOR["parts_hex"].items())


def test_the_vector_parses_to_its_fields() -> None:
    """Accounts, instruction, configuration and signature, which is at the end of the bytes."""
    transaction = wire.parse(RAW)
    assert transaction.version == 1
    assert transaction.keys == (VECTOR["payer"], VECTOR["writable"], VECTOR["program"])
    assert transaction.header == (1, 0, 1)
    assert [transaction.is_writable(index) for index in range(3)] == [True, True, False]
    assert transaction.config == TransactionConfig(
        VECTOR["priority_fee_lamports"], VECTOR["unit_limit"], VECTOR["loaded_data_limit"], None
    )
    assert transaction.blockhash == base58.encode(bytes.fromhex(VECTOR["blockhash_hex"]))
    (instruction,) = transaction.instructions
    assert (instruction.program_index, instruction.account_indices.hex()) == (2, "0001")
    assert instruction.data.hex() == VECTOR["data_hex"]
    assert transaction.signature == VECTOR["signature"] == base58.encode(RAW[-64:])
    assert wire.has_valid_signatures(RAW)


def test_signing_gives_the_vectors_bytes() -> None:
    """The wire form is the vector, byte for byte, and its message is everything before the signature."""
    key = SigningKey.of(Keypair.from_seed(hashlib.sha256(VECTOR["payer_seed_text"].encode()).digest()))
    writable = AccountMeta(Pubkey.from_string(VECTOR["writable"]), False, True)
    program = Pubkey.from_string(VECTOR["program"])
    instruction = Instruction(
        program, bytes.fromhex(VECTOR["data_hex"]), [AccountMeta(key.pubkey, True, True), writable]
    )
    config = TransactionConfig(VECTOR["priority_fee_lamports"], VECTOR["unit_limit"], VECTOR["loaded_data_limit"])
    blockhash = Hash(bytes.fromhex(VECTOR["blockhash_hex"]))
    assert wire.sign_transaction_v1([instruction], [key], blockhash, config).raw == RAW
    message = arguments.read_message(base64.b64encode(RAW[:-64]).decode())
    assert isinstance(message, MessageV1)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(replaced("mask", bytes([1, 0, 0, 0])), id="half a fee"),
        pytest.param(replaced("mask", bytes([0x20, 0, 0, 0])), id="unknown bit"),
        pytest.param(RAW + b"\0", id="a byte too many"),
        pytest.param(RAW[:-1], id="a byte too few"),
        pytest.param(RAW.replace(bytes([9]) * 32, bytes([7]) * 32), id="an address twice"),
        pytest.param(replaced("instruction_header", bytes([3, 2, 3, 0])), id="program out of range"),
    ],
)
def test_malformed_bytes_are_rejected(raw: bytes) -> None:
    """Each derived vector raises DecodeError."""
    with pytest.raises(errors.DecodeError):
        wire.parse(raw)


def test_a_configuration_without_values_is_valid() -> None:
    """Mask 0 has no values; both limits are then 0."""
    parts = {**VECTOR["parts_hex"], "mask": "00000000", "config_values": ""}
    assert wire.parse(bytes.fromhex("".join(parts.values()))).config == TransactionConfig()


def wide(*, addresses: int = 2, instructions: int = 1, signers: int = 1, data_bytes: int = 0) -> bytes:
    """The bytes of a transaction with these counts; its signatures are not valid."""
    keys = [Keypair() for _ in range(signers)]
    metas = [AccountMeta(key.pubkey(), True, True) for key in keys]
    metas += [AccountMeta(Pubkey.new_unique(), False, True) for _ in range(addresses - signers - 1)]
    program = Pubkey.new_unique()
    built = [Instruction(program, bytes([index]), metas) for index in range(instructions - 1)]
    built.append(Instruction(program, bytes(data_bytes), metas))
    message = MessageV1.try_compile(keys[0].pubkey(), built, Hash.default(), SoldersTransactionConfig())
    return bytes(VersionedTransaction.populate(message, [key.sign_message(b"") for key in keys]))


@pytest.mark.parametrize(("name", "most"), [("addresses", 64), ("signers", 12), ("instructions", 64)])
def test_counts_have_limits(name: str, most: int) -> None:
    """64 addresses, 12 signatures and 64 instructions parse; one more does not."""
    counts: dict[str, Any] = {"addresses": 20} if name == "signers" else {}
    wire.parse(wide(**{**counts, name: most}))
    with pytest.raises(errors.DecodeError):
        wire.parse(wide(**{**counts, name: most + 1}))


def test_sizes_have_limits_by_version_and_encoding() -> None:
    """4,096 bytes in base64 for version 1; 1,232 in base58 and for the other versions."""
    overhead = len(wide())
    largest = wide(data_bytes=4_096 - overhead)
    assert len(arguments.read_transaction(base64.b64encode(largest).decode(), {"encoding": "base64"}).raw) == 4_096
    too_large = wide(data_bytes=4_097 - overhead)
    with pytest.raises(RpcError, match=r"4097 bytes \(max: encoded/raw 5464/4096\)"):
        arguments.read_transaction(base64.b64encode(too_large).decode(), {"encoding": "base64"})
    with pytest.raises(RpcError, match=r"4096 bytes \(max: encoded/raw 1683/1232\)"):
        arguments.read_transaction(base58.encode(largest), {"encoding": "base58"})
    with pytest.raises(RpcError, match=r"1233 bytes \(max: encoded/raw 1644/1232\)"):
        arguments.read_transaction(base64.b64encode(bytes([1]) * 1_233).decode(), {"encoding": "base64"})


def test_json_has_the_configuration_and_no_lookup_tables(chain: Ledger, alice: SigningKey) -> None:
    """Every encoding, as solders reads it, and the webhook item."""
    landed = send(chain, alice)
    options = {"maxSupportedTransactionVersion": 1}
    for encoding in ("json", "jsonParsed", "base64"):
        fields = views.transaction_json(landed, {**options, "encoding": encoding})
        assert fields["version"] == 1
        reply = {"jsonrpc": "2.0", "id": 1, "result": {"slot": 1, "blockTime": 1, **fields}}
        assert isinstance(GetTransactionResp.from_json(json.dumps(reply)), GetTransactionResp)
        if encoding != "base64":
            message = fields["transaction"]["message"]
            assert message["transactionConfig"] == {
                "priorityFee": 1_000,
                "computeUnitLimit": 10_000,
                "loadedAccountsDataSizeLimit": 65_536,
                "heapSize": None,
            }
            assert "addressTableLookups" not in message
    item = delivery.webhook_item(landed)
    assert item["version"] == 1
    assert item["transaction"]["message"]["transactionConfig"]["priorityFee"] == 1_000


@pytest.mark.parametrize("ceiling", [None, 0])
def test_a_client_without_version_1_gets_an_error(chain: Ledger, alice: SigningKey, ceiling: int | None) -> None:
    """The text names the parameter; `full` and `accounts` refuse the block, `signatures` and `none` do not."""
    landed = send(chain, alice)
    block = chain.open
    options: dict[str, Any] = {} if ceiling is None else {"maxSupportedTransactionVersion": ceiling}
    with pytest.raises(RpcError) as refused:
        views.transaction_json(landed, options)
    assert refused.value.json() == {
        "code": -32015,
        "message": "Transaction version (1) is not supported by the requesting client. Please try the request again "
        'with the following configuration parameter: "maxSupportedTransactionVersion": 1',
    }
    for details in ("full", "accounts"):
        assert _block_error(block, {**options, "transactionDetails": details}) == -32015
    for details in ("signatures", "none"):
        views.transactions_json(block, {**options, "transactionDetails": details})


def _block_error(block: Block, options: dict[str, Any]) -> int:
    with pytest.raises(RpcError) as refused:
        views.transactions_json(block, options)
    return refused.value.code


def test_a_newer_client_gets_version_1(chain: Ledger, alice: SigningKey) -> None:
    """The maximum is a ceiling of one byte."""
    landed = send(chain, alice)
    assert views.transaction_json(landed, {"maxSupportedTransactionVersion": 255})["version"] == 1
    listed = views.transactions_json(
        chain.open, {"maxSupportedTransactionVersion": 1, "transactionDetails": "accounts"}
    )
    assert [one["version"] for one in listed["transactions"]] == ["legacy", 1]
    with pytest.raises(RpcError, match="expected u8"):
        views.transaction_json(landed, {"maxSupportedTransactionVersion": 256})


def test_the_priority_fee_is_in_lamports(chain: Ledger, alice: SigningKey) -> None:
    """The fee is 5,000 lamports for each signature and what the configuration states, whatever the limit is."""
    landed = send(chain, alice)
    assert (landed.err, landed.fee_lamports) == (None, 6_000)


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (CONFIG._replace(unit_limit=None), {"InstructionError": [0, "ComputationalBudgetExceeded"]}),
        (CONFIG._replace(loaded_data_limit=None), "MaxLoadedAccountsDataSizeExceeded"),
        (CONFIG._replace(loaded_data_limit=3 * 64 - 1), "MaxLoadedAccountsDataSizeExceeded"),
        (CONFIG._replace(loaded_data_limit=3 * 64), None),
    ],
)
def test_absent_limits_fail_and_pay(chain: Ledger, alice: SigningKey, config: TransactionConfig, error: Any) -> None:
    """Nothing is inherited from version 0: without units or loaded data a transaction fails, and pays its fee."""
    before = chain.accounts[alice.address].lamports
    landed = send(chain, alice, config=config)
    assert (landed.err, landed.fee_lamports) == (error, 6_000)
    assert before - chain.accounts[alice.address].lamports == 6_000 + (error is None)


def test_compute_budget_instructions_set_nothing(chain: Ledger, alice: SigningKey) -> None:
    """Even malformed ones run as no-ops, which cost their units."""
    malformed = Instruction(Pubkey.from_string(accounts.COMPUTE_BUDGET_PROGRAM), b"\xff", [])
    landed = send(chain, alice, malformed, payment(chain, alice))
    assert (landed.err, landed.fee_lamports, landed.units_consumed) == (None, 6_000, 300)
    with pytest.raises(TransactionRejected):
        chain.send([malformed, payment(chain, alice)], [alice])
