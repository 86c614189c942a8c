"""Event groups, and moderation of events and images: who changes them, what is refused, what everybody reads."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from api_fixtures import Log, market_address, market_id, served
from market_site import ANN, BOB, MOD, MORE, ONE, TWO, Site, png

from api import schemas

#: A market of Bob.
BOBS = market_id(7)


@pytest.fixture
async def site(markets: Log) -> AsyncIterator[Site]:
    """The application over two markets of Ann and one of Bob."""
    markets.story.append(("MarketCreated", 7, 3, {"b_parameter": "100000000000", "state": 0}, None))
    await markets.deliver()
    async with served(markets.settings(**MORE)) as client:
        yield Site(markets, client)


async def make(site: Site, *markets: str, title: str = "Weather in May", wallet: str = ANN) -> httpx.Response:
    """Make an event of markets."""
    return await site.send(wallet, "POST", "/api/events", {"title": title, "markets": markets})


async def replace(
    site: Site, slug: str, *markets: str, title: str = "Weather in May", wallet: str = ANN
) -> httpx.Response:
    """Replace an event."""
    return await site.send(wallet, "PUT", f"/api/events/{slug}", {"title": title, "markets": markets})


async def decide(site: Site, path: str, action: str, wallet: str = MOD) -> httpx.Response:
    """Decide about an image or an event."""
    return await site.send(wallet, "POST", f"/api/moderation/{path}", {"action": action, "reason": "Shows a face."})


async def event_slugs(site: Site) -> dict[str, Any]:
    """Return the event of each market, as the list of markets shows it."""
    return {row["id"]: row["event_slug"] for row in (await site.read("/api/markets"))["markets"]}


async def test_a_creator_puts_markets_under_one_title(site: Site) -> None:
    """In an order, read in one snapshot with the markets' rows; each market's row names the event."""
    assert await event_slugs(site) == {ONE: None, TWO: None, BOBS: None}
    answer = await make(site, TWO, market_address(1))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["slug"], answer.json()["seq"]) == ("weather-in-may", site.log.head()[1])

    found = await site.client.get("/api/events/weather-in-may")
    event = msgspec.json.decode(found.content, type=schemas.EventGroupWithMarkets)
    assert [market.id for market in event.markets] == [TWO, ONE]
    assert (event.title, event.user_wallet, event.markets_count) == ("Weather in May", ANN, 2)
    assert event.as_of.position == site.log.position()
    assert await event_slugs(site) == {ONE: "weather-in-may", TWO: "weather-in-may", BOBS: None}
    listed = await site.read("/api/events")
    assert [row["slug"] for row in listed["events"]] == ["weather-in-may"]


async def test_an_event_is_replaced_as_a_whole(site: Site) -> None:
    """Title, markets and order; the earlier slug leads to it, and a market that left is free for another event."""
    await make(site, ONE, TWO)
    answer = await replace(site, "weather-in-may", TWO, title="Wetter im Mai")
    assert (answer.status_code, answer.json()["slug"]) == (200, "wetter-im-mai")
    for slug in ("weather-in-may", "wetter-im-mai"):
        event = await site.read(f"/api/events/{slug}")
        assert (event["slug"], [market["id"] for market in event["markets"]]) == ("wetter-im-mai", [TWO])
    assert await event_slugs(site) == {ONE: None, TWO: "wetter-im-mai", BOBS: None}
    assert (await make(site, ONE, title="Weather in May")).json()["slug"].startswith("weather-in-may-")

    deleted = await site.send(ANN, "DELETE", "/api/events/wetter-im-mai")
    assert (deleted.status_code, deleted.json()["slug"]) == (200, "wetter-im-mai")
    assert (await site.client.get("/api/events/weather-in-may")).status_code == 404
    assert (await event_slugs(site))[TWO] is None


async def test_every_change_is_in_the_log(site: Site) -> None:
    """An entry for the event, and one for each market that joins or leaves, all in one commit."""
    before = site.log.head()[1]
    await make(site, ONE, TWO)
    await replace(site, "weather-in-may", TWO)
    await site.send(ANN, "DELETE", "/api/events/weather-in-may")
    rows = site.log.owner.execute(
        "select f.kind, s.market_id from raw.feed as f left join raw.markets_seen as s using (market_no)"
        " where f.seq > %s order by f.seq",
        [before],
    ).fetchall()
    assert rows == [
        ("event_group", None),
        ("market_page", ONE),
        ("market_page", TWO),
        ("event_group", None),
        ("market_page", ONE),
        ("event_group", None),
        ("market_page", TWO),
    ]


async def test_who_may_change_what(site: Site) -> None:
    """Markets and events of others are for moderators; a market is in one event; nothing is half done."""
    refused = {
        403: [await make(site, ONE, BOBS), await make(site, ONE, wallet=BOB)],
        404: [await make(site, ONE, "ab" * 32), await make(site, "x"), await replace(site, "unknown", ONE)],
        422: [await make(site, ONE, ONE), await make(site, ONE, market_address(1))],
        400: [
            await make(site),
            await make(site, *[ONE] * 101),
            await make(site, ONE, title="x"),
            await make(site, ONE, title="a\u202eb\u202ec"),
            await make(site, ONE, title="   "),
        ],
        401: [await site.client.post("/api/events", json={"title": "Weather", "markets": [ONE]})],
    }
    for status, answers in refused.items():
        assert [answer.status_code for answer in answers] == [status] * len(answers), [a.text for a in answers]
    assert site.log.owner.execute("select count(*) from app.event_groups").fetchone() == (0,)

    assert (await make(site, ONE)).is_success
    assert (await make(site, ONE, TWO, title="Another")).status_code == 409
    for wallet, status in ((BOB, 403), (MOD, 200)):
        assert (await replace(site, "weather-in-may", ONE, BOBS, wallet=wallet)).status_code == status
    # Bob's market is in Ann's event now, so only moderators change it.
    assert (await replace(site, "weather-in-may", ONE)).status_code == 403
    assert (await site.send(ANN, "DELETE", "/api/events/weather-in-may")).status_code == 403
    assert (await site.send(MOD, "DELETE", "/api/events/weather-in-may")).status_code == 200


async def test_two_events_of_one_title_at_once_get_two_slugs(site: Site) -> None:
    """Each leads to its own event."""
    answers = await asyncio.gather(make(site, ONE), make(site, BOBS, wallet=BOB))
    assert [answer.status_code for answer in answers] == [201, 201]
    one, other = (answer.json()["slug"] for answer in answers)
    assert one != other
    assert [(await site.read(f"/api/events/{slug}"))["markets"][0]["id"] for slug in (one, other)] == [ONE, BOBS]


async def test_events_are_listed_in_pages(site: Site) -> None:
    """The newest first, without one twice or none."""
    for market, wallet in ((ONE, ANN), (TWO, ANN), (BOBS, BOB)):
        assert (await make(site, market, title=f"Event of {market[-1]}", wallet=wallet)).is_success
    first = await site.read("/api/events?limit=2")
    second = await site.read(f"/api/events?limit=2&before={first['next_before']}")
    assert [row["slug"] for row in first["events"] + second["events"]] == ["event-of-7", "event-of-2", "event-of-1"]
    assert second["next_before"] is None


async def test_a_hidden_event_is_nowhere(site: Site) -> None:
    """Its markets stay; its wallet cannot change it, and a moderator restores it."""
    await make(site, ONE)
    assert (await decide(site, "events/weather-in-may", "hide", ANN)).status_code == 403
    assert (await decide(site, "events/weather-in-may", "hide")).status_code == 200

    assert (await site.client.get("/api/events/weather-in-may")).status_code == 404
    assert (await site.read("/api/events"))["events"] == []
    assert (await event_slugs(site))[ONE] is None
    assert (await replace(site, "weather-in-may", ONE)).status_code == 404
    assert (await decide(site, "events/weather-in-may", "hide")).status_code == 409
    assert (await decide(site, "events/unknown", "hide")).status_code == 404

    assert (await decide(site, "events/weather-in-may", "restore")).status_code == 200
    assert (await event_slugs(site))[ONE] == "weather-in-may"
    newest = (await site.read("/api/moderation/log"))["decisions"][0]
    assert (newest["action"], newest["subject"], newest["event_slug"]) == ("restore", "event", "weather-in-may")
    assert newest["user_wallet"] == ANN


async def test_its_wallet_can_delete_a_hidden_event(site: Site) -> None:
    """Its markets are free for another event. Nobody else can, nor its wallet if markets of others are in it."""
    await make(site, ONE)
    await decide(site, "events/weather-in-may", "hide")
    assert (await make(site, ONE, title="Sun")).status_code == 409
    assert (await site.send(BOB, "DELETE", "/api/events/weather-in-may")).status_code == 404
    assert (await site.send(ANN, "DELETE", "/api/events/weather-in-may")).is_success
    assert (await make(site, ONE, title="Sun")).status_code == 201
    assert (await replace(site, "sun", ONE, BOBS, title="Sun", wallet=MOD)).is_success
    await decide(site, "events/sun", "hide")
    assert (await site.send(ANN, "DELETE", "/api/events/sun")).status_code == 404


async def test_a_hidden_image_is_nowhere_and_does_not_come_back(site: Site) -> None:
    """Neither its bytes nor its address in a row; the same file is refused. Erased bytes are in no table."""
    picture = png(1)
    digest = hashlib.sha256(picture).hexdigest()
    path = f"/api/images/{digest}"
    assert (await site.draw(picture)).is_success
    assert (await site.read(f"/api/markets/{ONE}"))["image_url"] == path
    assert (await decide(site, f"images/{digest}", "hide", ANN)).status_code == 403
    assert (await decide(site, f"images/{digest}", "hide")).status_code == 200

    async def shown() -> list[Any]:
        rows = (await site.read("/api/markets"))["markets"]
        return [(await site.client.get(path)).status_code, next(r["image_url"] for r in rows if r["id"] == ONE)]

    assert await shown() == [404, None]
    again = await site.draw(picture, TWO)
    assert (again.status_code, again.json()["message"]) == (409, "A moderator has hidden this image.")
    assert (await decide(site, f"images/{digest}", "hide")).status_code == 409
    assert (await decide(site, f"images/{digest}", "restore")).status_code == 200
    assert await shown() == [200, path]

    assert (await decide(site, f"images/{digest}", "erase")).status_code == 200
    assert await shown() == [404, None]
    assert (await decide(site, f"images/{digest}", "restore")).status_code == 409
    assert (await site.draw(png(2))).is_success
    assert (await site.draw(picture)).status_code == 409
    assert site.log.owner.execute("select content from app.images where hidden_at is not null").fetchall() == [(b"",)]
    newest = (await site.read("/api/moderation/log"))["decisions"][0]
    assert (newest["action"], newest["subject"], newest["image_digest"]) == ("erase", "image", digest)
    for name in ("0" * 64, "x"):
        assert (await decide(site, f"images/{name}", "hide")).status_code == 404
