"""`zmart key` and `zmart demo-wallets`: secrets stay in their files, lamports stay on a localnet."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from devchain import testing
from devchain.testing import DevchainNode
from zmart import cli, settings
from zmart.chain import client


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory for the test alone."""
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv(settings.RUN_VARIABLE, "test")
    return tmp_path


@pytest.fixture
async def node(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DevchainNode]:
    """A development chain that the command is configured for."""
    async with testing.serve(home / "chain") as node:
        monkeypatch.setenv("SOLANA_RPC_URL", node.url)
        monkeypatch.setenv("SOLANA_CLUSTER", "localnet")
        yield node


async def zmart(*arguments: str) -> Result:
    """Run the command beside the chain, which is in this loop."""
    return await asyncio.to_thread(CliRunner().invoke, cli.main, list(arguments))


async def test_a_key_goes_into_its_file_and_nowhere_else(home: Path) -> None:
    """Mode 0600; the output is the address, at creation and on request."""
    file = home / "keys" / "backend.json"

    made = await zmart("key", "new", str(file))
    shown = await zmart("key", "show", str(file))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.output == shown.output
    assert 33 <= len(made.output) <= 45
    secret = bytes(json.loads(file.read_text()))
    assert secret[:32].hex() not in made.output


async def test_a_key_is_never_written_over(home: Path) -> None:
    """Funds of an overwritten key would be lost."""
    file = home / "key.json"
    await zmart("key", "new", str(file))
    before = file.read_bytes()

    again = await zmart("key", "new", str(file))

    assert again.exit_code == 1
    assert "never overwritten" in again.output
    assert file.read_bytes() == before


async def test_a_key_that_others_can_read_is_not_shown(home: Path) -> None:
    """The message has the alternative."""
    file = home / "key.json"
    await zmart("key", "new", str(file))
    file.chmod(0o644)

    shown = await zmart("key", "show", str(file))

    assert shown.exit_code == 2
    assert "chmod 600" in shown.output


async def test_lamports_arrive_on_a_localnet(node: DevchainNode, home: Path) -> None:
    """For an address, or for the key in a file."""
    file = home / "key.json"
    address = (await zmart("key", "new", str(file))).output.strip()

    first = await zmart("key", "airdrop", str(file), "--sol", "1.5")
    second = await zmart("key", "airdrop", address, "--sol", "0.5")

    assert (first.output, second.output) == (f"{address} holds 1.5 SOL\n", f"{address} holds 2 SOL\n")
    assert (await zmart("key", "airdrop", "nobody")).exit_code == 2
    assert (await zmart("key", "airdrop", address, "--sol", "0.0000000001")).exit_code == 2


async def test_demo_wallets_are_the_same_the_second_time(node: DevchainNode, home: Path) -> None:
    """Created once, filled up to the amount, never beyond it."""
    first = await zmart("demo-wallets", "--count", "2", "--sol", "3")
    second = await zmart("demo-wallets", "--count", "2", "--sol", "3")

    assert first.exit_code == 0, first.output
    assert first.output == second.output
    assert first.output.count(" 3 SOL ") == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in (home / "state" / "wallets").iterdir()} == {0o600}


@pytest.mark.parametrize(
    "command", [["key", "airdrop", "So11111111111111111111111111111111111111112"], ["demo-wallets"]]
)
async def test_nothing_is_given_where_lamports_are_worth_something(
    node: DevchainNode, home: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """The genesis hash decides, for any SOLANA_CLUSTER; no key is created either."""
    monkeypatch.setattr(client, "CLUSTER_BY_GENESIS_HASH", {node.ledger.genesis.hash: "mainnet"})

    refused = await zmart(*command)

    assert refused.exit_code == 2
    assert "The node is on mainnet" in refused.output
    assert not (home / "state" / "wallets").exists()
