"""The Python client's session: one renewal for all calls, which no cancelled call, proxy or sign-in breaks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "clients" / "python"))

from zmart_client import ApiError, StreamRejected, Zmart, stream
from zmart_client import client as zmart_client

EXPIRED = httpx.Response(401, json={"code": "token_expired", "message": "The token has expired."})
#: What a proxy answers while the API is away.
PAGES = {
    "page": httpx.Response(502, text="<html>Bad Gateway</html>"),
    "empty JSON": httpx.Response(502, headers={"content-type": "application/json"}),
    "a list": httpx.Response(503, json=[]),
    "a date": httpx.Response(503, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
}
MAINTENANCE = httpx.Response(200, text="<html>Back soon</html>")


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are shortened."""
    monkeypatch.setattr(zmart_client, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(stream, "MIN_BACKOFF_SECONDS", 0.001)


class ExpiringSessions:
    """Sessions of any wallet whose access tokens expire at once, until they are renewed."""

    def __init__(self, *refresh_answers: httpx.Response) -> None:
        self.refresh_answers = list(refresh_answers)
        self.refreshed: list[str] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.client = Zmart(
            "http://api.invalid", retries=0, http=httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        )

    async def connect(self, wallet: str) -> None:
        """Sign in."""
        await self.client.connect(wallet, lambda _: "signature")

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/api/auth/nonce":
                return httpx.Response(200, json={"message": "sign this"})
            case "/api/auth/refresh":
                return await self._refresh(request)
            case "/api/stream":
                return self._of_token(request, self._events)
            case path if path.startswith("/api/auth/"):
                wallet = httpx.Response(200, content=request.content).json()["wallet"]
                return httpx.Response(200, json={"access_token": f"old {wallet}", "refresh_token": wallet})
        return self._of_token(request, lambda: httpx.Response(200, json={"token": request.headers["authorization"]}))

    async def _refresh(self, request: httpx.Request) -> httpx.Response:
        wallet = httpx.Response(200, content=request.content).json()["refresh_token"]
        self.refreshed.append(wallet)
        self.asked.set()
        await self.may_answer.wait()
        if self.refresh_answers:
            found = self.refresh_answers.pop(0)
            return httpx.Response(found.status_code, content=found.content, headers=found.headers)
        return httpx.Response(200, json={"access_token": f"new {wallet}", "refresh_token": f"next {wallet}"})

    def _of_token(self, request: httpx.Request, answer: Callable[[], httpx.Response]) -> httpx.Response:
        if "new" in request.headers["authorization"]:
            return answer()
        return httpx.Response(401, content=EXPIRED.content, headers=EXPIRED.headers)

    def _events(self) -> httpx.Response:
        frame = '{"epoch": "e", "seq": 1, "position": "e:1", "messages": [{"type": "trade"}]}'
        return httpx.Response(200, text=f"data: {frame}\n\n", headers={"content-type": "text/event-stream"})


@pytest.mark.parametrize("page", PAGES)
async def test_answers_of_a_proxy_are_errors_of_the_api(page: str) -> None:
    """Without a code, and never another exception."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: PAGES[page]))
    async with http:
        with pytest.raises(ApiError) as found:
            await Zmart("http://api.invalid", http=http, retries=0).show_market("a")
    assert (found.value.code, found.value.retry_after) == ("", None)


async def test_a_read_is_repeated_while_a_proxy_finds_no_server() -> None:
    """After 502 and 504 as after 503."""
    answers = [httpx.Response(502), httpx.Response(504), httpx.Response(200, json={"id": "a"})]
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answers.pop(0)))
    async with http:
        market: Any = await Zmart("http://api.invalid", http=http).show_market("a")
    assert market == {"id": "a"}


async def test_a_cancelled_call_cancels_no_renewal() -> None:
    """The server has used the refresh token; the next call has the session that came."""
    server = ExpiringSessions()
    await server.connect("ann")
    server.may_answer.clear()
    call = asyncio.create_task(server.client.show_me())
    await server.asked.wait()
    call.cancel()
    await asyncio.wait([call])
    following = asyncio.create_task(server.client.show_me())
    server.may_answer.set()
    assert dict(await following) == {"token": "Bearer new ann"}
    assert server.refreshed == ["ann"]


@pytest.mark.parametrize("refused", [False, True])
async def test_a_newer_sign_in_wins(refused: bool) -> None:
    """A renewal of the former session that ends later, or is refused, changes nothing."""
    server = ExpiringSessions(*[EXPIRED][: int(refused)])
    await server.connect("ann")
    server.may_answer.clear()
    call = asyncio.create_task(server.client.show_me())
    await server.asked.wait()
    await server.connect("bob")
    server.may_answer.set()
    await asyncio.wait([call])
    assert dict(await server.client.show_me()) == {"token": "Bearer new bob"}
    assert server.refreshed == ["ann", "bob"]


@pytest.mark.parametrize("page", [*PAGES.values(), MAINTENANCE], ids=[*PAGES, "maintenance"])
async def test_a_renewal_that_meets_a_proxy_keeps_the_session(page: httpx.Response) -> None:
    """A call fails, the next one renews again; a stream goes on."""
    server = ExpiringSessions(page)
    await server.connect("ann")
    with pytest.raises((ApiError, httpx.TransportError)):
        await server.client.show_me()
    assert dict(await server.client.show_me()) == {"token": "Bearer new ann"}

    server = ExpiringSessions(page, page)
    await server.connect("ann")
    async with asyncio.timeout(20):
        async for frame in server.client.follow("me"):
            assert frame["seq"] == 1
            break
    assert server.refreshed == ["ann"] * 3


async def test_a_stream_ends_when_its_session_has() -> None:
    """A refused renewal is the stream's error."""
    server = ExpiringSessions(EXPIRED)
    await server.connect("ann")
    with pytest.raises(ApiError, match="token_expired"):
        await anext(aiter(server.client.follow("me")))


async def test_a_wrong_address_is_an_error() -> None:
    """A stream that no retry helps ends with the status, also if the answer is not this API's."""
    for answer in (httpx.Response(404, text="nothing here"), httpx.Response(414), httpx.Response(403, json={})):
        http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _, answer=answer: answer))
        async with http, asyncio.timeout(20):
            with pytest.raises(StreamRejected, match=str(answer.status_code)):
                await anext(aiter(Zmart("http://api.invalid", http=http).follow("trades")))
