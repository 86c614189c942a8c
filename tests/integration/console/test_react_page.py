"""The React page of clients/example, built from the packed client alone, in a real browser over a real log."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import PROJECT, SETTINGS, ConsoleStack
from playwright.async_api import Page, expect

from tests.fix_node import install_packages

pytestmark = [
    pytest.mark.drill,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600, func_only=True),
]

BUILD_SECONDS = 240
WAIT_SECONDS = 90.0


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def built_page(typescript_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, checked and built; its client is installed from the archive that `npm pack` makes."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(
        PROJECT / "clients" / "example",
        folder,
        ignore=shutil.ignore_patterns("node_modules", "dist"),
        dirs_exist_ok=True,
    )
    install_packages(folder, "ci")
    packed = _run(["npm", "pack", "--json", "--pack-destination", str(folder)], typescript_client)
    archive = folder / json.loads(packed)[0]["filename"]
    _run(["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", str(archive)], folder)
    client = folder / "node_modules" / "zmart-client"
    assert not client.is_symlink()
    assert not (client / "src").exists()
    _run(["npm", "run", "check"], folder)
    _run(["npm", "run", "build"], folder)
    return folder


def _run(command: list[str], folder: Path) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module", autouse=True)
def site(built_page: Path) -> Iterator[str]:
    """The address of the page: an origin of its own, which the API allows."""
    handler = functools.partial(_QuietHandler, directory=str(built_page))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        SETTINGS["CORS_ORIGINS"] = address
        yield address
        del SETTINGS["CORS_ORIGINS"]
        server.shutdown()
        thread.join()


async def trades_of_feed(url: str, topic: str, since: str, last: int) -> list[int]:
    """The seqs of a topic's entries after a position, up to one, without any client of ours."""
    found: list[int] = []
    query = {"topics": topic, "since": since}
    async with (
        asyncio.timeout(WAIT_SECONDS),
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=WAIT_SECONDS) as client,
        client.stream("GET", "/api/stream", params=query) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:])["seq"])
                if found[-1] >= last:
                    return found
    pytest.fail("the stream ended")


async def entries_shown(page: Page) -> list[tuple[int, list[str]]]:
    """The entries that the page received, in the order in which it shows them."""
    found: list[list[str]] = await page.locator("#entries li").evaluate_all(
        "(nodes) => nodes.map((node) => [node.dataset.seq, node.dataset.types])"
    )
    return [(int(seq), types.split(",")) for seq, types in found]


async def until_equal(page: Page, script: str, client: httpx.AsyncClient, path: str, pick: Any) -> None:
    """Wait until what the page shows equals what the API returns."""
    shown, expected = None, ()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while shown != expected:
                shown = await page.evaluate(script)
                expected = pick((await client.get(path)).raise_for_status().json())
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{path}: the page shows {shown}, the API returns {expected}")


async def test_the_page_misses_no_message_through_a_restart(stage: ConsoleStack, site: str) -> None:
    """List, market and portfolio follow the log; trades while the API is away are shown once each, in order."""
    market = stage.open_market()
    rows = stage.stack.fetch_all(
        "select user_wallet from marts.trades where market_id = %s group by 1 order by count(*) desc, 1 limit 1", market
    )
    wallet = str(rows[0][0])
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False, timeout=WAIT_SECONDS) as client:
        before = (await client.get("/api/status")).json()["as_of"]["position"]
        page = await stage.browser.new_page()
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        await page.goto(f"{site}/?api={stage.url}&market={market}&wallet={wallet}")
        await expect(page.locator("#trades tr").first).to_be_visible()
        await expect(page.locator(f"#portfolio [data-holding='{market}']")).to_be_visible()

        shown = await stage.trade(market)
        await expect(page.locator(f"[data-trade='{shown['tx_signature']}:{shown['ordinal']}']")).to_be_visible()
        await stage.stop()
        while_away = [await stage.trade(market) for _ in range(3)]
        await stage.start()
        newest = await stage.trade(market)
        async with asyncio.timeout(WAIT_SECONDS):
            while newest["user_wallet"] != wallet:
                newest = await stage.trade(market)
        await expect(page.locator(f"[data-trade='{newest['tx_signature']}:{newest['ordinal']}']")).to_be_visible(
            timeout=WAIT_SECONDS * 1000
        )

        expected = await trades_of_feed(stage.url, f"market:{market}.trade", before, newest["seq"])
        entries = await entries_shown(page)
        trades = [seq for seq, types in entries if "trade" in types]
        assert trades == expected
        assert {trade["seq"] for trade in while_away} <= set(trades)
        assert len(trades) == len(set(trades)) >= 5
        await until_equal(
            page,
            f"() => document.querySelector(`[data-market='{market}'] .volume`).title",
            client,
            f"/api/markets/{market}",
            lambda body: f"{body['total_volume_exact']} lamports",
        )
        await until_equal(
            page,
            "() => Object.fromEntries([...document.querySelectorAll('[data-holding]')]"
            ".map(({ dataset }) => [dataset.holding, [dataset.yes, dataset.no]]))",
            client,
            f"/api/users/{wallet}/portfolio",
            lambda body: {one["market_id"]: [one["shares_yes"], one["shares_no"]] for one in body["positions"]},
        )
        assert failures == []
        await page.close()
