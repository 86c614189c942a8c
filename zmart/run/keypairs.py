"""Creates key files, returns their addresses, and requests airdrops on a localnet.

A secret key goes from the random source into a file of mode 0600 and is printed nowhere. An existing file is never
overwritten, because everything that its key controls would be lost. An airdrop is requested only after the node's
genesis hash has shown that it belongs to none of the public clusters.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from zmart import errors
from zmart.chain import client, signer
from zmart.chain.rpc import RpcClient
from zmart.domain import ids
from zmart.domain.ids import Address
from zmart.settings import ChainSettings

LAMPORTS_PER_SOL: Final = 1_000_000_000
#: How long lamports may take to arrive.
LANDS_WITHIN_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2


class WalletFile(NamedTuple):
    """A key file, its address, and its balance in lamports."""

    path: Path
    address: Address
    lamports: int


def create_key(path: Path) -> Address:
    """Create a key in a new file of mode 0600; raise Conflict where the file exists."""
    key = signer.Signer.generate()
    key.save(path)
    return key.address


def address_of_key(path: Path) -> Address:
    """Return the address of the key in a file.

    Raise ConfigurationError where others can read the file, or where it contains no key.
    """
    return signer.load(path).address


def resolve_address(text: str) -> Address:
    """Return the address in a text that is an address or names a key file; raise InvalidInput for neither."""
    try:
        return ids.parse_address(text)
    except errors.InvalidInput:
        if (path := Path(text).expanduser()).exists():
            return address_of_key(path)
    raise errors.InvalidInput(f"{text!r} is neither an address nor a key file.", help="Create one: zmart key new FILE")


async def airdrop(chain: ChainSettings, address: Address, lamports: int) -> int:
    """Request an airdrop, wait until it has arrived, and return the balance in lamports.

    Raise ConfigurationError unless the node is of a localnet, and Unavailable where nothing arrives.
    """
    async with RpcClient.of(chain) as node:
        await require_localnet(node)
        return await _airdrop(node, address, lamports)


async def demo_wallets(chain: ChainSettings, folder: Path, count: int, lamports: int) -> AsyncIterator[WalletFile]:
    """Yield `count` wallets of a folder, created where missing and filled up to `lamports`; raise as `airdrop` does."""
    async with RpcClient.of(chain) as node:
        await require_localnet(node)
        for number in range(1, count + 1):
            path = folder / f"demo-{number}.json"
            address = address_of_key(path) if path.exists() else create_key(path)
            balance = await _balance(node, address)
            if balance < lamports:
                balance = await _airdrop(node, address, lamports - balance)
            yield WalletFile(path, address, balance)


async def require_localnet(node: client.ChainClient) -> None:
    """Raise ConfigurationError where the genesis hash is that of a public cluster, whatever is configured."""
    cluster = client.CLUSTER_BY_GENESIS_HASH.get(await node.genesis_hash())
    if cluster is not None:
        raise errors.ConfigurationError(
            f"The node is on {cluster}; airdrops are for development chains only.",
            help="Unset SOLANA_RPC_URL to use the development chain, or name a local validator.",
        )


async def _airdrop(node: RpcClient, address: Address, lamports: int) -> int:
    if lamports < 1:
        raise errors.InvalidInput("An airdrop must be at least one lamport.")
    signature = await node.request_airdrop(address, lamports, commitment="confirmed")
    try:
        async with asyncio.timeout(LANDS_WITHIN_SECONDS):
            await _wait_until_confirmed(node, signature)
    except TimeoutError:
        raise errors.Unavailable(
            f"The lamports have not arrived within {LANDS_WITHIN_SECONDS:g} s.",
            help="Check that the chain produces blocks.",
        ) from None
    return await _balance(node, address)


async def _wait_until_confirmed(node: client.ChainClient, signature: str) -> None:
    while True:
        (status,) = (await node.signature_statuses([signature], search_history=False)).value
        if status is not None and status.is_confirmed:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _balance(node: client.ChainClient, address: Address) -> int:
    found = (await node.account(address, commitment="confirmed")).value
    return 0 if found is None else found.lamports
