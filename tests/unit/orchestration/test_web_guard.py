"""Dagster's web interface obeys its own pages and clients that are no browsers, and nobody else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from orchestration import webserver
from orchestration.web_guard import Policy, WebGuard
from zmart import errors, settings
from zmart.run.supervisor import services

LOCAL = Policy(hosts=frozenset({"localhost", "127.0.0.1", "::1"}))
PASSWORD = "correct horse battery"
HOST = "localhost:4010"
OWN = {"host": HOST}
JSON = {**OWN, "content-type": "application/json"}
RIGHT = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()


async def _answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("done")


async def _accept(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def _client(policy: Policy = LOCAL) -> TestClient:
    methods = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", _answer, methods=methods), WebSocketRoute("/graphql", _accept)])
    return TestClient(WebGuard(app, policy), base_url=f"http://{HOST}")


def _status(method: str, path: str, headers: dict[str, str], policy: Policy = LOCAL) -> int:
    return int(_client(policy).request(method, path, headers=headers, content=b"{}").status_code)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (JSON, 200),
        ({**JSON, "host": "127.0.0.1:4010"}, 200),
        ({**JSON, "host": "[::1]:4010"}, 200),
        ({**JSON, "origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}, 200),
        ({**JSON, "content-type": "application/json; charset=utf-8"}, 200),
        # A name that an attacker points at this machine.
        ({**JSON, "host": "evil.example:4010"}, 421),
        ({**JSON, "host": "localhost.evil.example"}, 421),
        ({**JSON, "host": "10.0.0.1:4010"}, 421),
        ({**JSON, "host": ""}, 421),
        # A page of another site, also of another port of this machine.
        ({**JSON, "origin": "https://evil.example"}, 403),
        ({**JSON, "origin": "http://localhost:3000"}, 403),
        ({**JSON, "origin": "null"}, 403),
        ({**JSON, "sec-fetch-site": "cross-site"}, 403),
        ({**JSON, "sec-fetch-site": "same-site"}, 403),
        ({**JSON, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 403),
        # Types that a form can send without asking first.
        (OWN, 415),
        ({**JSON, "content-type": "text/plain"}, 415),
        ({**JSON, "content-type": "text/plain; application/json"}, 415),
        ({**JSON, "content-type": "application/graphql"}, 415),
    ],
)
def test_operations_come_from_our_own_pages_as_json(headers: dict[str, str], expected: int) -> None:
    """A mutation of a foreign page, name or form never reaches Dagster."""
    assert _status("POST", "/graphql", headers) == expected


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/", OWN, 200),
        ("/graphql", OWN, 200),
        ("/graphql?query=mutation{launchRun}", OWN, 415),
        ("/graphql/?query=mutation{launchRun}", OWN, 415),
        ("/graphql?query=", {**OWN, "sec-fetch-site": "cross-site"}, 403),
        # A link in a chat opens a page.
        (
            "/runs/1",
            {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
            200,
        ),
        (
            "/runs/1",
            {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
            403,
        ),
        (
            "/runs/1",
            {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
            403,
        ),
    ],
)
def test_a_get_opens_pages_and_runs_nothing(path: str, headers: dict[str, str], expected: int) -> None:
    """Nor does a page of another site show ours in a frame."""
    assert _status("GET", path, headers) == expected


def test_no_other_method_is_let_through() -> None:
    """Whatever its content type."""
    assert [_status(method, "/report_asset_check/a", JSON) for method in ("PUT", "DELETE")] == [415, 415]


def test_pages_cannot_be_framed() -> None:
    """A foreign page must not have their buttons pressed."""
    assert _client().get("/", headers=OWN).headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("headers", "is_open"),
    [
        (OWN, True),
        ({**OWN, "origin": f"http://{HOST}"}, True),
        ({**OWN, "origin": "https://evil.example"}, False),
        ({**OWN, "sec-fetch-site": "cross-site"}, False),
        ({"host": "evil.example"}, False),
    ],
)
def test_websockets_are_checked_like_requests(headers: dict[str, str], is_open: bool) -> None:
    """Browsers apply no same-origin policy to them."""
    try:
        with _client().websocket_connect("/graphql", headers=headers):
            assert is_open
    except WebSocketDisconnect:
        assert not is_open


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [(RIGHT, 200), ("", 401), ("Basic !", 401), ("Basic " + base64.b64encode(b"me:wrong").decode(), 401)],
)
def test_a_password_is_wanted_where_one_is_configured(authorization: str, expected: int) -> None:
    """For pages, operations and WebSockets; the supervisor's probe sees the versions without it."""
    policy = Policy(hosts=LOCAL.hosts, password=PASSWORD)
    headers = {**JSON, "authorization": authorization}
    assert _status("POST", "/graphql", headers, policy) == expected
    assert _status("GET", "/", headers, policy) == expected
    assert _status("GET", "/server_info", OWN, policy) == 200


def _settings(folder: Path, **variables: Any) -> settings.Settings:
    return settings.load({"ZMART_STATE_DIR": str(folder), **variables})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "dagster.internal"])
def test_other_machines_need_a_password(tmp_path: Path, host: str) -> None:
    """Without one, nothing starts; with one, its own addresses are Hosts, and so are the names that are listed."""
    with pytest.raises(errors.ConfigurationError, match="DAGSTER_PASSWORD_FILE"):
        services.plan(_settings(tmp_path, DAGSTER_HOST=host), {}, only=["dagster"])
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    configured = _settings(
        tmp_path,
        DAGSTER_HOST=host,
        DAGSTER_PASSWORD_FILE=str(tmp_path / "password"),
        DAGSTER_ALLOWED_HOSTS="Dagster.example.org",
    )
    policy = webserver.policy_of(configured)
    right = {**JSON, "authorization": RIGHT}
    assert _status("POST", "/graphql", {**right, "host": "dagster.example.org"}, policy) == 200
    assert _status("POST", "/graphql", {**right, "host": "10.1.2.3:4010"}, policy) == 200
    assert _status("POST", "/graphql", {**right, "host": "evil.example"}, policy) == 421
    assert PASSWORD not in repr(configured)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_none(tmp_path: Path, host: str) -> None:
    """As before."""
    configured = _settings(tmp_path, DAGSTER_HOST=host)
    configured.require_dagster_password()
    assert webserver.policy_of(configured).password is None


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    """It could be guessed."""
    (tmp_path / "password").write_text("short")
    (tmp_path / "password").chmod(0o600)
    with pytest.raises(errors.ConfigurationError, match="at least 16 characters"):
        _settings(tmp_path, DAGSTER_PASSWORD_FILE=str(tmp_path / "password"))
