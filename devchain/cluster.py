"""Describes the cluster that a chain plays: consensus, slot length, node version, rent.

The defaults are those of mainnet at the end of 2026. Other values play an earlier cluster or an older node, so that a
client can be tested against both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

from .accounts import Rent

#: `tower` finalizes a block 32 slots later, `alpenglow` at once. `unknown` is like `tower`, but its node does not know
#: the method that names the consensus.
Consensus: TypeAlias = Literal["tower", "alpenglow", "unknown"]
CONSENSUS_NAMES: Final[tuple[Consensus, ...]] = get_args(Consensus)
#: Major, minor and patch number.
NodeVersion: TypeAlias = tuple[int, int, int]
#: Slots by which the confirmed slot is behind the open one; the finalized slot by consensus.
CONFIRMED_DEPTH: Final = 1
FINALIZED_DEPTH_TOWER: Final = 32
FINALIZED_DEPTH_ALPENGLOW: Final = CONFIRMED_DEPTH


@dataclass(frozen=True, kw_only=True)
class ClusterProfile:
    """The behaviour of a cluster and of its node."""

    consensus: Consensus = "alpenglow"
    #: Nominal length of a slot.
    slot_seconds: float = 0.2
    node_version: NodeVersion = (4, 3, 0)
    #: Whether the node returns `transactionIndex`, as far as its version knows it.
    has_transaction_index: bool = True
    rent: Rent = field(default_factory=Rent)
    #: Whether the node serves getTransactionsForAddress, as some providers do and Agave does not.
    lists_bodies: bool = False
    #: How many slots back that method reaches; None reaches the beginning.
    body_window_slots: int | None = None
    #: Whether a transaction whose payer cannot pay may land without running (SIMD-0290).
    relaxes_fee_payer: bool = False

    @property
    def is_alpenglow(self) -> bool:
        """Return whether the cluster runs Alpenglow."""
        return self.consensus == "alpenglow"

    @property
    def finalized_depth(self) -> int:
        """Return the slots by which the finalized slot is behind the open one."""
        return FINALIZED_DEPTH_ALPENGLOW if self.is_alpenglow else FINALIZED_DEPTH_TOWER

    @property
    def version_text(self) -> str:
        """Return the node's version."""
        return ".".join(str(number) for number in self.node_version)

    @property
    def knows_certificate(self) -> bool:
        """Return whether the node knows `getAgGenesisCert`, which Agave 4.3 introduced."""
        return self.node_version >= (4, 3) and self.consensus != "unknown"

    @property
    def returns_transaction_index(self) -> bool:
        """Return whether the node returns `transactionIndex`, which Agave 4.0 introduced."""
        return self.node_version >= (4, 0) and self.has_transaction_index

    @property
    def rejects_unknown_filters(self) -> bool:
        """Return whether `before` and `until` of an unknown signature are errors, as since Agave 4.0."""
        return self.node_version >= (4, 0)

    @property
    def simulates_invalid_signatures(self) -> bool:
        """Return whether an invalid signature is a result of the simulation, as since Agave 3.1."""
        return self.node_version >= (3, 1)

    def genesis_certificate(self, genesis_hash: str) -> dict[str, Any] | None:
        """Return the certificate of the first Alpenglow block, or None under Tower. It never changes."""
        if not self.is_alpenglow:
            return None
        block_id = hashlib.sha256(f"alpenglow {genesis_hash}".encode()).digest()
        signature = hashlib.shake_256(block_id).digest(192)
        return {
            "block": {"slot": 0, "blockId": list(block_id)},
            "signature": {"signature": list(signature), "bitmap": [1]},
        }


#: The consensus and the slots of mainnet until 2026, with the node and the rent of today.
TOWER: Final = ClusterProfile(consensus="tower", slot_seconds=0.4)
