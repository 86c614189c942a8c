"""Caches what a client has learned about its cluster: the consensus that it runs, and the length of a slot.

Since Alpenglow a block is final about 150 ms after it was made, and `confirmed` means the same as `finalized`. A
cluster has moved when a node returns the certificate of Alpenglow's genesis block (`getAgGenesisCert`); dates and slot
numbers prove nothing. The certificate cannot change, so "moved" is cached for ever for its genesis hash. Everything
else is asked again after a while.

    object                          alpenglow: the cluster has moved
    null                            tower: a node that knows the method, of a cluster that has not moved
    -32601, HTTP 404, 403, 429 ...  unknown: an older node or a provider's filter; treated like tower, which is right
                                    on both

A slot takes 0.2 to 0.4 s, depending on cluster and date. It is measured, never assumed: from the node's performance
samples, else from the times of two finalized blocks.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec


class ConsensusModel(enum.StrEnum):
    """The consensus that a cluster runs."""

    ALPENGLOW = "alpenglow"
    TOWER = "tower"
    UNKNOWN = "unknown"


#: How long an answer other than "moved", and a measured slot length, are used.
RECHECK_SECONDS: Final = 600.0
#: How long "unknown" and a slot length that could not be measured are used: the node may only have been away.
RETRY_SECONDS: Final = 60.0
#: Used until a slot length is measured: mainnet's since October 2026, and the shortest of all clusters. A blockhash
#: then seems to expire early rather than late.
DEFAULT_SLOT_SECONDS: Final = 0.2
#: A measured length outside of these is an error of the measurement.
SHORTEST_SLOT_SECONDS: Final = 0.05
LONGEST_SLOT_SECONDS: Final = 2.0
#: How many slots apart the two blocks are whose times are compared: at least ten minutes of slots of 0.2 s, because
#: block times are whole seconds.
MEASURED_SLOTS: Final = 3_000
#: Blocks for which a blockhash is valid (solana.md 4).
BLOCKHASH_BLOCKS: Final = 150

#: Genesis hashes of clusters that have moved, for the whole process.
moved_clusters: set[str] = set()


class PerformanceSample(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The number of slots in a period, as the node counted them."""

    num_slots: int
    sample_period_secs: int


class ClusterFacts:
    """The known facts about one cluster, with the time until which they are used."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.consensus = ConsensusModel.UNKNOWN
        self.slot_seconds = DEFAULT_SLOT_SECONDS
        self._consensus_until = self._slot_until = float("-inf")

    @property
    def is_consensus_due(self) -> bool:
        """Whether the consensus should be asked for again."""
        return self.consensus is not ConsensusModel.ALPENGLOW and self._clock() >= self._consensus_until

    @property
    def is_slot_length_due(self) -> bool:
        """Whether the length of a slot should be measured again."""
        return self._clock() >= self._slot_until

    def record_consensus(self, found: ConsensusModel, *, genesis_hash: str | None) -> None:
        """Record an answer; "unknown" does not replace an earlier answer."""
        seconds = RETRY_SECONDS if found is ConsensusModel.UNKNOWN else RECHECK_SECONDS
        self._consensus_until = self._clock() + seconds
        if found is not ConsensusModel.UNKNOWN:
            self.consensus = found
        if found is ConsensusModel.ALPENGLOW and genesis_hash is not None:
            moved_clusters.add(genesis_hash)

    def record_slot_length(self, seconds: float | None) -> None:
        """Record a measurement; None, or an impossible length, leaves the earlier one in use."""
        is_possible = seconds is not None and SHORTEST_SLOT_SECONDS <= seconds <= LONGEST_SLOT_SECONDS
        self._slot_until = self._clock() + (RECHECK_SECONDS if is_possible else RETRY_SECONDS)
        if seconds is not None and is_possible:
            self.slot_seconds = seconds


def has_moved(genesis_hash: str) -> bool:
    """Return whether this process has seen the cluster's certificate."""
    return genesis_hash in moved_clusters


def record_moved(genesis_hash: str) -> None:
    """Record that the cluster has moved, from a stored earlier answer."""
    moved_clusters.add(genesis_hash)


def read_certificate(found: object) -> ConsensusModel:
    """Return what an answer of `getAgGenesisCert` means."""
    match found:
        case None:
            return ConsensusModel.TOWER
        case {"block": {"slot": int()}}:
            return ConsensusModel.ALPENGLOW
    return ConsensusModel.UNKNOWN


def mean_slot_seconds(samples: Sequence[PerformanceSample]) -> float | None:
    """Return the mean length of a slot over all samples; None where they contain no slot."""
    slots = sum(one.num_slots for one in samples if one.num_slots > 0 and one.sample_period_secs > 0)
    seconds = sum(one.sample_period_secs for one in samples if one.num_slots > 0 and one.sample_period_secs > 0)
    return seconds / slots if slots else None


def slots_in(seconds: float, slot_seconds: float) -> int:
    """Return how many slots a period has, at least one."""
    return max(1, round(seconds / slot_seconds))
