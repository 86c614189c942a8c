"""Removes from an image what programs and cameras write into it about people: places, names, dates, comments.

Phones write into a photo where it was taken. A market's image is public, and browsers may keep it for good, so what it
says cannot be withdrawn. Pixels and colours stay as they are, because nothing is decoded or compressed again. How the
image is turned also stays: phones save upright photos lying on their side, with a number that says so.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from zmart.domain import images

#: Optional parts of a PNG that change how its pixels look.
_PNG_COLOURS: Final = {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"pHYs", b"bKGD"}
#: How the part of a JPEG begins that contains what cameras write (Exif 3.0, 4.7.2).
_JPEG_EXIF: Final = b"Exif\0\0"
#: The flags of a WebP's first part that announce EXIF and XMP.
_WEBP_EXIF: Final = 0x08
_WEBP_XMP: Final = 0x04
#: The field of EXIF that says how an image is turned, and its values apart from 1: not at all.
_ORIENTATION: Final = 0x0112
_TURNED: Final = range(2, 9)


def remove_metadata(content: bytes) -> bytes:
    """Return the image without what is written in it about people; raise InvalidImage as `images.check` does."""
    match images.check(content).media_type:
        case "image/png":
            return _clean_png(content)
        case "image/jpeg":
            return _clean_jpeg(content)
        case "image/webp":
            return _clean_webp(content)


def _clean_png(content: bytes) -> bytes:
    chunks: list[tuple[bytes, bytes]] = []
    for kind, body in images.png_chunks(content):
        is_critical = kind[0] & 0x20 == 0
        if is_critical or kind in _PNG_COLOURS:
            chunks.append((kind, body))
        elif kind == b"eXIf" and (turned := _orientation_only(body)):
            chunks.append((kind, turned))
    return images.PNG_START + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _clean_jpeg(content: bytes) -> bytes:
    parts = [b"\xff\xd8"]
    for marker, segment, data in images.jpeg_parts(content):
        body = _clean_jpeg_note(marker, segment) if images.is_jpeg_note(marker) else segment
        if body is not None:
            parts.append(struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body + data)
    return b"".join([*parts, b"\xff\xd9"])


def _clean_jpeg_note(marker: int, segment: bytes) -> bytes | None:
    match marker:
        case 0xE0 if segment.startswith(b"JFIF\0"):
            # Without the small picture at its end, which may show what was cut off the large one.
            return segment[:12] + b"\0\0"
        case 0xE1 if segment.startswith(_JPEG_EXIF) and (turned := _orientation_only(segment[len(_JPEG_EXIF) :])):
            return _JPEG_EXIF + turned
        case 0xE2 if segment.startswith(b"ICC_PROFILE\0"):
            return segment
        case 0xEE if segment.startswith(b"Adobe"):
            return segment
    return None


def _clean_webp(content: bytes) -> bytes:
    chunks: list[tuple[bytes, bytes]] = []
    flags = 0
    for kind, body in images.webp_chunks(content):
        if kind == b"EXIF":
            if turned := _orientation_only(body.removeprefix(_JPEG_EXIF)):
                flags = _WEBP_EXIF
                chunks.append((kind, turned))
        elif kind != b"XMP ":
            chunks.append((kind, body))
    if chunks[0][0] == b"VP8X":
        canvas = chunks[0][1]
        chunks[0] = b"VP8X", bytes([canvas[0] & ~(_WEBP_EXIF | _WEBP_XMP) | flags]) + canvas[1:]
    parts = b"".join(kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for kind, body in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WEBP" + parts


def _orientation_only(exif: bytes) -> bytes | None:
    """Return EXIF that says only how the image is turned; None if it is not."""
    orientation = _orientation(exif)
    if orientation not in _TURNED:
        return None
    # Big-endian: one field at byte 8, a number of 16 bits, and no further directory.
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def _orientation(exif: bytes) -> int:
    """Return how an image is turned by its EXIF: 1 to 8; 1 if the EXIF does not say it or cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            field, form, _, value = struct.unpack_from(f"{order}HHIH", exif, place)
            if (field, form) == (_ORIENTATION, 3):
                return int(value)
    except struct.error:
        pass
    return 1
