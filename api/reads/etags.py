"""Computes entity tags, which show whether a caller already has the rows of a response.

A tag consists of the log's epoch and a digest of the body without its `as_of`. It changes when a row changes and stays
the same while the log grows elsewhere. The tag is weak, because two bodies with the same tag may differ in `as_of`;
the headers of a 304 contain the newer one. The greatest seq among the rows would not be enough: rows also leave a
list, and a page of older rows may get another neighbour.
"""

from __future__ import annotations

import contextvars
import hashlib

from litestar.types import Scope

_CLIENT_TAGS: contextvars.ContextVar[str | None] = contextvars.ContextVar("known_tags", default=None)
_DIGITS = 24
#: A read by POST has no 304: RFC 9110 defines it for these methods alone.
_CONDITIONAL_METHODS = frozenset({"GET", "HEAD"})


def read_if_none_match(scope: Scope) -> None:
    """Store the caller's If-None-Match tags for this request."""
    is_conditional = scope.get("method") in _CONDITIONAL_METHODS
    header_values = [value for name, value in scope["headers"] if name == b"if-none-match" and is_conditional]
    _CLIENT_TAGS.set(b",".join(header_values).decode("latin-1") if header_values else None)


def tag(epoch: str, body: bytes) -> str:
    """Return the tag of a JSON body; its last member is `as_of`, if it has one."""
    # Inside a JSON string the quotes would be escaped, so this finds only the member.
    end = body.rfind(b'"as_of"')
    rows = body if end < 0 else memoryview(body)[:end]
    # SHA-256 has processor instructions: it takes half as long as BLAKE2.
    digest = hashlib.sha256(epoch.encode())
    digest.update(rows)
    return f'W/"{digest.hexdigest()[:_DIGITS]}"'


def is_held_by_client(tag: str) -> bool:
    """Return whether the caller already has this answer, according to its If-None-Match."""
    client_tags = _CLIENT_TAGS.get()
    if client_tags is None:
        return False
    opaque = tag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") in {opaque, "*"} for one in client_tags.split(","))
