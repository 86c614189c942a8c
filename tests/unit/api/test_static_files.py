"""Files of the console: sent once, then identified by their hash."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from litestar import Litestar
from litestar.datastructures import State

from api import static_files
from api.middleware import security_headers
from api.routes import pages as routes


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The routes of the pages; they need no database."""
    app = Litestar(routes.HANDLERS, before_send=[security_headers.security_headers_hook([])], openapi_config=None)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as found:
        yield found


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/console/app.js", "text/javascript; charset=utf-8"),
        ("/console/style.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
        ("/console/vendor/swagger-ui-5.35.0/NOTICE", "text/plain; charset=utf-8"),
    ],
)
async def test_files_have_the_right_content_type(client: httpx.AsyncClient, path: str, media_type: str) -> None:
    """Browsers must not guess types, so each must be right."""
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("encoding", ["gzip, br", "identity"])
async def test_a_matching_etag_returns_304(client: httpx.AsyncClient, encoding: str) -> None:
    """If-None-Match with the current tag is 304 without a body, in either encoding; the other's tag is not."""
    request_headers = {"accept-encoding": encoding}
    first = await client.get("/console/app.js", headers=request_headers)
    again = await client.get("/console/app.js", headers={**request_headers, "if-none-match": first.headers["etag"]})
    weakened = await client.get(
        "/console/app.js", headers={**request_headers, "if-none-match": f'"x", W/{first.headers["etag"]}'}
    )
    other = await client.get("/console/app.js", headers={**request_headers, "if-none-match": '"another"'})

    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["vary"] == "Accept-Encoding"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert weakened.status_code == 304
    assert other.status_code == 200


async def test_encodings_are_two_representations(client: httpx.AsyncClient) -> None:
    """The compressed file has a separate tag and decompresses to the same bytes."""
    packed = await client.get("/console/style.css", headers={"accept-encoding": "gzip"})
    plain = await client.get("/console/style.css", headers={"accept-encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.content == plain.content == (static_files.FOLDER / "style.css").read_bytes()


async def test_vendored_files_are_immutable(client: httpx.AsyncClient) -> None:
    """Their version is in the path."""
    answer = await client.get("/console/vendor/lightweight-charts-5.2.1/LICENSE")

    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "path", ["/console/nothing.js", "/console/../app.py", "/console/%2e%2e/app.py", "/console//etc/passwd"]
)
async def test_no_path_leads_out(client: httpx.AsyncClient, path: str) -> None:
    """Only names of files in the folder are served."""
    assert (await client.get(path)).status_code == 404


def test_a_changed_file_has_another_etag(tmp_path: Path) -> None:
    """An edit of the console is visible at the next request."""
    script = tmp_path / "a.js"
    script.write_text("1")
    files = static_files.StaticFiles(tmp_path)
    before = files.find("a.js")
    script.write_text("2")
    os.utime(script, ns=(1, 1))
    after = files.find("a.js")

    assert before is not None
    assert after is not None
    assert before.tag != after.tag
    assert gzip.decompress(after.gzipped) == b"2"


async def test_the_models_page_is_sandboxed(tmp_path: Path) -> None:
    """dbt's page requests a tracker on another host, so it is sandboxed; 404 with the next step if it is missing."""
    state = State({"settings": SimpleNamespace(state_dir=tmp_path)})
    app = Litestar(
        routes.HANDLERS, before_send=[security_headers.security_headers_hook([])], openapi_config=None, state=state
    )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        before = await client.get("/docs/models")
        (tmp_path / "dbt").mkdir()
        (tmp_path / "dbt" / "static_index.html").write_text("<html>models</html>")
        after = await client.get("/docs/models")

    assert before.status_code == 404
    assert "Materialize" in before.text
    assert after.text == "<html>models</html>"
    assert after.headers["content-type"] == "text/html; charset=utf-8"
    policy = {part.split()[0]: part.split()[1:] for part in after.headers["content-security-policy"].split(";")}
    assert policy["sandbox"] == ["allow-scripts"]
    assert policy["default-src"] == ["'none'"]
    assert "connect-src" not in policy
    assert not any(source.startswith(("http", "'self'", "*")) for sources in policy.values() for source in sources)
