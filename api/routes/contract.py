"""Serves the AsyncAPI document of the streams; Litestar itself serves the OpenAPI document at /schema/openapi.json."""

from __future__ import annotations

import functools

from litestar import Response, get
from litestar.serialization import encode_json

from ..contract import asyncapi


@get("/schema/asyncapi.json", include_in_schema=False, sync_to_thread=False)
def show_asyncapi() -> Response[bytes]:
    """Return the AsyncAPI document."""
    return Response(_document(), media_type="application/json")


@functools.lru_cache(maxsize=1)
def _document() -> bytes:
    return encode_json(asyncapi.document())


HANDLERS = [show_asyncapi]
