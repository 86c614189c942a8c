"""Names of HTTP statuses do not depend on the Python."""

from __future__ import annotations

import http

import pytest

from zmart.http import problems, statuses


@pytest.mark.parametrize(
    ("status", "phrase", "code"),
    [
        (404, "Not Found", "not_found"),
        (413, "Request Entity Too Large", "request_entity_too_large"),
        (414, "Request-URI Too Long", "request_uri_too_long"),
        (416, "Requested Range Not Satisfiable", "requested_range_not_satisfiable"),
        (422, "Unprocessable Entity", "unprocessable_entity"),
        (503, "Service Unavailable", "service_unavailable"),
    ],
)
def test_names_are_those_of_every_python(status: int, phrase: str, code: str) -> None:
    """Python 3.13 renamed four of them; clients compare titles and codes."""
    assert (statuses.phrase(status), statuses.code(status)) == (phrase, code)
    assert problems.problem_members(status, "x", "y")["title"] == phrase


@pytest.mark.parametrize("status", list(http.HTTPStatus), ids=lambda status: str(status.value))
def test_every_status_has_a_name(status: http.HTTPStatus) -> None:
    """The codes are identifiers."""
    assert statuses.phrase(status)
    assert statuses.code(status).isidentifier()
