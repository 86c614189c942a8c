"""Vendored browser files equal the published ones, and there are no others."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from api import static_files

VENDOR = static_files.FOLDER / "vendor"
PACKAGES = tomllib.loads((VENDOR / "VENDORED.toml").read_text())["package"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_files_are_those_that_were_published(package: dict[str, object]) -> None:
    """Every file has the recorded hash, and the version in its path."""
    files = package["files"]
    assert isinstance(files, dict)

    assert {path: hashlib.sha256((VENDOR / path).read_bytes()).hexdigest() for path in files} == files
    assert all(str(package["version"]) in path.partition("/")[0] for path in files)
    assert any(path.endswith("/LICENSE") for path in files)


def test_nothing_else_is_vendored() -> None:
    """A file without a recorded hash fails."""
    named = {path for package in PACKAGES for path in package["files"]} | {"VENDORED.toml"}

    assert {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()} == named


def test_the_console_loads_nothing_from_elsewhere() -> None:
    """Our own files contain no address of another host, except SVG's namespace and links that a user follows."""
    allowed = ("http://www.w3.org/2000/svg", "https://www.tradingview.com/", "https://explorer.solana.com")
    ours = [path for path in static_files.FOLDER.rglob("*") if path.is_file() and VENDOR not in path.parents]
    texts = {path.name: path.read_text() for path in ours}
    for address in allowed:
        texts = {name: text.replace(address, "") for name, text in texts.items()}

    assert [name for name, text in texts.items() if "http://" in text or "https://" in text] == []


def test_user_text_never_becomes_markup() -> None:
    """No file of ours uses a function that parses a string as HTML or as code."""
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "srcdoc")
    ours = [path for path in static_files.FOLDER.glob("*.js") if path.name != "dom.js"]

    assert [(path.name, word) for path in ours for word in forbidden if word in path.read_text()] == []


def test_the_wheel_brings_the_console_along() -> None:
    """The package contains every file of the pages, not only the Python."""
    builder = WheelBuilder(str(static_files.FOLDER.parents[1]))
    packed = {Path(file.distribution_path).as_posix() for file in builder.recurse_included_files()}
    ours = {
        f"api/console/{path.relative_to(static_files.FOLDER).as_posix()}"
        for path in static_files.FOLDER.rglob("*")
        if path.is_file()
    }

    assert ours - packed == set()
