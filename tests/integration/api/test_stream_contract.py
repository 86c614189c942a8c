"""Messages of streams match the AsyncAPI document, field by field, over both transports."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
import websockets
from api_fixtures import served
from recorded_chain import RecordedChain
from wallets import bearer

from api.contract import asyncapi
from api.live import messages, topics
from devchain import demo_profiles
from zmart.settings import Settings

DOCUMENT = asyncapi.document()
COMPONENTS = {"components": DOCUMENT["components"]}


def problems(value: Any, schema: str) -> list[str]:
    """Return the violations of a schema of the document."""
    validator = jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **COMPONENTS})
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def message_problems(message: dict[str, Any]) -> list[str]:
    """The same for a message, by its own type: the union would hide the field."""
    found = problems(message, asyncapi.pascal(message["type"]))
    return [f"{message['type']} {one}" for one in found]


@pytest.fixture(scope="module")
def received(played: RecordedChain) -> list[dict[str, Any]]:
    """All messages of a wallet that was connected from the first entry to the last, and the replies."""
    return played.run(_receive_all(played, played.signed_in()))


async def _receive_all(played: RecordedChain, session: dict[str, Any]) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(
        base_url=played.url, trust_env=False, headers=bearer(session["access_token"])
    ) as client:
        await _act(played, client)
    _stage(played)
    rows = played.fetch_all("select id from marts.markets where is_known order by trades_count desc")
    markets = [row[0] for row in rows[:10]] + [played.market("PROPOSED") or ""]
    (wallet,) = played.fetch_all("select user_wallet from marts.trades limit 1")[0]
    ((epoch, head),) = played.fetch_all("select i.epoch::text, (select max(seq) from raw.feed) from raw.identity as i")
    wanted = ["markets", "trades", "status", "me", f"wallet:{wallet}"]
    wanted += [f"{kind}:{market}" for kind in ("market", "votes", "discussions") for market in markets]
    found = []
    async with websockets.connect(f"ws://127.0.0.1:{played.port}/ws", max_size=None, proxy=None) as socket:

        async def send(**message: Any) -> None:
            await socket.send(json.dumps(message))

        await send(action="auth", token=session["access_token"])
        await send(action="nonsense")
        await send(action="subscribe", topics=wanted, since=f"{epoch}:0")
        async with asyncio.timeout(60):
            while not found or found[-1].get("seq", 0) < head:
                found.append(json.loads(await socket.recv()))
        await send(action="ping")
        await send(action="unsubscribe", topics=["trades"])
        async with asyncio.timeout(20):
            while found[-1].get("type") != "unsubscribed":
                found.append(json.loads(await socket.recv()))
    async with websockets.connect(f"ws://127.0.0.1:{played.port}/ws", max_size=None, proxy=None) as socket:
        await socket.send(
            json.dumps({"action": "subscribe", "topics": wanted[:3] + wanted[4:], "since": f"{epoch}:9999999"})
        )
        async with asyncio.timeout(20):
            while not found or found[-1].get("type") != "subscribed":
                found.append(json.loads(await socket.recv()))
    return found


async def _act(played: RecordedChain, client: httpx.AsyncClient) -> None:
    """Actions that the chain's actors do not take: comments, and votes here."""
    market = played.market("PROPOSED") or played.market("ACTIVE") or ""
    response = await client.post("/api/discussions", json={"market_id": market, "content": "Which station?"})
    assert response.status_code == 201, response.text
    name = response.json()["discussion"]["id"]
    assert (await client.post(f"/api/discussions/{name}/vote", json={"vote": "up"})).is_success
    assert (await client.patch("/api/users/me", json={"display_name": "Ann"})).is_success
    ours = played.fetch_all("select id from marts.markets where is_known limit 1")[0][0]
    picture = base64.b64encode(demo_profiles.picture(ours)).decode()
    assert (await client.put(f"/api/markets/{ours}/image", json={"content": picture})).is_success
    event = {"title": "Weather in Lisbon", "markets": [ours]}
    assert (await client.post("/api/events", json=event)).status_code == 201
    decision = {"action": "dismiss", "reason": "Nothing is wrong with it."}
    assert (await client.post(f"/api/moderation/posts/{name}", json=decision)).is_success


def _stage(played: RecordedChain) -> None:
    """Events that a quiet chain does not have: a retraction, a settlement at another place, finality, a stale mart."""
    with played.stack.database.connect("postgres") as owner:
        for kind in ("retracted", "moved"):
            owner.execute(
                "insert into raw.feed (seq, kind, ref, market_no)"
                f" select raw.next_seq(), '{kind}', seq, market_no from raw.events where name = 'SharesBought' limit 1"
            )
        owner.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 1000)")
        owner.execute(
            "insert into app.market_metadata (market_id, wallet_no, question, category)"
            " select s.market_id, w.wallet_no, 'Will it rain in Lisbon?', 'science'"
            " from raw.markets_seen as s, raw.wallets_seen as w"
            " where not exists (select from app.market_metadata as d where d.market_id = s.market_id) limit 1"
        )
        owner.execute(
            "insert into raw.feed (seq, kind, ref, market_no, wallet_no)"
            " select raw.next_seq(), 'metadata', null, s.market_no, d.wallet_no"
            " from app.market_metadata as d inner join raw.markets_seen as s using (market_id) limit 1"
        )
        owner.execute("notify zmart_feed")


def frames(received: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Those that are entries of the log."""
    return (one for one in received if "type" not in one)


def test_every_message_fits_its_schema(received: list[dict[str, Any]]) -> None:
    """Exactly the documented fields, each of its type."""
    inside = [message for one in received for message in one.get("messages", ())]
    assert [problem for message in inside for problem in message_problems(message)][:10] == []
    assert {message["type"] for message in inside} >= set(messages.BY_NAME)


def test_every_frame_and_answer_fits_its_schema(received: list[dict[str, Any]]) -> None:
    """The same for frames and for the server's other messages."""
    names = {one["type"]: one["type"].capitalize() for one in received if "type" in one}
    assert set(names) >= {"welcome", "authenticated", "subscribed", "error", "pong", "unsubscribed", "resync"}
    for one in received:
        without = {**one, "messages": []} if "messages" in one else one
        assert problems(without, names[one["type"]] if "type" in one else "Frame") == []


def test_topics_are_those_of_the_code(received: list[dict[str, Any]]) -> None:
    """The document describes each topic; messages belong to the topics that it lists."""
    known = {name.partition(":")[0] for name in topics.KNOWN_TOPICS.split(", ")}
    assert (
        set(asyncapi.TOPICS) == known == {topic for message_type in messages.MESSAGES for topic in message_type.topics}
    )


def test_server_sent_events_fit_their_schema(played: RecordedChain, received: list[dict[str, Any]]) -> None:
    """The data of an event is the same frame."""
    first = next(frames(received))
    url = f"{played.url}/api/stream?topics=markets&since={first['epoch']}:0"
    seen = 0
    with httpx.Client(trust_env=False) as client, client.stream("GET", url) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                frame = json.loads(line[6:])
                assert problems({**frame, "messages": []}, "Frame") == []
                assert [problem for message in frame["messages"] for problem in message_problems(message)] == []
                seen += 1
            if seen == 50:
                return


async def test_the_document_is_served_with_the_configured_ports(known_markets: Settings) -> None:
    """At /schema/asyncapi.json, otherwise unchanged."""
    ports = dataclasses.replace(known_markets.ports, api=5000, ws=5001)
    hosts = dataclasses.replace(known_markets.hosts, api="0.0.0.0", ws="::1")
    async with served(dataclasses.replace(known_markets, ports=ports, hosts=hosts)) as client:
        answer = await client.get("/schema/asyncapi.json")

    expected = asyncapi.document("127.0.0.1:5000", "[::1]:5001")
    assert (answer.status_code, answer.json()) == (200, json.loads(json.dumps(expected)))
    assert DOCUMENT["servers"] != expected["servers"]


def test_references_of_the_stream_document_lead_somewhere() -> None:
    """Every reference names an existing part."""
    for reference in _references(DOCUMENT):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else ())
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
