"""How delivered bodies are kept: those of a batch together, a few dozen to a compressed piece.

Transactions of one program resemble each other. Compressed alone, one of 2.4 kB becomes 1.1 kB and takes 25 µs;
compressed with its neighbours it becomes 0.3 kB and takes 5 µs, which was a quarter of all that ingest does. To read
one back, its bundle is opened: 60 µs.

A body by itself, as older logs have it, is zlib too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: Further back than 32 kB deflate does not see; twice that keeps bundles small and their beginnings rare.
BUNDLE_BYTES = 64 << 10
#: Level 1: higher ones take three times as long for a sixth less.
LEVEL = 1


class BodyRef(NamedTuple):
    """Where a body is."""

    #: Which bundle of its batch, from 1.
    bundle: int
    #: In bytes of the opened bundle.
    start: int
    length: int


class Bundles(NamedTuple):
    """The bodies of a batch."""

    contents: list[bytes]
    #: One per body, in their order.
    refs: list[BodyRef]


def compress(bodies: Iterable[bytes]) -> Bundles:
    """Bodies in bundles; one of more than BUNDLE_BYTES has its own."""
    contents, refs = [], []
    for number, group in enumerate(_groups(bodies), start=1):
        contents.append(compress_one(b"".join(group)))
        start = 0
        for body in group:
            refs.append(BodyRef(number, start, len(body)))
            start += len(body)
    return Bundles(contents, refs)


def compress_one(body: bytes) -> bytes:
    """One body compressed by itself."""
    return zlib.compress(body, LEVEL)


def decompress(content: bytes, start: int = 0, length: int | None = None) -> bytes:
    """A body out of its bundle, or out of nothing but itself."""
    full = zlib.decompress(content)
    return full if length is None else full[start : start + length]


def _groups(bodies: Iterable[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for body in bodies:
        if group and size + len(body) > BUNDLE_BYTES:
            yield group
            group, size = [], 0
        group.append(body)
        size += len(body)
    if group:
        yield group
