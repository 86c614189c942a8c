"""Computes content ids (CIDs), the identifiers of files in IPFS, without IPFS.

The program stores 46 characters of one (protocol.md 1.9), which is exactly a CIDv0: `Qm` and a SHA-256 in base58.
Adding the same bytes to IPFS in the same way gives the same CID. The way is the profile `unixfs-v0-2015`, which is what
`ipfs add --cid-version 0` uses. The file is cut into chunks of 262,144 bytes, and each chunk becomes a block (UnixFS in
dag-pb, no raw leaves). Where there are several, blocks that list up to 174 others are added above them, level by level,
until one is left. Its hash is the CID.
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
#: A CIDv1 begins with its version and the type of the block: dag-pb.
_V1_DAG_PB = b"\x01\x70"
_V0 = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")


class _Block(NamedTuple):
    """A block as the block above it lists it."""

    multihash: bytes
    #: Bytes of the file below it.
    file_bytes: int
    #: Bytes of the block and of every block below it.
    tree_bytes: int


def compute_cid(content: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> str:
    """Return the CIDv0 of a file of any size; another chunk size gives another CID."""
    level = [_leaf(content[start : start + chunk_bytes]) for start in range(0, len(content) or 1, chunk_bytes)]
    while len(level) > 1:
        level = [_branch(level[start : start + LINKS]) for start in range(0, len(level), LINKS)]
    return base58.encode(level[0].multihash)


def is_cid_of(cid: str, content: bytes) -> bool:
    """Return whether a CID, in either version, is the one that this profile gives these bytes.

    False can also mean that the CID was made in another way (other chunks, raw leaves, a directory), which the bytes
    alone do not show.
    """
    ours = compute_cid(content)
    return cid in (ours, to_v1(ours))


def to_v1(cid: str) -> str:
    """Return the same CID as a CIDv1 in base32, which gateways put into host names; raise InvalidInput for no CIDv0."""
    if not _V0.fullmatch(cid) or not (multihash := base58.decode(cid)).startswith(_SHA_256):
        raise errors.InvalidInput(f"{cid[:80]!r} is not a CIDv0.", help="A CIDv0 is Qm and 44 characters of base58.")
    return "b" + base64.b32encode(_V1_DAG_PB + multihash).decode().rstrip("=").lower()


def _leaf(chunk: bytes) -> _Block:
    # An empty file has no data field, which differs from a data field of length zero.
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
    """Yield the link to each block: hash, name (empty, but written all the same) and size."""
    for child in children:
        yield _bytes(0x12, _bytes(0x0A, child.multihash) + _bytes(0x12, b"") + b"\x18" + _varint(child.tree_bytes))


def _block(*, links: bytes, unixfs: bytes, file_bytes: int, below: int) -> _Block:
    # Links come before data although their field number is higher: dag-pb requires this order for historical reasons.
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
