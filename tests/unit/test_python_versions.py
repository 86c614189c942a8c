"""Python 3.11, 3.12 and 3.13: what the files say about them agrees, and the code avoids what differs."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from zmart.run.doctor import package_checks

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "zmart",
    "ingest",
    "api",
    "orchestration",
    "devchain",
    "relay",
    "bench",
    "clients",
    "analytics",
    "tests",
    ".ci",
)
VERSIONS = ("3.11", "3.12", "3.13")


def test_every_file_names_the_same_versions() -> None:
    """The project, the setup, and the tests of the other Pythons."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    setup = (ROOT / "deploy" / "setup.sh").read_text()

    assert project["requires-python"] == ">=3.11,<3.14"
    assert 'supported="3.13 3.12 3.11"' in setup
    assert tuple(f"{major}.{minor}" for major, minor in package_checks.PYTHONS) == VERSIONS
    assert "3.11, 3.12 or 3.13" in setup
    for page in ("README.md", "CONTRIBUTING.md"):
        assert re.search(r"3\.11, 3\.12 or 3\.13", (ROOT / page).read_text()), page


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-setup.lock"])
def test_locks_hold_hashes_and_no_addresses(lock: str) -> None:
    """Every package is pinned with hashes; the registry is the installer's affair."""
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]

    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry or "==" not in entry] == []
    assert "://" not in text


def test_what_installs_is_locked_too() -> None:
    """The environment's pip and setuptools are the locked ones; a new environment of 3.11 holds another setuptools."""
    for name, lock in (("pip", "requirements-setup.lock"), ("setuptools", "requirements-dev.lock")):
        (locked,) = re.findall(rf"^{name}==(\S+)", (ROOT / lock).read_text(), flags=re.MULTILINE)
        assert importlib.metadata.version(name) == locked


def test_nothing_is_raised_inside_except_star() -> None:
    """Python 3.11.2, which Debian 12 delivers, wraps such exceptions in another group."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if "node_modules" not in path.parts
        for clause in ast.walk(ast.parse(path.read_text()))
        if isinstance(clause, ast.TryStar)
        for handler in clause.handlers
        for node in ast.walk(handler)
        if isinstance(node, ast.Raise)
    ]

    assert found == []


def fake_python(folder: Path, name: str, version: str, *, has_venv: bool = True) -> None:
    """A program that answers as `deploy/setup.sh` asks a Python, and records when it is to build an environment."""
    script = folder / name
    script.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *version_info*) echo {version} ;; *ensurepip*) exit {0 if has_venv else 1} ;;\n'
        f'*"-m venv"*) echo "builds with {version}" >&2; exit 9 ;; esac\n'
    )
    script.chmod(0o755)


def run_setup(folder: Path, *arguments: str) -> str:
    """Run the setup with only these Pythons on PATH; return its errors."""
    environ = {"PATH": f"{folder}:{os.defpath}", "HOME": str(folder), "PYENV_ROOT": str(folder / "pyenv")}
    # The programs of the system's folders must not answer for versions that the test leaves out.
    for version in ("3", "3.11", "3.12", "3.13", ""):
        if not (folder / f"python{version}").exists():
            fake_python(folder, f"python{version}", "2.7")
    command = ["sh", "deploy/setup.sh", *arguments, *([""] if not arguments else []), str(folder / "venv")]
    result = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    return result.stderr


def test_setup_takes_the_newest_supported_python(tmp_path: Path) -> None:
    """Whatever its program is called; one without venv or too new does not count."""
    fake_python(tmp_path, "python3", "3.14")
    fake_python(tmp_path, "python3.13", "3.13", has_venv=False)
    fake_python(tmp_path, "python3.11", "3.11")
    assert "builds with 3.11" in run_setup(tmp_path)

    bin_folder = tmp_path / "pyenv" / "versions" / "3.12.1" / "bin"
    bin_folder.mkdir(parents=True)
    fake_python(bin_folder, "python", "3.12")
    assert "builds with 3.12" in run_setup(tmp_path)
    assert "builds with 3.11" in run_setup(tmp_path, str(tmp_path / "python3.11"))


@pytest.mark.parametrize(
    ("version", "has_venv", "message"),
    [("3.10", True, "zmart needs Python 3.11, 3.12 or 3.13, found 3.10"), ("3.12", False, "python3-venv")],
)
def test_setup_names_the_next_step(tmp_path: Path, version: str, has_venv: bool, message: str) -> None:
    """Without a usable Python, the error is one sentence with the package to install."""
    fake_python(tmp_path, "python3", version, has_venv=has_venv)

    assert message in run_setup(tmp_path)


def test_this_python_is_supported() -> None:
    """The tests run on a version that they are for."""
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in VERSIONS
