"""Retries and renewals of both clients, against servers that fail as told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "clients" / "python"))

from zmart_client import ApiError, Zmart
from zmart_client import client as zmart_client

TIMEOUT_SECONDS = 60
POST = {"market_id": "a", "content": "b"}
Answer = httpx.Response | Exception

#: A server that answers each request with the next of `answers`, and a client that calls it.
SCRIPT = """
import { createServer } from "node:http";
import { ApiError, Zmart } from "./dist/index.js";
const [answers, call, retries] = process.argv.slice(2);
const left = JSON.parse(answers);
const seen = [];
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    seen.push([request.method, request.url, request.headers["idempotency-key"] ?? null]);
    const next = left.length > 1 ? left.shift() : left[0];
    if (next.status === 0) return request.socket.destroy();
    response.writeHead(next.status, { "content-type": "application/json", connection: "close", ...next.headers });
    response.end(JSON.stringify("body" in next ? next.body : {}));
  });
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const zmart = new Zmart(`http://127.0.0.1:${server.address().port}`, { retries: Number(retries) });
const calls = {
  read: () => zmart.showMarket("a"),
  create: () => zmart.postDiscussion({ market_id: "a", content: "b" }),
  change: () => zmart.flagDiscussion("1", { reason: "x" }),
  renew: async () => {
    await zmart.connect("wallet", () => "signature");
    await Promise.all([zmart.showMe(), zmart.showMe().catch(() => {})]);
  },
};
const outcome = await calls[call]().then(
  () => "answered",
  (error) => (error instanceof ApiError ? error.code || String(error.status) : "failed"),
);
console.log(JSON.stringify({ outcome, seen }));
server.close();
"""


def in_typescript(folder: Path, answers: list[dict[str, Any]], call: str, retries: int = 2) -> dict[str, Any]:
    """The outcome of a call of the TypeScript client, and the requests that it sent."""
    (folder / "retries.mjs").write_text(SCRIPT)
    ran = subprocess.run(
        ["node", "retries.mjs", json.dumps(answers), call, str(retries)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python client's waits are shortened."""
    monkeypatch.setattr(zmart_client, "RETRY_SECONDS", 0.001)


def scripted(*answers: Answer) -> tuple[httpx.AsyncClient, list[httpx.Request]]:
    """A transport that answers each request with the next of these, and the requests that it got."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        found = answers[min(len(seen), len(answers)) - 1]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found.status_code, content=found.content, headers=found.headers)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer)), seen


BUSY, AWAY, FINE = httpx.Response(503), httpx.ConnectError("away"), httpx.Response(200, json={})


@pytest.mark.parametrize(
    ("call", "answers", "requests"),
    [
        (lambda zmart: zmart.show_market("a"), [BUSY, AWAY, FINE], 3),
        (lambda zmart: zmart.post_discussion(**POST), [AWAY, BUSY, FINE], 3),
        (lambda zmart: zmart.flag_discussion("1", reason="x"), [httpx.Response(429), FINE], 2),
    ],
    ids=["read", "create", "change"],
)
async def test_python_sends_again_what_may_be_sent_again(
    call: Callable[[Zmart], Any], answers: list[Answer], requests: int
) -> None:
    """Reads and creations after any temporary failure, other calls after a 429; all with one key."""
    http, seen = scripted(*answers)
    async with http:
        assert await call(Zmart("http://api.invalid", http=http)) == {}
    assert len(seen) == requests
    assert len({request.headers.get("idempotency-key") for request in seen}) == 1


@pytest.mark.parametrize(
    ("call", "answers"),
    [
        (lambda zmart: zmart.flag_discussion("1", reason="x"), [BUSY, FINE]),
        (lambda zmart: zmart.flag_discussion("1", reason="x"), [AWAY, FINE]),
        (lambda zmart: zmart.show_market("a"), [httpx.Response(404), FINE]),
        (lambda zmart: zmart.show_market("a"), [httpx.Response(429, headers={"retry-after": "60"}), FINE]),
    ],
)
async def test_python_does_not_send_again_what_may_have_happened(
    call: Callable[[Zmart], Any], answers: list[Answer]
) -> None:
    """The error is the caller's, and so is one with a long wait."""
    http, seen = scripted(*answers)
    async with http:
        with pytest.raises((ApiError, httpx.TransportError)):
            await call(Zmart("http://api.invalid", http=http))
    assert len(seen) == 1


async def test_python_gives_up() -> None:
    """After the retries, with the last error."""
    http, seen = scripted(BUSY)
    async with http, asyncio.timeout(TIMEOUT_SECONDS):
        with pytest.raises(ApiError, match="503"):
            await Zmart("http://api.invalid", http=http, retries=3).show_market("a")
    assert len(seen) == 4


def test_typescript_sends_again_what_may_be_sent_again(typescript_client: Path) -> None:
    """The same as in Python."""
    busy, away, fine = {"status": 503}, {"status": 0}, {"status": 200}
    cases: list[tuple[str, list[dict[str, Any]], int, str]] = [
        ("read", [busy, away, fine], 3, "answered"),
        ("create", [away, busy, fine], 3, "answered"),
        ("change", [{"status": 429}, fine], 2, "answered"),
        ("change", [busy, fine], 1, "503"),
        ("change", [away, fine], 1, "failed"),
        ("read", [{"status": 429, "headers": {"retry-after": "60"}}, fine], 1, "429"),
        ("read", [busy], 3, "503"),
        # Answers of a proxy: no problem of this API, and a date as Retry-After.
        ("read", [{"status": 502, "body": []}, {"status": 504, "body": "away"}, fine], 3, "answered"),
        ("read", [{"status": 502, "body": []}], 3, "502"),
        ("read", [{"status": 503, "headers": {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}}, fine], 2, "answered"),
    ]
    for call, answers, requests, outcome in cases:
        found = in_typescript(typescript_client, answers, call)
        assert (len(found["seen"]), found["outcome"]) == (requests, outcome), (call, answers)
        keys = {key for _, _, key in found["seen"]}
        assert len(keys) == 1
        assert (None in keys) == (call != "create")


def test_a_refused_renewal_ends_the_session_in_typescript(typescript_client: Path) -> None:
    """A refresh token that has expired, too, is an error of the call; the renewal does not wait for itself."""
    expired = {"status": 401, "body": {"code": "token_expired", "message": "The token has expired."}}
    nonce = {"status": 200, "body": {"message": "sign this"}}
    session = {"status": 200, "body": {"access_token": "old", "refresh_token": "old"}}
    found = in_typescript(typescript_client, [nonce, session, expired], "renew")
    assert found["outcome"] == "token_expired"
    assert [path for _, path, _ in found["seen"]].count("/api/auth/refresh") == 1


@pytest.mark.parametrize("body", [{}, [], None, "page", {"access_token": "new"}])
async def test_an_answer_that_is_no_session_opens_none(typescript_client: Path, body: Any) -> None:
    """A proxy's 200 with something else fails the sign-in, and a renewal, which may be tried again."""
    nonce, wrong = {"message": "sign this"}, httpx.Response(200, json=body)
    old = {"access_token": "old", "refresh_token": "old"}
    expired = {"code": "token_expired", "message": "The token has expired."}
    http, seen = scripted(httpx.Response(200, json=nonce), wrong)
    async with http:
        with pytest.raises(httpx.RemoteProtocolError, match="no session"):
            await Zmart("http://api.invalid", http=http).connect("wallet", lambda _: "signature")
    http, seen = scripted(
        httpx.Response(200, json=nonce), httpx.Response(200, json=old), httpx.Response(401, json=expired), wrong
    )
    async with http:
        zmart = Zmart("http://api.invalid", http=http)
        await zmart.connect("wallet", lambda _: "signature")
        with pytest.raises(httpx.RemoteProtocolError, match="no session"):
            await zmart.show_me()
        await zmart.show_me()
    assert seen[-1].headers["authorization"] == "Bearer old"

    in_node: list[dict[str, Any]] = [{"status": 200, "body": nonce}, {"status": 200, "body": body}]
    found = in_typescript(typescript_client, in_node, "renew")
    assert (found["outcome"], len(found["seen"])) == ("failed", 2)
    refused = {"status": 401, "body": expired}
    in_node[1:1] = [{"status": 200, "body": old}, refused, refused]
    assert in_typescript(typescript_client, in_node, "renew")["outcome"] == "failed"
