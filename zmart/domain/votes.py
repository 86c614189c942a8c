"""How ballots become a decision: shares in basis points, floored as the program floors them.

Protocol.md 1.4.3, 1.4.9, 1.4.13. Every wallet weighs one. Counts are u32 on the chain.
"""

from __future__ import annotations

import enum

from zmart.domain.program_errors import ErrorCode

#: Likes out of all proposal votes an approval takes, unless the config says otherwise.
PROPOSAL_APPROVAL_THRESHOLD_BPS = 7_000
#: Agreement out of all dispute votes that turns an outcome, unless the config says otherwise.
DISPUTE_SUCCESS_THRESHOLD_BPS = 6_000
#: The whole, in basis points.
BPS = 10_000
#: The greatest count the program holds.
U32_MAX = (1 << 32) - 1


class VoteKind(enum.IntEnum):
    """What a ballot is about; the value is the program's VoteType and the seed of its record."""

    PROPOSAL = 0
    DISPUTE = 1

    @property
    def label(self) -> str:
        """The word of the marts and the API: `proposal` or `dispute`."""
        return self.name.lower()


def total(agree: int, disagree: int) -> int:
    """All votes; OverflowError beyond u32."""
    votes = agree + disagree
    if votes > U32_MAX:
        raise ErrorCode.OverflowError.error()
    return votes


def share_bps(agree: int, disagree: int) -> int:
    """The agreeing share in basis points, floored; 0 where nobody voted."""
    votes = total(agree, disagree)
    return agree * BPS // votes if votes else 0


def percentage(agree: int, disagree: int) -> int:
    """The agreeing share in whole percent as ProposalAggregated and DisputeAggregated say it."""
    return share_bps(agree, disagree) // 100


def is_threshold_reached(agree: int, disagree: int, threshold_bps: int) -> bool:
    """Whether the agreeing share is at least the threshold; never where nobody voted."""
    return total(agree, disagree) > 0 and share_bps(agree, disagree) >= threshold_bps
