"""Answers repeats of a POST that creates something with the answer to its first request.

A client that got no answer cannot know whether its request was carried out. With an `Idempotency-Key` of its own choice
it may send the request again: the same request with the same key gets the same answer, and creates nothing twice. The
key with another request is refused. Keys belong to a wallet, and are forgotten after a day.

A process claims the key before it runs the request. The transaction of the request's own write records that it wrote,
so a request whose process died is either run again, because it wrote nothing, or never again. Only answers of success
are stored: a request that failed changed nothing, and its repeat may succeed. Requests at the same time wait for the
first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from zmart import errors as zmart_errors

from .. import errors, writes
from . import access_log, rate_limit

HEADER: Final = b"idempotency-key"
#: The header of an answer that was given before.
REPLAYED: Final = b"idempotency-replayed"
LONGEST: Final = 255
KEEP_SECONDS: Final = 24 * 3600
#: A request that has no answer after this time has lost its process; the server stops long before.
CLAIM_SECONDS: Final = 60
#: How long a repeat waits for the answer to the first request, and the pause between its looks.
WAIT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05
_PRINTABLE: Final = range(0x21, 0x7F)


class _Claim(NamedTuple):
    outcome: str
    status: int | None
    content_type: str | None
    body: bytes | None


class IdempotencyMiddleware:
    """ASGI middleware for handlers with `opt={"idempotent": True}`."""

    def __init__(self, app: ASGIApp, most_body_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._most_body_bytes = most_body_bytes
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request, or answer it as its first one was answered."""
        key = _key(scope)
        services = scope["litestar_app"].state.services
        wallet = None if key is None else (await rate_limit.caller_of(scope, services.auth))[0]
        if key is None or wallet is None:
            # A caller without a wallet is refused by the handler.
            await self._app(scope, receive, send)
            return
        body, rest = await self._read_body(receive)
        if len(body) > self._most_body_bytes:
            await self._app(scope, rest, send)
            return
        request = f"{scope['path']}\n".encode() + body
        claim = await self._claim(services.writes, wallet, key, hashlib.sha256(request).digest())
        if claim.outcome == "claimed":
            await self._run(scope, rest, send, services.writes, wallet, key)
        else:
            await _replay(send, claim)

    async def _claim(self, wallet_writes: writes.WalletWrites, wallet: str, key: str, request_hash: bytes) -> _Claim:
        """Return a claim, or the answer to the first request; raise IdempotencyKeyReused or Conflict."""
        parameters = {
            "key": key,
            "request_hash": request_hash,
            "claim_seconds": CLAIM_SECONDS,
            "keep_seconds": KEEP_SECONDS,
        }
        deadline = self._clock() + WAIT_SECONDS
        while True:
            row = await wallet_writes.run_as_wallet(wallet, writes.statement("claim_idempotency_key"), parameters)
            assert row is not None
            claim = _Claim(*row)
            if claim.outcome == "other_request":
                raise errors.IdempotencyKeyReused(
                    "This Idempotency-Key came with another request. Use a new key for each request."
                )
            if claim.outcome == "answer_lost":
                raise zmart_errors.Conflict(
                    "The request with this Idempotency-Key was carried out, but its answer is lost. Read the result."
                )
            if claim.outcome != "running":
                return claim
            if self._clock() >= deadline:
                raise zmart_errors.Conflict(
                    "The first request with this Idempotency-Key is still running. Send it again in a few seconds."
                )
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _run(
        self, scope: Scope, receive: Receive, send: Send, wallet_writes: writes.WalletWrites, wallet: str, key: str
    ) -> None:
        """Run the request; store its answer before the client receives the end of it."""
        start: dict[str, Any] = {}
        pieces: list[bytes] = []
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))
            held.append(message)

        token = writes.idempotent_write.set(writes.IdempotentWrite(key))
        try:
            await self._app(scope, receive, hold)
        finally:
            writes.idempotent_write.reset(token)
            is_success = 200 <= start.get("status", 500) < 300
            await wallet_writes.run_as_wallet(
                wallet,
                writes.statement("answer_idempotency_key"),
                {
                    "key": key,
                    "status": start["status"] if is_success else None,
                    "content_type": _content_type(start) if is_success else None,
                    "body": b"".join(pieces) if is_success else None,
                },
            )
        for message in held:
            await send(message)

    async def _read_body(self, receive: Receive) -> tuple[bytes, Receive]:
        """Return the body, as far as it is not too large, and a function that receives it again."""
        messages: list[Any] = []
        body = b""
        while len(body) <= self._most_body_bytes:
            message = await receive()
            messages.append(message)
            if message["type"] != "http.request":
                break
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break

        async def receive_again() -> Any:
            return messages.pop(0) if messages else await receive()

        return body, receive_again


def _key(scope: Scope) -> str | None:
    """Return the key of a request; raise InvalidParameter if it is empty, too long or not printable ASCII."""
    if not access_log.is_http(scope) or not scope["route_handler"].opt.get("idempotent"):
        return None
    for name, value in scope["headers"]:
        if name == HEADER:
            if not 0 < len(value) <= LONGEST or any(byte not in _PRINTABLE for byte in value):
                raise errors.InvalidParameter(
                    "Idempotency-Key", f"expected 1 to {LONGEST} printable ASCII characters without spaces"
                )
            return value.decode("ascii")
    return None


def _content_type(start: dict[str, Any]) -> str:
    return next((value.decode("latin-1") for name, value in start["headers"] if name == b"content-type"), "")


async def _replay(send: Send, claim: _Claim) -> None:
    assert claim.status is not None
    assert claim.body is not None
    headers = [
        (b"content-type", (claim.content_type or "").encode("latin-1")),
        (b"content-length", b"%d" % len(claim.body)),
        (REPLAYED, b"true"),
    ]
    await send({"type": "http.response.start", "status": claim.status, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(claim.body), "more_body": False})
