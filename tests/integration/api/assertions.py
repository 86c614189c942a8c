"""Reading answers: their bodies have the fields of a schema, all of them and no other."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec


async def body(client: httpx.AsyncClient, path: str, shape: Any) -> Any:
    """An answer's body, which has the fields of `shape`, all of them and no other."""
    response = await client.get(path)
    assert response.status_code == 200, response.text
    decoded = msgspec.json.decode(response.content, type=shape)
    assert _names(msgspec.to_builtins(decoded)) == _names(response.json())
    assert response.headers["content-type"] == "application/json"
    return response.json()


def _names(value: Any) -> Any:
    """The names in a value, at every depth."""
    if isinstance(value, dict):
        return {name: _names(inner) for name, inner in value.items()}
    return [_names(inner) for inner in value] if isinstance(value, list) else None
