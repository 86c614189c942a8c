"""Derives the state of a submission from one node's status of it and from our own log. Pure.

    RESEND    the node does not know it, and its blockhash is valid: send the same bytes again. Our log may still show
              it as not final, because a fork dropped it
    WAIT      on chain or refused there, but not finalized: a fork may still undo either. Or its blockhash is expired
              and the node does not know it, but our log has not retracted it: only ingest proves that it is gone
    LANDED    on chain and successful; done when our log holds its event, finalized
    FAILED    on chain, finalized, refused: it can never succeed. If it may never have run (SIMD-0290: its payer could
              not pay), only once its blockhash is dead, because the same bytes might land again
    EXPIRED   its blockhash is expired on the finalized chain, and that node's whole history does not contain it

An intent may be signed again only after FAILED and EXPIRED. Nothing else proves that this is safe: neither an error
on sending, nor a timeout, nor a node that does not know the transaction while its blockhash is valid.
"""

from __future__ import annotations

import enum

from zmart.chain import client, rpc_errors


class SubmissionOutcome(enum.Enum):
    """The state of a submission."""

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
    is_final_in_log: bool = False,
) -> SubmissionOutcome:
    """Return the state that follows from a status.

    `finalized_height` must come from the same node and be read before the status; `searched` tells whether the node
    searched its whole history. A transaction that is final in our log has landed, whatever the node reports; one that
    is only in it has landed where the node knows it.
    """
    if is_final_in_log:
        return SubmissionOutcome.LANDED
    if status is None:
        is_dead = finalized_height > last_valid_block_height
        if is_dead:
            return SubmissionOutcome.EXPIRED if searched and not in_log else SubmissionOutcome.WAIT
        return SubmissionOutcome.RESEND
    if in_log:
        return SubmissionOutcome.LANDED
    if status.err is not None:
        has_ended = rpc_errors.has_run(status.err) or finalized_height > last_valid_block_height
        return SubmissionOutcome.FAILED if status.is_finalized and has_ended else SubmissionOutcome.WAIT
    return SubmissionOutcome.LANDED if status.is_confirmed else SubmissionOutcome.WAIT
