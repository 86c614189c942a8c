"""An application over three markets, and the requests of wallets that change what its pages show."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import httpx
import push
from api_fixtures import CREATOR, Log, market_id

from api.auth.service import AuthService
from ingest.testing import address
from zmart.domain.ids import Address

ONE, TWO, THREE = (market_id(number) for number in (1, 2, 3))
ANN, BOB, MOD = address(CREATOR), address(3), address(60)
MORE = {"JWT_SECRET": push.JWT_SECRET, "RATE_LIMIT_PER_MINUTE": "0", "MODERATOR_WALLETS": MOD}


def png(shade: int, *, width: int = 8, height: int = 8) -> bytes:
    """A small picture of one shade; the header may say another size than it has."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([shade]) * 8) * 8)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", pixels) + part(b"IEND", b"")


class Site:
    """An application over three markets, and the requests of its wallets."""

    def __init__(self, log: Log, client: httpx.AsyncClient) -> None:
        self.log = log
        self.client = client
        self._auth = AuthService(log.settings(**MORE), None, None)  # type: ignore[arg-type]

    async def send(self, wallet: str | None, method: str, path: str, content: Any = None) -> httpx.Response:
        """Send a request as a wallet, or without one."""
        headers = {} if wallet is None else {"Authorization": f"Bearer {self._auth.tokens.issue(Address(wallet))}"}
        return await self.client.request(method, path, json=content, headers=headers)

    async def describe(self, market: str, question: str, wallet: str = ANN) -> None:
        """Set the metadata of a market."""
        answer = await self.send(wallet, "POST", f"/api/markets/{market}/metadata", {"question": question})
        assert answer.status_code == 201, answer.text

    async def draw(self, content: bytes, market: str = ONE, wallet: str | None = ANN) -> httpx.Response:
        """Set the image of a market."""
        body = {"content": base64.b64encode(content).decode()}
        return await self.send(wallet, "PUT", f"/api/markets/{market}/image", body)

    async def read(self, path: str) -> Any:
        """Return the body of a response of success."""
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def slug(self, market: str) -> str:
        """Return the slug of a market, which leads to it."""
        found: str = (await self.read(f"/api/markets/{market}"))["slug"]
        assert (await self.read(f"/api/market-slugs/{found}"))["id"] == market
        return found
