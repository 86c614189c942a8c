"""Lists the problems that an endpoint can return, for the OpenAPI document.

Every endpoint can receive text that cannot be stored or a parameter that cannot be parsed, and the database can be
unavailable. Further problems of an endpoint are declared at its handler.
"""

from __future__ import annotations

from litestar.openapi import ResponseSpec

from . import schemas

#: The meaning of a status, for any operation.
STATUS_DESCRIPTIONS = {
    304: "The rows have not changed: their `ETag` is in `If-None-Match`.",
    400: "A parameter is invalid; `details` names it.",
    401: "The request is not authenticated, or its token is no longer valid.",
    403: "The signed-in wallet has no right to change it.",
    404: "There is no such resource.",
    409: "It exists already, or its state does not allow the operation.",
    413: "The body is too large.",
    422: "A text contains U+0000 or is not UTF-8, or a value is outside the allowed range.",
    429: "Too many requests; retry after the seconds in `Retry-After`.",
    500: "The server failed.",
    503: "The database is unavailable or busy; retry after the seconds in `Retry-After`.",
    504: "A statement or another server took too long.",
}
#: Statuses that every endpoint can return.
COMMON_STATUSES = (400, 422, 429, 500, 503)


def read_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the responses of a read endpoint: these statuses, 304, and those of every endpoint."""
    return {304: ResponseSpec(None, description=STATUS_DESCRIPTIONS[304]), **problems(*statuses)}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the responses for these statuses and for those that every endpoint can return."""
    return {
        status: ResponseSpec(
            schemas.Problem,
            generate_examples=False,
            description=STATUS_DESCRIPTIONS[status],
            media_type="application/problem+json",
        )
        for status in sorted({*statuses, *COMMON_STATUSES})
    }
