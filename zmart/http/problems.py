"""Builds RFC 9457 problem details, with the members that earlier clients read (protocol.md 5.1).

A server adds its own members and creates the response in its framework.
"""

from __future__ import annotations

import math
from typing import TypedDict

from . import statuses

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
    """Return the members for `status`; `code` is stable across releases, `message` is text for the user."""
    phrase = statuses.phrase(status)
    return ProblemMembers(
        type="about:blank", title=phrase, status=status, detail=message, code=code, error=phrase, message=message
    )


def retry_after(seconds: float) -> dict[str, str]:
    """Return the Retry-After header: whole seconds, rounded up, at least one."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
