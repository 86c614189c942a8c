"""Every error of a node for every call of a keeper's round: nothing is sent twice, and the next round goes on."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import Any

import pytest
from keeper_stack import DISPUTE_PERIOD, QUICK, KeeperStack

from orchestration.keepers import intent_store
from zmart import errors
from zmart.chain.rpc import RpcClient

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(300, func_only=True)]

CALLS = (
    *("getGenesisHash", "getAccountInfo", "getMultipleAccounts", "getBlockTime"),
    *("getRecentPrioritizationFees", "getLatestBlockhash", "simulateTransaction", "sendTransaction"),
    *("getSignatureStatuses", "getBlockHeight"),
)
#: One of each class of zmart.chain.rpc_errors, and answers that are none.
CODES = (-32001, -32002, -32004, -32007, -32015, -32020, -32429, -32601, -32602, -32603)
FAULTS: dict[str, dict[str, Any]] = {
    **{str(code): {"error": {"code": code, "message": "played by a test"}} for code in CODES},
    **{f"HTTP {status}": {"status": status} for status in (403, 503)},
    "null": {"result": None},
    "text": {"result": "something else"},
    "silence": {"delay_seconds": 3.0},
}
#: Waits only long enough to see that nothing lands.
BRIEF = replace(QUICK, wait_seconds=0.3, resend_seconds=0.1)


@pytest.mark.parametrize("method", CALLS)
async def test_no_error_of_a_node_sends_twice_or_stops_a_keeper(
    stack: KeeperStack, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A market is due in each round, while one call fails in one way: it is finalized by at most one transaction. When
    the call works again, the next round completes it without an operator."""
    monkeypatch.setattr(intent_store, "MAX_ATTEMPTS", 1_000)
    for number, (name, words) in enumerate(FAULTS.items(), start=1):
        market = stack.open(number)
        stack.resolve(market)
        stack.pass_time(DISPUTE_PERIOD)
        await stack.sync_log()
        await stack.node.call("devchain_fault", {"method": method, "count": 10**6, **words})
        with monkeypatch.context() as hasty:
            if name == "silence":
                hasty.setattr(RpcClient, "of", functools.partial(RpcClient.of, timeout_seconds=1.0))
            with contextlib.suppress(errors.ZmartError):
                await stack.run_keepers("market_finalizations", timing=BRIEF)
        assert len(stack.landed_signatures(market, "finalize_market")) <= 1, name

        await stack.node.call("devchain_clear")
        await stack.run_keepers("market_finalizations")
        await stack.sync_log()
        await stack.sweep()
        assert stack.state(market) == "FINALIZED", name
        assert len(stack.landed_signatures(market, "finalize_market")) == 1, name
        states = {state for _, state, _ in stack.intents()}
        assert states <= {"done", "refused"}, (name, stack.intents())
