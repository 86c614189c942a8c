"""Checks that the nodes of one client are of the same cluster."""

from __future__ import annotations

from zmart import errors

from . import client
from .node import RpcNode


class ClusterGuard:
    """Checks that all nodes of one client are of the same cluster."""

    def __init__(self, *, is_enabled: bool) -> None:
        self._is_enabled = is_enabled
        self._first: RpcNode | None = None

    async def check(self, node: RpcNode) -> None:
        """Raise ConfigurationError where the node is of another cluster than the first node that was called."""
        if not self._is_enabled or node is self._first:
            return
        if node.genesis_hash is None:
            node.genesis_hash = await node.call("getGenesisHash", [], str)
        self._first = self._first or node
        if node.genesis_hash != self._first.genesis_hash:
            ours, theirs = (
                client.cluster_by_genesis_hash(str(self._first.genesis_hash)),
                client.cluster_by_genesis_hash(node.genesis_hash),
            )
            raise errors.ConfigurationError(
                f"{self._first.name} is on {ours}, {node.name} on {theirs} (genesis hash {node.genesis_hash}).",
                help="Set SOLANA_RPC_URL and HELIUS_RPC_URL to nodes of one cluster.",
            )
