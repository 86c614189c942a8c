"""State and logs are readable by their owner only, whatever the umask is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from zmart.run import private_files
from zmart.run.supervisor import log_files, state_file


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """An umask that hides nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    """The rights of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def test_logs_are_private(tmp_path: Path) -> None:
    """A new folder and file, and those that an earlier version left open to others."""
    for folder in (tmp_path / "new", tmp_path / "old"):
        if folder.name == "old":
            folder.mkdir(0o755)
            (folder / "api.log").touch(0o644)
        log = log_files.RotatedLog(folder / "api.log", limit_bytes=1_000)
        log.write(b"a line\n")
        log.close()
        assert (mode(folder), mode(folder / "api.log")) == (0o700, 0o600)


@pytest.mark.parametrize(("user", "expected"), [(None, 0o700), (0, 0o711)])
def test_the_state_directory_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int | None, expected: int
) -> None:
    """The lock and the list of services too. Root's directory can be entered by the database's account, not listed."""
    folder = tmp_path / "state"
    folder.mkdir(0o777)
    owner = folder.stat().st_uid
    if user is None and owner == 0:
        os.chown(folder, 12_345, -1)
        owner = 12_345
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    with state_file.hold_lock(folder):
        states = state_file.StateFile(folder / "run.json")
        states.add("api", url=None)
        states.open()
    assert mode(folder) == (expected if owner == 0 or user is None else 0o700)
    assert (mode(folder / "run.lock"), mode(folder / "run.json")) == (0o600, 0o600)


def test_a_shared_folder_stays_as_it_is(tmp_path: Path) -> None:
    """ZMART_STATE_DIR=/tmp must not close /tmp for everybody."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    private_files.make_folder(shared)
    assert mode(shared) == 0o1777
