"""The client against a node with the responses of real nodes, good and bad."""

from __future__ import annotations

import base64
import logging
import struct
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_node import HANG_UP, SILENCE, ScriptedNode, ScriptedReply, error, result, value

from zmart import errors, settings
from zmart.chain import client, rpc_errors, transactions
from zmart.chain.client import ChainClient, DataSize, DataSlice, Memcmp
from zmart.chain.cluster_facts import ConsensusModel
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient
from zmart.chain.signer import Signer
from zmart.settings import Cluster

PROGRAM = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"
DEVNET = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
MAINNET = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
ALICE = Signer.generate()
BLOCKHASH = "EETubP5AKHgjPAhzPAFcb8BAY1hMH639CWCFTqi3hq1k"
PAUSE = transactions.transaction(
    [transactions.instruction("emergency_pause", PROGRAM, {"admin": ALICE.address})],
    payer=ALICE.address,
    blockhash=BLOCKHASH,
).sign([ALICE])

#: Agave 3.0's response for a transaction that the program rejected, log lines shortened.
REFUSED = {
    "accounts": None,
    "err": {"InstructionError": [0, {"Custom": 6029}]},
    "fee": 5000,
    "innerInstructions": None,
    "loadedAccountsDataSize": 1210,
    "logs": [
        f"Program {PROGRAM} invoke [1]",
        "Program log: Instruction: EmergencyPause",
        "Program log: AnchorError caused by account: admin. Error Code: Unauthorized. Error Number: 6029. "
        "Error Message: Unauthorized.",
        f"Program {PROGRAM} consumed 5120 of 200000 compute units",
        f"Program {PROGRAM} failed: custom program error: 0x178d",
    ],
    "replacementBlockhash": None,
    "returnData": None,
    "unitsConsumed": 5120,
}
REFUSAL = "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x178d"


@pytest.fixture
async def node() -> AsyncIterator[ScriptedNode]:
    """A node."""
    async with ScriptedNode().serving() as node:
        yield node


@pytest.fixture
async def second() -> AsyncIterator[ScriptedNode]:
    """Another one."""
    async with ScriptedNode().serving() as node:
        yield node


@pytest.fixture
async def chain(node: ScriptedNode) -> AsyncIterator[RpcClient]:
    """A client of the first node."""
    async with RpcClient([node.url], program_id=PROGRAM, timeout_seconds=0.5) as chain:
        yield chain


@pytest.fixture
async def both(node: ScriptedNode, second: ScriptedNode) -> AsyncIterator[RpcClient]:
    """A client of both, on one cluster."""
    for each in (node, second):
        each.will("getGenesisHash", result(DEVNET))
    async with RpcClient([node.url, second.url], timeout_seconds=0.5) as chain:
        yield chain


def test_it_is_a_client(chain: RpcClient) -> None:
    """The real client implements the protocol's methods, types included."""
    keeps: ChainClient = chain
    assert keeps.pin_node() is not chain


# Requests and their results


async def test_slots_and_heights(chain: RpcClient, node: ScriptedNode) -> None:
    """The commitment is always sent, the context slot only if requested."""
    node.will("getSlot", result(11))
    node.will("getBlockHeight", result(10))

    assert await chain.slot(commitment="finalized", min_context_slot=9) == 11
    assert await chain.block_height(commitment="processed") == 10
    assert node.asked("getSlot") == [[{"commitment": "finalized", "minContextSlot": 9}]]
    assert node.asked("getBlockHeight") == [[{"commitment": "processed"}]]


async def test_latest_blockhash(chain: RpcClient, node: ScriptedNode) -> None:
    """A blockhash comes with its last valid height."""
    node.will("getLatestBlockhash", value({"blockhash": BLOCKHASH, "lastValidBlockHeight": 160}))
    found = await chain.latest_blockhash(commitment="confirmed")

    assert found == client.Blockhash(value=BLOCKHASH, last_valid_block_height=160, slot=7)  # type: ignore[arg-type]


async def test_sending(chain: RpcClient, node: ScriptedNode) -> None:
    """The node is asked not to rebroadcast; preflight runs unless disabled."""
    node.will("sendTransaction", result(PAUSE.signature))
    checked = await chain.send(PAUSE.raw, preflight_commitment="confirmed")
    unchecked = await chain.send(PAUSE.raw, preflight_commitment="confirmed", skip_preflight=True, min_context_slot=3)

    assert checked == unchecked == PAUSE.signature
    common = {"encoding": "base64", "maxRetries": 0, "preflightCommitment": "confirmed"}
    assert node.asked("sendTransaction") == [
        [PAUSE.base64, {**common, "skipPreflight": False}],
        [PAUSE.base64, {**common, "skipPreflight": True, "minContextSlot": 3}],
    ]


#: A version-1 transaction: the byte 0x81 first, its one signature last (SIMD-0385). The key is used nowhere else.
VERSION_1 = bytes.fromhex(
    "810100010f000000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0103e67eae1b31a8a6763271303"
    "1f59b1c64d34f2c15c460b1ec5c78df5f9f8c0c4a09090909090909090909090909090909090909090909090909090909090909090707"
    "070707070707070707070707070707070707070707070707070707070707e803000000000000400d030000000100020203000001a1b2"
    "c36ced48cfd8511f1660a83ba10f23f784306c48ff8e66b1378d7668e8c1ad31868c770ddc2b445365ae1df1e79a35a6f5d2228e210f"
    "bea96bee482b7c4ff39505"
)
ITS_SIGNATURE = "3BK7RJHLUQb5eqAyjy3crhpdi7MFwgZx7WihqmyuE6dLbvJSYQv1ifn3Ha6hrDB7Am61CzSyM3TZ37y9Vd3H8HeC"


async def test_sending_version_1(chain: RpcClient, node: ScriptedNode) -> None:
    """Its signature is at the end; read from the front, a transaction that lands would be reported as not sent."""
    node.will("sendTransaction", result(ITS_SIGNATURE))
    assert await chain.send(VERSION_1, preflight_commitment="confirmed") == ITS_SIGNATURE


async def test_bytes_that_are_no_transaction_are_not_sent(chain: RpcClient, node: ScriptedNode) -> None:
    """The caller gets the error at once, and no request is sent."""
    with pytest.raises(errors.InvalidInput):
        await chain.send(b"\x81", preflight_commitment="confirmed")
    assert node.requests == []


async def test_a_node_that_names_another_signature(chain: RpcClient, node: ScriptedNode) -> None:
    """The signature is known before sending; another one in the response is an error."""
    node.will("sendTransaction", result("1" * 64))
    with pytest.raises(rpc_errors.InvalidResponse):
        await chain.send(PAUSE.raw, preflight_commitment="confirmed")


@pytest.mark.parametrize("reply", [error(-32002, REFUSAL, REFUSED), error(-32002, REFUSAL)], ids=["data", "no data"])
async def test_a_refused_transaction(chain: RpcClient, node: ScriptedNode, reply: ScriptedReply) -> None:
    """-32002 has the program's name and number, with `data` and without, and the client never panics."""
    node.will("sendTransaction", reply)
    with pytest.raises(rpc_errors.InstructionRefused) as caught:
        await chain.send(PAUSE.raw, preflight_commitment="confirmed")

    assert (caught.value.name, caught.value.code, caught.value.program) == ("Unauthorized", 6029, PROGRAM)


async def test_simulating(chain: RpcClient, node: ScriptedNode) -> None:
    """A failing simulation is a result, not an exception, and contains its error."""
    node.will("simulateTransaction", value(REFUSED), value({"err": None, "logs": None, "unitsConsumed": None}))
    bad = await chain.simulate(PAUSE.raw, commitment="confirmed", replace_blockhash=True)
    good = await chain.simulate(PAUSE.raw, commitment="confirmed", verify_signatures=True)

    assert (bad.slot, bad.units_consumed, bad.logs) == (7, 5120, tuple(REFUSED["logs"]))  # type: ignore[arg-type]
    refused = bad.error(PROGRAM)
    assert isinstance(refused, rpc_errors.InstructionRefused)
    assert refused.name == "Unauthorized"
    assert (good.error(), good.logs, good.units_consumed) == (None, (), 0)
    assert [options["sigVerify"] for _, options in node.asked("simulateTransaction")] == [False, True]


async def test_statuses(chain: RpcClient, node: ScriptedNode) -> None:
    """Each signature has its place; null is unknown, and a failed transaction has landed, too."""
    final = {"slot": 5, "confirmations": None, "err": None, "status": {"Ok": None}, "confirmationStatus": "finalized"}
    young = {"slot": 6, "confirmations": 1, "err": {"InstructionError": [0, {"Custom": 1}]}}
    node.will("getSignatureStatuses", value([final, None, {**young, "confirmationStatus": "confirmed"}]))
    found = await chain.signature_statuses(["a", "b", "c"], search_history=True)
    first, second, third = found.value

    assert second is None
    assert first is not None
    assert third is not None
    assert (first.is_finalized, first.is_confirmed, first.err) == (True, True, None)
    assert (third.is_finalized, third.is_confirmed, third.slot) == (False, True, 6)
    assert node.asked("getSignatureStatuses") == [[["a", "b", "c"], {"searchTransactionHistory": True}]]
    node.will("getSignatureStatuses", value([None]))
    with pytest.raises(rpc_errors.InvalidResponse, match="1 of 2"):
        await chain.signature_statuses(["a", "b"], search_history=False)


async def test_transactions(chain: RpcClient, node: ScriptedNode) -> None:
    """A transaction is returned as the node wrote it; an unknown one is None."""
    words = {"slot": 5, "blockTime": 9, "meta": {"err": None, "logMessages": []}, "transaction": {"signatures": ["a"]}}
    node.will("getTransaction", result(words), result(None))

    assert await chain.transaction("a", commitment="confirmed") == words
    assert await chain.transaction("b", commitment="confirmed") is None
    options = {"encoding": "json", "maxSupportedTransactionVersion": 1, "commitment": "confirmed"}
    assert node.asked("getTransaction") == [["a", options], ["b", options]]


async def test_blocks(chain: RpcClient, node: ScriptedNode) -> None:
    """A block that is not served is None; one that is not reached or no longer stored is an error."""
    block = {"blockhash": BLOCKHASH, "parentSlot": 4, "signatures": ["a", "b"], "blockHeight": 4, "blockTime": 9}
    node.will(
        "getBlock",
        result(block),
        error(-32007, "Slot 6 was skipped, or missing due to ledger jump to recent snapshot"),
        error(-32009, "Slot 7 was skipped, or missing in long-term storage"),
        result(None),
        error(-32004, "Block not available for slot 9"),
        error(-32001, "Block 1 cleaned up, does not exist on node. First available block: 2"),
    )
    found = await chain.block_signatures(5, commitment="finalized")

    ((_, options),) = node.asked("getBlock")
    assert options["maxSupportedTransactionVersion"] == 1
    assert found is not None
    assert (found.signatures, found.parent_slot) == (("a", "b"), 4)
    assert [await chain.block_signatures(slot, commitment="finalized") for slot in (6, 7, 8)] == [None] * 3
    with pytest.raises(rpc_errors.NodeBehind):
        await chain.block_signatures(9, commitment="finalized")
    with pytest.raises(rpc_errors.HistoryPruned):
        await chain.block_signatures(1, commitment="finalized")


def _signatures(*slots: int) -> list[dict[str, Any]]:
    more = {"blockTime": 9, "confirmationStatus": "finalized", "err": None, "memo": None}
    return [{"signature": f"s{slot}", "slot": slot, **more} for slot in slots]


async def test_a_history_page_by_page(chain: RpcClient, node: ScriptedNode) -> None:
    """Each page begins where the last ended; a short one is not the end, an empty one is."""
    node.will("getSignaturesForAddress", result(_signatures(9, 8)), result(_signatures(7)), result([]))
    walk = client.iterate_history(chain, PROGRAM, commitment="finalized", until="s1", page=2, min_context_slot=9)
    pages = [[info.slot for info in page] async for page in walk]

    assert pages == [[9, 8], [7]]
    common = {"commitment": "finalized", "minContextSlot": 9, "limit": 2, "until": "s1"}
    befores = [options.pop("before", None) for _, options in node.asked("getSignaturesForAddress")]
    assert befores == [None, "s8", "s7"]
    assert all(params == [PROGRAM, common] for params in node.asked("getSignaturesForAddress"))


def _account(data: bytes, owner: str = PROGRAM) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    rent_epoch = 18446744073709551615
    return {"data": [text, "base64"], "executable": False, "lamports": 5, "owner": owner, "rentEpoch": rent_epoch}


async def test_accounts(chain: RpcClient, node: ScriptedNode) -> None:
    """Accounts have the order of the request, with None for missing ones."""
    node.will("getAccountInfo", value(_account(b"ab")), value(None))
    node.will("getMultipleAccounts", value([None, _account(b"c")]))
    one = await chain.account("a", commitment="confirmed", data_slice=DataSlice(1, 2))
    none = await chain.account("b", commitment="confirmed")
    two = await chain.accounts(["a", "b"], commitment="finalized", min_context_slot=3)

    assert one.value is not None
    assert (one.slot, one.value.data, one.value.lamports, one.value.owner) == (7, b"ab", 5, PROGRAM)
    assert none.value is None
    assert [found and (found.address, found.data) for found in two.value] == [None, ("b", b"c")]
    sliced = {"commitment": "confirmed", "encoding": "base64", "dataSlice": {"offset": 1, "length": 2}}
    assert node.asked("getAccountInfo")[0] == ["a", sliced]


async def test_program_accounts(chain: RpcClient, node: ScriptedNode) -> None:
    """Filters and slice are sent; the slot of the response is returned."""
    node.will("getProgramAccounts", value([{"pubkey": "a", "account": _account(b"")}]))
    found = await chain.program_accounts(
        PROGRAM, commitment="confirmed", filters=[DataSize(83), Memcmp(8, b"\1\2")], data_slice=DataSlice(0, 0)
    )

    assert [(account.address, account.data) for account in found.value] == [("a", b"")]
    ((_, options),) = node.asked("getProgramAccounts")
    assert options["filters"] == [{"dataSize": 83}, {"memcmp": {"offset": 8, "bytes": "AQI=", "encoding": "base64"}}]
    assert (options["withContext"], options["dataSlice"]) == (True, {"offset": 0, "length": 0})


async def test_fees_times_and_the_clock(chain: RpcClient, node: ScriptedNode) -> None:
    """The clock is the sysvar that programs read; a slot without a block has no time."""
    node.will("getRecentPrioritizationFees", result([{"slot": 5, "prioritizationFee": 12}]))
    node.will("getBlockTime", result(1_700_000_000), error(-32007, "Slot 5 was skipped"), result(None))
    clock = struct.pack("<QqQQq", 6, 1, 2, 3, 1_700_000_009)
    node.will("getAccountInfo", value(_account(clock, "Sysvar1111111111111111111111111111111111111")))

    assert [fee.prioritization_fee for fee in await chain.recent_priority_fees(["a"])] == [12]
    assert [await chain.block_time(5) for _ in range(3)] == [1_700_000_000, None, None]
    assert await chain.clock(commitment="confirmed") == client.ChainClock(slot=6, unix_timestamp=1_700_000_009)  # type: ignore[arg-type]


async def test_an_estimate_of_the_priority_fee(chain: RpcClient, node: ScriptedNode) -> None:
    """All levels at once; a node without the method keeps its place, and the caller learns that it is unavailable."""
    levels = {"min": 0.0, "low": 2, "medium": 10.5, "high": 100, "veryHigh": 1_000, "unsafeMax": 10_000}
    node.will("getPriorityFeeEstimate", result({"priorityFeeLevels": levels}), error(-32601, "Method not found"))

    found = await chain.priority_fee_levels(["a", "b"])
    assert (found.low, found.medium, found.very_high, found.unsafe_max) == (2.0, 10.5, 1_000.0, 10_000.0)
    request = {"accountKeys": ["a", "b"], "options": {"includeAllPriorityFeeLevels": True}}
    assert node.asked("getPriorityFeeEstimate") == [[request]]
    with pytest.raises(rpc_errors.MethodUnavailable):
        await chain.priority_fee_levels(["a"])


@pytest.mark.parametrize("name", ["signature_statuses", "accounts", "recent_priority_fees", "priority_fee_levels"])
async def test_more_than_a_node_takes(chain: RpcClient, node: ScriptedNode, name: str) -> None:
    """A list that is too long is rejected before it is sent."""
    more: dict[str, dict[str, Any]] = {
        "signature_statuses": {"search_history": False},
        "accounts": {"commitment": "confirmed"},
    }
    with pytest.raises(errors.InvalidInput, match="takes at most"):
        await getattr(chain, name)(["a"] * 257, **more.get(name, {}))
    assert node.requests == []


# Errors


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(-32005, "Node is unhealthy"), rpc_errors.NodeBehind),
        (error(-32005, "Node is behind by 42 slots", {"numSlotsBehind": 42}), rpc_errors.NodeBehind),
        (error(-32016, "Minimum context slot has not been reached", {"contextSlot": 1}), rpc_errors.NodeBehind),
        (error(-39999, "from another world"), rpc_errors.NodeFailed),
        (error(429, "Too many requests for a specific RPC call", status=429), rpc_errors.RateLimited),
        (
            ScriptedReply(body=b'{"jsonrpc":"2.0","error":{"code":-32429,"message":"rate limited"}}'),
            rpc_errors.RateLimited,
        ),
        (ScriptedReply(body=b"slow down", status=429, headers={"retry-after": "9"}), rpc_errors.RateLimited),
        (ScriptedReply(body=b"<html>busy</html>", status=503), rpc_errors.NodeFailed),
        (ScriptedReply(body=b"", status=504), rpc_errors.NodeFailed),
        (ScriptedReply(body=b"who are you", status=401), rpc_errors.ApiKeyRejected),
        (ScriptedReply(body=b"nothing here", status=404), rpc_errors.MethodUnavailable),
        (error(-32601, "Method not found"), rpc_errors.MethodUnavailable),
        (error(-32602, "Invalid param: WrongSize", status=400), rpc_errors.BadRequest),
        (error(-32602, "Invalid param: WrongSize"), rpc_errors.BadRequest),
        (ScriptedReply(body=b"<html>welcome</html>"), rpc_errors.InvalidResponse),
        (ScriptedReply(body=b""), rpc_errors.InvalidResponse),
        (ScriptedReply(body=b"\xff\xfe"), rpc_errors.InvalidResponse),
        (ScriptedReply(body=b"[" * 100_000), rpc_errors.InvalidResponse),
        (ScriptedReply(body=b'{"jsonrpc":"2.0","id":1}'), rpc_errors.InvalidResponse),
        (ScriptedReply(body=b'{"jsonrpc":"2.0","id":1,"result":"soon"}'), rpc_errors.InvalidResponse),
        (ScriptedReply(body=b'{"jsonrpc":"2.0","id":1,"result":null}'), rpc_errors.InvalidResponse),
        (ScriptedReply(body=b'{"jsonrpc":"2.0","id":1,"error":"odd"}'), rpc_errors.NodeFailed),
        (HANG_UP, rpc_errors.Unreachable),
        (SILENCE, rpc_errors.TimedOut),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
async def test_every_node_failure_has_an_error_type(
    chain: RpcClient, node: ScriptedNode, reply: ScriptedReply, kind: type[errors.ZmartError]
) -> None:
    """Any response of a node results in one error of ours, which shows nothing of the URL but the host."""
    node.will("getSlot", reply)
    with pytest.raises(errors.ZmartError) as caught:
        await chain.slot(commitment="confirmed")

    assert type(caught.value) is kind
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret-path" not in shown
    assert "secret-key" not in shown


async def test_a_node_that_is_not_there() -> None:
    """A refused connection is a temporary error."""
    async with RpcClient(["http://127.0.0.1:1/"]) as chain:
        with pytest.raises(rpc_errors.Unreachable) as caught:
            await chain.slot(commitment="confirmed")
    assert str(caught.value).startswith("127.0.0.1:1 cannot be reached (")
    assert str(caught.value).endswith(" Check that the node runs and that SOLANA_RPC_URL has its address.")


async def test_when_to_come_again(chain: RpcClient, node: ScriptedNode) -> None:
    """Retry-After is in the error."""
    node.will("getSlot", ScriptedReply(body=b"", status=429, headers={"Retry-After": "9"}))
    with pytest.raises(rpc_errors.RateLimited) as caught:
        await chain.slot(commitment="confirmed")
    assert caught.value.retry_after_seconds == 9


async def test_no_url_in_the_log(chain: RpcClient, node: ScriptedNode, caplog: pytest.LogCaptureFixture) -> None:
    """A request logs no line with a key in it, at any log level."""
    node.will("getSlot", result(1))
    with caplog.at_level(logging.INFO):
        await chain.slot(commitment="confirmed")
    assert "secret" not in caplog.text
    assert "secret" not in repr(chain)


async def test_a_budget_of_requests(node: ScriptedNode) -> None:
    """A pacer limits the requests, and further ones are rejected without sending."""
    node.will("getSlot", result(1))
    async with RpcClient([node.url], pacer=RequestPacer(per_second=1e6, total=2)) as chain:
        for _ in range(2):
            await chain.slot(commitment="confirmed")
        with pytest.raises(errors.Overloaded):
            await chain.slot(commitment="confirmed")
    assert len(node.requests) == 2


# Several nodes


@pytest.mark.parametrize(
    "failure",
    [
        ScriptedReply(body=b"", status=503),
        error(-32005, "behind"),
        ScriptedReply(body=b"", status=403),
        HANG_UP,
        SILENCE,
    ],
)
async def test_the_next_node_answers(
    both: RpcClient, node: ScriptedNode, second: ScriptedNode, failure: ScriptedReply
) -> None:
    """A call that fails goes to the next node, and the failing node is not used for a while."""
    node.will("getSlot", failure)
    second.will("getSlot", result(5))

    assert [await both.slot(commitment="confirmed") for _ in range(3)] == [5, 5, 5]
    assert len(node.asked("getSlot")) in (1, 2)  # a broken connection is retried once
    assert len(second.asked("getSlot")) == 3


@pytest.mark.parametrize("refusal", [error(-32601, "Method not found"), ScriptedReply(body=b"", status=404)])
async def test_a_node_without_one_method_stays_the_first_for_the_others(
    both: RpcClient, node: ScriptedNode, second: ScriptedNode, refusal: ScriptedReply
) -> None:
    """The second node answers what the first, or its provider's filter, refuses; all other calls go to the first."""
    node.will("getBlockHeight", refusal)
    second.will("getBlockHeight", result(7))
    node.will("getSlot", result(5))

    assert await both.block_height(commitment="confirmed") == 7
    assert await both.slot(commitment="confirmed") == 5
    assert second.asked("getSlot") == []


async def test_a_refusal_is_final(both: RpcClient, node: ScriptedNode, second: ScriptedNode) -> None:
    """A rejection that any node would give is not repeated on another."""
    node.will("sendTransaction", error(-32002, REFUSAL, REFUSED))
    with pytest.raises(rpc_errors.InstructionRefused):
        await both.send(PAUSE.raw, preflight_commitment="confirmed")
    assert second.requests == []


async def test_preferred_nodes_error_is_raised_when_all_fail(
    both: RpcClient, node: ScriptedNode, second: ScriptedNode
) -> None:
    """The reported error is that of the preferred node; the next call tries it again."""
    node.will("getSlot", error(-32005, "Node is behind by 42 slots", {"numSlotsBehind": 42}), result(8))
    second.will("getSlot", ScriptedReply(body=b"", status=429, headers={"retry-after": "60"}))
    with pytest.raises(rpc_errors.NodeBehind):
        await both.slot(commitment="confirmed")
    assert await both.slot(commitment="confirmed") == 8


async def test_one_walk_is_one_node(both: RpcClient, node: ScriptedNode, second: ScriptedNode) -> None:
    """A history that breaks off is not continued on another node, whose end may differ."""
    node.will("getSignaturesForAddress", result(_signatures(9, 8)), ScriptedReply(body=b"", status=503))
    second.will("getSignaturesForAddress", result(_signatures(5)), result([]))
    walk = client.iterate_history(both, PROGRAM, commitment="finalized")
    seen = [info.slot for info in await anext(walk)]
    with pytest.raises(rpc_errors.NodeFailed):
        await anext(walk)
    again = [info.slot async for page in client.iterate_history(both, PROGRAM, commitment="finalized") for info in page]

    assert (seen, again) == ([9, 8], [5])


async def test_nodes_of_two_clusters(node: ScriptedNode, second: ScriptedNode) -> None:
    """A second node on another cluster is rejected before any other request."""
    node.will("getGenesisHash", result(DEVNET))
    node.will("getSlot", ScriptedReply(body=b"", status=503))
    second.will("getGenesisHash", result(MAINNET))
    async with RpcClient([node.url, second.url]) as chain:
        with pytest.raises(errors.ConfigurationError, match=r"is on devnet, .* on mainnet"):
            await chain.slot(commitment="confirmed")
    assert second.asked() == ["getGenesisHash"]


@pytest.mark.parametrize(
    ("genesis_hash", "cluster"),
    [
        (MAINNET, "mainnet"),
        (DEVNET, "devnet"),
        ("4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY", "testnet"),
        (BLOCKHASH, "localnet"),
    ],
)
@pytest.mark.parametrize("wanted", list(Cluster))
async def test_the_guard(
    chain: RpcClient, node: ScriptedNode, genesis_hash: str, cluster: str, wanted: Cluster
) -> None:
    """The genesis hash decides the cluster; another than the configured one is rejected, and both are named."""
    node.will("getGenesisHash", result(genesis_hash))
    if cluster == wanted.value:
        assert await client.verify_cluster(chain, wanted) == genesis_hash
        return
    with pytest.raises(errors.ConfigurationError, match=f"is {wanted.value}, but the node is on {cluster} "):
        await client.verify_cluster(chain, wanted)


async def test_the_guard_waits_for_an_answer(chain: RpcClient, node: ScriptedNode) -> None:
    """A node that does not answer proves nothing: a temporary error, not a wrong configuration."""
    node.will("getGenesisHash", ScriptedReply(body=b"", status=503))
    with pytest.raises(errors.Transient):
        await client.verify_cluster(chain, Cluster.DEVNET)


def test_the_configured_nodes() -> None:
    """Helius is the second node of a configured cluster, and not of the development chain."""
    helius = {"HELIUS_RPC_URL": "https://rpc.example.net/?api-key=k"}
    yours = settings.load({**helius, "SOLANA_RPC_URL": "https://node.example.org"}).chain

    assert repr(RpcClient.of(yours)) == "RpcClient(node.example.org, rpc.example.net)"
    assert repr(RpcClient.of(settings.load(helius).chain)) == "RpcClient(127.0.0.1:8899)"
    with pytest.raises(errors.InvalidInput, match="at least one node"):
        RpcClient([])


# What a cluster is

#: A node's answer once the cluster runs Alpenglow, shortened.
CERTIFICATE = result({"block": {"slot": 459_652_999, "blockId": [7] * 32}, "signature": {"bitmap": [1]}})


@pytest.fixture
def genesis() -> str:
    """The hash of a cluster that no other test has seen."""
    return Signer.generate().address


@pytest.mark.parametrize(
    ("reply", "model", "commitment"),
    [
        (CERTIFICATE, ConsensusModel.ALPENGLOW, "finalized"),
        (result(None), ConsensusModel.TOWER, "confirmed"),
        (error(-32601, "Method not found"), ConsensusModel.UNKNOWN, "confirmed"),
        (ScriptedReply(body=b"", status=404), ConsensusModel.UNKNOWN, "confirmed"),
        (ScriptedReply(body=b"", status=403), ConsensusModel.UNKNOWN, "confirmed"),
        (ScriptedReply(body=b"", status=429), ConsensusModel.UNKNOWN, "confirmed"),
        (result({"certificate": "of another form"}), ConsensusModel.UNKNOWN, "confirmed"),
        (HANG_UP, ConsensusModel.UNKNOWN, "confirmed"),
        (SILENCE, ConsensusModel.UNKNOWN, "confirmed"),
    ],
)
async def test_the_certificate_decides_on_the_consensus(
    both: RpcClient,
    node: ScriptedNode,
    second: ScriptedNode,
    genesis: str,
    reply: ScriptedReply,
    model: ConsensusModel,
    commitment: str,
) -> None:
    """Only a certificate means "moved", and only null means "not moved"; the first node keeps its place in any case."""
    for each in (node, second):
        each.will("getGenesisHash", result(genesis))
        each.will("getAgGenesisCert", reply)
    first = repr(both.pin_node())

    assert await both.consensus() is model
    assert await both.read_commitment() == commitment
    assert await both.pin_node().consensus() is model
    assert len(node.asked("getAgGenesisCert")) in (1, 2)  # a broken connection is tried twice
    assert repr(both.pin_node()) == first


async def test_a_moved_cluster_stays_moved(chain: RpcClient, node: ScriptedNode, genesis: str) -> None:
    """The certificate is asked for once for a genesis hash, also by another client of this process."""
    node.will("getGenesisHash", result(genesis))
    node.will("getAgGenesisCert", CERTIFICATE, error(-32601, "Method not found"))

    assert await chain.consensus() is ConsensusModel.ALPENGLOW
    async with RpcClient([node.url]) as other:
        assert await other.consensus() is ConsensusModel.ALPENGLOW
    assert len(node.asked("getAgGenesisCert")) == 1


def sample(slots: int, seconds: int = 60) -> dict[str, Any]:
    """A period, as a node counted it."""
    return {"slot": 9, "numSlots": slots, "samplePeriodSecs": seconds, "numTransactions": 1}


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [
        (result([sample(300), sample(300)]), 0.2),
        (result([sample(150), sample(0)]), 0.4),
        (result([]), 0.25),
        (result([sample(0)]), 0.25),
        (result([sample(1)]), 0.2),
        (error(-32601, "Method not found"), 0.25),
        (ScriptedReply(body=b"", status=403), 0.25),
    ],
)
async def test_the_slot_length_is_measured(
    both: RpcClient, node: ScriptedNode, second: ScriptedNode, samples: ScriptedReply, seconds: float
) -> None:
    """By performance samples, else by two finalized block times; an impossible length is not used."""
    for each in (node, second):
        each.will("getRecentPerformanceSamples", samples)
    node.will("getSlot", result(13_000))
    node.will("getBlockTime", result(1_000_750), result(1_000_000))
    first = repr(both.pin_node())

    assert await both.slot_seconds() == seconds
    assert await both.slot_seconds() == seconds
    assert len(node.asked("getRecentPerformanceSamples")) == 1
    assert repr(both.pin_node()) == first


async def test_without_any_measure_a_slot_is_taken_for_short(chain: RpcClient, node: ScriptedNode) -> None:
    """A blockhash then seems to expire early rather than late."""
    for method in ("getRecentPerformanceSamples", "getSlot"):
        node.will(method, ScriptedReply(body=b"", status=503))
    assert await chain.slot_seconds() == 0.2
