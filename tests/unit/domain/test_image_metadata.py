"""Images of markets: what is written in them about people is removed, and the image looks as before."""

from __future__ import annotations

import io
import struct
import zlib

import hypothesis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps, PngImagePlugin

from zmart.domain import image_metadata, images

FORMS = ("JPEG", "PNG", "WEBP")
NAME, PLACE = "Ann Onymous", (52.0, 31.0, 12.5)
#: A profile of colours, whose content no test reads.
PROFILE = b"profile of colours" * 9


def photo(form: str, *, orientation: int = 1) -> bytes:
    """A picture with the place and the name of who took it, in each field that its format has."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = NAME
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = PLACE
    texts: dict[str, dict[str, object]] = {
        "JPEG": {"comment": NAME.encode(), "quality": 90, "xmp": f"<x>{NAME}</x>".encode()},
        "WEBP": {"lossless": True, "xmp": f"<x>{NAME}</x>".encode()},
        "PNG": {"pnginfo": png_texts()},
    }
    stream = io.BytesIO()
    picture = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    picture.save(stream, format=form, exif=exif, icc_profile=PROFILE, **texts[form])
    return stream.getvalue()


def png_texts() -> PngImagePlugin.PngInfo:
    """The texts that a PNG may contain: plain, compressed and international."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", NAME)
    texts.add_text("Comment", NAME * 9, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", f"<x>{NAME}</x>")
    texts.add(b"tIME", struct.pack(">H5B", 2026, 5, 1, 12, 30, 0))
    return texts


def kinds(content: bytes) -> set[bytes]:
    """The types of a PNG's parts."""
    return {kind for kind, _ in images.png_chunks(content)}


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("form", FORMS)
def test_place_and_name_go_and_the_image_stays(form: str, orientation: int) -> None:
    """Pixels, colours and how it is turned are the same; nothing else is left."""
    sent = photo(form, orientation=orientation)
    assert NAME.encode() in sent
    before, cleaned = Image.open(io.BytesIO(sent)), image_metadata.remove_metadata(sent)
    after = Image.open(io.BytesIO(cleaned))

    assert images.check(cleaned) == images.check(sent)
    assert NAME.encode() not in cleaned
    assert dict(after.getexif()) == ({} if orientation == 1 else {ExifTags.Base.Orientation: orientation})
    assert not after.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert {"comment", "xmp", "Author", "Comment", "XML:com.adobe.xmp"}.isdisjoint(after.info)
    assert after.info["icc_profile"] == PROFILE
    assert ImageOps.exif_transpose(after).tobytes() == ImageOps.exif_transpose(before).tobytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_clean_image_stays_as_it_is(form: str, orientation: int) -> None:
    """So an image that is sent again has the same address."""
    cleaned = image_metadata.remove_metadata(photo(form, orientation=orientation))

    assert image_metadata.remove_metadata(cleaned) == cleaned


def test_a_png_keeps_what_its_pixels_need() -> None:
    """Transparency, palette and gamma stay; the parts of a program go."""
    stream = io.BytesIO()
    more = PngImagePlugin.PngInfo()
    more.add(b"gAMA", struct.pack(">I", 45_455))
    more.add(b"prVt", NAME.encode())
    Image.linear_gradient("L").convert("P").save(stream, format="PNG", transparency=0, pnginfo=more)

    assert kinds(image_metadata.remove_metadata(stream.getvalue())) == {
        b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"IDAT", b"IEND"
    }  # fmt: skip


def test_the_small_picture_in_a_jpeg_goes() -> None:
    """It may show what was cut off the large one."""
    sent = photo("JPEG")
    start = sent.index(b"JFIF\0")
    small = b"small image!"
    sent = (
        sent[: start - 2] + struct.pack(">H", 16 + 12) + sent[start : start + 12] + b"\2\2" + small + sent[start + 14 :]
    )
    images.check(sent)

    assert small not in image_metadata.remove_metadata(sent)


def test_a_jpeg_in_four_colours_keeps_how_they_are_meant() -> None:
    """Without the part of Adobe, the colours of CMYK are inverted."""
    stream = io.BytesIO()
    Image.linear_gradient("L").convert("CMYK").save(stream, format="JPEG")
    sent = stream.getvalue()
    cleaned = image_metadata.remove_metadata(sent)

    assert b"Adobe" in cleaned
    assert Image.open(io.BytesIO(cleaned)).tobytes() == Image.open(io.BytesIO(sent)).tobytes()


def test_what_is_no_image_is_refused() -> None:
    """As by `images.check`."""
    with pytest.raises(images.InvalidImage, match="cut off"):
        image_metadata.remove_metadata(photo("JPEG")[:-9])


@example(exif=b"%PDF-")
@given(exif=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda tail: b"II*\0\x08\0\0\0" + tail)))
def test_any_bytes_instead_of_exif_are_removed(exif: bytes) -> None:
    """They are never read as more than a number of 2 to 8. Bytes that begin another document are refused first."""
    sent = _with_exif(exif)
    try:
        images.check(sent)
    except images.InvalidImage:
        hypothesis.reject()
    cleaned = image_metadata.remove_metadata(sent)

    images.check(cleaned)
    assert dict(Image.open(io.BytesIO(cleaned)).getexif()).keys() <= {ExifTags.Base.Orientation}
    if len(exif) > 30:
        assert exif not in cleaned


def _with_exif(exif: bytes) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, format="PNG")
    content = stream.getvalue()
    body = b"eXIf" + exif
    part = struct.pack(">I", len(exif)) + body + struct.pack(">I", zlib.crc32(body))
    end = content.index(b"IDAT") - 4
    return content[:end] + part + content[end:]
