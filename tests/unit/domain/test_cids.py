"""Content ids are those that IPFS gives."""

from __future__ import annotations

import pytest

from zmart import errors
from zmart.domain import cids


@pytest.mark.parametrize(
    ("content", "cid"),
    [
        # `printf 'hello world\n' | ipfs add` and `ipfs add` of an empty file, as everyone's node answers.
        (b"hello world\n", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"),
        (b"", "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
    ],
)
def test_a_file_has_the_name_that_ipfs_gives_it(content: bytes, cid: str) -> None:
    """CIDv0 of a file in one block."""
    assert cids.of_file(content) == cid
    assert len(cid) == cids.LENGTH


def test_a_file_of_several_blocks_is_refused() -> None:
    """Its name would be that of a tree, which is another one."""
    assert cids.of_file(b"x" * cids.MOST_BYTES)
    with pytest.raises(errors.InvalidInput):
        cids.of_file(b"x" * (cids.MOST_BYTES + 1))
