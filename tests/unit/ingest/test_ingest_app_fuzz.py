"""The endpoint is total: for any request, the response is one of the documented ones."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import BOUGHT, PROGRAM

from ingest import testing
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import BatchLimits, Pipeline
from ingest.webhook import auth
from ingest.webhook.app import Parts, create_app
from ingest.webhook.auth import Verifier

HEADER, KEY = "hush-header-value", "hush-signing-key"
LIMIT_BYTES = 4_096
BODY = testing.body(testing.item(PROGRAM, [BOUGHT]))
#: Of docs/helius.md; 503 asks the sender to retry, and nothing here causes it.
WEBHOOK = {200, 400, 401, 408, 413, 422}
BODIES = st.one_of(
    st.binary(max_size=300),
    st.just(BODY),
    st.builds(lambda cut: BODY[:cut], st.integers(0, len(BODY))),
    st.builds(lambda at, byte: BODY[:at] + bytes([byte]) + BODY[at + 1 :], st.integers(0, 1_500), st.integers(0, 255)),
    st.builds(lambda depth: b"[" * depth, st.integers(1, 3_000)),
    st.builds(lambda size: b"[" + b" " * size + b"]", st.sampled_from([10, LIMIT_BYTES - 2, LIMIT_BYTES])),
)
PROOFS = st.one_of(
    st.just([(b"authorization", HEADER.encode())]),
    st.builds(lambda body: [(b"x-helius-signature", auth.signature(body, KEY).encode())], BODIES),
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"x-helius-signature", b"content-length", b"content-encoding", b"host"]),
            st.binary(max_size=40),
        ),
        max_size=4,
    ),
)


class AppServer:
    """The application on a separate loop, called without a socket in between."""

    def __init__(self) -> None:
        self.writer = testing.MemoryWriter()
        self.loop = asyncio.new_event_loop()

        async def connect() -> testing.MemoryWriter:
            return self.writer

        self.pipeline = Pipeline(connect, limits=BatchLimits(wait_seconds=0.0))
        parts = Parts(
            verifier=Verifier([HEADER], KEY),
            decoder=Decoder(PROGRAM),
            pipeline=self.pipeline,
            environment="localnet",
            body_limit_bytes=LIMIT_BYTES,
        )
        self.app = create_app(parts)
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self.pipeline.start()

    def close(self) -> None:
        """End it."""
        self.loop.run_until_complete(self.pipeline.close())
        self.loop.close()

    def request(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], chunks: list[bytes], *, hangs_up: bool = False
    ) -> int:
        """Return the status of a response."""
        return self.loop.run_until_complete(self._request(method, path, headers, chunks, hangs_up))

    async def _request(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], chunks: list[bytes], hangs_up: bool
    ) -> int:
        coming: list[dict[str, Any]] = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
        coming.append({"type": "http.disconnect"} if hangs_up else {"type": "http.request", "body": b""})
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return coming.pop(0) if coming else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode("utf-8", "replace"), "query_string": b"", "root_path": "",
            "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {}, "extensions": {},
        }  # fmt: skip
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        (status,) = [message["status"] for message in sent if message["type"] == "http.response.start"]
        return int(status)


@pytest.fixture(scope="module")
def server() -> Iterator[AppServer]:
    """One for all examples: no example may affect the next."""
    server = AppServer()
    yield server
    server.close()


KINDLY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@KINDLY
@given(proof=PROOFS, body=BODIES, cuts=st.lists(st.integers(0, 2_000), max_size=3), hangs_up=st.booleans())
def test_any_delivery_gets_a_documented_answer(
    server: AppServer, proof: list[tuple[bytes, bytes]], body: bytes, cuts: list[int], hangs_up: bool
) -> None:
    """Headers, bytes, chunks and disconnects: no crash, no 5xx, no budget lost, and it works afterwards."""
    edges = [0, *sorted(cuts), len(body)]
    chunks = [body[a:b] for a, b in itertools.pairwise(edges)]
    status = server.request("POST", "/helius/webhook", proof, chunks, hangs_up=hangs_up)

    assert status in WEBHOOK
    assert status != 200 or not hangs_up
    assert server.pipeline.budget.used_bytes == 0
    assert server.request("POST", "/helius/webhook", [(b"authorization", HEADER.encode())], [b"[]"]) == 200


@KINDLY
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"]),
    path=st.sampled_from(["/", "/health", "/ready", "/metrics", "/helius/webhook", "/api/webhooks/helius"])
    | st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: f"/{text}"),
    headers=st.lists(st.tuples(st.sampled_from([b"accept", b"host", b"x-forwarded-for"]), st.binary(max_size=20))),
)
def test_any_request_gets_an_answer(
    server: AppServer, method: str, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """Other paths and methods have their own errors."""
    assert server.request(method, path, headers, [b""]) in {200, 204, 400, 401, 403, 404, 405}
