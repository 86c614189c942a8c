"""The RPC with a frontend's libraries: @coral-xyz/anchor over @solana/web3.js, in Node."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from devchain import testing

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("anchor_client.mjs")
IDL = ROOT / "zmart" / "chain" / "idl" / "zmart_core.json"


async def run(node: testing.DevchainNode, packages: Path) -> dict[str, Any]:
    """The output of the script."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(SCRIPT),
        node.url,
        node.ws_url,
        str(IDL),
        cwd=packages,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        output, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return dict(orjson.loads(output))


async def test_anchor_trades_subscribes_and_reads_a_market(tmp_path: Path, packages: Path) -> None:
    """Airdrop, confirmation, instructions, events, typed errors, accounts and simulation."""
    async with testing.serve(tmp_path) as node:
        seen = await run(node, packages)
    assert seen["event"]["shares"] == "1835823062"
    assert seen["event"]["cost"] == "999928380"
    assert seen["event"]["signature"] == seen["signature"]
    assert seen["refused"] == "TradeTooSmall"
    assert seen["sharesYes"] == "1935823062"
    assert seen["state"] == ["active"]
    assert seen["positions"] == 1
    assert seen["logged"] == 1
    assert seen["simulated"] == ["sharesBought"]
