"""Lists the problems that an endpoint can return, for the OpenAPI document.

Every endpoint can receive text that cannot be stored or a parameter that cannot be parsed, and the database can be
unavailable. Further problems of an endpoint are declared at its handler.
"""

from __future__ import annotations

from litestar.openapi import ResponseSpec

from . import schemas

#: The meaning of a status, for any operation.
STATUS_DESCRIPTIONS = {
    304: "The caller has these rows already: `If-None-Match` named their `ETag`.",
    400: "A parameter cannot be used; `details` names it.",
    401: "Nobody is signed in, or the token is no longer good.",
    403: "It is not the signed-in wallet's to change.",
    404: "There is no such thing.",
    409: "It exists already, or is not in a state that allows it.",
    413: "The body is larger than is read.",
    422: "A text holds U+0000 or is no UTF-8, or a value is outside what is allowed.",
    429: "Too many requests; `Retry-After` says when to try again.",
    500: "A mistake of ours.",
    503: "The database is away or busy; `Retry-After` says when to try again.",
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
