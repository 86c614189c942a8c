"""Serves what a market's page shows beside its data: the market by its slug, and its image.

Images are sent as JSON like every other body, so that documents, clients and checks of bodies need no second form
(ADR 28).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Annotated, Final

from litestar import Response, delete, get, put
from litestar.params import PathParameter

from zmart import errors as zmart_errors
from zmart.domain import image_metadata, images

from .. import errors, parameters, response_docs, schemas
from ..auth.signed_in import SECURITY, FromSignedIn, SignedInWallet
from ..dependencies import FromDatabase
from ..reads import etags, statements

_WEIGHT: Final = {"weight": 10}
#: Like the files of the console: a page of markets has a hundred images, and browsers keep them for good.
_FREE: Final = {"weight": 0}
#: An image in base64, and the JSON around it.
_MOST_BODY_BYTES: Final = images.MOST_BYTES * 4 // 3 + 1024
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
#: Wallets chose the bytes, so a browser must never run them as a page of this site. They are those of their digest for
#: good, and every frontend may show them.
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "public, max-age=31536000, immutable",
    "cross-origin-resource-policy": "cross-origin",
}

Slug = Annotated[str, PathParameter(description="The slug of a market, or one that it had before.")]
Digest = Annotated[str, PathParameter(description="The SHA-256 of the image: 64 hexadecimal digits.")]


@get(
    "/api/market-slugs/{slug:str}",
    tags=["markets"],
    summary="Get a market by its slug",
    responses=response_docs.read_responses(404),
)
async def show_market_by_slug(database: FromDatabase, slug: Slug) -> Response[schemas.Market]:
    """Return the market that has or had a slug; its `slug` is the current one."""
    return await database.answer(
        statements.compose("market_by_slug"),
        {"slug": slug},
        varying="slug",
        missing=parameters.market_not_found_message(slug),
    )


@put(
    "/api/markets/{market:str}/image",
    tags=["markets"],
    summary="Set a market's image",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 413),
    request_max_body_size=_MOST_BODY_BYTES,
    opt=_WEIGHT,
)
async def set_market_image(
    signed_in: FromSignedIn, market: parameters.MarketName, data: schemas.NewImage
) -> schemas.MarketImage:
    """Replace the image of a market; for its creator and moderators.

    The type comes from the bytes: PNG, JPEG or WebP. Files that are cut off, animated, too large in pixels, or followed
    by other bytes are refused with the reason. Places, names, dates and comments that a camera or program wrote into
    the file are removed before it is stored.
    """
    try:
        content, facts = await asyncio.to_thread(_clean_and_check, data.content)
    except images.InvalidImage as error:
        raise errors.Unprocessable(str(error)) from error
    return await _set_image(signed_in, market, content, facts)


@delete(
    "/api/markets/{market:str}/image",
    tags=["markets"],
    summary="Remove a market's image",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409),
    opt=_WEIGHT,
)
async def remove_market_image(signed_in: FromSignedIn, market: parameters.MarketName) -> schemas.MarketImage:
    """Remove the image of a market; for its creator and moderators. The bytes go if no other market shows them."""
    return await _set_image(signed_in, market, None, None)


@get(
    "/api/images/{digest:str}",
    tags=["markets"],
    summary="Get an image",
    responses=response_docs.problems(404),
    media_type="image/png",
    opt=_FREE,
)
async def show_image(database: FromDatabase, digest: Digest) -> Response[bytes]:
    """Return the bytes of an image that a market shows, as image/png, image/jpeg or image/webp.

    They never change, so browsers and proxies may keep them.
    """
    if not _DIGEST.fullmatch(digest):
        raise zmart_errors.NotFound("This is not the digest of an image.")
    headers = {**_HEADERS, "etag": f'"{digest}"'}
    rows = await database.rows(statements.compose("image"), {"digest": digest})
    if not rows:
        raise zmart_errors.NotFound("No market shows an image with this digest.")
    if etags.is_held_by_client(headers["etag"]):
        return Response(b"", status_code=304, headers=headers)
    ((content, media_type),) = rows
    return Response(bytes(content), media_type=media_type, headers=headers)


def _clean_and_check(sent: bytes) -> tuple[bytes, images.ImageFacts]:
    content = image_metadata.remove_metadata(sent)
    # Checked again: type, size and digest are those of the bytes that are stored.
    return content, images.check(content)


async def _set_image(
    signed_in: SignedInWallet, market: str, content: bytes | None, facts: images.ImageFacts | None
) -> schemas.MarketImage:
    name = parameters.market(market)
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    row = await signed_in.run(
        statements.compose("set_market_image"),
        {
            "market": name,
            "digest": digest,
            "image": content,
            "media_type": facts and facts.media_type,
            "width": facts and facts.width,
            "height": facts and facts.height,
        },
    )
    assert row is not None
    return schemas.MarketImage(
        market_id=row[0], image_url=None if digest is None else f"/api/images/{digest}", seq=row[1]
    )


HANDLERS = [show_market_by_slug, set_market_image, remove_market_image, show_image]
