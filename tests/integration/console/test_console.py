"""The console in a real browser, over a real log."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from conftest import ConsoleStack
from playwright.async_api import Page, Route, expect

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
PERCENT = re.compile(r"^\d+\.\d%$")


async def test_a_trade_changes_the_page(stage: ConsoleStack, page: Page) -> None:
    """Without a reload: the trade's row, the price, the row in the list and the candle's legend."""
    market = stage.open_market()
    await expect(page.locator(".pill")).to_have_text("live")
    await expect(page.locator("tbody tr").first).to_be_visible()

    trade = await stage.trade(market)

    shown = f"{trade['price_yes'] / 10_000_000:.1f}%"
    row = page.locator(f"[data-trade='{trade['tx_signature']}:{trade['ordinal']}']")
    await expect(row).to_contain_text(shown)
    await expect(row).to_contain_text(trade["outcome"])
    await expect(page.locator(".price.yes strong")).to_have_text(shown)
    await expect(page.locator(f"[data-market='{market}'] .row-price")).to_have_text(shown)
    await expect(page.locator(".legend")).to_contain_text(f"C {shown}")


async def test_amounts_show_sol_and_keep_lamports(stage: ConsoleStack, page: Page) -> None:
    """A rounded figure has the exact one in its title."""
    rows = stage.stack.fetch_all("select total_volume from marts.markets where id = %s", stage.open_market())
    volume = page.locator(".facts div", has_text="Volume").locator("dd span")

    await expect(volume).to_have_text(re.compile(r"^[\d,.]+ SOL$"))
    assert await volume.get_attribute("title") == f"{rows[0][0]:,} lamports"


async def test_untrusted_text_stays_text(stage: ConsoleStack) -> None:
    """A question with markup is shown as it was written, and runs nothing."""
    market, hostile = stage.open_market(), '<img src=x onerror="document.title=1"><b>Will it rain?</b>'
    stage.ask_about(market, hostile)
    try:
        async with stage.page(f"/#/market/{market}") as page:
            await expect(page.locator("h1")).to_have_text(hostile)
            await expect(page.locator(f"[data-market='{market}'] .row-question")).to_have_text(hostile)
            assert await page.locator("img[src=x], h1 b").count() == 0
            assert stage.complaints[page] == []
    finally:
        stage.describe()


async def test_the_keyboard_is_enough(page: Page) -> None:
    """Search, move through the list, open a market, choose candles, change the theme, open the help, and return."""
    await expect(page.locator("[data-market]").first).to_be_visible()
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    first = page.locator("[data-market] a").first
    await page.keyboard.press("k")
    for _ in range(30):
        await page.keyboard.press("k")
    await expect(first).to_be_focused()
    await page.keyboard.press("j")
    second = page.locator("[data-market] a").nth(1)
    await expect(second).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(second).to_have_attribute("aria-current", "page")

    await page.keyboard.press("2")
    await expect(page.locator("input[name=interval][value='5m']")).to_be_checked()
    await page.keyboard.press("t")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.keyboard.press("?")
    await expect(page.locator("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog")).to_be_hidden()
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile("#/markets$"))


async def test_a_market_that_is_left_while_it_is_read_reports_no_error(page: Page) -> None:
    """The read that the page aborts is no error."""
    asked = asyncio.Event()
    await page.route("**/api/markets/*/trades?*", lambda _: asked.set())
    # The market that is open already stands anywhere in the list; to click it reads nothing.
    await page.locator("[data-market] a:not([aria-current])").first.click()
    await asyncio.wait_for(asked.wait(), 30)
    async with page.expect_event("requestfailed"):
        await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile("#/markets$"))
    await page.evaluate("() => new Promise((done) => setTimeout(done))")


async def test_marts_that_were_not_computed_are_not_fresh(stage: ConsoleStack, page: Page) -> None:
    """The health strip names marts that Dagster has not computed; "all fresh" includes them."""
    await expect(page.get_by_text("all fresh")).to_be_visible()

    async def overdue(route: Route) -> None:
        response = await route.fetch()
        status = await response.json()
        marts = [mart | {"is_overdue": mart["name"] == "leaderboard"} for mart in status["scheduled_marts"]]
        await route.fulfill(response=response, json=status | {"scheduled_marts": marts})

    await page.route("**/api/status", overdue)
    await page.reload()
    await expect(page.get_by_text("leaderboard not computed")).to_be_visible()
    await expect(page.get_by_text("all fresh")).to_have_count(0)


async def test_a_list_that_is_read_again_keeps_its_rows(page: Page) -> None:
    """A row that stays is the same element: a click that is under way while the list is read again is not lost."""
    row = await page.locator("[data-market]").last.element_handle()
    assert row is not None
    async with page.expect_response(lambda response: "/api/markets?" in response.url and "sort=volume" in response.url):
        await page.get_by_label("Order").select_option("volume")
    await expect(page.locator(".list")).not_to_have_attribute("aria-busy", "true")
    assert await row.evaluate("(node) => node.isConnected")
    ids = await page.locator("[data-market]").evaluate_all("(nodes) => nodes.map((node) => node.dataset.market)")
    answer = await page.evaluate(f"() => fetch('/api/markets?sort=volume&limit={len(ids)}').then((one) => one.json())")
    assert ids == [market["id"] for market in answer["markets"]]


async def test_search_and_filters_ask_the_api(stage: ConsoleStack, page: Page) -> None:
    """Search text and filters decide the rows; an empty result is reported."""
    await expect(page.locator("[data-market]").first).to_be_visible()
    question = await page.locator(".row-question").first.inner_text()
    await page.locator("#search").fill(question)
    await expect(page.locator(".row-question")).to_have_text([question])
    await page.locator("#search").fill("nobody asked this")
    await expect(page.locator(".rows .empty")).to_contain_text("nobody asked this")
    await page.locator("#search").fill("")
    await page.locator(".list .chip", has_text="Final").click()
    finished = stage.stack.fetch_all("select count(*) from marts.markets where state = 'FINALIZED' and is_known")[0][0]
    await expect(page.locator(".list-line .muted")).to_have_text(re.compile(f"^{finished} markets?$"))


@pytest.mark.parametrize("path", ["/#/", "/#/markets", "/#/market/{}"])
async def test_a_phone_needs_no_sideways_scrolling(stage: ConsoleStack, path: str) -> None:
    """At 360 points no element is wider than the screen."""
    async with stage.page(path.format(stage.open_market()), **PHONE) as page:
        await expect(page.locator("h1, h2, [data-market]").locator("visible=true").first).to_be_visible()
        if "{}" in path:
            await expect(page.locator("tbody tr").first).to_be_attached()

        wide = "[document.documentElement, ...document.querySelectorAll('main, .list, .tab-body')]"
        assert await page.evaluate(f"{wide}.filter(e => e.scrollWidth > e.clientWidth).map(e => e.className)") == []
        assert stage.complaints[page] == []


async def test_everything_has_a_name(page: Page) -> None:
    """In the accessibility tree every control and every picture has a name."""
    await expect(page.locator("tbody tr").first).to_be_visible()
    await expect(page.locator(".tally").first).to_be_visible()
    session = await page.context.new_cdp_session(page)
    nodes = (await session.send("Accessibility.getFullAXTree"))["nodes"]
    wanted = {"button", "link", "searchbox", "combobox", "radio", "radiogroup", "tab", "tabpanel", "image", "table"}
    roles = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    assert {role for role, _ in roles} >= wanted - {"image"}
    assert [role for role, name in roles if role in wanted and not name.strip()] == []
    assert [name for role, name in roles if role == "main"] != []
    assert await page.locator("h1").count() == 1


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_text_stands_out_from_what_is_behind_it(stage: ConsoleStack, scheme: str) -> None:
    """Contrast of every pair in use is at least 4.5 to 1 (WCAG 2.2, 1.4.3), in both themes."""
    pairs = [(ink, paper) for ink in ("text", "muted", "yes", "no", "good", "bad") for paper in ("page", "surface")]
    pairs += [("text", "raised"), ("muted", "raised"), ("on-yes", "yes")]
    async with stage.page("/", color_scheme=scheme) as page:
        await expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        colors = await page.evaluate(
            "names => { const s = getComputedStyle(document.documentElement);"
            " return Object.fromEntries(names.map(n => [n, s.getPropertyValue('--' + n).trim()])) }",
            sorted({name for pair in pairs for name in pair}),
        )

    assert [pair for pair in pairs if contrast(colors[pair[0]], colors[pair[1]]) < 4.5] == []


async def test_it_comes_back_after_the_api_was_away(stage: ConsoleStack, page: Page) -> None:
    """Trades made while the API was down appear when it is back, without a reload."""
    market = stage.open_market()
    await expect(page.locator(".pill")).to_have_text("live")
    await page.evaluate("window.isSamePage = true")
    await stage.stop()
    await expect(page.locator(".pill")).to_have_text("reconnecting")
    missed = await stage.trade(market)
    await stage.start()

    await expect(page.locator(".pill")).to_have_text("live")
    await expect(page.locator(f"[data-trade='{missed['tx_signature']}:{missed['ordinal']}']")).to_be_visible()
    await expect(page.locator("#announcer")).to_have_text("Reconnected.")
    assert await page.evaluate("window.isSamePage")
    # The browser itself logs each refused connection; no other error is allowed.
    stage.complaints[page][:] = [complaint for complaint in stage.complaints[page] if "net::ERR" not in complaint]


async def test_page_starts_over_when_the_epoch_changes(stage: ConsoleStack, page: Page) -> None:
    """After a restore ids are of another epoch: the stream sends resync, and the page starts again."""
    await expect(page.locator(".pill")).to_have_text("live")
    await expect(page.locator("[data-market]").first).to_be_visible()
    await stage.stop()
    with stage.stack.database.connect("postgres") as owner:
        owner.execute("update raw.identity set epoch = gen_random_uuid()")
    await stage.start()

    await expect(page.locator("#announcer")).to_contain_text("has changed")
    trade = await stage.trade(stage.open_market())
    await expect(page.locator(f"[data-trade='{trade['tx_signature']}:{trade['ordinal']}']")).to_be_visible()
    stage.complaints[page][:] = [complaint for complaint in stage.complaints[page] if "net::ERR" not in complaint]


async def test_empty_list_and_failed_read_show_their_message(stage: ConsoleStack) -> None:
    """An empty list of markets is not an error; a failing read is one, with a button to retry."""
    async with stage.page() as page:
        await expect(page.locator("[data-market]").first).to_be_visible()
        await page.route("**/api/markets?*", lambda route: answer(route, 200, {"markets": [], "count": 0}))
        await page.locator(".list .chip", has_text="Active").click()
        await expect(page.locator(".rows .empty")).to_have_text("No market is in this state.")
        await page.unroute("**/api/markets?*")
        problem = {"detail": "The database is not answering at the moment.", "code": "unavailable"}
        await page.route("**/api/markets?*", lambda route: answer(route, 503, problem))
        await page.locator(".list .chip", has_text="All").click()
        await expect(page.locator(".rows [role=alert]")).to_contain_text(problem["detail"])
        await page.unroute("**/api/markets?*")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.locator("[data-market]").first).to_be_visible()


async def test_page_sends_few_requests_and_honours_retry_after(stage: ConsoleStack) -> None:
    """A page needs a small part of the 100 reads a minute of a client; a 429 is waited out."""
    asked: list[str] = []
    refusal = {"detail": "Too many requests.", "code": "too_many_requests"}
    async with stage.page("/docs") as page:
        page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
        await page.route("**/api/markets?*", lambda route: answer(route, 429, refusal, {"Retry-After": "1"}), times=1)
        await page.goto(f"{stage.url}/#/market/{stage.open_market()}")
        await expect(page.locator("[data-market]").first).to_be_visible()
        await expect(page.locator(".tally").first).to_be_visible()
        await expect(page.locator(".pill")).to_have_text("live")

    assert sum("/api/markets?" in url for url in asked) == 2
    assert len(asked) <= 30


async def test_unknown_market_shows_a_message(stage: ConsoleStack) -> None:
    """Its account's address leads to the market, too."""
    async with stage.page("/#/market/" + "0" * 64) as page:
        await expect(page.locator("h1")).to_have_text("There is no such market")
    rows = stage.stack.fetch_all("select id, on_chain_address from marts.markets where is_known limit 1")
    async with stage.page(f"/#/market/{rows[0][1]}") as page:
        await expect(page).to_have_url(re.compile(rows[0][0]))


async def test_the_documentation_loads_from_here_alone(stage: ConsoleStack) -> None:
    """Swagger UI shows the operations without requests to other origins and within its content policy."""
    async with stage.page("/docs") as page:
        await expect(page.locator(".opblock-summary-path", has_text="/api/stream").first).to_be_visible()
        await page.locator(".opblock-summary-control").first.click()
        await expect(page.locator(".opblock-body").first).to_be_visible()
        await page.set_viewport_size(PHONE["viewport"])
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        assert stage.complaints[page] == []


async def answer(route: Route, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
    """Respond in place of the API."""
    as_of = {"epoch": "e", "seq": 1, "position": "e:1", "slot": 1, "commitment": "confirmed"}
    full = {"limit": 1, "offset": 0, "next_cursor": None, "as_of": as_of, **body}
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    await route.fulfill(status=status, headers=all_headers, body=json.dumps(full))


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, as WCAG defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    """The relative luminance of #rrggbb."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
