"""Adds security headers to every response.

The console loads nothing from other origins and is never framed, so its policy is the strictest possible. The
documentation page is Swagger UI: it draws icons from `data:` addresses and sets its own styles (it never runs a script
that is not a file of this server), so its policy allows exactly that.

Strict-Transport-Security is sent only if the request came over TLS. A browser that receives it from
`http://localhost` would ignore it, and one that receives it through a proxy without TLS would be locked out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from litestar.types import Message, Scope

from zmart.http import client_address
from zmart.settings import Network

_NARROW = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
#: dbt's page is one file with an inline script that calls an external tracker. The script may run, but in a separate
#: origin and without network access.
_SANDBOXED = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICIES = {
    "docs.html": f"{_NARROW}; img-src 'self' data:; style-src 'self' 'unsafe-inline'",
    "models.html": _SANDBOXED,
}

_POLICY = (b"content-security-policy", _NARROW.encode())
_ALWAYS: Sequence[tuple[bytes, bytes]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
#: A year, for this host only: this server cannot promise TLS for other hosts of the domain.
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


def policy(page: str) -> str:
    """Return the Content-Security-Policy for a file of the console."""
    return _POLICIES.get(page, _NARROW)


def security_headers_hook(trusted_proxies: Sequence[Network]) -> Callable[[Message, Scope], Awaitable[None]]:
    """Return a `before_send` hook that adds the headers to every response."""

    async def add_headers(message: Message, scope: Scope) -> None:
        # This is called for each chunk of every stream; most calls return here.
        if message["type"] != "http.response.start":
            return
        headers: list[tuple[bytes, bytes]] = list(message["headers"])
        if not any(name == _POLICY[0] for name, _ in headers):
            headers.append(_POLICY)
        headers += _ALWAYS
        if client_address.is_secure(scope, trusted_proxies):
            headers.append(_STRICT_TRANSPORT)
        message["headers"] = headers

    return add_headers
