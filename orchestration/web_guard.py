"""Protects Dagster's web interface, which itself obeys any page that the operator's browser visits.

Dagster executes a mutation that arrives as a GET, from a page of any origin, under any Host. So a page elsewhere could
launch keepers. This ASGI wrapper lets a request or a WebSocket through only when

- its Host is one of ours: otherwise a name that an attacker points at this address would be an origin of its own,
- no browser says that another site's page sent it (Sec-Fetch-Site, Origin), except for opening a page by a link,
- it changes something only by POST with application/json, which no form and no link can send,
- it carries the password, where one is configured.

`refusal` decides; it does no I/O.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from zmart.http import problems

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"", "none", "same-origin"})
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_GRAPHQL = "/graphql"
_VERSIONS = "/server_info"
#: A page of another site must not show this one in a frame and have its buttons pressed.
_HEADERS = ((b"x-frame-options", b"DENY"), (b"content-security-policy", b"frame-ancestors 'none'"))


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Who may use the web interface."""

    #: Names and addresses that a Host may have, in lower case.
    hosts: frozenset[str]
    #: Whether every literal address may be a Host; no page can have one that is not its server's.
    allows_addresses: bool = False
    password: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefusedRequest:
    """The response to a request that is not let through."""

    status: int
    code: str
    message: str


def refusal(policy: Policy, scope: Mapping[str, Any]) -> RefusedRequest | None:
    """Return why the request or WebSocket of an ASGI scope is refused, or None."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    method = "GET" if scope["type"] == "websocket" else str(scope["method"])
    if not _is_known_host(policy, headers.get("host", "")):
        message = (
            "This Host is not one of Dagster's. Open it by its own address, or add the name to DAGSTER_ALLOWED_HOSTS."
        )
        return RefusedRequest(status=421, code="unknown_host", message=message)
    if not _is_from_own_site(scope, method, headers):
        message = "A page of another site sent this. Use Dagster's own pages, or a client that is no browser."
        return RefusedRequest(status=403, code="foreign_site", message=message)
    # The supervisor's probe has no password; the versions there are public.
    is_open = method == "GET" and scope["path"] == _VERSIONS
    if not is_open and not _has_password(policy, headers.get("authorization", "")):
        return RefusedRequest(
            status=401, code="unauthorized", message="Dagster needs the password of DAGSTER_PASSWORD_FILE."
        )
    if scope["type"] == "http" and not _is_sent_as_json(scope, method, headers):
        message = "Dagster accepts operations only by POST with Content-Type: application/json."
        return RefusedRequest(status=415, code="not_json", message=message)
    return None


def _is_known_host(policy: Policy, host: str) -> bool:
    name = _host_name(f"//{host}")
    if name is None:
        return False
    if name in policy.hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return policy.allows_addresses


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_from_own_site(scope: Mapping[str, Any], method: str, headers: Mapping[str, str]) -> bool:
    if "origin" in headers and not _is_same_origin(headers["origin"], headers.get("host", "")):
        return False
    if headers.get("sec-fetch-site", "").lower() in _OWN_SITES:
        return True
    # A link in a chat opens a page and changes nothing; the page's own requests are checked again.
    is_page = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return scope["type"] == "http" and method == "GET" and is_page and not _is_graphql(scope)


def _is_same_origin(origin: str, host: str) -> bool:
    try:
        ours, theirs = urlsplit(f"//{host}"), urlsplit(origin)
        port = _DEFAULT_PORTS.get(theirs.scheme)
        return port is not None and (theirs.hostname, theirs.port or port) == (ours.hostname, ours.port or port)
    except ValueError:
        return False


def _has_password(policy: Policy, authorization: str) -> bool:
    if policy.password is None:
        return True
    scheme, _, encoded = authorization.partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, policy.password.encode())


def _is_sent_as_json(scope: Mapping[str, Any], method: str, headers: Mapping[str, str]) -> bool:
    if method in _SAFE_METHODS:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        return not (_is_graphql(scope) and "query" in query)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return method == "POST" and media_type == "application/json"


def _is_graphql(scope: Mapping[str, Any]) -> bool:
    return str(scope["path"]).rstrip("/").lower() == _GRAPHQL


class WebGuard:
    """An ASGI application in front of another one."""

    def __init__(self, app: App, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refused = refusal(self._policy, scope)
        if refused is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            # Before the handshake is accepted, a server answers this with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": refused.code})
        else:
            await _answer(refused, send)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await send(message)

    return send_with_headers


async def _answer(refused: RefusedRequest, send: Send) -> None:
    body = json.dumps(problems.problem_members(refused.status, refused.code, refused.message)).encode()
    headers = [(b"content-type", problems.MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if refused.status == 401:
        headers.append((b"www-authenticate", b'Basic realm="Dagster", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
