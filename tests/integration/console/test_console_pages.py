"""The console's pages of wallets, ranks and operations, and what holds for every page: width, names, figures."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from conftest import ConsoleStack
from playwright.async_api import Page, Route, ViewportSize, expect
from solders.keypair import Keypair

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

FOLDER = Path(__file__).parent
OPERATOR = Keypair()
SETTINGS = {
    "JWT_SECRET": "a secret of at least thirty-two bytes for tests",
    "OPERATOR_WALLETS": str(OPERATOR.pubkey()),
}
#: Text of an alert: no space in it, longer than any screen.
LONG_TEXT = "node-10.1.2.3-refuses-" + "x" * 300
AMOUNT = re.compile(r"^[+−]?[\d,]+\.\d{3}$|^[<>]−?0\.001$")
PATHS = [
    "/#/",
    "/#/markets",
    "/#/market/{market}",
    "/#/event/{event}",
    "/#/wallet/{wallet}",
    "/#/leaderboard",
    "/#/operator",
]

PHONES: list[ViewportSize] = [{"width": 390, "height": 740}, {"width": 360, "height": 740}]
FIND_WIDE = (FOLDER / "find_wide.js").read_text()


@pytest.fixture(scope="module")
def places(stage: ConsoleStack) -> dict[str, str]:
    """The open market, a final market with an outcome, and the wallet with the most trades; every mart is computed."""
    stage.compute_scheduled_marts()
    final = stage.stack.fetch_all(
        "select id from marts.markets where state = 'FINALIZED' and final_outcome is not null and is_known"
        " order by trades_count desc limit 1"
    )
    market = stage.open_market()
    return {
        "market": market,
        "final": final[0][0],
        "wallet": stage.busiest_wallet(),
        "event": stage.decorate(market),
    }


async def ready(page: Page, path: str) -> None:
    """Wait until the page has its content."""
    await expect(page.locator(".pill")).to_have_text("live")
    first = {
        "/#/": ".feed li",
        "/#/markets": "[data-market]",
        "/#/leaderboard": "tbody tr",
        "/#/operator": "tbody tr",
    }.get(path, "tbody tr")
    await expect(page.locator(first).locator("visible=true").first).to_be_visible()
    await expect(page.locator(".health")).to_contain_text("Verified through")


# --- every page -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_no_text_is_wider_than_a_phone(stage: ConsoleStack, places: dict[str, str], path: str) -> None:
    """Questions, names of wallets, alerts and their texts without a space stay within the screen."""
    for market in (places["market"], places["final"]):
        stage.ask_about(market, "W" * 200)
    try:
        async with stage.page("/docs", viewport=PHONES[0], is_mobile=True, has_touch=True) as page:
            await page.route("**/api/status", long_status)
            await page.route("**/api/markets/activity?*", long_names)
            await page.goto(stage.url + path.format(**places))
            await ready(page, path)
            await expect(page.locator(".health .alerts")).to_contain_text("stopped")
            assert await wide_elements(page) == []
            for tab in await page.get_by_role("tab").all():
                await tab.click()
                await expect(tab).to_have_attribute("aria-selected", "true")
                await expect(page.locator(".tab-body .empty", has_text="…").locator("visible=true")).to_have_count(0)
                assert await wide_elements(page) == [], await tab.inner_text()
    finally:
        stage.describe()


async def wide_elements(page: Page) -> list[tuple[int, str]]:
    """The elements that are wider than a phone, with its width."""
    found: list[tuple[int, str]] = []
    for size in PHONES:
        await page.set_viewport_size(size)
        found += [(size["width"], name) for name in await page.evaluate(FIND_WIDE, size["width"])]
    return found


async def long_status(route: Route) -> None:
    """Alerts as an operator sees them, with texts without a space."""
    response = await route.fetch()
    at = "2026-11-30T13:51:05+00:00"
    detail = {"subject": LONG_TEXT, "severity": "critical", "message": LONG_TEXT}
    alert = {"kind": f"source_stopped_{'x' * 120}", "severity": "critical", "open": 7, "last_at": at}
    gap = {"gap_no": 1, "from_slot": 10**12, "to_slot": 10**12 + 1, "accepted_at": at, "missing": 1, "unproven": 10**6}
    status: dict[str, Any] = await response.json() | {
        "alerts": [alert | {"details": [detail | {"occurrences": 12, "raised_at": at, "last_at": at}]}],
        "gaps": [gap | {"reason": LONG_TEXT}],
    }
    status["completeness"]["reason"] = LONG_TEXT
    status["models"][0] |= {"is_stale": True, "stale_since": at, "reason": LONG_TEXT}
    await route.fulfill(response=response, json=status)


async def long_names(route: Route) -> None:
    """Recent events of wallets with long names."""
    response = await route.fetch()
    body = await response.json()
    events = [event | {"user": "N" * 90, "action": "bought-" + "y" * 90} for event in body["activities"]]
    await route.fulfill(response=response, json=body | {"activities": events})


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("path", [*PATHS, "/#/market/{final}"])
async def test_axe_finds_nothing_serious(
    stage: ConsoleStack, places: dict[str, str], axe: str, path: str, scheme: Literal["dark", "light"]
) -> None:
    """No serious or critical finding, at desktop and phone width, and with the help open."""
    async with stage.page(path.format(**places), color_scheme=scheme) as page:
        await ready(page, path)
        await expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        await page.evaluate(axe)
        for width in (1400, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await serious_findings(page) == [], width
        await page.evaluate("document.getElementById('shortcuts').showModal()")
        assert await serious_findings(page) == []


async def serious_findings(page: Page) -> list[tuple[str, str]]:
    """Run axe once nothing moves: a colour in the middle of an animation has another contrast."""
    await page.emulate_media(reduced_motion="reduce")
    result = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        (one["id"], ", ".join(node["target"][0] for node in one["nodes"])[:300])
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]


async def test_pictures_slugs_and_events_are_shown(stage: ConsoleStack, places: dict[str, str]) -> None:
    """On the page of a market and in its row; the slug leads to the market, and the event to its markets."""
    market = places["market"]
    async with stage.page(f"/#/market/{market}") as page:
        await ready(page, "/#/market/{market}")
        for place in (".market-head", f'[data-market="{market}"]'):
            picture = page.locator(f"{place} img.picture")
            await expect(picture).to_be_visible()
            await expect(picture).to_have_js_property("naturalWidth", 64)
        await expect(page.locator(".picture:visible")).to_have_count(2)
        slug = await page.locator(".slug-link").inner_text()
        await page.locator(".event-link").click()
        await expect(page).to_have_url(re.compile(f"#/event/{places['event']}$"))
        await page.locator("a.event-market").click()
        await expect(page).to_have_url(re.compile(market))
        await page.goto(f"{stage.url}/#/market/{slug}")
        await expect(page).to_have_url(re.compile(market))
        await page.goto(f"{stage.url}/#/event/no-such-event")
        await expect(page.locator("h1")).to_have_text("There is no such event")
    assert [one for one in stage.complaints[page] if "404" not in one] == []


async def test_a_decided_market_shows_its_outcome(stage: ConsoleStack, places: dict[str, str]) -> None:
    """In the list, on its page and in the title; a price of traders is no longer shown as one."""
    rows = stage.stack.fetch_all("select final_outcome from marts.markets where id = %s", places["final"])
    outcome = "YES" if rows[0][0] else "NO"
    async with stage.page(f"/#/market/{places['final']}") as page:
        await expect(page.locator(".verdict")).to_contain_text(f"Outcome{outcome}")
        await expect(page.locator(".prices")).to_be_hidden()
        await expect(page).to_have_title(re.compile(f"^{outcome} "))
        row = page.locator(f"[data-market='{places['final']}']")
        await expect(row.locator(".row-price")).to_have_text(outcome)
        await expect(row.locator(".row-change")).to_have_text("")
        await page.locator(f"[data-market='{places['market']}'] a").click()
        await expect(page.locator(".verdict")).to_be_hidden()
        await expect(page.locator(".price.yes strong")).to_have_text(re.compile("%$"))


async def test_amounts_of_a_column_have_the_same_digits(stage: ConsoleStack, places: dict[str, str]) -> None:
    """Three decimals, in digits of one width; the smallest amount is not shown as zero."""
    async with stage.page(f"/#/market/{places['market']}") as page:
        await expect(page.locator("tbody tr").first).to_be_visible()
        cells = page.locator("tbody td:nth-child(3)")
        assert [text for text in await cells.all_inner_texts() if not AMOUNT.match(text)] == []
        style = "(node) => getComputedStyle(node).fontVariantNumeric"
        assert await cells.first.evaluate(style) == "tabular-nums"
        units = "async (exact) => (await import('/console/format.js')).units(exact)"
        shown = {exact: await page.evaluate(units, exact) for exact in ("0", "1", "-1", "-1500000", "1234567890123")}
    assert shown == {"0": "0.000", "1": "<0.001", "-1": ">−0.001", "-1500000": "−0.002", "1234567890123": "1,234.568"}


async def test_candles_join(stage: ConsoleStack, places: dict[str, str]) -> None:
    """Each opens where the one before it closed; minutes without a trade are flat; the first opens at 50%."""
    trades = [(60, 0.6, 0.7, 0.5, 0.65), (240, 0.7, 0.72, 0.7, 0.71)]
    names = ("time", "open", "high", "low", "close")
    given = [dict(zip(names, values, strict=True), volume="1", trades=1) for values in trades]
    join = (
        "async ([candles, isWhole]) => [...(await import('/console/chart.js')).join(candles, 60, { isWhole }).values()]"
    )
    async with stage.page(f"/#/market/{places['market']}") as page:
        whole = await page.evaluate(join, [given, True])
        part = await page.evaluate(join, [given, False])
    assert [[candle[name] for name in names] for candle in whole] == [
        [60, 0.5, 0.7, 0.5, 0.65],
        [120, 0.65, 0.65, 0.65, 0.65],
        [180, 0.65, 0.65, 0.65, 0.65],
        [240, 0.65, 0.72, 0.65, 0.71],
    ]
    assert part[0]["open"] == 0.6
    assert [candle["volume"] for candle in whole] == ["1", "0", "0", "1"]


@pytest.mark.parametrize(("cluster", "query"), [("mainnet", ""), ("devnet", "?cluster=devnet"), ("localnet", None)])
async def test_explorer_links_name_the_cluster(
    stage: ConsoleStack, places: dict[str, str], cluster: str, query: str | None
) -> None:
    """A localnet is on no explorer, so it has no link; elsewhere each names its transaction and the cluster."""
    trade = await stage.newest_trade(places["market"])

    async def health(route: Route) -> None:
        response = await route.fetch()
        assert (await response.json())["environment"] == "localnet"
        await route.fulfill(response=response, json=await response.json() | {"environment": cluster})

    async with stage.page("/docs") as page:
        await page.route("**/health", health)
        async with page.expect_response("**/health"):
            await page.goto(f"{stage.url}/#/market/{places['market']}")
        await expect(page.locator("tbody tr").first).to_be_visible()
        link = page.locator(f"[data-trade^='{trade['tx_signature']}'] a.explorer")
        if query is None:
            await expect(link.first).to_be_attached()
            await expect(page.locator("a.explorer").locator("visible=true")).to_have_count(0)
        else:
            address = f"https://explorer.solana.com/tx/{trade['tx_signature']}{query}"
            await expect(link.first).to_have_attribute("href", address)
            await expect(link.first).to_be_visible()


# --- a wallet ---------------------------------------------------------------------------------------------


async def test_a_wallet_shows_its_figures_and_every_list(stage: ConsoleStack, places: dict[str, str]) -> None:
    """The head has the API's sums; each tab has the API's rows."""
    wallet = places["wallet"]
    async with stage.page(f"/#/wallet/{wallet}") as page:
        await expect(page.locator("h1")).to_have_text(wallet)
        await expect(page.locator("tbody tr").first).to_be_visible()
        portfolio = await get(page, f"/api/users/{wallet}/portfolio")
        profit = page.locator(".facts div", has=page.locator("dt", has_text=re.compile("^Profit$"))).locator("dd span")
        assert await profit.get_attribute("title") == f"{int(portfolio['totals']['profit']):,} lamports"
        assert await page.locator("tbody tr").count() == min(portfolio["count"], 50)

        votes = await get(page, f"/api/users/{wallet}/votes")
        claims = [one for one in portfolio["positions"] if one["has_claimed"] or one["claimable"] != "0"]
        days = (await get(page, f"/api/users/{wallet}/pnl-history"))["days"]
        trades = await get(page, f"/api/users/{wallet}/trades")
        expected = {
            "Trades": trades["count"],
            "Claims": len(claims),
            "Votes": len(votes["proposal_votes"] + votes["dispute_votes"]),
            "Statement": len(days),
        }
        assert expected["Statement"] > 0
        for name, number in expected.items():
            await page.get_by_role("tab", name=name).click()
            await expect(page.locator("tbody tr")).to_have_count(number)
        await page.get_by_role("tab", name="Statement").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("tab", name="Positions")).to_be_focused()
        assert stage.complaints[page] == []


async def test_a_wallet_follows_its_trades(stage: ConsoleStack, places: dict[str, str]) -> None:
    """A trade of this wallet appears without a reload, in the figures and in the list."""
    wallet = places["wallet"]
    async with stage.page(f"/#/wallet/{wallet}") as page:
        await expect(page.locator(".pill")).to_have_text("live")
        await page.get_by_role("tab", name="Trades").click()
        await expect(page.locator("tbody tr").first).to_be_visible()
        await page.evaluate("window.isSamePage = true")
        count = await number_of_trades(page)
        trade = await trade_of(stage, wallet)
        await expect(page.locator(".facts div", has_text="Trades").locator("dd")).not_to_have_text(str(count))
        title = f"{trade['cost']:,} lamports"
        await expect(page.locator("tbody tr").first.locator(f"[title='{title}']")).to_be_visible()
        assert await page.evaluate("window.isSamePage")


async def trade_of(stage: ConsoleStack, wallet: str) -> dict[str, Any]:
    """Let the actors act until this wallet has traded; return its newest trade."""
    query = "select row_to_json(t) from marts.trades as t where user_wallet = %s order by order_key desc limit 1"
    before = stage.stack.fetch_all(query, wallet)
    async with asyncio.timeout(90):
        while (newest := stage.stack.fetch_all(query, wallet)) == before:
            await stage.stack.play(1)
            await stage.deliver()
    found: dict[str, Any] = newest[0][0]
    return found


async def number_of_trades(page: Page) -> int:
    """The figure of the page's head, once it is there."""
    figure = page.locator(".facts div", has_text="Trades").locator("dd")
    await expect(figure).to_have_text(re.compile(r"^\d+$"))
    return int(await figure.inner_text())


async def test_more_rows_are_added_and_stay(stage: ConsoleStack, places: dict[str, str]) -> None:
    """The second page follows the first; reading the first again removes none of them."""
    trades = (await all_trades(stage, places["wallet"]))[:6]
    pages = {None: (trades[:3], "two"), "two": (trades[3:], None)}

    async def paged(route: Route) -> None:
        response = await route.fetch()
        asked = re.search("cursor=([a-z]+)", route.request.url)
        rows, cursor = pages[asked.group(1) if asked else None]
        body = await response.json() if response.ok else {}
        await route.fulfill(status=200, json=body | {"trades": rows, "next_cursor": cursor})

    async with stage.page("/docs") as page:
        await page.route("**/api/users/*/trades?*", paged)
        await page.goto(f"{stage.url}/#/wallet/{places['wallet']}")
        await page.get_by_role("tab", name="Trades").click()
        await expect(page.locator("tbody tr")).to_have_count(3)
        await page.get_by_role("button", name="More").click()
        await expect(page.locator("tbody tr")).to_have_count(len(trades))
        await expect(page.get_by_role("button", name="More")).to_be_hidden()
        async with page.expect_response("**/api/users/*/trades?*"):
            await page.get_by_role("tab", name="Trades").click()
        await expect(page.locator("tbody tr")).to_have_count(len(trades))


async def all_trades(stage: ConsoleStack, wallet: str) -> list[dict[str, Any]]:
    """A wallet's newest trades, from the API."""
    async with stage.page("/docs") as page:
        found: list[dict[str, Any]] = (await get(page, f"/api/users/{wallet}/trades"))["trades"]
    assert len(found) >= 6
    return found


async def test_wallets_without_trades_and_wrong_addresses_have_a_message(stage: ConsoleStack) -> None:
    """An unknown wallet is empty and no error; what is no address is one, without a button."""
    async with stage.page(f"/#/wallet/{Keypair().pubkey()}") as page:
        await expect(page.locator(".tab-body .empty")).to_have_text("This wallet has never traded.")
        for name in ("Trades", "Claims", "Votes", "Statement"):
            await page.get_by_role("tab", name=name).click()
            await expect(page.locator(".tab-body .empty").locator("visible=true")).to_have_text(re.compile("^N|^This"))
        assert stage.complaints[page] == []
    async with stage.page("/#/wallet/0OIl") as page:
        await expect(page.locator(".page-head [role=alert]")).to_contain_text("This is no address of a wallet.")
        await expect(page.get_by_role("button", name="Try again")).to_have_count(0)


# --- ranks ------------------------------------------------------------------------------------------------


async def test_the_leaderboard_shows_the_ranks_of_the_api(stage: ConsoleStack, places: dict[str, str]) -> None:
    """By each value and period; a wallet leads to its page."""
    assert places["wallet"]
    async with stage.page("/") as page:
        await expect(page.locator(".pill")).to_have_text("live")
        await page.keyboard.press("l")
        await expect(page.locator("tbody tr").first).to_be_visible()
        for by, name in (("volume", "Volume"), ("profit", "Profit")):
            await page.locator(".choices .chip", has_text=name).click()
            ranked = (await get(page, f"/api/leaderboard?by={by}&limit=50"))["leaderboard"]
            links = page.locator("tbody .wallet")
            wallets = [re.compile(f"^{one['user_wallet'][:4]}…{one['user_wallet'][-4:]}$") for one in ranked]
            await expect(links).to_have_text(wallets)
        profits = page.locator("tbody td:nth-child(3)")
        assert [text for text in await profits.all_inner_texts() if not AMOUNT.match(text)] == []
        await links.first.click()
        await expect(page.locator("h1")).to_have_text(ranked[0]["user_wallet"])
        assert stage.complaints[page] == []


async def test_a_leaderboard_can_be_empty_or_fail(stage: ConsoleStack) -> None:
    """An empty rank is no error; a failing read is one, with a button to retry."""
    failure = {"detail": "The database is not answering at the moment.", "code": "unavailable"}
    async with stage.page("/docs") as page:
        body = json.dumps({"leaderboard": [], "offset": 0})
        await page.route("**/api/leaderboard?*", lambda route: route.fulfill(status=200, body=body))
        await page.goto(f"{stage.url}/#/leaderboard")
        await expect(page.locator(".paged .empty")).to_have_text("No wallet has a rank in this period yet.")
        await page.unroute("**/api/leaderboard?*")
        await page.route("**/api/leaderboard?*", lambda route: route.fulfill(status=503, body=json.dumps(failure)))
        await page.locator(".choices .chip", has_text="7 days").click()
        await expect(page.locator(".paged [role=alert]")).to_contain_text(failure["detail"])
        await page.unroute("**/api/leaderboard?*")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.locator("tbody tr").first).to_be_visible()


# --- operations -------------------------------------------------------------------------------------------

WALLET = (FOLDER / "browser_wallet.js").read_text()


async def open_operations(stage: ConsoleStack, page: Page, key: Keypair, *features: str) -> None:
    """Open the operator's page in a browser with a wallet."""
    await page.expose_function("walletAddress", lambda: str(key.pubkey()))
    await page.expose_function(
        "signText", lambda text: base64.b64encode(bytes(key.sign_message(text.encode()))).decode()
    )
    await page.add_init_script(f"({WALLET.strip()})({json.dumps(['standard:connect', *features])})")
    await page.goto(f"{stage.url}/#/operator")
    await expect(page.get_by_role("table", name="Marts, the worst first")).to_be_visible()


@pytest.fixture(scope="module")
def alert(stage: ConsoleStack) -> str:
    """The text of an open alert."""
    text = "the node at 10.1.2.3 refuses the key"
    with stage.stack.database.connect("postgres") as owner:
        owner.execute(
            "insert into ops.alerts (kind, subject, severity, message)"
            " values ('source_stopped', 'one', 'critical', %s)",
            [text],
        )
    return text


async def test_operations_show_states_to_everybody_and_texts_to_none(stage: ConsoleStack, alert: str) -> None:
    """Without a wallet: kinds, numbers, keepers and marts, and the way to the texts."""
    async with stage.page("/") as page:
        await expect(page.locator(".pill")).to_have_text("live")
        await page.keyboard.press("o")
        alerts = page.get_by_role("table", name="Open alerts, by kind")
        await expect(alerts).to_contain_text("source stopped")
        await expect(alerts.locator("tr.detail")).to_have_count(0)
        status = await get(page, "/api/status")
        await expect(page.get_by_role("table", name="Keepers").locator("tbody tr")).to_have_count(
            len(status["keepers"])
        )
        marts = page.get_by_role("table", name="Marts, the worst first").locator("tbody tr")
        await expect(marts).to_have_count(len(status["models"]) + len(status["scheduled_marts"]))
        await expect(page.locator(".access")).to_contain_text("No wallet was found in this browser")
        assert alert not in await page.content()
        assert stage.complaints[page] == []


@pytest.mark.parametrize("feature", ["solana:signIn", "solana:signMessage"])
async def test_an_operator_signs_in_and_sees_the_texts(stage: ConsoleStack, alert: str, feature: str) -> None:
    """With a wallet of either kind; signing out hides them again, and nothing of the session is stored."""
    async with stage.page("/docs") as page:
        await open_operations(stage, page, OPERATOR, feature)
        await page.get_by_role("button", name="Sign in with Testwallet").click()
        await expect(page.locator(".access")).to_contain_text("Signed in as")
        await expect(page.locator("tr.detail").first).to_contain_text(alert)
        await expect(page.locator("#announcer")).to_have_text("Signed in.")
        stored = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])"
        assert "ey" not in (await page.evaluate(stored)).replace("zmart.theme", "")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.locator("tr.detail")).to_have_count(0)
        assert alert not in await page.content()
        assert stage.complaints[page] == []


async def test_another_wallet_sees_no_texts(stage: ConsoleStack, alert: str) -> None:
    """It is signed in and no operator, and the page says so."""
    async with stage.page("/docs") as page:
        await open_operations(stage, page, Keypair(), "solana:signIn")
        await page.get_by_role("button", name="Sign in with Testwallet").click()
        await expect(page.locator(".access")).to_contain_text("It is no wallet of OPERATOR_WALLETS")
        assert alert not in await page.content()


async def test_a_refused_signature_leaves_the_page_usable(stage: ConsoleStack) -> None:
    """The reason is shown, and the button can be used again."""
    async with stage.page("/docs") as page:
        await open_operations(stage, page, OPERATOR, "solana:signMessage")
        await page.evaluate("() => { window.signText = () => Promise.reject(new Error('The user said no.')); }")
        await page.get_by_role("button", name="Sign in with Testwallet").click()
        await expect(page.locator(".access [role=alert]")).to_have_text("Signing in failed: The user said no.")
        await expect(page.get_by_role("button", name="Sign in with Testwallet")).to_be_enabled()


async def get(page: Page, path: str) -> dict[str, Any]:
    """Read from the API as the page does."""
    found: dict[str, Any] = await page.evaluate(f"fetch({json.dumps(path)}).then((answer) => answer.json())")
    return found
