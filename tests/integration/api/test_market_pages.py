"""Slugs and images of markets: who sets them, what is refused, and what everybody reads."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator

import pytest
from api_fixtures import Log, market_address, market_id, served
from market_site import ANN, BOB, MOD, MORE, ONE, TWO, Site, png
from PIL import ExifTags, Image

from zmart.domain import images


@pytest.fixture
async def site(markets: Log) -> AsyncIterator[Site]:
    """The application over three markets, two of which have one creator."""
    async with served(markets.settings(**MORE)) as client:
        yield Site(markets, client)


async def test_a_slug_follows_the_question_and_earlier_ones_stay(site: Site) -> None:
    """Both lead to the market; lists and batches have the current one. Without a question it is made of the id."""
    assert await site.slug(TWO) == f"market-{TWO}"
    await site.describe(TWO, "Will it snow in Oslo in May?")
    assert await site.slug(TWO) == "will-it-snow-in-oslo-in-may"
    await site.describe(TWO, "Will it snow in Bergen in May?")
    assert await site.slug(TWO) == "will-it-snow-in-bergen-in-may"

    earlier = await site.read("/api/market-slugs/will-it-snow-in-oslo-in-may")
    assert (earlier["id"], earlier["slug"]) == (TWO, "will-it-snow-in-bergen-in-may")
    assert (await site.read(f"/api/market-slugs/market-{TWO}"))["id"] == TWO
    listed = (await site.read("/api/markets"))["markets"]
    assert {row["id"]: row["slug"] for row in listed}[TWO] == "will-it-snow-in-bergen-in-may"
    batch = await site.send(None, "POST", "/api/markets/batch", {"markets": [TWO], "points": 0})
    assert batch.json()["markets"][0]["slug"] == "will-it-snow-in-bergen-in-may"

    await site.describe(TWO, "Will it snow in Oslo in May?")
    assert await site.slug(TWO) == "will-it-snow-in-oslo-in-may"


async def test_what_is_no_slug_or_digest_leads_nowhere(site: Site) -> None:
    """404 or 422, never another market or image."""
    for slug in ("unknown", "Will-It", "market-", "market-zz", "%00", "a" * 3000, ONE):
        assert (await site.client.get(f"/api/market-slugs/{slug}")).status_code in {404, 422}, slug
    for digest in ("0" * 64, "0" * 63, "G" * 64, "A" * 64, "%00"):
        assert (await site.client.get(f"/api/images/{digest}")).status_code in {404, 422}, digest


async def test_two_markets_with_one_title_get_two_slugs(site: Site) -> None:
    """Also when both requests arrive at once: each slug leads to its own market."""
    title = "Will both be called the same?"
    site.log.create(4)
    await site.log.deliver()
    four = market_id(4)
    await asyncio.gather(site.describe(TWO, title), site.describe(four, title))

    slugs = {await site.slug(TWO), await site.slug(four)}
    assert len(slugs) == 2
    assert "will-both-be-called-the-same" in slugs


async def test_a_market_that_is_only_prepared_takes_no_words_of_others(site: Site) -> None:
    """Its slug has a part of its id until it exists, and metadata of another wallet gives it none."""
    five = market_id(5)
    await site.describe(five, "Will somebody take these words?")
    await site.describe(TWO, "Will somebody take these words?")
    assert await site.slug(TWO) == "will-somebody-take-these-words"
    await site.describe(five, "Will Bob have this market?", BOB)

    site.log.create(5)
    await site.log.deliver()
    assert await site.slug(five) == f"will-somebody-take-these-words-{five[:8]}"
    answer = await site.client.get(f"/api/market-slugs/will-bob-have-this-market-{five[:8]}")
    assert answer.status_code == 404


async def test_the_number_of_a_markets_slugs_is_bounded(site: Site) -> None:
    """The twenty-first title keeps the slug of the twentieth, which still leads to the market."""
    for number in range(22):
        await site.describe(TWO, f"Will it be version {number}?")
    assert await site.slug(TWO) == "will-it-be-version-19"
    assert (await site.read("/api/market-slugs/will-it-be-version-0"))["id"] == TWO
    assert (await site.client.get("/api/market-slugs/will-it-be-version-20")).status_code == 404


#: Titles in many scripts, and the beginnings of their slugs.
TITLES = {
    "Will it rain in Lisbon on 1 May?": "will-it-rain-in-lisbon-on-1-may",
    "Wird Müllers Straße größer als 5 €?": "wird-mullers-strasse-grosser-als-5",
    "Çok güzel bir gün mü olacak İstanbul'da?": "cok-guzel-bir-gun-mu-olacak-istanbulda",
    "Tiếng Việt có dấu không, Đà Nẵng?": "tieng-viet-co-dau-khong-da-nang",
    "Пойдёт ли дождь в Москве завтра?": "poidet-li-dozhd-v-moskve-zavtra",
    "Чи піде дощ у Києві?": "chi-pide-doshch-u-kiievi",
    "Θα βρέξει στην Αθήνα αύριο;": "tha-vrexei-stin-athina-ayrio",
    "ＢＴＣ ａｂｏｖｅ １００ｋ？ ﬁnally": "btc-above-100k-finally",
    "Will 🚀 BTC reach 100k?": "will-btc-reach-100k",
    "明天里斯本会下雨吗今天呢后天呢": "market-",
    "هل ستمطر في لشبونة غدا": "market-",
    "האם ירד גשם מחר בליסבון": "market-",
    "क्या कल लिस्बन में बारिश होगी": "market-",
    "ลิสบอนพรุ่งนี้ฝนจะตกไหม": "market-",
    "리스본에 내일 비가 올까요 안 올까요": "market-",
    "🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀": "market-",
    "????????????": "market-",
    "2026年里斯本会下雨吗明天呢": "2026-",
    "a\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308bc": "abc",
    "Word " * 39: "word-word",
    "W" * 200: "w" * 60,
    "Leaderboard!": "leaderboard-",
    "f" * 64: "f" * 60 + "-",
    f"market {'0' * 63}1": "market-",
    "<script>alert('1')</script>": "script-alert-1-script",
}


async def test_a_title_in_any_script_gives_a_usable_slug(site: Site) -> None:
    """Lower-case ASCII words of bounded length, different for different titles, the same for the same one."""
    slugs = {
        title: site.log.owner.execute("select app.slug_of(%s, 'market')", [title]).fetchone()[0]  # type: ignore[index]
        for title in TITLES
    }

    for title, slug in slugs.items():
        assert slug.startswith(TITLES[title]), (title, slug)
        assert all(word.isascii() and word.isalnum() and word == word.lower() for word in slug.split("-")), slug
        assert 3 <= len(slug) <= 69
        # Never the address of a market without a title.
        assert slug != f"market-{ONE}"
    assert len(set(slugs.values())) == len(TITLES)

    # Two Chinese titles lead to two markets.
    await site.describe(ONE, "明天里斯本会下雨吗今天呢后天呢")
    await site.describe(TWO, "明天奥斯陆会下雪吗今天呢后天呢")
    assert (await site.slug(ONE)) != (await site.slug(TWO))


async def test_the_creator_sets_an_image_that_everybody_sees(site: Site) -> None:
    """By its digest, for good; in every row of the market, and with headers that let no browser run it."""
    picture = png(1)
    digest = hashlib.sha256(picture).hexdigest()
    answer = await site.draw(picture)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"market_id": ONE, "image_url": f"/api/images/{digest}", "seq": site.log.head()[1]}

    shown = await site.client.get(f"/api/images/{digest}")
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, picture, "image/png")
    assert shown.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert shown.headers["x-content-type-options"] == "nosniff"
    again = await site.client.get(f"/api/images/{digest}", headers={"If-None-Match": f'"{digest}"'})
    assert (again.status_code, again.content) == (304, b"")
    for row in (
        await site.read(f"/api/markets/{ONE}"),
        next(row for row in (await site.read("/api/markets"))["markets"] if row["id"] == ONE),
    ):
        assert row["image_url"] == f"/api/images/{digest}"


async def test_what_a_camera_wrote_is_not_stored(site: Site) -> None:
    """Names and places in the file go before anybody can read them; the address is that of what is left."""
    stream, clean = io.BytesIO(), io.BytesIO()
    picture, exif = Image.new("RGB", (8, 8)), Image.Exif()
    exif[ExifTags.Base.Artist] = "Ann Onymous"
    picture.save(stream, format="PNG", exif=exif)
    picture.save(clean, format="PNG")
    assert b"Ann Onymous" in stream.getvalue()

    answer = await site.draw(stream.getvalue())
    digest = hashlib.sha256(clean.getvalue()).hexdigest()
    assert (answer.status_code, answer.json()["image_url"]) == (200, f"/api/images/{digest}")
    assert (await site.client.get(f"/api/images/{digest}")).content == clean.getvalue()


async def test_a_new_image_replaces_the_old_one(site: Site) -> None:
    """Its bytes go, unless another market shows them; a list that was read before has the new one at once.

    Each change is an entry of the log with its digest.
    """
    first, second = png(1), png(2)
    digests = [hashlib.sha256(content).hexdigest() for content in (first, second)]
    assert (await site.draw(first)).is_success
    assert (await site.draw(first, TWO)).is_success
    await site.read("/api/markets")
    assert (await site.draw(second)).is_success

    rows = {row["id"]: row["image_url"] for row in (await site.read("/api/markets"))["markets"]}
    assert (rows[ONE], rows[TWO]) == (f"/api/images/{digests[1]}", f"/api/images/{digests[0]}")
    assert (await site.client.get(f"/api/images/{digests[0]}")).status_code == 200
    removed = await site.send(ANN, "DELETE", f"/api/markets/{market_address(2)}/image")
    assert (removed.status_code, removed.json()["market_id"], removed.json()["image_url"]) == (200, TWO, None)
    assert (await site.client.get(f"/api/images/{digests[0]}")).status_code == 404
    assert (await site.client.get(f"/api/images/{digests[1]}")).status_code == 200
    rows = site.log.owner.execute(
        "select f.kind, s.market_id, w.wallet, length(f.digest) from raw.feed as f"
        " inner join raw.markets_seen as s using (market_no) inner join raw.wallets_seen as w using (wallet_no)"
        " order by seq desc limit 4"
    ).fetchall()
    assert rows == [("market_page", market, ANN, 32) for market in (TWO, ONE, TWO, ONE)]
    assert (await site.send(ANN, "DELETE", f"/api/markets/{TWO}/image")).status_code == 409


async def test_only_the_creator_and_moderators_set_an_image(site: Site) -> None:
    """Another wallet gets 403, a request without a token 401, an unknown market 404; nothing is stored."""
    before = site.log.head()
    for wallet, market, status in ((BOB, ONE, 403), (None, ONE, 401), (ANN, "ab" * 32, 404), (ANN, "x", 404)):
        assert (await site.draw(png(1), market, wallet)).status_code == status
        removal = await site.send(wallet, "DELETE", f"/api/markets/{market}/image")
        assert removal.status_code == status
    assert site.log.head() == before
    assert site.log.owner.execute("select count(*) from app.images").fetchone() == (0,)

    assert (await site.draw(png(1), ONE, MOD)).status_code == 200
    assert (await site.draw(png(2), ONE, ANN)).status_code == 200
    ban = {"action": "ban", "reason": "Posts advertisements."}
    assert (await site.send(MOD, "POST", f"/api/moderation/wallets/{ANN}", ban)).is_success
    banned = await site.draw(png(1))
    assert banned.status_code == 403
    assert "Posts advertisements." in banned.json()["message"]


REFUSED: dict[str, tuple[bytes, str]] = {
    "a bomb": (png(1, width=60_000, height=60_000), "60000 x 60000 pixels"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "an SVG"),
    "gif": (b"GIF89a" + bytes(100), "a GIF"),
    "cut off": (png(1)[:-5], "cut off"),
    "followed by an archive": (png(1) + b"PK\x03\x04", "after the end"),
    "html": (b"<html>", "a page"),
}


async def test_what_is_no_image_is_refused_with_its_reason(site: Site) -> None:
    """422, and nothing is stored."""
    for name, (content, reason) in REFUSED.items():
        answer = await site.draw(content)
        assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable"), name
        assert reason in answer.json()["message"], name
    assert site.log.owner.execute("select count(*) from app.images").fetchone() == (0,)


async def test_bodies_that_are_too_large_or_no_base64_are_refused(site: Site) -> None:
    """The largest image is read; a larger body is not."""
    assert (await site.draw(bytes(images.MOST_BYTES))).status_code == 422
    assert (await site.draw(bytes(images.MOST_BYTES + 1))).status_code in {400, 413}
    assert (await site.draw(bytes(2 * images.MOST_BYTES))).status_code == 413
    path = f"/api/markets/{ONE}/image"
    for body in ({"content": "no base64!"}, {"content": ""}, {"content": None}, {}, [], "text"):
        assert (await site.send(ANN, "PUT", path, body)).status_code == 400
    # Other calls keep their smaller bound.
    long = await site.send(ANN, "POST", f"/api/markets/{ONE}/metadata", {"question": "x" * 300_000})
    assert long.status_code == 413
