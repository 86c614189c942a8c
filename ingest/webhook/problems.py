"""Builds responses for deliveries that are not accepted: RFC 9457 problem details.

Only a delivery that can never succeed gets a 4xx. Every other failure is 503, because a sender retries that, and a
delivery that is not retried is lost until the completeness walk finds it. A 500 means the same as 503 but promises
less.
"""

from __future__ import annotations

from litestar import Response

from zmart import errors
from zmart.http.problems import MEDIA_TYPE, ProblemMembers, problem_members, retry_after


def problem(
    status: int, code: str, detail: str, *, retry_after_seconds: float | None = None
) -> Response[ProblemMembers]:
    """Return a response for `status`; `code` stays the same across releases, `detail` is for readers."""
    headers = {} if retry_after_seconds is None else retry_after(retry_after_seconds)
    return Response(problem_members(status, code, detail), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def unavailable(error: BaseException) -> tuple[str, Response[ProblemMembers]]:
    """Return the code and the response for an error that the sender did not cause."""
    match error:
        case errors.Overloaded():
            code, detail = "overloaded", str(error)
        case errors.Unavailable():
            code, detail = "unavailable", str(error)
        case _:
            # The text may quote anything; the log contains it, and the sender does not need it.
            code, detail = "failed", "The delivery could not be committed. Deliver it again."
    seconds = getattr(error, "retry_after_seconds", errors.Transient.retry_after_seconds)
    return code, problem(503, code, detail, retry_after_seconds=seconds)
