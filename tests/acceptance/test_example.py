"""The documented examples run as they are, and the marts equal the chain's accounts."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import accounts
import httpx
import psycopg
import pytest
from stack import Stack, eventually, open_stack

from zmart.chain import client, idl, rpc

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.slow]

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "lifecycle.mjs"
PROGRAM_ID = idl.load().address
#: The final events of the log; a transaction without its place in the block may still be folded before its neighbours.
STORED = "select signature from raw.transactions where retracted_at is null and order_settled"
#: Every event of an undisputed market, and the number of times the example causes it.
STEPS = {
    "MarketCreated": 1,
    "ProposalVoteSubmitted": 4,
    "ProposalAggregated": 1,
    "ProposalApproved": 1,
    "MarketActivated": 1,
    "SharesBought": 3,
    "MarketResolved": 1,
    "MarketFinalized": 1,
    "WinningsClaimed": 1,
    "LiquidityWithdrawn": 1,
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A running stack with traders, for all tests here."""
    with open_stack() as home:
        home.start()
        yield home


@pytest.fixture
def stillness(stack: Stack) -> Iterator[None]:
    """While it is open no slot passes; the last block before it is confirmed."""
    call_rpc(stack, "devchain_freeze", True)
    call_rpc(stack, "devchain_advance", 1)
    yield
    call_rpc(stack, "devchain_freeze", False)


@pytest.fixture
def busy(stack: Stack) -> None:
    """Return when the chain's history and some trades after it were delivered."""
    before = stack.acknowledged_signatures()
    slot = call_rpc(stack, "getSlot")
    eventually(lambda: call_rpc(stack, "getSlot") > slot + 10 and len(stack.acknowledged_signatures() - before) > 10)


def call_rpc(stack: Stack, method: str, *params: Any) -> Any:
    """Return the result of a call of the development chain."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(stack.rpc, json=request, timeout=30).raise_for_status().json()["result"]


async def fetch_accounts(url: str) -> tuple[accounts.ProgramAccounts, set[str]]:
    """Return the program's accounts and the signatures of all its successful transactions, once confirmed."""
    async with rpc.RpcClient([url], timeout_seconds=30) as chain:
        pages = client.iterate_history(chain, PROGRAM_ID, commitment="confirmed")
        signatures = {info.signature async for page in pages for info in page if info.err is None}
        found = await chain.program_accounts(PROGRAM_ID, commitment="confirmed")
    return accounts.decode_accounts(found.value), signatures


def test_the_example_runs_a_market_from_creation_to_payout(stack: Stack, packages: Path) -> None:
    """Anchor sends every step, the stream delivers each once, and REST and the account agree at the end."""
    done = subprocess.run(
        ["node", str(SCRIPT)],
        cwd=packages,
        env=stack.environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert Counter(re.findall(r"^  #\d+ (\w+)", done.stdout, flags=re.MULTILINE)) == STEPS
    assert done.stdout.splitlines()[-1] == "15 steps heard; 16 fields agree: FINALIZED, YES"


def test_a_market_runs_from_creation_to_claim_through_the_api_alone(stack: Stack) -> None:
    """Sign in, create, vote, trade, comment, resolve and claim; the wallet receives the amount that the API reports."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT.with_name("act.py"))],
        env=stack.environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"claimed \d+ lamports; the market is FINALIZED", done.stdout.splitlines()[-1])


@pytest.mark.usefixtures("busy", "stillness")
def test_the_marts_equal_the_program_accounts(stack: Stack) -> None:
    """getProgramAccounts, decoded, equals markets, positions, ballots and configuration, field by field."""
    on_chain, signatures = asyncio.run(fetch_accounts(stack.rpc))
    assert len(on_chain["markets"]) > 10
    assert len(on_chain["positions"]) > 100
    assert len({account["state"] for account in on_chain["markets"].values()}) > 3

    with psycopg.connect(stack.dsn(), autocommit=True) as connection:
        eventually(lambda: signatures <= {signature for (signature,) in connection.execute(STORED)})
        assert accounts.differences(connection, on_chain) == []
