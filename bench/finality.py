"""Measures the time from the end of a slot to the message about its trade, and to the message that it is final."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.environment import AUTHORIZATION, BenchEnvironment, RunningProcess
from devchain import testing as devchain
from devchain.blocks import Block
from devchain.delivery import Destination
from devchain.market_plans import Tempo
from devchain.service import Options
from zmart.run import ports
from zmart.settings import Secret

from .figure import Effort, Figure, Sample, Target, quantile
from .not_measured import NotMeasured

TRADES_PER_SECOND = 4.0
#: Long enough for markets that are open at the start to stay open.
TEMPO = Tempo(markets=6, trades_per_second=TRADES_PER_SECOND, trading_seconds=3_600)
#: Ingest fills in the chain's past first; nothing of that time is measured.
WARM_UP_TRADES = 20
#: No frame for so long means that the figure cannot be measured.
SILENCE_SECONDS = 60.0
#: How ingest finds its node: with a node's address it paces itself for a public one, else for the development chain.
NODES = ("a public node", "the development chain")
BY_GRPC = "by gRPC instead of webhooks"


class FinalityFigure(Figure):
    """Measures Alpenglow's finality as a client of the stream sees it."""

    name = "finality"
    title = "slot closed to message, and to finality, in a client of GET /api/stream"
    unit = "ms"
    targets = (
        Target(label=f"message, p50, paced for {NODES[0]}", bound="at most", value=150.0),
        Target(label=f"message, p99, paced for {NODES[0]}", bound="at most", value=400.0),
        Target(label=f"finality, p99, paced for {NODES[0]}", bound="at most", value=1_500.0),
        Target(label=f"message, p50, {BY_GRPC}", bound="at most", value=100.0),
        Target(label=f"message, p99, {BY_GRPC}", bound="at most", value=250.0),
    )
    method = (
        "The development chain (Alpenglow, slots of 0.2 s, a share of version-1 transactions) makes about "
        f"{TRADES_PER_SECOND:g} trades a second and sends webhooks to `python -m ingest`; a client follows `trades` "
        "and `status` at `python -m api`. Both times begin when the chain closes a trade's block. `message` ends when "
        "the client has the frame of that trade, `finality` when it has a `finalized_through` of that slot or a later "
        "one. Ingest paces its requests as for a public node (a walk at most every second), then as for the "
        "development chain (five a second). Then, paced for a public node, it follows the chain's gRPC stream and gets "
        "no webhooks. Nothing may be missing, or nothing is reported."
    )
    limit_seconds = 900.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure rounds of trades with each pace of ingest."""
        rounds, trades = effort.choose(1, 3), effort.choose(20, 200)
        samples = []
        runs = {f"paced for {node}": (node == NODES[0], False) for node in NODES} | {BY_GRPC: (True, True)}
        for number, (name, (is_public, by_grpc)) in enumerate(runs.items()):
            folder = env.folder / f"finality-{number}"
            found = _run_chain(env, folder, rounds, trades, is_public=is_public, by_grpc=by_grpc)
            for position, kind in enumerate(("message", "finality")):
                samples += [
                    Sample(
                        label=f"{kind}, {word}, {name}",
                        unit="ms",
                        values=tuple(quantile(one[position], share) * 1e3 for one in found),
                    )
                    for word, share in (("p50", 0.5), ("p99", 0.99))
                ]
        return samples


def _run_chain(
    env: BenchEnvironment, folder: Path, rounds: int, trades: int, *, is_public: bool, by_grpc: bool
) -> list[tuple[list[float], list[float]]]:
    """Return the seconds to the message and to finality of each trade, by round."""
    ingest_port = ports.find_free_port()
    with ExitStack() as stack:
        database = stack.enter_context(env.database())
        chain = stack.enter_context(_serve_chain(folder, None if by_grpc else ingest_port))
        node = {"SOLANA_RPC_URL": chain.url, "SOLANA_CLUSTER": "localnet"}
        environment = {
            "DATABASE_URL": database.dsn(),
            "DATABASE_URL_INGEST": database.dsn("zmart_ingest"),
            "HELIUS_AUTH_HEADER": AUTHORIZATION,
            "INGEST_PORT": str(ingest_port),
            "LOG_LEVEL": "warn",
            **(node if is_public else {"DEVCHAIN_PORT": chain.url.rpartition(":")[2]}),
        }
        if by_grpc:
            environment["SOLANA_GRPC_URL"] = chain.grpc_url
        stack.enter_context(env.start_python("ingest", environment=environment, port=ingest_port))
        api = stack.enter_context(env.start_api(database))
        client = _StreamClient(api)
        stack.callback(client.close)
        client.read_trades(chain, WARM_UP_TRADES)
        return [client.read_trades(chain, trades) for _ in range(rounds)]


class _RunningChain:
    """A development chain on a thread of its own, and when it closed the blocks with transactions."""

    def __init__(self) -> None:
        self.url = self.grpc_url = ""
        self.failure: BaseException | None = None
        #: The moment at which the block of a transaction was closed, by signature, while the chain runs.
        self.closed_at: dict[str, float] = {}
        self.began = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Let the thread end; it may have ended by itself."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def run(self, folder: Path, ingest_port: int | None) -> None:
        """Run the chain until it is stopped."""
        try:
            asyncio.run(self._serve(folder, ingest_port))
        except BaseException as failure:
            self.failure = failure
        finally:
            self.began.set()

    async def _serve(self, folder: Path, ingest_port: int | None) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        url = f"http://127.0.0.1:{ingest_port}/helius/webhook"
        destination = None if ingest_port is None else Destination(url=url, authorization=Secret(AUTHORIZATION))
        options = Options(past_hours=0.05, tempo=TEMPO)
        async with devchain.serve(folder, options, destination=destination, serves_grpc=ingest_port is None) as node:
            node.chain.listeners.append(self._note_block)
            self.url = node.url
            self.grpc_url = "" if node.server.geyser is None else node.grpc_url
            self.began.set()
            await self._stop.wait()

    def _note_block(self, block: Block) -> None:
        now = time.perf_counter()
        self.closed_at |= {str(landed.signature): now for landed in block.transactions}


@contextmanager
def _serve_chain(folder: Path, ingest_port: int | None) -> Iterator[_RunningChain]:
    folder.mkdir(parents=True)
    chain = _RunningChain()
    thread = threading.Thread(target=chain.run, args=(folder, ingest_port), daemon=True)
    thread.start()
    try:
        chain.began.wait()
        if chain.failure is not None:
            raise NotMeasured(f"The development chain did not start: {chain.failure}")
        yield chain
    finally:
        chain.stop()
        thread.join(20)


class _StreamClient:
    """Reads the server-sent events of the stream."""

    def __init__(self, api: RunningProcess) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=SILENCE_SECONDS)
        self._connection.request("GET", "/api/stream?topics=trades,status")
        self._answer = self._connection.getresponse()
        if self._answer.status != 200:
            raise NotMeasured(f"The stream answers {self._answer.status}.")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def read_trades(self, chain: _RunningChain, trades: int) -> tuple[list[float], list[float]]:
        """Read until that many trades, of blocks that close after now, were received and are final."""
        began = time.perf_counter()
        received: dict[str, float] = {}
        #: Trades that are not final yet: signature and slot.
        waiting: dict[str, int] = {}
        finalities: list[float] = []
        while len(received) < trades or waiting:
            arrived, messages = self._next_frame()
            for message in messages:
                data = message["data"]
                if message["type"] == "trade" and len(received) < trades:
                    closed_at = chain.closed_at.get(data["tx_signature"])
                    if closed_at is not None and closed_at > began:
                        received[data["tx_signature"]] = arrived - closed_at
                        waiting[data["tx_signature"]] = data["slot"]
                elif message["type"] == "status" and data.get("kind") == "finalized_through":
                    final = [signature for signature, slot in waiting.items() if slot <= data["finalized_through"]]
                    finalities += [arrived - chain.closed_at[signature] for signature in final]
                    for signature in final:
                        del waiting[signature]
        return list(received.values()), finalities

    def _next_frame(self) -> tuple[float, Sequence[dict[str, Any]]]:
        """Return the arrival and the messages of the next frame with messages."""
        while True:
            try:
                line = self._answer.readline()
            except OSError as error:
                raise NotMeasured(f"The stream fell silent: {error}") from error
            if not line:
                raise NotMeasured("The stream ended.")
            arrived = time.perf_counter()
            if line.startswith(b"data: "):
                messages = json.loads(line[6:]).get("messages")
                if messages:
                    return arrived, messages


FIGURE = FinalityFigure()
