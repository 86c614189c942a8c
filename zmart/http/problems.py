"""The content of RFC 9457 problem details, with the members that earlier clients read (protocol.md 5.1).

A server adds members of its own and makes the response in its framework.
"""

from __future__ import annotations

import http
import math
from typing import TypedDict

MEDIA_TYPE = "application/problem+json"


class ProblemMembers(TypedDict):
    """The members that every problem has."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    #: `error`, `message` and `status` are the earlier backend's members.
    error: str
    message: str


def problem_members(status: int, code: str, message: str) -> ProblemMembers:
    """The members for `status`; `code` stays the same across releases, `message` is for people."""
    phrase = http.HTTPStatus(status).phrase
    return ProblemMembers(
        type="about:blank", title=phrase, status=status, detail=message, code=code, error=phrase, message=message
    )


def retry_after(seconds: float) -> dict[str, str]:
    """The Retry-After header: whole seconds, rounded up, one at least."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
