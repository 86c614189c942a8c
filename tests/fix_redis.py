"""A Redis for tests: Debian's server, installed or unpacked into a folder.

redis     one server per run, `.url`, `.stop()` and `.start()` to simulate its absence
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import debian_packages

#: redis-server is a link to a file of redis-tools; the rest are its libraries, where they are not installed.
PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1")
STOP_TIMEOUT_SECONDS = 10.0


class Redis:
    """A Redis server without files, on a separate port."""

    def __init__(self, command: str, libraries: Path | None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self._command = command
        self._environ = {**os.environ, **({"LD_LIBRARY_PATH": str(libraries)} if libraries else {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start; return when it answers."""
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [self._command, *options], env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b"Ready to accept connections" in line:
                return
        pytest.fail("redis-server ended before it was ready")

    def stop(self) -> None:
        """Stop at once, with all connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_SECONDS)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@pytest.fixture(scope="session")
def redis_command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path | None]:
    """Return the command of redis-server; skip with the reason if there is none."""
    if (installed := shutil.which("redis-server")) is not None:
        return installed, None
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("redis-server is not installed, and this is no Debian to get it from")
    folder = tmp_path_factory.mktemp("redis")
    try:
        debian_packages.update_lists()
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True, timeout=60)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, debian_packages.NotInstallable) as error:
        pytest.skip(f"redis-server is not installed, and its package cannot be had: {error}")
    return str(folder / "usr/bin/redis-server"), next((folder / "usr/lib").glob("*-linux-gnu"))


@pytest.fixture
def redis(redis_command: tuple[str, Path | None]) -> Iterator[Redis]:
    """A server for this test alone."""
    server = Redis(*redis_command)
    server.start()
    try:
        yield server
    finally:
        server.stop()
