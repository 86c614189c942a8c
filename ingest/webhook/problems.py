"""What goes wrong, as an answer: RFC 9457 problem details, with the members older clients read.

Only what can never succeed is a 4xx. Everything else is 503, because a sender retries that and a
delivery that is not retried is lost until the completeness walk finds it; an answer of 500 says the
same as 503 but promises less.
"""

from __future__ import annotations

import http
import math
from typing import Any

from litestar import Response

from zmart import errors

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, code: str, detail: str, *, retry_after_seconds: float | None = None
) -> Response[dict[str, Any]]:
    """An answer for `status`; `code` stays the same across releases, `detail` is for people."""
    phrase = http.HTTPStatus(status).phrase
    content = {
        "type": "about:blank",
        "title": phrase,
        "status": status,
        "detail": detail,
        "code": code,
        # The earlier backend's members (protocol.md 5.1); `status` is one of them.
        "error": phrase,
        "message": detail,
    }
    headers = {} if retry_after_seconds is None else {"Retry-After": _whole_seconds(retry_after_seconds)}
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def unavailable(error: BaseException) -> tuple[str, Response[dict[str, Any]]]:
    """The code and the answer for an error that is not the sender's."""
    match error:
        case errors.Overloaded():
            code, detail = "overloaded", str(error)
        case errors.Unavailable():
            code, detail = "unavailable", str(error)
        case _:
            # Its text may quote anything; the log has it, the sender does not need it.
            code, detail = "failed", "The delivery could not be committed. Deliver it again."
    seconds = getattr(error, "retry_after_seconds", errors.Transient.retry_after_seconds)
    return code, problem(503, code, detail, retry_after_seconds=seconds)


def _whole_seconds(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))
