"""Checks images of markets by their structure, without decoding a pixel.

The media type comes from the bytes, never from what a client says. Width and height come from the header, so an image
of a few bytes that would fill a browser's memory is rejected before anything decodes it. Each format is read from its
first to its last byte: a file that is cut off, or that is followed by something else (an archive, a page), is no image.
SVG is rejected because it can contain scripts.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from zmart import errors

MediaType: TypeAlias = Literal["image/png", "image/jpeg", "image/webp"]
#: The largest image in bytes, and its longest side and area in pixels: 4 bytes a pixel make 16 MiB in a browser.
MOST_BYTES: Final = 512 * 1024
LONGEST_SIDE: Final = 4096
MOST_PIXELS: Final = 4 * 1024 * 1024

PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
#: Depths in bits that a PNG may have, by its colour type.
_PNG_DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
#: Frame headers of sequential and progressive JPEG; browsers show no other kind.
_JPEG_FRAMES: Final = {0xC0, 0xC1, 0xC2}
_OTHER_JPEG_FRAMES: Final = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_JPEG_SCAN: Final = 0xDA
_JPEG_COMMENT: Final = 0xFE
#: Each scan lets a decoder go over all pixels again. Progressive images of other programs have about ten.
_MOST_JPEG_SCANS: Final = 100
_JPEG_END: Final = 0xD9
#: The next marker within compressed data, where FF 00 is the byte FF and FF D0 to FF D7 are restarts.
_JPEG_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_WEBP_CHUNKS: Final = {b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L", b"EXIF", b"XMP "}
#: Beginnings of other documents that could hide in an image's own texts.
_FOREIGN: Final = re.compile(rb"<(?:script|html|svg|body|iframe|!doctype|\?php)|%PDF-|PK\x03\x04", re.IGNORECASE)
#: What the first bytes of other files are, for a clear message.
_OTHER_FILES: Final = (
    (re.compile(rb"GIF8[79]a"), "a GIF"),
    (re.compile(rb"BM"), "a BMP"),
    (re.compile(rb"(?:II\*\0|MM\0\*)"), "a TIFF"),
    (re.compile(rb".{4}ftyp(?:avif|avis|heic|heix|mif1)", re.DOTALL), "an AVIF or HEIC"),
    (
        re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:\?xml|svg|!doctype svg)", re.IGNORECASE),
        "an SVG, which can contain scripts",
    ),
    (re.compile(rb"\s*<", re.IGNORECASE), "a page or XML"),
    (re.compile(rb"%PDF-"), "a PDF"),
)


class InvalidImage(errors.InvalidInput):
    """The bytes are no image that a market can have."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What the bytes of an image say about it."""

    media_type: MediaType
    #: In pixels.
    width: int
    height: int


def check(content: bytes) -> ImageFacts:
    """Return the type and size of an image; raise InvalidImage with the reason for anything else."""
    if not content:
        raise InvalidImage("The image is empty.")
    if len(content) > MOST_BYTES:
        raise InvalidImage(f"The image has {len(content):,} bytes; at most {MOST_BYTES:,} are accepted.")
    try:
        return _reader_of(content)(content)
    except (struct.error, IndexError):
        raise InvalidImage("The image is cut off.") from None


def _reader_of(content: bytes) -> Callable[[bytes], ImageFacts]:
    if content.startswith(PNG_START):
        return _read_png
    if content.startswith(_JPEG):
        return _read_jpeg
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _read_webp
    found = next(
        (name for beginning, name in _OTHER_FILES if beginning.match(content[:256])), "no image of a known type"
    )
    raise InvalidImage(f"The bytes are {found}. Send a PNG, JPEG or WebP.")


def _facts(media_type: MediaType, width: int, height: int) -> ImageFacts:
    if not width or not height:
        raise InvalidImage("The image has no pixels.")
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise InvalidImage(
            f"The image has {width} x {height} pixels. At most {LONGEST_SIDE} a side and {MOST_PIXELS:,} together are "
            "accepted."
        )
    return ImageFacts(media_type=media_type, width=width, height=height)


def _require_no_document(text: bytes) -> None:
    if _FOREIGN.search(text):
        raise InvalidImage("The image contains another document in its texts.")


def _read_png(content: bytes) -> ImageFacts:
    found: ImageFacts | None = None
    has_data = False
    for kind, body in png_chunks(content):
        if found is None:
            if kind != b"IHDR":
                raise InvalidImage("The PNG does not begin with its header.")
            found = _read_png_header(body)
        elif kind == b"IHDR":
            raise InvalidImage("The PNG has two headers.")
        elif kind == b"acTL":
            raise InvalidImage("Animated images are not accepted.")
        elif kind == b"IDAT":
            has_data = True
        elif kind not in {b"PLTE", b"IEND"}:
            if kind[0] & 0x20 == 0:
                raise InvalidImage("The PNG has a part that no reader knows.")
            _require_no_document(body)
    if found is None or not has_data:
        raise InvalidImage("The PNG has no pixels.")
    return found


def _read_png_header(body: bytes) -> ImageFacts:
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", body)
    # The size first: it is what a reader would reserve memory for.
    found = _facts("image/png", width, height)
    if depth not in _PNG_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise InvalidImage("The PNG's header is not valid.")
    return found


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of each part up to the last one; raise InvalidImage unless that is the end of the file."""
    place = len(PNG_START)
    while True:
        length, kind = struct.unpack_from(">I4s", content, place)
        body = content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, place + 8 + length)
        if zlib.crc32(kind + body) != checksum:
            raise InvalidImage("A part of the PNG is damaged: its checksum differs.")
        yield kind, body
        place += 12 + length
        if kind == b"IEND":
            _require_end(content, place)
            return


def _require_end(content: bytes, place: int) -> None:
    if place != len(content):
        raise InvalidImage("There are bytes after the end of the image.")


def _read_jpeg(content: bytes) -> ImageFacts:
    found: ImageFacts | None = None
    scans = 0
    for marker, segment, _ in jpeg_parts(content):
        if marker in _JPEG_FRAMES:
            if found is not None:
                raise InvalidImage("The JPEG has two headers.")
            _, height, width = struct.unpack_from(">BHH", segment)
            found = _facts("image/jpeg", width, height)
        elif marker in _OTHER_JPEG_FRAMES:
            raise InvalidImage("The JPEG is neither sequential nor progressive.")
        elif marker == _JPEG_SCAN:
            if found is None:
                raise InvalidImage("The JPEG has no header before its pixels.")
            scans += 1
            if scans > _MOST_JPEG_SCANS:
                raise InvalidImage(f"The JPEG has more than {_MOST_JPEG_SCANS} scans.")
        elif is_jpeg_note(marker):
            _require_no_document(segment)
    if found is None or not scans:
        raise InvalidImage("The JPEG has no pixels.")
    return found


def is_jpeg_note(marker: int) -> bool:
    """Return whether a part is a comment or belongs to an application: no decoder needs it, apart from colours."""
    return marker == _JPEG_COMMENT or 0xE0 <= marker <= 0xEF


def jpeg_parts(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield marker, body and compressed data of each part; raise InvalidImage unless the last one ends the file."""
    place = 2
    while True:
        place, marker = _next_jpeg_marker(content, place)
        if marker == _JPEG_END:
            _require_end(content, place)
            return
        (length,) = struct.unpack_from(">H", content, place)
        segment = content[place + 2 : place + length]
        if length < 2 or len(segment) != length - 2:
            raise InvalidImage("The image is cut off.")
        data = place = place + length
        if marker == _JPEG_SCAN:
            place = _end_of_scan(content, data)
        yield marker, segment, content[data:place]


def _next_jpeg_marker(content: bytes, place: int) -> tuple[int, int]:
    """Return the place after the next marker, and the marker; any number of bytes FF may fill the space before it."""
    if content[place] != 0xFF:
        raise InvalidImage("The JPEG has bytes between its parts.")
    while content[place] == 0xFF:
        place += 1
    marker = content[place]
    if marker < 0xC0 or 0xD0 <= marker <= 0xD8:
        raise InvalidImage("The JPEG has a part that no reader knows.")
    return place + 1, marker


def _end_of_scan(content: bytes, place: int) -> int:
    following = _JPEG_MARKER.search(content, place)
    if following is None:
        raise InvalidImage("The image is cut off.")
    return following.start()


def _read_webp(content: bytes) -> ImageFacts:
    canvas: ImageFacts | None = None
    found: ImageFacts | None = None
    for kind, body in webp_chunks(content):
        if kind in {b"ANIM", b"ANMF"}:
            raise InvalidImage("Animated images are not accepted.")
        if kind not in _WEBP_CHUNKS:
            raise InvalidImage("The WebP has a part that no reader knows.")
        if kind == b"VP8X":
            canvas = _read_webp_canvas(body)
        elif kind in {b"VP8 ", b"VP8L"}:
            if found is not None:
                raise InvalidImage("The WebP has two images.")
            found = _read_webp_lossy(body) if kind == b"VP8 " else _read_webp_lossless(body)
        elif kind != b"ALPH":
            _require_no_document(body)
    if found is None:
        raise InvalidImage("The WebP has no pixels.")
    if canvas is not None and canvas != found:
        raise InvalidImage("The WebP's parts contradict each other.")
    return found


def webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of each part; raise InvalidImage unless the last one ends the file."""
    (size,) = struct.unpack_from("<I", content, 4)
    if size + 8 > len(content):
        raise InvalidImage("The image is cut off.")
    _require_end(content, size + 8)
    place = 12
    while place < len(content):
        kind, length = struct.unpack_from("<4sI", content, place)
        body = content[place + 8 : place + 8 + length]
        if len(body) != length:
            raise InvalidImage("The image is cut off.")
        place += 8 + length + length % 2
        yield kind, body
    if place != len(content):
        raise InvalidImage("The WebP's parts contradict each other.")


def _read_webp_canvas(body: bytes) -> ImageFacts:
    width = 1 + int.from_bytes(body[4:7], "little")
    height = 1 + int.from_bytes(body[7:10], "little")
    if len(body) != 10:
        raise InvalidImage("The WebP's header is not valid.")
    found = _facts("image/webp", width, height)
    if body[0] & 0x02:
        raise InvalidImage("Animated images are not accepted.")
    return found


def _read_webp_lossy(body: bytes) -> ImageFacts:
    # The first byte's lowest bit is 0 for a key frame, the only kind of frame in an image.
    if body[0] & 1 or body[3:6] != b"\x9d\x01\x2a":
        raise InvalidImage("The WebP's header is not valid.")
    width, height = struct.unpack_from("<HH", body, 6)
    return _facts("image/webp", width & 0x3FFF, height & 0x3FFF)


def _read_webp_lossless(body: bytes) -> ImageFacts:
    if body[0] != 0x2F:
        raise InvalidImage("The WebP's header is not valid.")
    (bits,) = struct.unpack_from("<I", body, 1)
    return _facts("image/webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
