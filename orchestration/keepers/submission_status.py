"""What became of signed bytes, from what one node says of them and what our own log holds. Pure.

    RESEND    not known anywhere, and still young: the same bytes again
    WAIT      on chain, not finalized; or refused there, not finalized: a fork may still undo either
    LANDED    on chain and successful; done when our log holds its event, finalized
    FAILED    on chain, finalized, refused: it can never succeed
    EXPIRED   its blockhash is dead on the finalized chain, and that node's whole history does not know it

Only after FAILED and EXPIRED may the intent be signed again. Nothing else proves that it is safe: not an error of
sending, not a timeout, not a node that knows nothing of it while its blockhash lives.
"""

from __future__ import annotations

import enum

from zmart.chain import client


class SubmissionOutcome(enum.Enum):
    """What is known of a submission."""

    RESEND = "resend"
    WAIT = "wait"
    LANDED = "landed"
    FAILED = "failed"
    EXPIRED = "expired"


def decide(
    status: client.SignatureStatus | None,
    *,
    finalized_height: int,
    last_valid_block_height: int,
    searched: bool,
    in_log: bool = False,
) -> SubmissionOutcome:
    """What a status means.

    `finalized_height` was asked of the same node, before the status; `searched` says whether the whole history was.
    What our log holds has landed, whatever a node remembers.
    """
    if in_log:
        return SubmissionOutcome.LANDED
    if status is None:
        is_dead = finalized_height > last_valid_block_height
        if is_dead:
            return SubmissionOutcome.EXPIRED if searched else SubmissionOutcome.WAIT
        return SubmissionOutcome.RESEND
    if status.err is not None:
        return SubmissionOutcome.FAILED if status.is_finalized else SubmissionOutcome.WAIT
    return SubmissionOutcome.LANDED if status.is_confirmed else SubmissionOutcome.WAIT
