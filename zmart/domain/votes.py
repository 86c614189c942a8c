"""Computes decisions from vote counts: shares in basis points, floored as in the program.

Protocol.md 1.4.3, 1.4.9, 1.4.13. Every wallet has the weight one. Counts are u32 on the chain.
"""

from __future__ import annotations

import enum

from zmart.domain.program_errors import ErrorCode

#: Share of likes among all proposal votes that an approval requires, unless the config sets another.
PROPOSAL_APPROVAL_THRESHOLD_BPS = 7_000
#: Share of agreement among all dispute votes that reverses an outcome, unless the config sets another.
DISPUTE_SUCCESS_THRESHOLD_BPS = 6_000
#: 100 % in basis points.
BPS = 10_000
#: The greatest count that the program can store.
U32_MAX = (1 << 32) - 1


class VoteKind(enum.IntEnum):
    """The subject of a vote; the value is the program's VoteType and the seed of its record."""

    PROPOSAL = 0
    DISPUTE = 1

    @property
    def label(self) -> str:
        """Return the name in the marts and the API: `proposal` or `dispute`."""
        return self.name.lower()


def total(agree: int, disagree: int) -> int:
    """Return the number of all votes; raise OverflowError beyond u32."""
    votes = agree + disagree
    if votes > U32_MAX:
        raise ErrorCode.OverflowError.error()
    return votes


def share_bps(agree: int, disagree: int) -> int:
    """Return the agreeing share in basis points, floored; 0 where there are no votes."""
    votes = total(agree, disagree)
    return agree * BPS // votes if votes else 0


def percentage(agree: int, disagree: int) -> int:
    """Return the agreeing share in whole percent, as in ProposalAggregated and DisputeAggregated."""
    return share_bps(agree, disagree) // 100


def is_threshold_reached(agree: int, disagree: int, threshold_bps: int) -> bool:
    """Return whether the agreeing share is at least the threshold; False where there are no votes."""
    return total(agree, disagree) > 0 and share_bps(agree, disagree) >= threshold_bps
