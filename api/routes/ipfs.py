"""Serves documents by content id, if this platform refers to them.

A content id identifies bytes, and the gateway is an external server. So the bytes from the gateway are hashed, and
returned only if the result is the requested content id. This verifies every file that was added with the defaults of
`ipfs add`: the snapshots and questions of this platform, and the documents that creators usually anchor
(zmart/domain/cids.py). For a file that was added with other chunks, the gateway sends nothing that distinguishes it
from a forged one, so it is rejected, too.
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

#: The maximum size of a day's snapshot, and the timeout of the gateway.
MOST_BYTES = 4 * 1024 * 1024
SECONDS = 10.0

Cid = Annotated[str, PathParameter(description="A CIDv0, or the same id as a dag-pb CIDv1.")]
_CID = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{50,80}")
#: The bytes come from an external source, so a browser must never run or show them as a page of this site; every
#: response also forbids content sniffing. The content id was verified, so the bytes can be cached permanently.
_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "public, max-age=31536000, immutable",
}


@get(
    ["/api/ipfs/{cid:str}", "/api/discussions/ipfs/{cid:str}"],
    tags=["discussions"],
    summary="Get a document by its content id",
    responses=response_docs.problems(404),
    media_type="application/octet-stream",
    opt={"weight": 5},
)
async def show_document(database: FromDatabase, services: FromServices, cid: Cid) -> Response[bytes]:
    """Return a document that a market or a snapshot refers to, fetched from the configured gateway.

    The gateway's bytes are hashed and compared with the content id; other bytes are rejected (503). So are files that
    were not added in the default way of `ipfs add` (chunks of 256 KiB, no raw leaves), which cannot be compared.
    """
    if not _CID.fullmatch(cid):
        raise zmart_errors.NotFound("This is not a content id.")
    ((is_ours,),) = await database.rows(statements.compose("is_referenced"), {"cid": cid})
    if not is_ours:
        raise zmart_errors.NotFound("No row of the log refers to this content id.")
    gateway = services.settings.ipfs.gateway_url
    if gateway is None:
        raise zmart_errors.Unavailable("No gateway is configured.", help="Set IPFS_GATEWAY_URL.")
    content = await _fetch(f"{gateway.reveal().rstrip('/')}/ipfs/{cid}")
    if not await asyncio.to_thread(cids.is_cid_of, cid, content):
        raise zmart_errors.Unavailable(
            "The gateway's bytes do not match this content id.",
            help=(
                "Check IPFS_GATEWAY_URL. A file that was added with other options than the defaults of ipfs add cannot "
                "be verified."
            ),
        )
    return Response(content, media_type="application/octet-stream", headers=_HEADERS)


async def _fetch(url: str) -> bytes:
    """Return the bytes at a URL of the gateway: at most MOST_BYTES, within SECONDS, without following redirects."""
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
