"""Documents by their content ids, as far as this platform refers to them.

A content id is a promise about bytes, and a gateway is somebody else's server. So what it sends is named again here,
and passed on only where the name is the one asked for. That settles every file that was added as `ipfs add` does by
itself: our snapshots and questions, and what creators usually anchor (zmart/domain/cids.py). A file that was cut in
another way is told from a forged one by nothing that a gateway sends with it, so it is refused, too.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import httpx
from litestar import Response, get
from litestar.params import PathParameter

from zmart import errors as zmart_errors
from zmart.domain import cids

from .. import response_docs
from ..dependencies import FromDatabase, FromServices
from ..reads import statements

#: What a snapshot of a day weighs at most, and how long a gateway may take.
MOST_BYTES = 4 * 1024 * 1024
SECONDS = 10.0

Cid = Annotated[str, PathParameter(description="CIDv0, or its dag-pb spelling as CIDv1.")]
_CID = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{50,80}")
#: A stranger's bytes: never run or shown as a page of ours; every answer forbids guessing at types. The name says which
#: bytes, and they were compared with it, so they can be kept for ever.
_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "public, max-age=31536000, immutable",
}


@get(
    ["/api/ipfs/{cid:str}", "/api/discussions/ipfs/{cid:str}"],
    tags=["discussions"],
    summary="A document by its content id",
    responses=response_docs.problems(404),
    media_type="application/octet-stream",
    opt={"weight": 5},
)
async def show_document(database: FromDatabase, services: FromServices, cid: Cid) -> Response[bytes]:
    """Only documents that a market or a snapshot refers to, fetched from the configured gateway.

    What the gateway sends is hashed and compared with the content id; other bytes are refused (503). So are files that
    were not added in the default way of `ipfs add` (chunks of 256 KiB, no raw leaves), which cannot be compared.
    """
    if not _CID.fullmatch(cid):
        raise zmart_errors.NotFound("This is no content id.")
    ((is_ours,),) = await database.rows(statements.compose("is_referenced"), {"cid": cid})
    if not is_ours:
        raise zmart_errors.NotFound("Nothing here refers to this content id.")
    gateway = services.settings.ipfs.gateway_url
    if gateway is None:
        raise zmart_errors.Unavailable("No gateway is configured.", help="Set IPFS_GATEWAY_URL.")
    content = await _fetch(f"{gateway.reveal().rstrip('/')}/ipfs/{cid}")
    if not await asyncio.to_thread(cids.is_cid_of, cid, content):
        raise zmart_errors.Unavailable(
            "The gateway's bytes do not make this content id.",
            help="See IPFS_GATEWAY_URL; a file that was not added in the default way of ipfs add cannot be verified.",
        )
    return Response(content, media_type="application/octet-stream", headers=_HEADERS)


async def _fetch(url: str) -> bytes:
    """The bytes behind an address of the gateway: at most MOST_BYTES, within SECONDS, wherever it would redirect."""
    content = bytearray()
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise zmart_errors.Unavailable(f"The gateway answered with {response.status_code}.")
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise zmart_errors.NotFound(f"The document is larger than {MOST_BYTES:,} bytes.")
    except (httpx.HTTPError, TimeoutError) as error:
        raise zmart_errors.Unavailable("The gateway does not answer.") from error
    return bytes(content)


HANDLERS = [show_document]
