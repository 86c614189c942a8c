"""Images of markets: what is accepted, and that everything else is refused with its reason, without decoding."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from zmart.domain import images

SIZE = (64, 48)


def saved(form: str, **options: object) -> bytes:
    """A picture as another program writes it."""
    stream = io.BytesIO()
    Image.radial_gradient("L").resize(SIZE).convert("RGB").save(stream, format=form, **options)  # type: ignore[arg-type]
    return stream.getvalue()


PICTURES = {
    "png": saved("PNG"),
    "png with a profile of colours": saved("PNG", icc_profile=b"profile" * 20),
    "jpeg": saved("JPEG"),
    "progressive jpeg": saved("JPEG", progressive=True),
    "jpeg with a comment": saved("JPEG", comment=b"Made with a camera"),
    "webp": saved("WEBP"),
    "lossless webp": saved("WEBP", lossless=True),
    "webp with facts of the camera": saved("WEBP", exif=b"Exif\0\0facts"),
}


def chunk(kind: bytes, body: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *more: bytes, colour: int = 2) -> bytes:
    """A PNG with any size in its header and a few bytes of pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 99))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *more, pixels, chunk(b"IEND", b"")])


def jpeg(width: int, height: int, *more: bytes, frame: int = 0xC0) -> bytes:
    """A JPEG with any size in its header and a few bytes of pixels."""
    header = bytes([0xFF, frame]) + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\xff\x00\x34"
    return b"".join([b"\xff\xd8", *more, header, scan, b"\xff\xd9"])


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these parts."""
    body = b"".join(kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def lossless(width: int, height: int) -> tuple[bytes, bytes]:
    """The pixels of a lossless WebP of any size."""
    return b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_other_programs_are_accepted(name: str) -> None:
    """With the type that their bytes have and their size in pixels."""
    facts = images.check(PICTURES[name])

    assert (facts.width, facts.height) == SIZE
    assert facts.media_type == f"image/{next(form for form in ('png', 'jpeg', 'webp') if form in name)}"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_is_cut_off_is_refused(name: str) -> None:
    """At whatever byte, and always with a reason."""
    content = PICTURES[name]
    for length in range(len(content)):
        with pytest.raises(images.InvalidImage):
            images.check(content[:length])


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("tail", [b"\0", b"PK\x03\x04archive", b"<script>alert(1)</script>"])
def test_a_picture_with_something_behind_it_is_refused(name: str, tail: bytes) -> None:
    """A file that is an image and an archive or page as well is none for us."""
    with pytest.raises(images.InvalidImage):
        images.check(PICTURES[name] + tail)


@pytest.mark.parametrize("make", [png, jpeg, lambda width, height: webp(lossless(width, height))])
def test_the_size_comes_from_the_header_alone(make: Callable[[int, int], bytes]) -> None:
    """A few bytes that would fill the memory of a browser are refused before anything decodes them."""
    assert images.check(make(4096, 1024)).width == 4096
    for width, height in ((4097, 1), (1, 4097), (4096, 1025), (16_384, 16_384)):
        with pytest.raises(images.InvalidImage, match=f"{width} x {height} pixels"):
            images.check(make(width, height))


def test_the_largest_sizes_that_a_header_can_have_are_refused() -> None:
    """PNG counts to 4 billion, JPEG to 65,535; and an image without pixels is none."""
    for content in (png(0xFFFFFFFF, 0xFFFFFFFF), jpeg(0xFFFF, 0xFFFF)):
        with pytest.raises(images.InvalidImage, match="pixels"):
            images.check(content)
    for content in (png(0, 5), jpeg(5, 0)):
        with pytest.raises(images.InvalidImage, match="no pixels"):
            images.check(content)


REFUSED = {
    "": "is empty",
    "GIF89a......": "are a GIF",
    "<svg xmlns='http://www.w3.org/2000/svg'/>": "an SVG, which can contain scripts",
    "\n<?xml version='1.0'?><svg/>": "an SVG",
    "<!doctype html><p>": "a page or XML",
    "%PDF-1.7": "a PDF",
    "MZ\x90\x00": "no image of a known type",
    " " * 100_000: "no image of a known type",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:10])
def test_other_files_are_named(text: str) -> None:
    """The message says what the bytes are, and what to send."""
    with pytest.raises(images.InvalidImage, match=REFUSED[text]):
        images.check(text.encode("latin-1"))


BROKEN = {
    "is damaged": png(4, 4).replace(b"IDATx", b"IDATy", 1),
    "animated": png(4, 4, chunk(b"acTL", bytes(8))),
    "two headers": png(4, 4, chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))),
    "header is not valid": png(4, 4, colour=5),
    "does not begin with its header": b"\x89PNG\r\n\x1a\n" + chunk(b"gAMA", bytes(4)) + png(4, 4)[8:],
    "part that no reader knows": png(4, 4, chunk(b"ZIPX", b"")),
    "another document": png(4, 4, chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")),
    "another document ": jpeg(4, 4, b"\xff\xfe\x00\x10<!DOCTYPE html"),
    "another document  ": webp((b"XMP ", b"<html>"), lossless(4, 4)),
    "neither sequential nor progressive": jpeg(4, 4, frame=0xC9),
    "two headers ": jpeg(4, 4, b"\xff\xc0\x00\x0b\x08\x00\x04\x00\x04\x01\x01\x11\x00"),
    "between its parts": jpeg(4, 4, b"\xff\xfe\x00\x04ok" + b"junk"),
    "cut off": b"\xff\xd8" + b"\xff" * 400_000,
    "cut off ": jpeg(4, 4)[:-2] + b"\xff" * 400_000,
    "more than 100 scans": jpeg(4, 4)[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 100 + b"\xff\xd9",
    "two images": webp(lossless(4, 4), lossless(4, 4)),
    "contradict": webp((b"VP8X", bytes(4) + b"\x09\0\0\x09\0\0"), lossless(4, 4)),
    "animated ": webp((b"VP8X", b"\x02\0\0\0" + b"\x03\0\0\x03\0\0"), lossless(4, 4)),
    "part that no reader knows ": webp(lossless(4, 4), (b"JUNK", b"")),
    "at most 524,288": png(4, 4, chunk(b"tEXt", bytes(images.MOST_BYTES))),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_an_image_with_a_wrong_structure_is_refused(reason: str) -> None:
    """Each with its own reason, and in linear time."""
    with pytest.raises(images.InvalidImage, match=rf"(?i){reason.strip()}"):
        images.check(BROKEN[reason])
