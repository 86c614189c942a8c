"""The WebSocket: two dialects, one order, no gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_fixtures import Log, market_id
from push import Served, of_type, served

from api.live.client import StreamClient
from api.live.frames import position_fields
from ingest.testing import address
from zmart.db import feed

ONE, TWO = market_id(1), market_id(2)


@pytest.fixture
async def server(markets: Log) -> AsyncIterator[Served]:
    """A server over the three markets."""
    async with served(markets) as found:
        yield found


async def test_topic_frames_follow_its_snapshot(markets: Log, server: Served) -> None:
    """The acknowledgement has the current state and its position; frames continue from exactly there."""
    async with server.connected() as socket:
        epoch, seq = markets.head()
        subscribed = await socket.ask(action="subscribe", topics=[f"market:{ONE}", f"votes:{TWO}", "trades"])
        assert (subscribed["type"], subscribed["epoch"], subscribed["seq"]) == ("subscribed", epoch, seq)
        assert subscribed["position"] == markets.position()
        assert subscribed["topics"] == sorted([f"market:{ONE}", f"votes:{TWO}", "trades"])
        state, tally = subscribed["messages"]
        assert (state["type"], state["data"]["priceYes"], state["market_id"]) == ("market_state", 0.59, ONE)
        assert (tally["type"], tally["data"]["likes"], tally["data"]["dislikes"]) == ("vote_tally", 3, 1)
        markets.buy(1, 4)
        await markets.deliver()
        frame = await socket.next()
        assert (frame["epoch"], frame["seq"], frame["position"]) == (epoch, seq + 1, markets.position(seq + 1))
        assert {m["type"] for m in frame["messages"]} == {"trade", "market_state", "market_update", "price_update"}


async def test_the_same_at_both_addresses(server: Served) -> None:
    """Older clients connect to the root of WS_PORT, newer ones to /ws; both receive the older welcome."""
    for path in ("/", "/ws"):
        async with server.connected(path) as socket:
            assert socket.welcome["data"]["message"] == "Connected to ZMART WebSocket server"
            assert socket.welcome["data"]["client_id"].startswith("client_")


async def test_topics_choose_and_can_be_dropped(markets: Log, server: Served) -> None:
    """Every topic has its own messages; unsubscribed ones stop, and frames stay one per entry."""
    async with server.connected() as socket:
        await socket.ask(action="subscribe", topics=["markets"])
        await socket.ask(action="subscribe", topics=["trades", "status"])
        markets.buy(1, 4)
        await markets.deliver()
        frame = await socket.next()
        assert [m["type"] for m in frame["messages"] if m["type"].startswith("trade")] == ["trade", "trade_executed"]
        assert (await socket.ask(action="unsubscribe", topics=["markets", "status"]))["data"] == {"topics": ["trades"]}
        markets.create(8)
        markets.buy(1, 4)
        await markets.deliver()
        seq = markets.head()[1]
        assert [(f["seq"], len(f["messages"])) for f in await socket.until_seq(seq)] == [(seq, 1)]


async def test_coming_back_without_gap_or_double(markets: Log, server: Served) -> None:
    """A client that reconnects with its last position receives every trade exactly once, while they continue."""
    epoch, start = markets.head()

    async def write() -> None:
        for number in range(90):
            markets.buy(1, 2 + number % 5)
            await markets.deliver()

    received: list[int] = []
    place = start
    writing = asyncio.create_task(write())
    while len(received) < 90:
        async with server.connected() as socket:
            subscribed = await socket.ask(action="subscribe", topics=["trades"], since=f"{epoch}:{place}")
            assert (subscribed["type"], subscribed["seq"], subscribed["messages"]) == ("subscribed", place, [])
            for frame in await socket.until_seq(min(place + 7, start + 90)):
                received += [m["seq"] for m in of_type([frame], "trade")]
                place = frame["seq"]
    await writing
    assert received == list(range(start + 1, start + 91))


async def test_asking_for_more_keeps_the_order(markets: Log, server: Served) -> None:
    """Topics added while trades continue begin at their acknowledgement; no frame is repeated, late or missing."""
    total = 60
    async with server.connected() as socket:
        start = (await socket.ask(action="subscribe", topics=["trades"]))["seq"]

        async def write() -> None:
            for _ in range(total):
                markets.buy(1, 2)
                await markets.deliver()

        async def ask() -> None:
            for topic in ("status", f"market:{ONE}", f"wallet:{address(2)}", f"votes:{TWO}"):
                await socket.send(action="subscribe", topics=[topic])
                await asyncio.sleep(0.02)

        await asyncio.gather(write(), ask())
        received = await socket.until_seq(start + total)
        frames = [frame for frame in received if "type" not in frame]
        assert [frame["seq"] for frame in frames] == list(range(start + 1, start + total + 1))
        asked = [place for place, frame in enumerate(received) if frame.get("type") == "subscribed"]
        assert len(asked) == 4
        for place in asked:
            before = [f["seq"] for f in received[:place] if "type" not in f]
            assert received[place]["seq"] >= max(before, default=0)
        (market,) = [place for place in asked if f"market:{ONE}" in received[place]["topics"]][:1]
        states = [any(m["type"] == "market_state" for m in f["messages"]) for f in received if "type" not in f]
        assert not any(states[: len([f for f in received[:market] if "type" not in f])])


async def test_a_client_that_is_ahead_of_the_process_waits_for_it(
    markets: Log, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A position read from REST may be newer than the hub's; it is a position of this log nevertheless."""
    hub = server.services.hub
    async with server.connected() as first, server.connected() as socket:
        await first.ask(action="subscribe", topics=["status"])
        read_window, may_read = hub.reader.window, asyncio.Event()
        behind = feed.FeedPosition(*markets.head())
        await hub.wait_until_reached(behind, StreamClient(frozenset(), ""))

        async def window(after: feed.FeedPosition, topics: Any) -> Any:
            if after == behind:
                await may_read.wait()
            return await read_window(after, topics)

        monkeypatch.setattr(hub.reader, "window", window)
        markets.buy(1, 2)
        await markets.deliver()
        epoch, newest = markets.head()
        assert newest > behind.seq == hub.position.seq
        subscribed = await socket.ask(action="subscribe", topics=["trades"], since=f"{epoch}:{newest}")
        assert (subscribed["type"], subscribed["seq"]) == ("subscribed", newest)
        may_read.set()
        markets.buy(1, 2)
        await markets.deliver()
        assert [frame["seq"] for frame in await socket.until_seq(newest + 1)] == [newest + 1]


async def test_a_place_of_another_log(markets: Log, server: Served) -> None:
    """A foreign epoch and a future id get the reason, then the current state, then new messages."""
    epoch, seq = markets.head()
    for since, reason in (
        (f"00000000-0000-0000-0000-000000000000:{seq}", "foreign_epoch"),
        (f"{epoch}:{seq + 1000}", "future_position"),
    ):
        async with server.connected() as socket:
            resync = await socket.ask(action="subscribe", topics=[f"market:{ONE}"], since=since)
            assert resync["type"] == "resync"
            assert resync["data"] == {"reason": reason, "epoch": epoch, "seq": seq, "position": markets.position()}
            subscribed = await socket.next()
            assert (subscribed["type"], subscribed["seq"], subscribed["messages"][0]["type"]) == (
                "subscribed",
                seq,
                "market_state",
            )


async def test_an_epoch_that_changes_under_a_socket(markets: Log, server: Served) -> None:
    """When the database becomes another log, open sockets receive a resync and continue in the new one."""
    async with server.connected() as socket:
        await socket.ask(action="subscribe", topics=["trades"])
        # Answered when the client has been accepted.
        await socket.ask(action="ping")
        markets.owner.execute("update raw.identity set epoch = gen_random_uuid()")
        markets.buy(1, 2)
        await markets.deliver()
        resync = await socket.next()
        assert (resync["type"], resync["data"]["reason"]) == ("resync", "foreign_epoch")
        markets.buy(1, 2)
        await markets.deliver()
        frame = await socket.next()
        assert (frame["epoch"], frame["seq"]) == (markets.head()[0], resync["data"]["seq"] + 1)


async def test_finality_and_retraction_are_sent(markets: Log, server: Served) -> None:
    """The final slot and retractions come in the same order as the rest."""
    async with server.connected() as socket:
        subscribed = await socket.ask(action="subscribe", topics=["trades", "status"])
        assert subscribed["messages"][0]["data"] == {"kind": "snapshot", "finalized_through": None, "stale": []}
        row = markets.owner.execute("select max(seq) from raw.events where name = 'SharesBought'").fetchone()
        assert row is not None
        with markets.owner.transaction():
            markets.owner.execute(
                "insert into raw.feed (seq, kind, ref, market_no) select raw.next_seq(), 'retracted', seq, market_no"
                " from raw.events where seq = %s",
                row,
            )
            markets.owner.execute(
                "insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 1000)"
            )
            markets.owner.execute("notify zmart_feed")
        retracted, final = await socket.next(), await socket.next()
        assert (retracted["messages"][0]["type"], retracted["messages"][0]["data"]["ref"]) == ("retracted", row[0])
        assert final["messages"][0]["data"]["finalized_through"] == 1000
        assert final["seq"] == retracted["seq"] + 1


async def test_ballots_posts_and_metadata_are_sent(markets: Log, server: Served) -> None:
    """Ballots, comments, edits, reactions and descriptions come as messages of their market."""
    names = [f"votes:{TWO}", f"discussions:{TWO}", "markets"]
    async with server.connected() as socket:
        await socket.ask(action="subscribe", topics=names)
        owner = markets.owner
        with owner.transaction():
            owner.execute("set local role zmart_api")
            owner.execute("select set_config('zmart.wallet', %s, true)", [address(30)])
            owner.execute("select app.cast_ballot(%s, 'proposal', true, 'm', 's')", [TWO])
            owner.execute("select app.post_comment(%s, 'Quite likely')", [TWO])
        markets.describe(2, "Will it snow in Oslo on Friday?")
        owner.execute(
            "insert into raw.feed (seq, kind, ref, market_no)"
            " select raw.next_seq(), 'metadata', 0, market_no from raw.markets_seen where market_id = %s",
            [TWO],
        )
        owner.execute("notify zmart_feed")
        frames = await socket.until_seq(markets.head()[1])
        (vote,), (comment,), (metadata,) = (of_type(frames, kind) for kind in ("vote", "discussion", "market_metadata"))
        assert (vote["data"]["vote_type"], vote["data"]["user_wallet"]) == ("proposal", address(30))
        assert (comment["data"]["action"], comment["data"]["content"]) == ("created", "Quite likely")
        assert comment["data"]["discussion"]["upvotes"] == 0
        assert metadata["data"]["question"] == "Will it snow in Oslo on Friday?"


async def test_processes_send_the_same_frames(markets: Log, server: Served) -> None:
    """A client of any process and any path is sent the same frames."""
    async with served(markets, service_name="ws") as other, server.connected() as one, other.connected("/") as two:
        for socket in (one, two):
            await socket.ask(action="subscribe", topics=["trades", "status", f"wallet:{address(2)}"])
        for number in range(40):
            markets.buy(1 + number % 2, 2)
            await markets.deliver()
        seq = markets.head()[1]

        def log_of(frames: list[dict[str, object]]) -> list[object]:
            return [(frame["seq"], *(m["data"] for m in of_type([frame], "trade"))) for frame in frames]

        first, second = log_of(await one.until_seq(seq)), log_of(await two.until_seq(seq))
        assert first == second
        assert len(first) == 40


async def test_shutting_down_loses_nothing(markets: Log, server: Served) -> None:
    """A process that shuts down sends the outstanding frames and closes with 1012; another continues from there."""
    async with served(markets) as leaving, leaving.connected() as socket:
        await socket.ask(action="subscribe", topics=["trades"])
        for _ in range(3):
            markets.buy(1, 2)
        await markets.deliver()
        seq = markets.head()[1]
        received = [frame["seq"] for frame in await socket.until_seq(seq - 1)]
        leaving.stop()
        code, reason = await socket.closed()
        assert (code, reason) == (1012, "shutdown")
        markets.buy(1, 2)
        await markets.deliver()
        async with server.connected() as again:
            await again.ask(action="subscribe", topics=["trades"], since=f"{markets.head()[0]}:{received[-1]}")
            received += [frame["seq"] for frame in await again.until_seq(seq + 1)]
        assert received == list(range(seq - 2, seq + 2))


async def test_a_new_client_is_turned_away_while_the_process_leaves(server: Served) -> None:
    """A process that shuts down rejects new connections with the code for reconnecting."""
    server.services.hub.close()
    async with server.raw() as raw:
        await raw.wait_closed()
        assert raw.close_code == 1012


@pytest.mark.parametrize("in_address", [True, False])
async def test_a_position_with_its_mark_is_accepted(in_address: bool, markets: Log, server: Served) -> None:
    """In the address and in a message; the acknowledgement returns it whole, and frames follow from its seq."""
    epoch, seq = markets.head()
    since = markets.position(seq - 1)
    async with server.connected(f"/ws?topics=trades,status&since={since}" if in_address else "/ws") as socket:
        subscribed = (
            await socket.next()
            if in_address
            else await socket.ask(action="subscribe", topics=["trades", "status"], since=since)
        )
        assert (subscribed["epoch"], subscribed["seq"], subscribed["position"]) == (epoch, seq - 1, since)
        assert (await socket.next())["position"] == markets.position()


@pytest.mark.parametrize("back", [0, 1])
async def test_a_position_with_another_mark_gets_a_resync(back: int, markets: Log, server: Served) -> None:
    """A client of a history that was cut off or put back reads the state again, at the end of the log and before it."""
    epoch, seq = markets.head()
    async with server.connected() as socket:
        resync = await socket.ask(action="subscribe", topics=["trades"], since=f"{epoch}:{seq - back}:00112233aabbccdd")
        assert (resync["type"], resync["data"]["reason"]) == ("resync", "mark_mismatch")
        assert resync["data"]["position"] == markets.position()


async def test_the_address_can_ask(markets: Log, server: Served) -> None:
    """Topics and a position in the address work like those in the first message."""
    epoch, seq = markets.head()
    async with server.connected(f"/ws?topics=trades,status&since={epoch}:{seq - 1}") as socket:
        subscribed = await socket.next()
        assert (subscribed["type"], subscribed["topics"], subscribed["seq"]) == (
            "subscribed",
            ["status", "trades"],
            seq - 1,
        )
        assert (await socket.next())["seq"] == seq
    async with server.connected("/ws?topics=nonsense") as socket:
        assert (await socket.next())["data"]["code"] == "unknown_topic"


async def test_idle_clients_receive_position_heartbeats(
    markets: Log, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An occasional frame without messages advances the position of an idle client."""
    async with server.connected() as socket:
        await socket.ask(action="subscribe", topics=["status"])
        markets.buy(1, 2)
        await markets.deliver()
        seq = markets.head()[1]
        async with asyncio.timeout(20):
            while (position := server.services.hub.position) is None or position.seq < seq:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        server.services.hub.send_heartbeats()
        assert await socket.next() == {**position_fields(position), "messages": []}
        pong = await socket.ask(action="ping")
        assert (pong["type"], pong["data"]) == ("pong", position_fields(position))
        waiter = await socket.raw.ping()
        await asyncio.wait_for(waiter, 20)


async def test_each_subscription_resumes_from_its_own_position(markets: Log, server: Served) -> None:
    """A later one gets what it missed, alone and in order; then all topics go on together, each entry once."""
    epoch, last = markets.head()
    ((first,), *_) = markets.owner.execute(
        "select min(seq) from raw.events where name in ('SharesBought', 'SharesSold')"
    ).fetchall()
    async with server.connected() as socket:
        await socket.ask(action="subscribe", topics=["status"])
        subscribed = await socket.ask(action="subscribe", topics=["trades"], since=f"{epoch}:0")
        assert (subscribed["seq"], subscribed["topics"], subscribed["messages"]) == (0, ["status", "trades"], [])
        missed = await socket.until(lambda frame: frame["messages"] == [])
        trades = [message["seq"] for message in of_type(missed, "trade")]
        assert trades[0] == first
        assert trades == sorted(set(trades))
        assert missed[-1]["seq"] == last

        markets.buy(1, 3)
        await markets.deliver()
        frame = await socket.next()
        assert frame["seq"] > last
        assert [message["type"] for message in frame["messages"]] == ["trade"]


async def test_a_later_subscription_with_a_foreign_position_reads_the_state_again(markets: Log, server: Served) -> None:
    """It gets resync; the topics that were there before miss nothing."""
    _, last = markets.head()
    async with server.connected() as socket:
        await socket.ask(action="subscribe", topics=["trades"])
        foreign = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11:1"
        resync = await socket.ask(action="subscribe", topics=[f"market:{ONE}"], since=foreign)
        assert (resync["type"], resync["data"]["reason"]) == ("resync", "foreign_epoch")
        assert (await socket.next())["seq"] == last
        markets.buy(1, 3)
        await markets.deliver()
        assert {m["type"] for m in (await socket.next())["messages"]} >= {"trade", "price_update"}


async def test_a_part_of_a_topic_is_subscribed_and_dropped(markets: Log, server: Served) -> None:
    """It is shown as it was written; a part without the state of its topic has no snapshot."""
    async with server.connected() as socket:
        names = [f"market:{ONE}.trade", f"market:{TWO}.market_state"]
        subscribed = await socket.ask(action="subscribe", topics=names)
        assert subscribed["topics"] == names
        assert [(m["type"], m["market_id"]) for m in subscribed["messages"]] == [("market_state", TWO)]
        markets.buy(1, 3)
        await markets.deliver()
        assert [message["type"] for message in (await socket.next())["messages"]] == ["trade"]
        dropped = await socket.ask(action="unsubscribe", topics=names[:1])
        assert dropped["data"]["topics"] == names[1:]
        refused = await socket.ask(action="subscribe", topics=["trades.vote"])
        assert refused["data"]["code"] == "unknown_topic"
