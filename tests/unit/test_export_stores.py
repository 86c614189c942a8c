"""A store that refuses, is slow or fails is a named error within its deadline; a folder writes whole files."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zmart import errors, settings
from zmart.run.export import store
from zmart.run.export.manifest import SegmentMissing

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], settings.ExportSettings]]:
    """Start an S3 server that answers every request in one way; return the settings for it."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answer: Answer) -> settings.ExportSettings:
        class StoreRequests(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StoreRequests)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return settings.load(
            {
                "EXPORT_URL": "s3://bucket/prefix",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
                "AWS_REGION": "eu-west-1",
                "AWS_ACCESS_KEY_ID": "an access key",
                "AWS_SECRET_ACCESS_KEY": "a secret key",
            }
        ).export

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer_with(status: int) -> Answer:
    """An answer with a status and no body."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return answer


def bucket(configured: settings.ExportSettings) -> store.BucketStore:
    """The bucket, with short waits."""
    return store.BucketStore("s3://bucket/prefix", configured, request_seconds=1, retries=1)


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (403, errors.Unauthorized, "refuses access to a/file"),
        (404, SegmentMissing, "a/file is not in s3://bucket/prefix"),
        (500, errors.Unavailable, "does not answer for a/file"),
    ],
)
def test_an_answer_of_the_store_is_named(
    serve: Callable[[Answer], settings.ExportSettings], status: int, error: type[errors.ZmartError], message: str
) -> None:
    """Refused, absent and failing are three errors, each with the file and without a key."""
    files = bucket(serve(answer_with(status)))

    with pytest.raises(error, match=message) as raised:
        files.get("a/file")
    assert "a secret key" not in str(raised.value)
    if status == 403:
        with pytest.raises(error, match=message):
            files.put("a/file", b"content")


def test_a_slow_store_ends_at_its_deadline(serve: Callable[[Answer], settings.ExportSettings]) -> None:
    """A store that accepts requests and never answers is Unavailable, for reads and writes."""
    ended = threading.Event()
    files = bucket(serve(lambda handler: (ended.wait(60), None)[1]))
    began = time.monotonic()

    with pytest.raises(errors.Unavailable, match="does not answer for a/file"):
        files.put("a/file", b"content")
    with pytest.raises(errors.Unavailable, match="does not answer for a/file"):
        files.get("a/file")

    ended.set()
    assert time.monotonic() - began < 50


def test_no_store_is_refused_with_the_next_step() -> None:
    """Without EXPORT_URL, and with an address that is neither a folder nor a bucket."""
    with pytest.raises(errors.ConfigurationError, match="Set EXPORT_URL to a folder"):
        store.open_store(settings.load({}).export)
    for url in ("ftp://host/path", "relative/folder", "s3://", "s3://b", "s3://bucket/p?x=1"):
        with pytest.raises(errors.ConfigurationError, match="EXPORT_URL must be"):
            settings.load({"EXPORT_URL": url})


def test_a_folder_replaces_lists_and_deletes(tmp_path: Path) -> None:
    """A file is whole, under its name alone; deleting the last file of a folder deletes the folder."""
    files = store.open_location(f"file://{tmp_path / 'root'}", settings.load({}).export)
    assert files.list() == []
    files.put("a/b/one", b"1")
    files.put("a/b/one", b"2")
    files.put("a/two", b"")

    assert files.list() == ["a/b/one", "a/two"]
    assert files.list("a/b/") == ["a/b/one"]
    assert (files.get("a/b/one"), files.get("a/two")) == (b"2", b"")
    assert files.sign("a/two", 60) is None
    files.delete("a/b/one")
    files.delete("a/b/one")
    assert files.list() == ["a/two"]
    assert not (tmp_path / "root" / "a" / "b").exists()
    with pytest.raises(SegmentMissing, match="a/b/one is not in"):
        files.get("a/b/one")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A path below a file fails with the path and its reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.Permanent, match="file"):
        store.FolderStore(tmp_path / "file").put("a", b"")
