"""The earlier browser client of protocol.md 7.3, against today's server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from api_fixtures import Log, market_id
from push import TIMEOUT_SECONDS, Served, Socket, served

from ingest.testing import address

SCRIPT = Path(__file__).parents[2] / "recordings" / "websocket_client.json"
ONE, TWO = market_id(1), market_id(2)
BUYER, VOTER = 4, 9
NAMES = {"{one}": ONE, "{two}": TWO, "{buyer}": address(BUYER), "{voter}": address(VOTER)}


class Page:
    """Process messages as the client's page does: missing numbers are 0, unknown types are ignored."""

    def __init__(self) -> None:
        self.prices: dict[str, dict[str, Any]] = {}
        self.trades: list[str] = []
        self.posts: list[str] = []

    def handle(self, message: dict[str, Any]) -> None:
        """The client's switch over types."""
        data = message["data"]
        match message["type"]:
            case "market_state":
                shown = {name: data.get(name) or 0 for name in ("priceYes", "priceNo", "totalShares")}
                self.prices[message["market_id"]] = shown
            case "trade":
                assert data.get("tradeId") or data["id"]
                assert message.get("market_id") or data["marketId"]
                assert data.get("trader") or data["user"]
                assert (data.get("shares") or data["amount"]) > 0
                assert (data.get("cost") or data["price"]) > 0
                self.trades.append(data["outcome"])
            case "discussion":
                assert data.get("postId") or data["id"]
                self.posts.append(data.get("content") or data["text"])

    def shows(self) -> dict[str, Any]:
        """The page of the first market."""
        return {**self.prices.get(ONE, {}), "trades": self.trades, "posts": self.posts}


async def test_the_old_client_understands_everything(markets: Log) -> None:
    """Its script, replayed: welcome, acknowledgements and errors are identical, prices never become 0, trades arrive
    once, and a close makes it reconnect."""
    page = Page()
    async with served(markets) as server, server.raw("/") as raw:
        for step in json.loads(_named(SCRIPT.read_text()))["steps"]:
            if "sends" in step:
                await raw.send(step["sends"] if isinstance(step["sends"], str) else json.dumps(step["sends"]))
            await _cause(step.get("happens"), markets, server)
            if "closed" in step:
                assert (await Socket(raw).closed())[0] == step["closed"]
                continue
            received = await _receive(Socket(raw), len(step.get("receives", ())), markets, server)
            for expected in step.get("receives", ()):
                assert any(_holds(expected, message) for message in received), (expected, received)
            assert len(received) == len(step.get("receives", ()))
            for message in received:
                assert message["timestamp"]
                page.handle(message)
            if "page" in step:
                assert page.shows() == {"posts": [], **step["page"]}


async def _cause(what: str | None, log: Log, server: Served) -> None:
    match what:
        case None:
            return
        case "a wallet buys NO of one at 0.45":
            log.buy(1, BUYER, yes=False, price=450_000_000)
        case "a wallet dislikes two":
            log.vote(2, VOTER, like=False)
        case "a wallet comments on one":
            with log.owner.transaction():
                log.owner.execute("set local role zmart_api")
                log.owner.execute("select set_config('zmart.wallet', %s, true)", [address(VOTER)])
                log.owner.execute("select app.post_comment(%s, 'Rain is likely')", [ONE])
            return
        case "the server restarts":
            server.stop()
            return
        case _:
            raise AssertionError(what)
    await log.deliver()


async def _receive(socket: Socket, count: int, log: Log, server: Served) -> list[dict[str, Any]]:
    """Return this number of messages; for zero, all that came before a pong that was requested last."""
    if count:
        return [await socket.next() for _ in range(count)]
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (here := server.services.hub.position) is None or here.seq < log.head()[1]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await socket.send(action="ping")
    return (await socket.until(lambda message: message["type"] == "pong"))[:-1]


def _holds(expected: Any, actual: Any) -> bool:
    """Return whether `said` has everything that `expected` has."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(n in actual and _holds(v, actual[n]) for n, v in expected.items())
    return bool(expected == actual)


def _named(text: str) -> str:
    for name, value in NAMES.items():
        text = text.replace(name, value)
    return text
