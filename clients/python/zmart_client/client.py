"""Implements the client of one API, optionally signed in with one wallet."""

from __future__ import annotations

import asyncio
import base64
import inspect
import random
import uuid
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import httpx

from . import answers, types
from .requests import Requests
from .stream import OnResync, Since, Stream, Transport

#: The call that renews a session: it needs no access token, and its refusal ends the session.
_REFRESH_PATH = "/api/auth/refresh"

#: The first wait before a call is sent again; it doubles.
RETRY_SECONDS = 0.25
#: A refusal that names a longer wait is raised: the caller decides.
_LONGEST_RETRY_AFTER_SECONDS = 5.0

#: Signs a text with the wallet's key and returns the signature in base58 or base64.
Sign = Callable[[str], "str | Awaitable[str]"]


class ApiError(Exception):
    """The API refused a call; `code` is stable, `message` is meant for display."""

    def __init__(self, answer: httpx.Response) -> None:
        #: The problem as the API describes it; empty for an answer of a proxy.
        self.body = answers.parse_problem(answer.content)
        self.status = answer.status_code
        self.code: str = self.body.get("code", "")
        self.message: str = self.body.get("message", answer.reason_phrase)
        self.details: list[types.FieldProblem] = self.body.get("details", [])
        #: Seconds to wait before a retry; None if the response does not name them.
        self.retry_after = answers.parse_seconds(answer.headers.get("retry-after"))
        super().__init__(f"{self.status} {self.code}: {self.message}")


class Zmart(Requests):
    """The API at an address. Use it in `async with`, or call `close()`.

    With an `api_key` every call and stream acts for the key's wallet, as far as the key's scopes allow.

    A call without an answer after `timeout` seconds fails. Reads, and calls that create something once for each
    Idempotency-Key, are sent again up to `retries` times when the connection fails, when the server is busy or
    restarts (502, 503, 504), and when the limit allows it again within seconds (429). Other calls are sent again after
    a 429 only, because a server that answers 429 has done nothing.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:4000",
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 2,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = http or httpx.AsyncClient(timeout=timeout)
        self._retries = retries
        self._owns_http = http is None
        self._api_key = api_key
        self._session: types.Session | None = None
        #: The session that is being renewed, and the renewal that parallel calls share: a refresh token is valid once.
        self._renewal: tuple[types.Session, asyncio.Task[None]] | None = None
        self._transport = self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            await self._http.aclose()

    async def connect(self, wallet: str, sign: Sign) -> types.Session:
        """Sign in with a wallet. The client renews the access token when it expires."""
        text = (await self.show_nonce(wallet=wallet))["message"] or ""
        signature = sign(text)
        signed = await signature if inspect.isawaitable(signature) else signature
        session = answers.require_session(await self.sign_in(wallet=wallet, message=text, signature=signed))
        self._session = session
        return session

    def follow(
        self, *topics: str, since: Since | None = None, transport: Transport = "sse", on_resync: OnResync | None = None
    ) -> Stream:
        """Return a stream with a frame for each entry of the log: `async for frame in zmart.follow("trades")`.

        `since` is a position for all topics, or a dictionary with a position for each topic: the entries after it come
        first. `markets.market_update` is the part of a topic with one type of message. Raises ValueError if a topic
        has no position in the dictionary.
        """
        return Stream(
            self.url,
            topics,
            since=since,
            transport=transport,
            on_resync=on_resync,
            token=self._token,
            http=self._http,
        )

    async def upload_image(self, market: str, file: bytes) -> types.MarketImage:
        """Set the image of a market: the bytes of a PNG, JPEG or WebP."""
        return await self.set_market_image(market, content=base64.b64encode(file).decode())

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        is_idempotent: bool = False,
    ) -> Any:
        """Send a request and return the body of the response.

        Raises ApiError if the API refuses it, httpx.TransportError if it cannot be reached.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())} if is_idempotent else {}
        # A refused renewal is not renewed: it would wait for itself.
        session = None if path == _REFRESH_PATH else self._session
        answer = await self._send_and_retry(method, path, query, body, headers)
        if answer.status_code == httpx.codes.UNAUTHORIZED and session is not None and _is_expired(answer):
            await self._renew(session)
            answer = await self._send_and_retry(method, path, query, body, headers)
        if answer.is_error:
            raise ApiError(answer)
        return (
            answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.content
        )

    async def _send_and_retry(
        self, method: str, path: str, query: dict[str, Any] | None, body: Any, headers: dict[str, str]
    ) -> httpx.Response:
        can_repeat = method == "GET" or bool(headers)
        for attempt in range(self._retries + 1):
            wait = RETRY_SECONDS * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the retries
            is_last = attempt == self._retries
            try:
                answer = await self._send(method, path, query, body, headers)
            except httpx.TransportError:
                if is_last or not can_repeat:
                    raise
            else:
                after = ApiError(answer).retry_after if answer.is_error else None
                is_temporary = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or (
                    can_repeat and answers.is_unavailable(answer.status_code)
                )
                if is_last or not is_temporary or (after or 0.0) > _LONGEST_RETRY_AFTER_SECONDS:
                    return answer
                wait = max(wait, after or 0.0)
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _send(
        self, method: str, path: str, query: dict[str, Any] | None, body: Any, more_headers: dict[str, str]
    ) -> httpx.Response:
        params = {name: _query_text(value) for name, value in (query or {}).items() if value is not None}
        token = None if path == _REFRESH_PATH else self._bearer()
        headers = {**more_headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        return await self._http.request(method, self.url + path, params=params, json=body, headers=headers)

    async def _renew(self, expired: types.Session) -> None:
        """Replace an expired session, unless another call has done so; keep it until the next one is here."""
        if self._session is not expired:
            return
        if self._renewal is None or self._renewal[0] is not expired or self._renewal[1].done():
            renewal = asyncio.create_task(self._replace(expired))
            renewal.add_done_callback(lambda done: None if done.cancelled() else done.exception())
            self._renewal = expired, renewal
        # A caller that is cancelled must not cancel it: the server may have used the refresh token by then.
        await asyncio.shield(self._renewal[1])

    async def _replace(self, expired: types.Session) -> None:
        try:
            answer = await self.refresh_session(refresh_token=expired["refresh_token"])
        except ApiError as refused:
            if self._session is not expired:
                # Somebody signed in meanwhile: calls go on with that session.
                return
            if refused.status == httpx.codes.UNAUTHORIZED:
                self._session = None
            raise
        replacement = answers.require_session(answer)
        if self._session is expired:
            self._session = replacement

    async def _token(self, *, is_expired: bool) -> str | None:
        """Return the access token for a stream; renew it if it has expired.

        Raises ConnectionError if that fails now and may succeed later.
        """
        if is_expired and self._session is not None:
            try:
                await self._renew(self._session)
            except ApiError as refused:
                if answers.is_final(refused.status):
                    raise
                raise ConnectionError(str(refused)) from refused
        return self._bearer()

    def _bearer(self) -> str | None:
        """Return the access token of the session, or the API key without one."""
        return self._session["access_token"] if self._session else self._api_key


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_expired(answer: httpx.Response) -> bool:
    return bool(ApiError(answer).code == "token_expired")
