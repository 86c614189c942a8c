"""The product works on every supported Python at hand, and on the oldest patch release of each.

The environments `.venv-VERSION` are built by the setup of everybody and stay, so a second run takes seconds.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("zmart", "ingest", "api", "orchestration", "devchain", "relay", "bench")
#: Variables of the run around this one, which would reach into the inner one.
OF_THIS_RUN = ("PYTEST_", "COVERAGE_", "VIRTUAL_ENV")
IMPORT_EVERYTHING = f"""
import importlib, pkgutil
for package in {PACKAGES}:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(280)]


def candidates(minor: str) -> Iterator[Path]:
    """The programs that may be this Python: on PATH, and pyenv's versions."""
    for folder in dict.fromkeys(os.environ.get("PATH", os.defpath).split(os.pathsep)):
        yield Path(folder) / f"python{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{minor}.*/bin/python"))


def patch_of(program: Path, minor: str) -> int | None:
    """The patch number of a Python that can build environments; None for a program that is none."""
    script = "import ensurepip, platform, venv; print(platform.python_version())"
    try:
        result = subprocess.run([program, "-c", script], capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return None
    match = re.fullmatch(rf"{re.escape(minor)}\.(\d+)\s*", result.stdout)
    return int(match[1]) if match else None


def oldest_python(minor: str) -> tuple[str, Path] | None:
    """The version and the program of the oldest patch release at hand."""
    found = [(patch, program) for program in candidates(minor) if (patch := patch_of(program, minor)) is not None]
    return (f"{minor}.{min(found)[0]}", min(found)[1]) if found else None


def environment() -> dict[str, str]:
    """The variables of this process without those of its test run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OF_THIS_RUN)}


def run(*command: str | Path, timeout: float = 240) -> None:
    """Run a program of the environment; its output is the failure's message."""
    result = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=timeout
    )
    assert result.returncode == 0, f"{result.stdout[-6_000:]}\n{result.stderr[-3_000:]}"


@pytest.fixture(scope="module", params=["3.11", "3.12", "3.13"])
def other(request: pytest.FixtureRequest) -> Path:
    """The folder of programs of an environment on another Python."""
    found = oldest_python(request.param)
    if found is None:
        pytest.skip(f"Python {request.param} is not installed")
    version, program = found
    if version == platform.python_version():
        pytest.skip(f"this run is on Python {version}")
    folder = ROOT / f".venv-{version}"
    run("sh", "deploy/setup.sh", program, folder)
    return folder / "bin"


@pytest.mark.drill
def test_all_modules_import_and_settings_load(other: Path) -> None:
    """Every package is there for this Python, every module compiles, and the settings read the same."""
    run(other / "python", "-W", "error::SyntaxWarning", "-c", IMPORT_EVERYTHING)
    run(other / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_settings.py")


@pytest.mark.drill
@pytest.mark.timeout(1_200)
def test_unit_tests_pass(other: Path) -> None:
    """All of them, on the oldest patch release of each other Python."""
    run(other / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "tests/unit", timeout=1_100)
