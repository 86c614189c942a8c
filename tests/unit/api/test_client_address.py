"""The address of a request's client."""

from __future__ import annotations

import ipaddress
from typing import Any, cast

import pytest
from litestar.types import Scope

from zmart.http import client_address

PROXIES = (ipaddress.ip_network("10.0.0.0/8"),)


def scope(peer: str, *forwarded: str) -> Scope:
    """A request from `peer`, with X-Forwarded-For headers."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return cast("Scope", {"client": (peer, 1), "headers": cast("Any", headers)})


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("9.9.9.9", [], "9.9.9.9"),
        ("9.9.9.9", ["1.1.1.1"], "9.9.9.9"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6", "1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", ["nonsense"], "nonsense"),
    ],
)
def test_forwarded_addresses_count_from_the_right(peer: str, forwarded: list[str], expected: str) -> None:
    """Only the entries written by trusted proxies are used."""
    assert client_address.address(scope(peer, *forwarded), PROXIES) == expected
