"""What every answer tells a browser not to do.

The console loads nothing from elsewhere and nobody frames it, so the policy is the narrowest there is.
The documentation page is Swagger UI: it draws icons from `data:` addresses and sets styles of its own
(it never runs script that is not a file of ours), so its policy allows exactly that.

Strict-Transport-Security is said only where the request came over TLS: a browser that hears it from
`http://localhost` would ignore it, and one that hears it through a proxy without TLS would be locked out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from litestar.types import Message, Scope

from zmart.settings import Network

from . import client_address

_NARROW = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
#: dbt's page is one file with its script inside, which asks a tracker elsewhere. It may run, in an origin of its own,
#: and call nobody.
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
#: A year, for this host alone: what else lives under the domain is not ours to promise.
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


def policy(page: str) -> str:
    """The Content-Security-Policy of a file of the console."""
    return _POLICIES.get(page, _NARROW)


def security_headers_hook(trusted_proxies: Sequence[Network]) -> Callable[[Message, Scope], Awaitable[None]]:
    """A `before_send` hook that adds the headers to whatever is answered."""

    async def add_headers(message: Message, scope: Scope) -> None:
        # One call per chunk of every stream: the first line is all that most of them meet.
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
