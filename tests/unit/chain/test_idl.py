"""Our description of the program against its own rules and, if it is available, the program's IDL."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from zmart import errors
from zmart.chain import idl
from zmart.domain.program_errors import ErrorCode

THEIRS = Path(__file__).parents[4] / "shared/data/zmart_core.idl.json"


@pytest.mark.skipif(not THEIRS.exists(), reason="the program's own IDL is not at hand")
@pytest.mark.parametrize("part", ["address", "instructions", "accounts", "events", "errors", "types"])
def test_equal_to_the_programs(part: str) -> None:
    """Every part equals the program's own IDL, in the same order."""
    ours = msgspec.to_builtins(idl.load())[part]
    theirs = msgspec.to_builtins(idl.parse(THEIRS.read_bytes()))[part]
    if part == "errors":
        ours, theirs = ([(e["code"], e["name"]) for e in each] for each in (ours, theirs))
    assert ours == theirs


def test_discriminators() -> None:
    """Each is the first eight bytes of SHA-256 of namespace and name, and none occurs twice."""
    description = idl.load()
    seen = []
    for namespace, entries in (
        ("global", description.instructions),
        ("account", description.accounts),
        ("event", description.events),
    ):
        for entry in entries:
            digest = hashlib.sha256(f"{namespace}:{entry.name}".encode()).digest()
            assert bytes(entry.discriminator) == digest[:8], entry.name
            seen.append(digest[:8])
    assert len(seen) == len(set(seen)) == 18 + 4 + 18


def test_errors_are_the_domains() -> None:
    """The IDL and the table of errors agree on number, name and message."""
    described = [(each.code, each.name, each.msg) for each in idl.load().errors]
    assert described == [(each.code, each.name, each.value) for each in ErrorCode]


def test_nothing_of_the_file_is_lost() -> None:
    """The model has all content of the file."""
    text = resources.files("zmart.chain").joinpath("idl/zmart_core.json").read_bytes()
    filled = json.loads(msgspec.json.encode(idl.load()))
    assert _without_empty(filled) == _without_empty(json.loads(text))


@pytest.mark.parametrize("text", [b"", b"[]", b'{"version": "0.69.0", "instructions": []}'])
def test_other_formats_are_refused(text: bytes) -> None:
    """A file that is not an IDL of the present format stops the start with a message."""
    with pytest.raises(errors.ConfigurationError, match=r"Anchor IDL of version 0\.30"):
        idl.parse(text)


def _without_empty(value: object) -> object:
    if isinstance(value, dict):
        pairs = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in pairs.items() if each not in (None, [], False)}
    if isinstance(value, list):
        return [_without_empty(each) for each in value]
    return value
