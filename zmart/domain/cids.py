"""Content ids: the name a file has in IPFS, computed without IPFS.

The program stores 46 characters of one (protocol.md 1.9), which is exactly a CIDv0: `Qm` and a SHA-256
in base58. Whoever adds the same bytes to IPFS in the same way gets the same name. The way is the profile
`unixfs-v0-2015`, which is what `ipfs add --cid-version 0` does: the file is cut into chunks of 262,144
bytes, each chunk becomes a block (UnixFS in dag-pb, no raw leaves), and where there are several, blocks
that list up to 174 others are put above them, level by level, until one is left. Its hash is the name.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from zmart import errors
from zmart.domain import base58

#: The profile's numbers: bytes of a chunk, and how many blocks one block lists.
CHUNK_BYTES: Final = 256 * 1024
LINKS: Final = 174
#: The length of a CIDv0, and of the program's field for it.
LENGTH: Final = 46

#: A multihash begins with the hash's kind and length: SHA-256, 32 bytes.
_SHA_256 = b"\x12\x20"
#: A CIDv1 begins with its version and what the block is: dag-pb.
_V1_DAG_PB = b"\x01\x70"
_V0 = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")


class _Block(NamedTuple):
    """A block as the one above it lists it."""

    multihash: bytes
    #: Bytes of the file below it.
    file_bytes: int
    #: Bytes of it and of every block below it.
    tree_bytes: int


def compute_cid(content: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> str:
    """The CIDv0 of a file of any size; another size of chunks makes another name."""
    level = [_leaf(content[start : start + chunk_bytes]) for start in range(0, len(content) or 1, chunk_bytes)]
    while len(level) > 1:
        level = [_branch(level[start : start + LINKS]) for start in range(0, len(level), LINKS)]
    return base58.encode(level[0].multihash)


def is_cid_of(cid: str, content: bytes) -> bool:
    """Whether a name, in either spelling, is the one that this profile gives these bytes.

    False also says: made in another way (other chunks, raw leaves, a directory), which bytes alone do not tell.
    """
    ours = compute_cid(content)
    return cid in (ours, to_v1(ours))


def to_v1(cid: str) -> str:
    """The same name as a CIDv1 in base32, which is what gateways put into host names. InvalidInput for no CIDv0."""
    if not _V0.fullmatch(cid) or not (multihash := base58.decode(cid)).startswith(_SHA_256):
        raise errors.InvalidInput(f"{cid[:80]!r} is no CIDv0.", help="A CIDv0 is Qm and 44 characters of base58.")
    return "b" + base64.b32encode(_V1_DAG_PB + multihash).decode().rstrip("=").lower()


def _leaf(chunk: bytes) -> _Block:
    # An empty file has no data, which is not the same as data of no length.
    data = _bytes(0x12, chunk) if chunk else b""
    return _block(links=b"", unixfs=data + b"\x18" + _varint(len(chunk)), file_bytes=len(chunk), below=0)


def _branch(children: Sequence[_Block]) -> _Block:
    file_bytes = sum(child.file_bytes for child in children)
    sizes = b"".join(b"\x20" + _varint(child.file_bytes) for child in children)
    return _block(
        links=b"".join(_links(children)),
        unixfs=b"\x18" + _varint(file_bytes) + sizes,
        file_bytes=file_bytes,
        below=sum(child.tree_bytes for child in children),
    )


def _links(children: Sequence[_Block]) -> Iterator[bytes]:
    """Hash, name (empty, and written all the same) and size of each."""
    for child in children:
        yield _bytes(0x12, _bytes(0x0A, child.multihash) + _bytes(0x12, b"") + b"\x18" + _varint(child.tree_bytes))


def _block(*, links: bytes, unixfs: bytes, file_bytes: int, below: int) -> _Block:
    # Links come before data although their field number is the higher one: dag-pb's oldest habit.
    block = links + _bytes(0x0A, b"\x08\x02" + unixfs)
    return _Block(_SHA_256 + hashlib.sha256(block).digest(), file_bytes, len(block) + below)


def _bytes(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
