"""The Python client of ZMART: every call of the API, and streams that reconnect by themselves.

    async with Zmart("http://127.0.0.1:4000") as zmart:
        page = await zmart.list_markets(state="ACTIVE")
        async for frame in zmart.follow("trades"):
            ...

Responses are dictionaries with the fields that `zmart_client.types` defines.
"""

from .client import ApiError, Zmart
from .stream import Stream, StreamRejected

__all__ = ["ApiError", "Stream", "StreamRejected", "Zmart"]
