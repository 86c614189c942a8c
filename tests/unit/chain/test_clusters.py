"""The cluster of a genesis hash."""

from __future__ import annotations

import pytest

from zmart.chain import client
from zmart.domain import base58


@pytest.mark.parametrize(
    ("genesis_hash", "cluster"),
    [
        # These hashes are in ten public repositories each (wallets, SDKs, an indexer); compare before changing one.
        ("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d", "mainnet"),
        ("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG", "devnet"),
        ("4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY", "testnet"),
    ],
)
def test_the_public_clusters(genesis_hash: str, cluster: str) -> None:
    """Each of the three has its own hash: a testnet node never passes for a private chain."""
    assert client.cluster_by_genesis_hash(genesis_hash) == cluster
    assert len(base58.decode(genesis_hash)) == 32


def test_any_other_hash_is_a_localnet() -> None:
    """No other cluster has a known hash."""
    assert sorted(client.CLUSTER_BY_GENESIS_HASH.values()) == ["devnet", "mainnet", "testnet"]
    assert client.cluster_by_genesis_hash("4uhcVJyU9pJkvQyUS88uRDiswHXSCQY3zQawwTPkNgjn") == "localnet"
