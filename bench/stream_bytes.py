"""Measures the bytes that a client receives for a trade, by the topics that it follows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator

import websockets

from bench.environment import BenchEnvironment
from ingest.records import TransactionRow
from ingest.store import writer as writing

from . import history
from .figure import Effort, Figure, Sample, Target, ratio
from .not_measured import NotMeasured

#: Topics; the first has a frame for each trade and for nothing else.
TOPICS = ("trades", "markets", "markets.market_update", "markets.trade_executed")
LOG_EVENTS = 10_000
SHARE = "share of markets.market_update"
WITHIN_SECONDS = 30.0


class StreamBytesFigure(Figure):
    """Measures the bytes of frames."""

    name = "bytes"
    title = "bytes to follow markets, a trade"
    unit = "x"
    targets = (Target(label=SHARE, bound="at most", value=0.5),)
    method = (
        "One WebSocket for each topic follows `python -m api`. Ingest's writer commits trades one at a time, "
        "each after every socket has the frame of the one before, so that no state is replaced by a newer one. Counted "
        "are the bytes of the frames on the wire. The share is that of a page that shows a list of markets: the state "
        "of each market, without the trade itself and without its price as a message of its own."
    )

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one round; the bytes do not depend on the machine."""
        trades = effort.choose(20, 1_000)
        with env.database(log_events=LOG_EVENTS) as database, env.start_api(database) as api:
            rows = history.transactions(10**6, after=LOG_EVENTS)
            received = asyncio.run(_receive(api.port, database.dsn("zmart_ingest"), rows, trades))
        samples = {
            label: Sample(label=label, unit="bytes a trade", values=(total / trades,))
            for label, total in received.items()
        }
        share = ratio(SHARE, samples["markets.market_update"], samples["markets"])
        return [share, *samples.values()]


async def _receive(port: int, dsn: str, rows: Iterator[TransactionRow], trades: int) -> dict[str, int]:
    """Return the bytes that the socket of each topic receives for this number of trades."""
    received = dict.fromkeys(TOPICS, 0)
    async with contextlib.AsyncExitStack() as stack:
        sockets = {}
        for topic in TOPICS:
            socket = await stack.enter_async_context(
                websockets.connect(f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None)
            )
            await socket.send(json.dumps({"action": "subscribe", "topics": [topic]}))
            while json.loads(await socket.recv()).get("type") != "subscribed":
                pass
            sockets[topic] = socket
        writer = await writing.Writer.connect(dsn)
        stack.push_async_callback(writer.close)
        while trades > 0:
            row = next(rows)
            await writer.append([row], source="bench")
            if not row.events[0].name.startswith("Shares"):
                continue
            trades -= 1
            seq = None
            for topic, socket in sockets.items():
                seq, size = await _read_frame(socket, seq)
                received[topic] += size
    return received


async def _read_frame(socket: websockets.ClientConnection, seq: int | None) -> tuple[int, int]:
    """Return seq and bytes on the wire of the frame with this seq; of the next one with messages if it is None."""
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            while True:
                text = await socket.recv(decode=False)
                frame = json.loads(text)
                if frame["messages"] and seq in (None, frame["seq"]):
                    # The head of a server's frame is 4 bytes for payloads from 126 bytes to 64 KiB.
                    return frame["seq"], len(text) + 4
    except TimeoutError:
        raise NotMeasured(f"A frame did not arrive within {WITHIN_SECONDS:.0f} seconds.") from None


FIGURE = StreamBytesFigure()
