"""Reads refusals and sessions, also where a proxy answered in place of the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    from . import types

#: Refusals that another attempt may not meet: Request Timeout, Too Early, Too Many Requests.
_PASSING_REFUSALS = {408, 425, 429}
#: Answers of a server, or of a proxy before it, that is busy or restarts.
_UNAVAILABLE = {502, 503, 504}


def is_final(status: int) -> bool:
    """Return whether a refusal with this status stays the same when the request is sent again."""
    return 400 <= status < 500 and status not in _PASSING_REFUSALS


def is_unavailable(status: int) -> bool:
    """Return whether a server, or a proxy before it, is busy or restarts."""
    return status in _UNAVAILABLE


def parse_problem(body: bytes) -> dict[str, Any]:
    """Return the problem of an answer; an empty one for an answer that is not this API's, such as a proxy's page."""
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def parse_seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None for a date, which this API never sends."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None


def require_session(answer: object) -> types.Session:
    """Return the session of an answer; raise RemoteProtocolError for something else, such as a proxy's `{}`."""
    if not isinstance(answer, dict) or not all(
        isinstance(answer.get(name), str) for name in ("access_token", "refresh_token")
    ):
        raise httpx.RemoteProtocolError("The answer is no session.")
    return cast("types.Session", answer)
