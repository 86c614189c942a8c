"""Content ids equal those of IPFS."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from zmart import errors
from zmart.domain import cids

#: CIDs by ipfs-unixfs-importer 15: bytes of the file, bytes of a chunk, CIDv0, CIDv1. Small chunks make deep trees:
#: 174 are one level, 175 two, 174 * 174 + 1 three.
NAMES: list[tuple[int, int, str, str]] = json.loads((Path(__file__).parent / "cids.json").read_text())


def noise(size_bytes: int) -> bytes:
    """Return the same bytes every time."""
    return hashlib.shake_128(b"zmart").digest(size_bytes)


@pytest.mark.parametrize(
    ("content", "cid"),
    [
        # Results of `printf 'hello world\n' | ipfs add` and of `ipfs add` with an empty file, on any node.
        (b"hello world\n", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"),
        (b"", "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
    ],
)
def test_a_file_has_the_name_that_ipfs_gives_it(content: bytes, cid: str) -> None:
    """CIDv0 of a file in one block."""
    assert cids.compute_cid(content) == cid
    assert len(cid) == cids.LENGTH


@pytest.mark.parametrize(("size_bytes", "chunk_bytes", "cid", "cid_v1"), NAMES)
def test_trees_have_the_names_that_another_implementation_gives(
    size_bytes: int, chunk_bytes: int, cid: str, cid_v1: str
) -> None:
    """One chunk, several, as many as a block lists, one more, and three levels; in both versions."""
    assert cids.compute_cid(noise(size_bytes), chunk_bytes=chunk_bytes) == cid
    assert cids.to_v1(cid) == cid_v1


def test_recorded_cids_equal_those_of_another_implementation(unixfs: Path) -> None:
    """The list of CIDs above, computed again."""
    wanted = []
    for size_bytes, chunk_bytes, _, _ in NAMES:
        (file := unixfs / f"{size_bytes}").write_bytes(noise(size_bytes))
        wanted.append({"path": str(file), "chunk_bytes": chunk_bytes})
    result = subprocess.run(
        ["node", "names.mjs"], cwd=unixfs, input=json.dumps(wanted), capture_output=True, text=True, check=True
    )

    assert json.loads(result.stdout) == [[cid, cid_v1] for _, _, cid, cid_v1 in NAMES]


def test_the_longest_file_of_one_chunk_is_one_block() -> None:
    """One byte more makes a tree, whose CID is not that of a larger chunk."""
    content = noise(cids.CHUNK_BYTES + 1)

    assert cids.compute_cid(content[:-1]) == cids.compute_cid(content[:-1], chunk_bytes=cids.CHUNK_BYTES + 1)
    assert cids.compute_cid(content) != cids.compute_cid(content, chunk_bytes=cids.CHUNK_BYTES + 1)


@pytest.mark.parametrize("size_bytes", [0, 1, cids.CHUNK_BYTES, cids.CHUNK_BYTES + 1])
def test_a_name_is_that_of_its_bytes_alone(size_bytes: int) -> None:
    """In both versions; with one byte changed, added or omitted it differs."""
    content = noise(size_bytes)
    for cid in (cids.compute_cid(content), cids.to_v1(cids.compute_cid(content))):
        assert cids.is_cid_of(cid, content)
        for other in (content + b"\0", content[:-1] if content else b"\0", b"\0" + content[1:]):
            assert not cids.is_cid_of(cid, other)


@pytest.mark.parametrize("text", ["", "Qm", "bafybeigdyrzt5sfp7udm7hu76uh7y26nf", "Qm" + "0" * 44])
def test_only_a_cidv0_has_another_spelling(text: str) -> None:
    """Any other text is rejected."""
    with pytest.raises(errors.InvalidInput):
        cids.to_v1(text)
