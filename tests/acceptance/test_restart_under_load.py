"""`zmart restart` under load: no request and no delivery fails, and streams lose and repeat nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
import stack as stacks
import websockets

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(900, func_only=True)]

WITHIN_SECONDS = 60.0
RESTARTED = ("api", "ws", "ingest", "api")
#: Streams that are open during the restarts, of each kind on each address.
STREAMS = 4
PATHS = ("/api/markets?limit=5", "/api/status", "/api/trades?limit=5", "/ready", "/health")


@pytest.fixture
def running() -> Iterator[stacks.Stack]:
    """Everything but Dagster, with traders."""
    with stacks.open_stack() as stack:
        stack.start("postgres,devchain,traders,ingest,api,ws")
        yield stack


class Load:
    """Requests, deliveries and streams until `is_over`, with what they got."""

    def __init__(self, stack: stacks.Stack) -> None:
        self.is_over = asyncio.Event()
        self.failures: list[str] = []
        self.requests = 0
        self.deliveries = 0
        #: By stream: (seq, type, transaction) of each message, in order of arrival.
        self.received: dict[str, list[tuple[int, str, str]]] = {}
        self.reconnects = 0
        self.api = stack.api
        self.ws = f"http://127.0.0.1:{stack.environ['WS_PORT']}"
        self._ingest = f"http://127.0.0.1:{stack.environ['INGEST_PORT']}"
        self._proof = json.loads((stack.folder / "secrets.json").read_text())["HELIUS_AUTH_HEADER"]

    async def run(self, position: str, act: Callable[[], Awaitable[None]]) -> None:
        """Keep the load up while `act` runs."""
        work = [self._repeat(self._request, keep=keep) for keep in (True, True, True, False)]
        work += [self._repeat(self._deliver, keep=keep) for keep in (True, False)]
        for number in range(STREAMS):
            for name, url in (("api", self.api), ("ws", self.ws)):
                work.append(self._follow(f"sse {name} {number}", url, position, self.listen_sse))
                work.append(self._follow(f"websocket {name} {number}", url, position, self._listen_websocket))
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await act()
        finally:
            self.is_over.set()
            async with asyncio.timeout(WITHIN_SECONDS):
                await asyncio.gather(*tasks)

    async def _repeat(self, send: Callable[[httpx.AsyncClient, int], Awaitable[None]], *, keep: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
        async with httpx.AsyncClient(limits=limits, timeout=WITHIN_SECONDS, trust_env=False) as client:
            number = 0
            while not self.is_over.is_set():
                try:
                    await send(client, number)
                except httpx.HTTPError as error:
                    self.failures.append(f"{send.__name__} {error!r}")
                number += 1
                await asyncio.sleep(0.01)

    async def _request(self, client: httpx.AsyncClient, number: int) -> None:
        base = (self.api, self.ws)[number % 2]
        (await client.get(base + PATHS[number % len(PATHS)])).raise_for_status()
        self.requests += 1

    async def _deliver(self, client: httpx.AsyncClient, _: int) -> None:
        url = f"{self._ingest}/helius/webhook"
        (await client.post(url, json=[], headers={"Authorization": self._proof})).raise_for_status()
        self.deliveries += 1

    async def _follow(self, name: str, url: str, position: str, listen: Callable[..., Awaitable[str]]) -> None:
        """Follow a stream, and connect again where it is closed; a refused connection is a failure."""
        got = self.received[name] = []
        while not self.is_over.is_set():
            listening = asyncio.ensure_future(listen(url, position, got))
            over = asyncio.ensure_future(self.is_over.wait())
            await asyncio.wait([listening, over], return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            if not listening.done():
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening
                return
            try:
                position = listening.result()
            except (httpx.HTTPError, OSError, websockets.WebSocketException) as error:
                self.failures.append(f"{name} {error!r}")
                return
            self.reconnects += 1

    async def listen_sse(
        self, url: str, position: str, got: list[tuple[int, str, str]], until: int | None = None
    ) -> str:
        """Receive to the proper end of a stream, or to an entry; return the last position."""
        name = "message"
        async with (
            httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(WITHIN_SECONDS)) as client,
            client.stream("GET", f"{url}/api/stream?topics=trades", headers={"Last-Event-ID": position}) as response,
        ):
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data = json.loads(line[6:])
                    position = _store(data, got) if name == "message" else position
                    if until is not None and name == "message" and data["seq"] >= until:
                        return position
                elif not line:
                    name = "message"
        return position

    async def _listen_websocket(self, url: str, position: str, got: list[tuple[int, str, str]]) -> str:
        async with websockets.connect(
            url.replace("http", "ws") + "/ws", proxy=None, compression=None, open_timeout=WITHIN_SECONDS
        ) as socket:
            await socket.send(json.dumps({"action": "subscribe", "topics": ["trades"], "since": position}))
            try:
                while True:
                    message = json.loads(await socket.recv())
                    if "messages" in message and message.get("type") != "subscribed":
                        position = _store(message, got)
            except websockets.ConnectionClosed as closed:
                # 1012: the service restarts.
                if closed.rcvd is None or closed.rcvd.code != 1012:
                    raise
        return position


def _store(frame: dict[str, Any], got: list[tuple[int, str, str]]) -> str:
    for message in frame["messages"]:
        data = message["data"]
        got.append((frame["seq"], message["type"], str(data.get("tx_signature") or data.get("ref"))))
    return str(frame["position"])


def restart(stack: stacks.Stack, name: str) -> str:
    """Run `zmart restart`; return what it says."""
    command = [sys.executable, "-m", "zmart.cli", "restart", name]
    done = subprocess.run(command, env=stack.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_restart_under_load_fails_nothing(running: stacks.Stack) -> None:
    """Every request and delivery is answered; every stream gets each entry once, in order."""
    start = running.get("/ready")["position"]
    load = Load(running)
    outputs: list[str] = []

    async def act() -> None:
        for name in RESTARTED:
            before, count = running.pid(name), load.requests
            outputs.append(await asyncio.to_thread(restart, running, name))
            assert running.pid(name) != before
            async with asyncio.timeout(WITHIN_SECONDS):
                while load.requests < count + 200:  # noqa: ASYNC110 - requests have no event
                    await asyncio.sleep(0.1)
        # A slow machine trades slowly: each stream must have something to lose.
        async with asyncio.timeout(WITHIN_SECONDS):
            while min(map(len, load.received.values()), default=0) <= 20:  # noqa: ASYNC110 - messages have no event
                await asyncio.sleep(0.1)

    await load.run(start, act)
    # The answer of /ready is shared for a moment: a stream may have received later entries.
    end = max(int(running.get("/ready")["seq"]), *(got[-1][0] + 1 for got in load.received.values()))
    expected: list[tuple[int, str, str]] = []
    await asyncio.wait_for(load.listen_sse(load.api, start, expected, until=end - 1), WITHIN_SECONDS)

    print(outputs, load.requests, load.deliveries, load.reconnects, len(expected))
    assert load.failures == []
    assert min(load.requests, load.deliveries) > 200
    # Each stream was closed by each restart of the process that it was on.
    assert load.reconnects == STREAMS * 2 * 3
    assert len(load.received) == STREAMS * 4
    for name, got in load.received.items():
        assert len(got) > 20, name
        assert got == expected[: len(got)], name
    acknowledged = running.acknowledged_signatures()
    with psycopg.connect(running.dsn()) as connection:
        stored = [row[0] for row in connection.execute("select signature from raw.transactions").fetchall()]
    assert len(stored) == len(set(stored))
    assert acknowledged - set(stored) == set()
