"""The pictures of README.md and docs/console.md: `ZMART_WRITE_IMAGES=1 pytest ...` writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import ConsoleStack
from playwright.async_api import expect

from devchain.market_plans import Tempo

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
    pytest.mark.skipif("ZMART_WRITE_IMAGES" not in os.environ, reason="ZMART_WRITE_IMAGES=1 writes the pictures"),
]

IMAGES = Path(__file__).parents[3] / "docs" / "images"
#: Long enough for a chart with some movement.
HISTORY_HOURS = 1.0
TEMPO = Tempo(markets=8, wallets=16, trades_per_second=0.8, proposal_seconds=30, trading_seconds=2_700)
DESKTOP: dict[str, Any] = {"viewport": {"width": 1400, "height": 960}}
LIGHT = {**DESKTOP, "color_scheme": "light"}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}


@pytest.mark.parametrize(
    ("name", "path", "options"),
    [
        ("console.png", "/#/market/{}", DESKTOP),
        ("console-light.png", "/#/market/{}", LIGHT),
        ("console-phone.png", "/#/market/{}", PHONE),
    ],
)
async def test_write_the_pictures(stage: ConsoleStack, name: str, path: str, options: dict[str, Any]) -> None:
    """Take it once everything on the page is loaded."""
    market = stage.open_market()
    async with stage.page(path.format(market), **options) as page:
        await expect(page.locator(".pill")).to_have_text("live")
        await stage.trade(market)
        await stage.stack.pass_blocks(40)
        await stage.deliver()
        await stage.stack.sync_task.tick()
        await expect(page.locator("tbody tr").first).to_be_visible()
        await expect(page.locator(".tally").first).to_be_visible()
        await expect(page.locator(".legend")).to_contain_text("Vol")
        await page.wait_for_load_state("load")
        await page.mouse.move(0, 0)
        await page.screenshot(path=IMAGES / name, animations="disabled")

    assert (IMAGES / name).stat().st_size > 20_000


@pytest.mark.parametrize(
    ("name", "path", "options"),
    [
        ("console-wallet.png", "/#/wallet/{}", DESKTOP),
        ("console-wallet-phone.png", "/#/wallet/{}", PHONE),
        ("console-leaderboard.png", "/#/leaderboard", LIGHT),
        ("console-leaderboard-phone.png", "/#/leaderboard", PHONE),
        ("console-operator.png", "/#/operator", DESKTOP),
        ("console-operator-phone.png", "/#/operator", PHONE),
    ],
)
async def test_write_the_pictures_of_tables(stage: ConsoleStack, name: str, path: str, options: dict[str, Any]) -> None:
    """Take each once its first table has rows and its figures are there."""
    stage.compute_scheduled_marts()
    async with stage.page(path.format(stage.busiest_wallet()), **options) as page:
        await expect(page.locator(".pill")).to_have_text("live")
        await expect(page.locator("tbody tr").first).to_be_visible()
        await expect(page.locator("dd", has_text="…")).to_have_count(0)
        await page.mouse.move(0, 0)
        await page.screenshot(path=IMAGES / name, animations="disabled")

    assert (IMAGES / name).stat().st_size > 20_000
