"""The clients in `clients/`: generated from the specification, compiled, and used against a real API.

Their streams are cut in the middle of frames, and the server is stopped and restarted; each client returns every entry
once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import websockets
from recorded_chain import RecordedChain

from api.auth import tokens
from api.auth.keys import SigningKeys
from api.live import messages
from devchain import demo_profiles

#: More than 40 s in all: it builds the packages, and starts Node for each test.
pytestmark = pytest.mark.drill

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = ROOT / "clients"
TIMEOUT_SECONDS = 60
#: Never dropped and never changed; messages of state depend on the time at which they were read.
LASTING = {message_type.name for message_type in messages.MESSAGES if not message_type.is_state}
sys.path.insert(0, str(CLIENTS / "python"))

from zmart_client import ApiError, StreamRejected, Zmart  # noqa: E402
from zmart_client import stream as client_stream  # noqa: E402

PICTURE = demo_profiles.picture("a market")
FOLLOWING = """
import { Zmart, StreamRejected, ApiError } from "./dist/index.js";
const [url, topics, since, transport, last] = process.argv.slice(2);
const resyncs = [];
const onResync = async (reason, position) => { resyncs.push([reason, position]); };
const start = since.startsWith("{") ? JSON.parse(since) : since;
const stream = new Zmart(url).follow(topics.split(","), { ...(start ? { since: start } : {}), transport, onResync });
try {
  for await (const frame of stream) {
    console.log(JSON.stringify({ frame, position: stream.position, hasOnePosition: stream.hasOnePosition, resyncs }));
    if (stream.hasOnePosition && frame.seq >= Number(last)) break;
  }
} catch (error) {
  console.log(JSON.stringify({ refused: error instanceof StreamRejected ? error.code : String(error) }));
}
"""

ACTING = """
import { createPrivateKey, sign } from "node:crypto";
import { ApiError, Zmart } from "./dist/index.js";
const [url, wallet, seed, picture] = process.argv.slice(2);
const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(seed, "hex")]);
const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
const zmart = new Zmart(url);
const refusal = await zmart.showMarket("nonsense").catch((error) => error);
await zmart.connect(wallet, (text) => sign(null, Buffer.from(text), key).toString("base64"));
const me = await zmart.showMe();
const page = await zmart.listMarkets({ state: "ACTIVE", limit: 1 });
const market = page.markets[0];
const shown = await zmart.uploadImage(market.id, Buffer.from(picture, "base64"));
const image = Buffer.from(await zmart.showImage(shown.image_url.split("/").at(-1))).toString("base64");
const quote = await zmart.showQuote(market.id, { outcome: "YES", target_cost: "1000000000" });
const bought = await zmart.buyShares({ market_id: market.id, outcome: true, max_cost: quote.target_cost });
const since = `${page.as_of.epoch}:0`; // From the beginning, so that there is something to hear.
for await (const frame of zmart.follow(["trades", "me"], { since })) {
  const refused = refusal instanceof ApiError ? [refusal.status, refusal.code] : String(refusal);
  console.log(JSON.stringify({ refused, me: me.wallet, image, quote, bought, received: frame.messages[0].type }));
  break;
}
"""


class Proxy:
    """A proxy that cuts each connection after a number of bytes, at any place."""

    def __init__(self, port: int, cuts: Iterator[int]) -> None:
        self._port = port
        self._cuts = cuts
        self.connections = 0
        self._running: set[asyncio.Task[Any]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Return its address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for task in self._running:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        # Without the cancellation the end would wait until the server sends something, which takes 15 s.
        if (serving := asyncio.current_task()) is not None:
            self._running.add(serving)
        left = next(self._cuts)
        with contextlib.suppress(OSError):
            inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
            asked = asyncio.create_task(self._pass(reader, outer))
            self._running.add(asked)
            with contextlib.suppress(asyncio.CancelledError):
                while left > 0 and (piece := await inner.read(min(left, 4096))):
                    writer.write(piece)
                    await writer.drain()
                    left -= len(piece)
            asked.cancel()
            outer.transport.abort()
        writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(4096):
                # The position may be sent a little early, so that some entries are sent again.
                writer.write(re.sub(rb"(?<=%3A)(\d+)(?= HTTP)", _earlier, piece))
                await writer.drain()


def _earlier(place: re.Match[bytes]) -> bytes:
    return str(max(0, int(place[1]) - 3)).encode()


def cuts() -> Iterator[int]:
    """A few bytes at first, and then more and more: about a dozen cuts of this history."""
    size = 300
    while True:
        yield size
        size = size * 5 // 3 + 777


def generator() -> ModuleType:
    """Run clients/generate.py."""
    spec = importlib.util.spec_from_file_location("generate", CLIENTS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


def lasting(frames: list[dict[str, Any]]) -> list[tuple[int, str, Any]]:
    """Return the messages of the log, with their entries."""
    return [(f["seq"], m["type"], m["data"]) for f in frames for m in f["messages"] if m["type"] in LASTING]


def place(played: RecordedChain) -> tuple[str, int]:
    """Epoch and newest seq."""
    return played.fetch_all("select i.epoch::text, (select max(seq) from raw.feed) from raw.identity as i")[0]


@pytest.fixture(scope="module")
def expected_frames(played: RecordedChain) -> list[dict[str, Any]]:
    """Return every frame of two topics, read at once without any of the clients."""
    epoch, _ = place(played)
    ((last,),) = played.fetch_all("select max(seq) from raw.events where name in ('SharesBought', 'SharesSold')")
    found: list[dict[str, Any]] = []
    url = f"{played.url}/api/stream?topics=markets,trades&since={epoch}:0"
    with httpx.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client, client.stream("GET", url) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if found[-1]["seq"] >= last:
                    return found
    pytest.fail("the stream ended")


def test_generated_clients_match_the_specification() -> None:
    """The clients equal the generator's output for the current contract."""
    for path, text in generator().files().items():
        assert path.read_text() == text, "run: python clients/generate.py"


async def follow_in_python(
    url: str, since: str, transport: Any, last: int, resyncs: list[list[str]] | None = None
) -> list[dict[str, Any]]:
    """Return the frames of the Python client; reason and position of each resync go to `resyncs`."""

    def on_resync(reason: str, position: str) -> None:
        if resyncs is not None:
            resyncs.append([reason, position])

    async with Zmart(url) as zmart, asyncio.timeout(TIMEOUT_SECONDS):
        found: list[dict[str, Any]] = []
        stream = zmart.follow("markets", "trades", since=since, transport=transport, on_resync=on_resync)
        async for frame in stream:
            assert stream.position == frame["position"]
            found.append(dict(frame))
            if frame["seq"] >= last:
                return found
    pytest.fail("the stream ended")


async def node(folder: Path, script: str, *arguments: str) -> list[dict[str, Any]]:
    """The lines that a script prints."""
    file = folder / f"{abs(hash(script))}.mjs"
    file.write_text(script)
    process = await asyncio.create_subprocess_exec(
        "node",
        "--experimental-websocket",
        file,
        *arguments,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=1 << 26,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        output, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return [json.loads(line) for line in output.splitlines()]


async def follow_in_typescript(
    folder: Path, url: str, since: str, transport: str, last: int, resyncs: list[list[str]] | None = None
) -> list[dict[str, Any]]:
    """Return the frames of the TypeScript client; reason and position of each resync go to `resyncs`."""
    lines = await node(folder, FOLLOWING, url, "markets,trades", since, transport, str(last))
    for line in lines:
        assert line["position"] == line["frame"]["position"]
    if resyncs is not None:
        resyncs += lines[-1]["resyncs"]
    return [line["frame"] for line in lines]


@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize("language", ["python", "typescript"])
async def test_a_stream_that_is_cut_hands_out_every_entry_once(
    played: RecordedChain,
    expected_frames: list[dict[str, Any]],
    transport: str,
    language: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut in the middle of frames repeatedly, and while the server is away: no gap, no duplicate."""
    folder = request.getfixturevalue("typescript_client") if language == "typescript" else None
    last, since = expected_frames[-1]["seq"], f"{expected_frames[0]['epoch']}:0"
    proxy = Proxy(played.port, cuts())
    # The first cuts come before any frame: without this, the test would mostly wait for the doubled backoff.
    monkeypatch.setattr(client_stream, "MAX_BACKOFF_SECONDS", 0.5)
    async with proxy.listening() as url:
        following = asyncio.create_task(
            follow_in_python(url, since, transport, last)
            if folder is None
            else follow_in_typescript(folder, url, since, transport, last)
        )
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while proxy.connections < 3 and not following.done():  # noqa: ASYNC110 - only the proxy knows
                await asyncio.sleep(0.01)
        await asyncio.to_thread(played.run, played.stop())
        await asyncio.to_thread(played.run, played.start())
        found = await following
    assert proxy.connections > 3
    seqs = [frame["seq"] for frame in found]
    assert seqs == sorted(set(seqs))
    assert lasting(found) == lasting(expected_frames)


class RepeatingServer:
    """A server that sends some entries twice, like one whose position moved back a little.

    Its positions are strings that a client can return and cannot build.
    """

    EPOCH = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"
    #: Entries by connection; after the last entry it is cut.
    SEQS_BY_CONNECTION = ([11, 12, 12, 11, 13], [12, 13, 14, 14, 15])

    def __init__(self, form: str) -> None:
        self._form = form
        #: `since` of each connection; None if the client sent none.
        self.requested: list[str | None] = []

    def position(self, seq: int) -> str:
        """The position of an entry."""
        mark = f"{seq * 0x9E3779B97F4A7C15 % 2**64:016x}"
        return self._form.format(epoch=self.EPOCH, seq=seq, mark=mark)

    def frame(self, seq: int, **members: Any) -> dict[str, Any]:
        """One entry, with a message unless `messages` says otherwise."""
        message = {"type": "trade", "market_id": "a", "timestamp": "2026-01-31T12:00:00Z", "data": {"entry": seq}}
        fields = {"epoch": self.EPOCH, "seq": seq, "position": self.position(seq)}
        return {**fields, "messages": [message], **members}

    def resync(self) -> dict[str, Any]:
        """The data of a resync to entry 10."""
        return {"reason": "foreign_epoch", "epoch": self.EPOCH, "seq": 10, "position": self.position(10)}

    def note_request(self, since: str | None) -> list[int]:
        """Store the request of a connection; return the entries to send."""
        self.requested.append(since)
        return self.SEQS_BY_CONNECTION[len(self.requested) - 1]


class RepeatingSockets(RepeatingServer):
    """Over WebSocket: the first connection is sent a resync, later ones resume."""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its address."""
        async with websockets.serve(self.send_entries, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def send_entries(self, socket: websockets.ServerConnection) -> None:
        """Answer one connection."""
        since = json.loads(await socket.recv()).get("since")
        is_first = not self.requested
        seqs = self.note_request(since)
        if is_first:
            await socket.send(json.dumps({"type": "resync", "data": self.resync()}))
        await socket.send(json.dumps(self.frame(10 if is_first else 13, type="subscribed", messages=[])))
        for seq in seqs:
            await socket.send(json.dumps(self.frame(seq)))


class RepeatingEvents(RepeatingServer):
    """Over server-sent events; each connection ends with an id without data, far ahead of the entries."""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its address."""
        async with await asyncio.start_server(self.send_entries, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def send_entries(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        is_first = not self.requested
        seqs = self.note_request(httpx.URL(target).params.get("since"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        if is_first:
            writer.write(f"id: {self.position(10)}\nevent: resync\ndata: {json.dumps(self.resync())}\n\n".encode())
        for seq in seqs:
            writer.write(f"id: {self.position(seq)}\ndata: {json.dumps(self.frame(seq))}\n\n".encode())
        writer.write(f": ping\nid: {self.position(20)}\n\n".encode())
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()


class EventsBehindProxy(RepeatingEvents):
    """A proxy that answers with a page of its own while the server behind it is away, and then passes the events on."""

    #: The bodies of the pages, one for each connection that does not reach the server.
    PAGES = ("<html><h1>502 Bad Gateway</h1></html>", "", "[]")

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self._pages = iter(self.PAGES)
        self.pages_sent = 0

    async def send_entries(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        page = next(self._pages, None)
        if page is None:
            await super().send_entries(reader, writer)
            return
        await reader.readuntil(b"\r\n\r\n")
        self.pages_sent += 1
        head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
        writer.write((head + page).encode())
        await writer.drain()
        writer.close()


async def follow_each_topic(
    folder: Path | None, url: str, since: dict[str, str], transport: Any, last: int
) -> list[tuple[dict[str, Any], bool]]:
    """The frames up to an entry that comes when the topics have one position, each with whether they had."""
    if folder is not None:
        lines = await node(folder, FOLLOWING, url, ",".join(since), json.dumps(since), transport, str(last))
        return [(line["frame"], line["hasOnePosition"]) for line in lines]
    found: list[tuple[dict[str, Any], bool]] = []
    async with Zmart(url) as zmart, asyncio.timeout(TIMEOUT_SECONDS):
        stream = zmart.follow(*since, since=since, transport=transport)
        async for frame in stream:
            found.append((dict(frame), stream.has_one_position))
            if stream.has_one_position and frame["seq"] >= last:
                return found
    pytest.fail("the stream ended")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize("language", ["python", "typescript"])
async def test_each_topic_resumes_from_its_own_position(
    played: RecordedChain,
    expected_frames: list[dict[str, Any]],
    transport: str,
    language: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut in the middle of frames repeatedly: each topic has its entries after its own position, each once."""
    folder = request.getfixturevalue("typescript_client") if language == "typescript" else None
    of_topic = {"trades": {"trade"}, "markets": {"trade_executed", "market_event"}}
    starts = {
        "trades": expected_frames[len(expected_frames) * 7 // 8],
        "markets": expected_frames[len(expected_frames) * 3 // 4],
    }
    proxy = Proxy(played.port, cuts())
    monkeypatch.setattr(client_stream, "MAX_BACKOFF_SECONDS", 0.5)
    _, head = place(played)

    async def go_on() -> None:
        await played.stack.play(1)
        await played.catch_up()

    async with proxy.listening() as url:
        since = {topic: frame["position"] for topic, frame in starts.items()}
        following = asyncio.create_task(follow_each_topic(folder, url, since, transport, head + 1))
        # Entries follow until the client has one that came when its topics had one position.
        while not (await asyncio.wait([following], timeout=3))[0]:
            # Chain and server share a thread: while the chain acts, nothing is served.
            await asyncio.to_thread(played.run, go_on())
        found = await following
    assert proxy.connections > 3
    frames = [frame for frame, _ in found]
    assert found[-1][1]
    for topic, types in of_topic.items():
        entries = [entry[:2] for entry in lasting(frames) if entry[1] in types]
        began = starts[topic]["seq"]
        missed = [entry[:2] for entry in lasting(expected_frames) if entry[1] in types and entry[0] > began]
        assert entries[: len(missed)] == missed
        assert entries == sorted(set(entries))


@pytest.mark.parametrize("language", ["python", "typescript"])
async def test_a_page_of_a_proxy_is_followed_by_a_reconnect(language: str, request: pytest.FixtureRequest) -> None:
    """A 502 with HTML, without a body, or with another JSON value does not end the stream."""
    server = EventsBehindProxy("{epoch}:{seq}:{mark}")
    since = server.position(5)
    async with server.listening() as url:
        if language == "python":
            found = await follow_in_python(url, since, "sse", 15, [])
        else:
            found = await follow_in_typescript(request.getfixturevalue("typescript_client"), url, since, "sse", 15)
    assert server.pages_sent == len(EventsBehindProxy.PAGES)
    assert [frame["seq"] for frame in found] == [11, 12, 13, 14, 15]


@pytest.mark.parametrize("form", ["{epoch}:{seq}:{mark}", "{mark}", "{epoch}:{seq}:{mark}:a:b"])
@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize("language", ["python", "typescript"])
async def test_a_position_is_returned_as_it_was_received(
    language: str, transport: str, form: str, request: pytest.FixtureRequest
) -> None:
    """Positions of any form come back unchanged; order is compared by epoch and seq, so each entry comes once.

    An id without data changes the position alone: entries before its seq are still new.
    """
    server = RepeatingEvents(form) if transport == "sse" else RepeatingSockets(form)
    since = server.position(5)
    resyncs: list[list[str]] = []
    async with server.listening() as url:
        if language == "python":
            found = await follow_in_python(url, since, transport, 15, resyncs)
        else:
            folder = request.getfixturevalue("typescript_client")
            found = await follow_in_typescript(folder, url, since, transport, 15, resyncs)
    assert [(frame["seq"], frame["position"]) for frame in found] == [
        (seq, server.position(seq)) for seq in (11, 12, 13, 14, 15)
    ]
    assert resyncs == [["foreign_epoch", server.position(10)]]
    assert server.requested == [since, server.position(20 if transport == "sse" else 13)]


@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize("language", ["python", "typescript"])
async def test_position_of_another_log_calls_on_resync(
    played: RecordedChain, transport: str, language: str, request: pytest.FixtureRequest
) -> None:
    """The caller reads the state again; the stream continues from the end of the log."""
    foreign = "00000000-0000-4000-8000-000000000000:5"
    resyncs: list[list[str]] = []
    following: asyncio.Task[Any]
    if language == "python":

        async def follow() -> dict[str, Any]:
            async with Zmart(played.url) as zmart, asyncio.timeout(TIMEOUT_SECONDS):
                on_resync = lambda reason, position: resyncs.append([reason, position])  # noqa: E731
                async for frame in zmart.follow(
                    "trades", "markets", since=foreign, transport=transport, on_resync=on_resync
                ):  # type: ignore[arg-type]
                    return dict(frame)
            pytest.fail("the stream ended")

        following = asyncio.create_task(follow())
    else:
        folder = request.getfixturevalue("typescript_client")
        following = asyncio.create_task(node(folder, FOLLOWING, played.url, "trades,markets", foreign, transport, "0"))
    epoch, before = place(played)
    while not following.done():
        await asyncio.to_thread(played.run, _trade(played))
        await asyncio.wait([following], timeout=0.5)
    frame = following.result()
    if language == "typescript":
        resyncs, frame = frame[0]["resyncs"], frame[0]["frame"]
    ((reason, position),) = resyncs
    assert reason == "foreign_epoch"
    assert before <= int(position.removeprefix(f"{epoch}:").split(":")[0]) < frame["seq"]
    assert (frame["epoch"], frame["seq"] > before) == (epoch, True)


async def _trade(played: RecordedChain) -> None:
    await played.stack.play(1)
    await played.catch_up()


@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize("language", ["python", "typescript"])
async def test_a_topic_that_does_not_exist_is_refused_for_good(
    played: RecordedChain, transport: Any, language: str, request: pytest.FixtureRequest
) -> None:
    """An error that a reconnect does not solve is raised."""
    if language == "typescript":
        lines = await node(
            request.getfixturevalue("typescript_client"), FOLLOWING, played.url, "nonsense", "", transport, "0"
        )
        assert lines == [{"refused": "unknown_topic"}]
        return
    async with Zmart(played.url) as zmart:
        with pytest.raises(StreamRejected) as refused:
            async for _ in zmart.follow("nonsense", transport=transport):
                pass
    assert refused.value.code == "unknown_topic"


@pytest.fixture
def trading(played: RecordedChain) -> RecordedChain:
    """With a market that is still traded: the tests before may have left none."""
    played.run(played.reach("ACTIVE"))
    return played


async def test_python_signs_in_and_buys(trading: RecordedChain) -> None:
    """Sign in with a wallet, list, quote, buy, relay, and receive the event."""
    async with Zmart(trading.url) as zmart:
        with pytest.raises(ApiError) as refused:
            await zmart.show_market("nonsense")
        assert (refused.value.status, refused.value.code) == (404, "not_found")
        await zmart.connect(trading.wallet.address, trading.wallet.sign)
        assert (await zmart.show_me())["wallet"] == trading.wallet.address
        page = await zmart.list_markets(state="ACTIVE", limit=1)
        market = page["markets"][0]
        shown = await zmart.upload_image(market["id"], PICTURE)
        assert await zmart.show_image((shown["image_url"] or "").rpartition("/")[2]) == PICTURE
        assert (await zmart.show_market_by_slug(market["slug"]))["image_url"] == shown["image_url"]
        quote = await zmart.show_quote(market["id"], outcome="YES", target_cost="1000000000")
        bought = await zmart.buy_shares(market_id=market["id"], outcome=True, max_cost="1000000000")
        assert bought["trade"]["shares_exact"] == quote["shares"]
        signed = trading.wallet.sign_transaction(bought["unsigned_transaction"])
        sent = await zmart.relay_transaction(transaction=signed)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await asyncio.to_thread(trading.run, _confirm(trading))
            async for frame in zmart.follow("me", since=page["as_of"]["position"]):
                trades = [message["data"] for message in frame["messages"] if message["type"] == "trade"]
                if sent["signature"] in [trade["tx_signature"] for trade in trades]:
                    break
        assert (await zmart.follow_transaction(sent["signature"]))["status"] in {"confirmed", "finalized"}


async def _confirm(played: RecordedChain) -> None:
    await played.stack.pass_blocks(3)
    await played.catch_up()


async def test_typescript_signs_in_and_buys(trading: RecordedChain, typescript_client: Path) -> None:
    """Sign in with a wallet, list, quote, buy (to be signed), follow."""
    seed = bytes(trading.wallet.key)[:32].hex()
    picture = base64.b64encode(PICTURE).decode()
    (result,) = await node(typescript_client, ACTING, trading.url, trading.wallet.address, seed, picture)
    assert result["image"] == picture
    assert result["refused"] == [404, "not_found"]
    assert result["me"] == trading.wallet.address
    assert result["bought"]["trade"]["shares_exact"] == result["quote"]["shares"]
    assert base64.b64decode(result["bought"]["unsigned_transaction"])
    assert result["received"]


async def test_a_session_that_ran_out_is_renewed(played: RecordedChain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signed-in client stays signed in: an expired access token is refreshed on the way."""
    async with Zmart(played.url) as zmart:
        keys = SigningKeys(played.configuration.api.jwt_secrets, "access")
        expired = tokens.Tokens(keys, lifetime_seconds=-60).issue(played.wallet.address)
        sign_in, refresh_session = zmart.sign_in, zmart.refresh_session
        refreshed: list[str] = []

        async def sign_in_expired(**arguments: Any) -> Any:
            return {**await sign_in(**arguments), "access_token": expired}

        async def watch_refresh(*, refresh_token: str) -> Any:
            refreshed.append(refresh_token)
            return await refresh_session(refresh_token=refresh_token)

        monkeypatch.setattr(zmart, "sign_in", sign_in_expired)
        monkeypatch.setattr(zmart, "refresh_session", watch_refresh)
        session = await zmart.connect(played.wallet.address, played.wallet.sign)
        assert (await zmart.show_me())["wallet"] == played.wallet.address
        assert (await zmart.show_me())["wallet"] == played.wallet.address
        assert refreshed == [session["refresh_token"]]


async def test_parallel_calls_renew_a_session_once(played: RecordedChain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that meet an expired token together wait for one renewal; a renewal that fails may be tried again."""
    async with Zmart(played.url) as zmart:
        keys = SigningKeys(played.configuration.api.jwt_secrets, "access")
        expired = tokens.Tokens(keys, lifetime_seconds=-60).issue(played.wallet.address)
        sign_in, refresh_session = zmart.sign_in, zmart.refresh_session
        failures = [httpx.ConnectError("the proxy is away")]
        refreshed: list[str] = []

        async def sign_in_expired(**arguments: Any) -> Any:
            return {**await sign_in(**arguments), "access_token": expired}

        async def fail_first(*, refresh_token: str) -> Any:
            refreshed.append(refresh_token)
            if failures:
                raise failures.pop()
            return await refresh_session(refresh_token=refresh_token)

        monkeypatch.setattr(zmart, "sign_in", sign_in_expired)
        monkeypatch.setattr(zmart, "refresh_session", fail_first)
        session = await zmart.connect(played.wallet.address, played.wallet.sign)
        with pytest.raises(httpx.ConnectError):
            await zmart.show_me()
        found = await asyncio.gather(*(zmart.show_me() for _ in range(3)))
        assert [me["wallet"] for me in found] == [played.wallet.address] * 3
        assert refreshed == [session["refresh_token"]] * 2


async def test_a_refused_renewal_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh token that has expired, too, is an error of the call; nothing waits for ever."""

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"code": "token_expired", "message": "The token has expired."})

    async def answer(**_: Any) -> dict[str, str]:
        return {"message": "sign this", "access_token": "old", "refresh_token": "old"}

    http = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    async with http, Zmart("http://api.invalid", http=http) as zmart, asyncio.timeout(5):
        monkeypatch.setattr(zmart, "show_nonce", answer)
        monkeypatch.setattr(zmart, "sign_in", answer)
        await zmart.connect("wallet", lambda _: "signature")
        with pytest.raises(ApiError, match="token_expired"):
            await zmart.show_me()


def blocks(language: str) -> list[str]:
    """The programs of the clients' page: those that import something."""
    found = re.findall(rf"```{language}\n(.*?)```", (CLIENTS / "README.md").read_text(), flags=re.DOTALL)
    return [block for block in found if "import" in block]


def run_while_trading(trading: RecordedChain, command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program that follows the stream from now on, and trade until it has ended."""
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            subprocess.run, command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, **more
        )
        while not running.done():
            trading.run(_trade(trading))
            wait([running], timeout=0.5)
        return running.result()


def test_the_python_example_runs(trading: RecordedChain) -> None:
    """The example as documented, except for the address."""
    (block,) = blocks("python")
    ran = run_while_trading(
        trading,
        [sys.executable, "-c", block.replace("http://127.0.0.1:4000", trading.url)],
        env={**os.environ, "PYTHONPATH": str(CLIENTS / "python")},
    )
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 2


def test_the_typescript_example_compiles_and_runs(trading: RecordedChain, typescript_client: Path) -> None:
    """The example as documented, except for the address and the client's path."""
    (block,) = blocks("ts")
    text = block.replace("http://127.0.0.1:4000", trading.url).replace('"zmart-client"', '"./dist/index.js"')
    (typescript_client / "example.ts").write_text(text)
    compiler = [
        "node_modules/typescript/bin/tsc",
        "--target",
        "ES2022",
        "--module",
        "NodeNext",
        "--strict",
        "example.ts",
    ]
    for command in (compiler, ["example.js"]):
        ran = run_while_trading(trading, ["node", *command], cwd=typescript_client)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("\n") >= 2
