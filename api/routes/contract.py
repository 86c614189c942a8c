"""Serves the AsyncAPI document of the streams; Litestar itself serves the OpenAPI document at /schema/openapi.json."""

from __future__ import annotations

import functools

from litestar import Response, get
from litestar.datastructures import State
from litestar.serialization import encode_json

from zmart.settings import server_url

from ..contract import asyncapi


@get("/schema/asyncapi.json", include_in_schema=False, sync_to_thread=False)
def show_asyncapi(state: State) -> Response[bytes]:
    """Return the AsyncAPI document with the configured ports."""
    hosts, ports = state.settings.hosts, state.settings.ports
    api, ws = server_url(hosts.api, ports.api), server_url(hosts.ws, ports.ws)
    return Response(_document(api.partition("//")[2], ws.partition("//")[2]), media_type="application/json")


@functools.lru_cache(maxsize=1)
def _document(api: str, ws: str) -> bytes:
    return encode_json(asyncapi.document(api, ws))


HANDLERS = [show_asyncapi]
