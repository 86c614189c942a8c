"""Content ids: the name a file has in IPFS, computed without IPFS.

The program stores 46 characters of one (protocol.md 1.9), which is exactly a CIDv0: `Qm` and a SHA-256
in base58. Whoever adds the same bytes to IPFS gets the same name.
"""

from __future__ import annotations

import hashlib

from zmart import errors
from zmart.domain import base58

#: A file up to this size is one block; larger ones are trees, which we neither make nor need.
MOST_BYTES = 256 * 1024
#: The length of a CIDv0, and of the program's field for it.
LENGTH = 46


def of_file(content: bytes) -> str:
    """The CIDv0 of a file that fits one block: UnixFS in dag-pb, SHA-256. InvalidInput beyond 256 KiB."""
    if len(content) > MOST_BYTES:
        raise errors.InvalidInput(f"A file of {len(content):,} bytes is more than one block.")
    size = _varint(len(content))
    # An empty file has no data, which is not the same as data of no length.
    data = b"\x12" + size + content if content else b""
    unixfs = b"\x08\x02" + data + b"\x18" + size
    block = b"\x0a" + _varint(len(unixfs)) + unixfs
    return base58.encode(b"\x12\x20" + hashlib.sha256(block).digest())


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
