"""Every response has the browser's restrictions."""

from __future__ import annotations

import ipaddress
from typing import Any

import httpx
import pytest
from litestar import Litestar, get

from api.middleware import security_headers
from api.routes import pages

NARROW = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
PROXIES = [ipaddress.ip_network("10.0.0.0/8")]


@get("/api/something")
async def something() -> dict[str, int]:
    """Any response."""
    return {"a": 1}


async def send_request(
    path: str, *, url: str = "http://api", peer: str = "10.0.0.1", **request_headers: str
) -> httpx.Response:
    """One request to an application behind the proxies."""
    app = Litestar(
        [something, *pages.HANDLERS], before_send=[security_headers.security_headers_hook(PROXIES)], openapi_config=None
    )
    transport = httpx.ASGITransport(app, client=(peer, 1))  # type: ignore[arg-type]
    sent = {name.replace("_", "-"): value for name, value in request_headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        return await client.get(path, headers=sent)


@pytest.mark.parametrize("path", ["/", "/api/something", "/console/app.js", "/nowhere"])
async def test_every_response_has_security_headers(path: str) -> None:
    """Pages, files, data and errors."""
    answer = await send_request(path)

    assert answer.headers.get_list("content-security-policy") == [NARROW]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


async def test_the_documentation_may_style_itself() -> None:
    """Swagger UI needs its own styles and icons; scripts are only ours."""
    policy = (await send_request("/docs")).headers["content-security-policy"]

    assert policy == f"{NARROW}; img-src 'self' data:; style-src 'self' 'unsafe-inline'"


@pytest.mark.parametrize(
    ("request_options", "expected"),
    [
        ({"url": "https://api"}, True),
        ({"x_forwarded_proto": "https"}, True),
        ({"x_forwarded_proto": "http, https"}, True),
        ({"x_forwarded_proto": "https, http"}, False),
        ({"x_forwarded_proto": "https", "peer": "192.0.2.1"}, False),
        ({}, False),
    ],
)
async def test_hsts_is_sent_only_over_tls(request_options: dict[str, Any], expected: bool) -> None:
    """By us, or by the nearest trusted proxy; any other client can send that header."""
    answer = await send_request("/api/something", **request_options)

    assert ("strict-transport-security" in answer.headers) is expected


async def test_streams_pass_untouched() -> None:
    """Only the start of a response is changed; the other messages are passed on."""
    body = {"type": "http.response.body", "body": b"x"}
    await security_headers.security_headers_hook([])(body, {})  # type: ignore[arg-type]

    assert body == {"type": "http.response.body", "body": b"x"}
