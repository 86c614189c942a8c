"""Which problems an endpoint may answer with, for the OpenAPI document.

Every endpoint may meet text it cannot keep, a parameter it cannot read, and a database that is away;
what else it says no to is named beside its handler.
"""

from __future__ import annotations

from litestar.openapi import ResponseSpec

from . import schemas

#: What a status means, whatever the operation.
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
#: What every endpoint may answer.
COMMON_STATUSES = (400, 422, 429, 500, 503)


def read_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Of an endpoint that only reads: these statuses, 304, and those of every endpoint."""
    return {304: ResponseSpec(None, description=STATUS_DESCRIPTIONS[304]), **problems(*statuses)}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """These statuses, and those that every endpoint may answer."""
    return {
        status: ResponseSpec(
            schemas.Problem,
            generate_examples=False,
            description=STATUS_DESCRIPTIONS[status],
            media_type="application/problem+json",
        )
        for status in sorted({*statuses, *COMMON_STATUSES})
    }
