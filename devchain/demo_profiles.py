"""Generates names of demo wallets and pictures of demo markets, as functions of a text.

A picture is a PNG of 64 by 64 pixels: a symmetric pattern of squares in two colours. It has about 150 bytes.
"""

from __future__ import annotations

import colorsys
import hashlib
import random
import struct
import zlib

SIDE = 64
#: Squares a side; those on the right mirror those on the left.
_SQUARES = 8
_FIRST = ("Quiet", "Amber", "Northern", "Patient", "Silver", "Curious", "Steady", "Bright", "Distant", "Gentle")
_SECOND = ("Otter", "Harbour", "Comet", "Lantern", "Meadow", "Falcon", "Orchard", "Pebble", "Willow", "Tide")
_BIOS = (
    "Asks what can be looked up afterwards.",
    "Follows chains, football and the weather.",
    "Reads the source before the market.",
)


def display_name(wallet: str) -> str:
    """Return the name of a wallet."""
    draw = random.Random(f"name {wallet}")  # noqa: S311 - a demo, not a secret
    return f"{draw.choice(_FIRST)} {draw.choice(_SECOND)} {draw.randrange(10, 100)}"


def bio(wallet: str) -> str:
    """Return the text of a wallet's profile."""
    return random.Random(f"bio {wallet}").choice(_BIOS)  # noqa: S311 - a demo, not a secret


def picture(text: str) -> bytes:
    """Return the picture that belongs to a text: a PNG."""
    digest = hashlib.sha256(text.encode()).digest()
    hue = digest[0] / 256
    colours = [colorsys.hls_to_rgb(hue, 0.22, 0.5), colorsys.hls_to_rgb((hue + 0.12) % 1, 0.62, 0.7)]
    palette = bytes(round(part * 255) for colour in colours for part in colour)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            # One bit a pixel, which names one of two colours.
            _chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 1, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette),
            _chunk(b"IDAT", zlib.compress(b"".join(_rows(digest[1:])), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _rows(bits: bytes) -> list[bytes]:
    """Return the rows of pixels, each after the byte of its filter."""
    rows = []
    for number in range(_SQUARES):
        half = f"{bits[number] & 0x0F:04b}"
        # A square is 8 pixels wide, so one bit of the pattern becomes one byte of the row.
        row = bytes(0xFF if bit == "1" else 0 for bit in half + half[::-1])
        rows += [b"\0" + row] * (SIDE // _SQUARES)
    return rows


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
