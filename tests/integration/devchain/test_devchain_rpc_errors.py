"""The RPC byte by byte: a node's errors, and faults on request."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from solders.hash import Hash
from solders.instruction import CompiledInstruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from websockets.asyncio.client import connect

from devchain import testing, views, wire
from devchain.blocks import LandedTransaction
from devchain.cluster import TOWER
from devchain.rpc_errors import RpcError
from devchain.service import Options
from devchain.testing import DevchainNode
from devchain.wire import SigningKey
from zmart.chain import client

SOL = 1_000_000_000


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[DevchainNode]:
    """A chain whose slots pass only when the test advances it."""
    async with testing.serve(tmp_path, Options(traders=False, pace=20.0, cluster=TOWER)) as served:
        served.chain.is_frozen = True
        yield served


async def post(node: DevchainNode, body: bytes) -> Any:
    """Return the response to raw bytes."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(node.url, content=body)).json()


def rich(node: DevchainNode) -> SigningKey:
    """A funded key."""
    signer = node.ledger.genesis.signer("somebody")
    node.ledger.airdrop(signer.address, SOL)
    return signer


def payment(node: DevchainNode, signer: SigningKey, blockhash: Hash | None = None) -> wire.WireTransaction:
    """A signed transfer."""
    params = TransferParams(
        from_pubkey=signer.pubkey,
        to_pubkey=Pubkey.from_string(node.ledger.faucet.address),
        lamports=1,
    )
    return wire.sign_transaction([transfer(params)], [signer], blockhash or node.ledger.blockhash)


async def test_a_message_that_contradicts_itself_has_no_fee(node: DevchainNode) -> None:
    """Invalid params, like a validator, if a call refers to accounts that are not there; the connection stays open."""
    key = rich(node).pubkey
    call = CompiledInstruction(program_id_index=9, data=b"", accounts=b"")
    message = Message.new_with_compiled_instructions(1, 0, 0, [key], node.ledger.blockhash, [call])
    options = {"commitment": "processed"}

    answer = await node.call("getFeeForMessage", base64.b64encode(bytes(message)).decode(), options)

    assert answer["error"]["code"] == -32602
    assert "invalid transaction message" in answer["error"]["message"]


def encoded(transaction: wire.WireTransaction) -> str:
    """In base64."""
    return base64.b64encode(transaction.raw).decode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b"3", -32600),
        (b'{"id":1,"method":"getSlot"}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"getNothing"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance"}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance","params":{"a":1}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance","params":["x"]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance","params":[7]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[{"commitment":"max"}]}', -32602),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[{"minContextSlot":99999}]}',
            -32016,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBlock","params":[99999]}', -32004),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBlocks","params":["a"]}', -32602),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"getSignaturesForAddress",'
            b'"params":["11111111111111111111111111111111",{"limit":1001}]}',
            -32602,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"sendTransaction","params":["!!"]}', -32602),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"sendTransaction","params":["AAAA",{"encoding":"base64"}]}',
            -32602,
        ),
    ],
)
async def test_malformed_calls_get_a_nodes_codes(node: DevchainNode, body: bytes, code: int) -> None:
    """Each kind of invalid request has its number, and the server continues."""
    answer = await post(node, body)
    assert answer["error"]["code"] == code
    assert (await node.call("getHealth"))["result"] == "ok"


async def test_a_batch_is_answered_in_order(node: DevchainNode) -> None:
    """Every request of an array, by its id."""
    calls = [{"jsonrpc": "2.0", "id": n, "method": "getHealth"} for n in range(3)]
    assert [each["id"] for each in await post(node, orjson.dumps(calls))] == [0, 1, 2]


async def test_notifications_get_no_answer(node: DevchainNode) -> None:
    """A request without an id is neither run nor answered, alone, in a batch and on a socket; a null id is an id."""
    slot = b'{"jsonrpc":"2.0","method":"getSlot"}'
    airdrop = orjson.dumps({"jsonrpc": "2.0", "method": "requestAirdrop", "params": [node.ledger.faucet.address, SOL]})
    async with httpx.AsyncClient(trust_env=False) as client:
        for body in (slot, airdrop, b"[" + slot + b"," + airdrop + b"]"):
            answer = await client.post(node.url, content=body)
            assert (answer.status_code, answer.content) == (200, b"")
    named = b'{"jsonrpc":"2.0","id":7,"method":"getSlot"}'
    assert [one["id"] for one in await post(node, b"[" + slot + b"," + named + b"]")] == [7]
    assert (await post(node, b'{"jsonrpc":"2.0","id":null,"method":"getSlot"}'))["id"] is None
    assert node.ledger.open.transactions == []
    async with connect(node.ws_url, proxy=None) as socket:
        await socket.send('{"jsonrpc":"2.0","method":"slotSubscribe"}')
        await socket.send('{"jsonrpc":"2.0","id":9,"method":"slotSubscribe"}')
        assert orjson.loads(await socket.recv())["id"] == 9


async def test_the_time_of_a_processed_slot_is_known(node: DevchainNode) -> None:
    """getBlockTime answers for the open slot and for unconfirmed ones, whose blocks are not available yet."""
    await advanced(node, 3)
    chain = node.ledger
    assert chain.slot > chain.confirmed_slot
    assert (await node.call("getBlockTime", chain.slot))["result"] == chain.open.time
    assert (await node.call("getBlock", chain.slot, {"commitment": "confirmed"}))["error"]["code"] == -32004
    confirmed = chain.blocks[chain.confirmed_slot]
    assert (await node.call("getBlockTime", confirmed.slot))["result"] == confirmed.time
    assert (await node.call("getBlockTime", chain.slot + 1))["error"]["code"] == -32004


async def test_a_program_account_is_that_of_a_deployed_program(node: DevchainNode) -> None:
    """36 bytes that refer to the account with the bytecode, rent-exempt, executable, owned by the loader."""
    options = {"encoding": "base64", "commitment": "processed"}
    found = (await node.call("getAccountInfo", testing.PROGRAM_ID, options))["result"]["value"]
    assert (found["space"], found["lamports"], found["executable"]) == (36, 833_120, True)
    data = base64.b64decode(found["data"][0])
    assert data[:4] == b"\2\0\0\0"
    bytecode = str(Pubkey.from_bytes(data[4:]))
    referred = (await node.call("getAccountInfo", bytecode, options))["result"]["value"]
    assert referred["owner"] == found["owner"] == "BPFLoaderUpgradeab1e11111111111111111111111"
    assert (referred["executable"], referred["space"]) == (False, 45)


async def test_a_refusal_carries_its_data(node: DevchainNode) -> None:
    """-32002 has err, logs and units, because some clients panic without them."""
    signer = rich(node)
    dead = payment(node, signer, Hash.default())
    answer = await node.call("sendTransaction", encoded(dead), {"encoding": "base64"})
    assert answer["error"]["code"] == -32002
    assert answer["error"]["data"]["err"] == "BlockhashNotFound"
    assert answer["error"]["data"]["logs"] == []


async def test_a_forged_signature_is_refused(node: DevchainNode) -> None:
    """-32002 with preflight; without it the signature is returned and the transaction never lands."""
    signer, other = rich(node), node.ledger.genesis.signer("other")
    forged = bytearray(payment(node, signer).raw)
    forged[1:65] = bytes(other.key.sign_message(b"something else"))
    text = base64.b64encode(bytes(forged)).decode()
    answer = await node.call("sendTransaction", text, {"encoding": "base64"})
    assert answer["error"]["code"] == -32002
    assert answer["error"]["data"]["err"] == "SignatureFailure"
    options = {"encoding": "base64", "skipPreflight": True}
    sent = (await node.call("sendTransaction", text, options))["result"]
    status = await node.call("getSignatureStatuses", [sent])
    assert status["result"]["value"] == [None]


async def test_the_same_transaction_again_is_already_processed(node: DevchainNode) -> None:
    """Preflight reports it, and not as a new failure."""
    transaction = payment(node, rich(node))
    first = await node.call("sendTransaction", encoded(transaction), {"encoding": "base64"})
    assert first["result"] == transaction.signature
    again = await node.call("sendTransaction", encoded(transaction), {"encoding": "base64"})
    assert again["error"]["code"] == -32002
    assert again["error"]["data"]["err"] == "AlreadyProcessed"


async def test_versions_are_spoken_of_only_when_asked(node: DevchainNode) -> None:
    """A versioned transaction is -32015 for a client that supports none, and one above the maximum for any."""
    from solders.message import MessageV0
    from solders.transaction import VersionedTransaction

    signer = rich(node)
    params = TransferParams(from_pubkey=signer.pubkey, to_pubkey=signer.pubkey, lamports=1)
    message = MessageV0.try_compile(signer.pubkey, [transfer(params)], [], node.ledger.blockhash)
    landed = node.ledger.submit(wire.from_solders(VersionedTransaction(message, [signer.key])))
    await advanced(node, 3)
    options: dict[str, Any] = {"commitment": "confirmed"}
    refused = await node.call("getTransaction", landed.signature, options)
    assert refused["error"]["code"] == -32015
    block = await node.call("getBlock", landed.slot, options)
    assert block["error"]["code"] == -32015
    for ceiling in (0, client.MAX_TRANSACTION_VERSION):
        asked = options | {"maxSupportedTransactionVersion": ceiling}
        found = await node.call("getTransaction", landed.signature, asked)
        assert found["result"]["version"] == 0
    newer = replace(landed, transaction=replace(landed.transaction, version=client.MAX_TRANSACTION_VERSION + 1))
    with pytest.raises(RpcError) as above:
        views.transaction_json(newer, {"maxSupportedTransactionVersion": client.MAX_TRANSACTION_VERSION})
    assert above.value.code == -32015


async def advanced(node: DevchainNode, blocks: int) -> None:
    """Close this number of blocks."""
    await node.call("devchain_advance", blocks)


async def landed(node: DevchainNode) -> LandedTransaction:
    """A transfer in the open block."""
    return node.ledger.submit(payment(node, rich(node)))


async def test_a_skipped_slot_is_32007(node: DevchainNode) -> None:
    """getBlocks skips it."""
    node.ledger.advance(0, skipped_slots=1)
    skipped = node.ledger.slot - 1
    await advanced(node, 40)
    assert (await node.call("getBlock", skipped))["error"]["code"] == -32007
    slots = (await node.call("getBlocks", skipped - 1, skipped + 1))["result"]
    assert slots == [skipped - 1, skipped + 1]


async def test_block_has_the_requested_detail(node: DevchainNode) -> None:
    """Signatures alone, everything, or no transactions."""
    transfer_landed = await landed(node)
    await advanced(node, 40)
    signatures = await node.call(
        "getBlock", transfer_landed.slot, {"transactionDetails": "signatures", "rewards": False}
    )
    assert signatures["result"]["signatures"][-1] == transfer_landed.signature
    assert "rewards" not in signatures["result"]
    full = (await node.call("getBlock", transfer_landed.slot))["result"]
    assert full["transactions"][-1]["transaction"]["signatures"] == [transfer_landed.signature]
    none = await node.call("getBlock", transfer_landed.slot, {"transactionDetails": "none"})
    assert "transactions" not in none["result"]


async def test_commitments_see_different_balances(node: DevchainNode) -> None:
    """Processed at once, confirmed a block later, finalized after thirty-two."""
    signer = rich(node)

    async def seen() -> list[int]:
        return [
            (await node.call("getBalance", signer.address, {"commitment": commitment}))["result"]["value"]
            for commitment in ("processed", "confirmed", "finalized")
        ]

    assert await seen() == [SOL, 0, 0]
    await advanced(node, 1)
    assert await seen() == [SOL, SOL, 0]
    await advanced(node, 33)
    assert await seen() == [SOL, SOL, SOL]


async def test_a_fork_takes_transactions_back(node: DevchainNode) -> None:
    """The signatures are returned, then unknown, even to a search of history."""
    gone = await landed(node)
    await advanced(node, 2)
    assert (await node.call("devchain_fork", 3))["result"].count(gone.signature) == 1
    options = {"searchTransactionHistory": True}
    status = await node.call("getSignatureStatuses", [gone.signature], options)
    assert status["result"]["value"] == [None]


async def test_node_behind_reports_slots_behind(node: DevchainNode) -> None:
    """-32005 with the number of slots, and older slots."""
    await advanced(node, 50)
    before = (await node.call("getSlot"))["result"]
    await node.call("devchain_behind", 10)
    assert (await node.call("getHealth"))["error"]["data"] == {"numSlotsBehind": 10}
    assert (await node.call("getSlot"))["result"] == before - 10
    await node.call("devchain_clear")
    assert (await node.call("getHealth"))["result"] == "ok"


async def test_faults_befall_as_many_calls_as_asked(node: DevchainNode) -> None:
    """A status, an error of any code, a null result; then normal responses."""
    await node.call("devchain_fault", {"method": "getSlot", "status": 429, "retry_after_seconds": 3})
    body = b'{"jsonrpc":"2.0","id":1,"method":"getSlot"}'
    async with httpx.AsyncClient(trust_env=False) as client:
        limited = await client.post(node.url, content=body)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    error = {"code": -32002, "message": "without data"}
    await node.call("devchain_fault", {"method": "getSlot", "error": error, "count": 2})
    assert [(await node.call("getSlot"))["error"] for _ in range(2)] == [error, error]
    await node.call("devchain_fault", {"method": "*", "result": None})
    assert (await node.call("getBalance", "nonsense"))["result"] is None
    assert (await node.call("getSlot"))["result"] >= 0


async def test_a_transaction_can_land_unheard(node: DevchainNode) -> None:
    """The client gets an error, but the ledger contains it: so a second one must not be signed at once."""
    transaction = payment(node, rich(node))
    error = {"code": -32603, "message": "gateway lost the answer"}
    fault = {"method": "sendTransaction", "error": error, "lets_through": True}
    await node.call("devchain_fault", fault)
    answer = await node.call("sendTransaction", encoded(transaction), {"encoding": "base64"})
    assert answer["error"] == error
    (status,) = (await node.call("getSignatureStatuses", [transaction.signature]))["result"]["value"]
    assert status["err"] is None


async def test_administration_writes_accounts_and_time(node: DevchainNode) -> None:
    """A created account, and a clock that is moved."""
    address = node.ledger.genesis.signer("nobody").address
    words = {"lamports": 5, "data": base64.b64encode(b"bytes").decode()}
    await node.call("devchain_account", address, words)
    found = await node.call("getAccountInfo", address, {"encoding": "base64", "commitment": "processed"})
    assert found["result"]["value"]["data"] == [words["data"], "base64"]
    before = (await node.call("devchain_status"))["result"]["unixTimestamp"]
    await node.call("devchain_warp", 3_600)
    await advanced(node, 1)
    assert (await node.call("devchain_status"))["result"]["unixTimestamp"] >= before + 3_600


async def test_the_socket_answers_nonsense_and_unsubscribes(node: DevchainNode) -> None:
    """Errors by number; a slot subscription that ends on unsubscribe."""
    async with connect(node.ws_url, proxy=None) as socket:
        expected = [(b"{", -32700), (b"3", -32600)]
        expected += [(b'{"jsonrpc":"2.0","id":1,"method":"fooSubscribe"}', -32601)]
        for body, code in expected:
            await socket.send(body.decode())
            assert orjson.loads(await socket.recv())["error"]["code"] == code
        await socket.send('{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}')
        identity = orjson.loads(await socket.recv())["result"]
        await advanced(node, 1)
        notification = orjson.loads(await socket.recv())
        assert (notification["method"], notification["params"]["subscription"]) == ("slotNotification", identity)
        words = {"jsonrpc": "2.0", "id": 2, "method": "slotUnsubscribe", "params": [identity]}
        await socket.send(orjson.dumps(words).decode())
        assert orjson.loads(await socket.recv())["result"] is True
