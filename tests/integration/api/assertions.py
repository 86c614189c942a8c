"""Reads responses and checks that their bodies have exactly the fields of a schema."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec


async def body(client: httpx.AsyncClient, path: str, shape: Any) -> Any:
    """Return a response's body, which has exactly the fields of `shape`."""
    response = await client.get(path)
    assert response.status_code == 200, response.text
    decoded = msgspec.json.decode(response.content, type=shape)
    assert names_of(msgspec.to_builtins(decoded)) == names_of(response.json())
    assert response.headers["content-type"] == "application/json"
    return response.json()


def names_of(value: Any) -> Any:
    """Return the names in a value, at every depth."""
    if isinstance(value, dict):
        return {name: names_of(inner) for name, inner in value.items()}
    return [names_of(inner) for inner in value] if isinstance(value, list) else None
