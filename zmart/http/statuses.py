"""Names HTTP statuses, the same on every Python.

Python 3.13 renamed 413, 414, 416 and 422 after RFC 9110. Our error codes, titles and documents contain the earlier
names, which clients compare.
"""

from __future__ import annotations

import http
from typing import Final

_EARLIER_PHRASES: Final = {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    416: "Requested Range Not Satisfiable",
    422: "Unprocessable Entity",
}


def phrase(status: int) -> str:
    """Return the title of a status: `Not Found` for 404."""
    return _EARLIER_PHRASES.get(status) or http.HTTPStatus(status).phrase


def code(status: int) -> str:
    """Return the name of a status as an error code: `not_found` for 404."""
    if status in _EARLIER_PHRASES:
        return _EARLIER_PHRASES[status].lower().replace(" ", "_").replace("-", "_")
    return http.HTTPStatus(status).name.lower()
