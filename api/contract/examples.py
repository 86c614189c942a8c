"""Provides example requests and responses, recorded from an API over a generated history.

`examples.json` contains one request and one response per operation. A test writes it (ZMART_WRITE_EXAMPLES=1) and
validates each of them against its schema, so that no example can describe an earlier version.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

FILE: Final = Path(__file__).with_name("examples.json")

_MARKET: Final = "0101010101010101010101010101010101010101010101010101010101010101"
_WALLET: Final = "4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA"
_EPOCH: Final = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"
_MARK: Final = "d96d4203d4d77ce8"
#: A position as the server writes it, with its mark.
POSITION: Final = f"{_EPOCH}:48211:{_MARK}"
_STREAM: Final = {
    "type": "string",
    "description": "Server-sent events; every event's data is one of the messages of /schema/asyncapi.json.",
}


class Parameter(NamedTuple):
    """An example, and a description for a parameter that has none of its own."""

    example: Any
    description: str = ""


#: By name; a parameter with a default or a closed list of values needs no entry here.
PARAMETERS: Final[dict[str, Parameter]] = {
    "market": Parameter(_MARKET, "The market of the post."),
    "market_id": Parameter(_MARKET),
    "wallet": Parameter(_WALLET),
    "creator": Parameter(_WALLET),
    "category": Parameter("crypto"),
    "name": Parameter("17"),
    "signature": Parameter("5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2sUYv"),
    "cid": Parameter("QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"),
    "slug": Parameter("will-it-rain-in-lisbon-tomorrow"),
    "digest": Parameter("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    "key_id": Parameter("0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"),
    "q": Parameter("rain lisbon"),
    "state": Parameter("ACTIVE"),
    "cursor": Parameter("WyIyMDI2LTAxLTMxIiw3XQ"),
    "from": Parameter("2026-01-31T12:00:00Z"),
    "to": Parameter("2026-02-01T00:00:00Z"),
    "after": Parameter(17),
    "first_day": Parameter("2026-01-01"),
    "last_day": Parameter("2026-12-31"),
    "path": Parameter("epoch-0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11/log/000000000001-000000100000/manifest.json"),
    "before": Parameter(48_211),
    "last_valid_block_height": Parameter(301_442_257),
    "target_cost": Parameter("1000000000"),
    "shares": Parameter("5000000000"),
    "vote": Parameter(True),
    "topics": Parameter(f"trades,market:{_MARKET}"),
    "since": Parameter(POSITION),
    "Last-Event-ID": Parameter(POSITION, "The last `id` received; browsers send it when they reconnect."),
    "token": Parameter("eyJhbGciOiJIUzI1NiJ9.e30.signature"),
    "ticket": Parameter("q83vEjRWeJA"),
    "Authorization": Parameter("Bearer eyJhbGciOiJIUzI1NiJ9.e30.signature"),
}

#: The media types besides JSON that an operation returns.
OTHER_MEDIA_TYPES: Final[dict[str, dict[str, Any]]] = {
    "runSql": {"text/csv": {"type": "string", "description": "A header line, then one line per row; format=csv."}},
    "stream": {"text/event-stream": _STREAM},
    "showDocument": {"application/octet-stream": {"type": "string", "format": "binary"}},
    "showImage": {f"image/{kind}": {"type": "string", "format": "binary"} for kind in ("png", "jpeg", "webp")},
    "getExportedFile": {"application/octet-stream": {"type": "string", "format": "binary"}},
    "getStatement": {"text/csv": {"type": "string", "description": "A header, then a line per trade or payout."}},
}
_OF_OPERATION: Final = {("listDiscussions", "name"): _MARKET}
_TEXTS: Final = {
    "text/csv": "state,markets\r\nACTIVE,12\r\n",
    "text/event-stream": (
        f'id: {POSITION}\ndata: {{"epoch":"{_EPOCH}","seq":48211,"position":"{POSITION}",'
        '"messages":[{"type":"status","market_id":null,'
        '"timestamp":"2026-01-31T12:00:00+00:00","data":{"kind":"finalized_through","finalized_through":301442107,'
        '"seq":48211}}]}\n\n'
    ),
    "application/octet-stream": '{"market":"0101...","comments":[]}',
    **{f"image/{kind}": "the bytes of the file" for kind in ("png", "jpeg", "webp")},
}


def parameter(name: str, operation: str, schema: dict[str, Any]) -> Any:
    """Return an example of a parameter."""
    if (special := _OF_OPERATION.get((operation, name))) is not None:
        return special
    if "default" in schema and schema["default"] != "":
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    return PARAMETERS[name].example


def request(operation: str) -> Any:
    """Return a body that the operation accepts; None before one was recorded."""
    return _load_recorded().get(operation, {}).get("request")


def response(operation: str, media_type: str) -> Any:
    """Return a body that the operation returned; None before one was recorded."""
    if media_type in _TEXTS:
        return _TEXTS[media_type]
    return _load_recorded().get(operation, {}).get("response")


@functools.lru_cache(maxsize=1)
def _load_recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return found
