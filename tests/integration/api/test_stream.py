"""Streams: every entry once and in order, with any fault between a client and the log."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_fixtures import Log, alive, market_id

from api import app, errors
from api.dependencies import AppServices
from api.live import client, sse, topics
from api.live.authentication import Identity
from api.live.frames import Frame
from ingest.testing import address
from zmart.db import feed
from zmart.domain.ids import Address

ONE, TWO = market_id(1), market_id(2)
TIMEOUT_SECONDS = 20.0


@dataclasses.dataclass
class Event:
    """One server-sent event."""

    id: feed.FeedPosition | None
    name: str | None
    data: Any

    @classmethod
    def parse(cls, text: str) -> Event:
        """Read one event's lines."""
        fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
        data = fields.get("data")
        return cls(
            feed.FeedPosition.parse(fields["id"]) if "id" in fields else None,
            fields.get("event"),
            None if data is None else json.loads(data),
        )


def _open_stream(
    services: AppServices, names: str, since: feed.FeedPosition | None, identity: Identity | None
) -> AsyncIterator[bytes]:
    wanted = topics.resolve_me(topics.parse(names), identity)
    starts = None if since is None else sse.StartPositions([(wanted, since)])
    return sse.events(services.hub, wanted, "192.0.2.1", starts, identity)


class SseReader:
    """A client reading one stream."""

    def __init__(
        self,
        services: AppServices,
        names: str,
        since: feed.FeedPosition | None = None,
        identity: Identity | None = None,
        *,
        chunks: AsyncIterator[bytes] | None = None,
    ) -> None:
        self._chunks = chunks or _open_stream(services, names, since, identity)
        self._events: list[Event] = []
        #: The ids of the events without data.
        self.positions: list[feed.FeedPosition] = []

    async def next(self) -> Event:
        """Return the next event that has data."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                if self._events:
                    event = self._events.pop(0)
                    if event.data is not None:
                        return event
                    if event.id is not None:
                        self.positions.append(event.id)
                else:
                    chunk = await anext(self._chunks)
                    self._events = [Event.parse(text) for text in chunk.decode().split("\n\n") if text]

    async def until(self, seq: int) -> list[Event]:
        """Return the events up to the frame of `seq`."""
        found = [await self.next()]
        while found[-1].data["seq"] < seq:
            found.append(await self.next())
        return found

    async def leave(self) -> None:
        """Close without a message."""
        await self._chunks.aclose()  # type: ignore[attr-defined]


def seqs_of_type(events: list[Event], kind: str) -> list[int]:
    """Return the seqs of the frames with a message of this type, once per message."""
    return [event.data["seq"] for event in events for message in event.data["messages"] if message["type"] == kind]


@contextlib.asynccontextmanager
async def process(log: Log, **more: str) -> AsyncIterator[AppServices]:
    """One process's services."""
    application = app.create(log.settings(**more))
    async with alive(application):
        yield application.state.services


@pytest.fixture
async def services(markets: Log) -> AsyncIterator[AppServices]:
    """A process over the three markets."""
    async with process(markets) as found:
        yield found


async def test_a_stream_begins_with_its_position(markets: Log, services: AppServices) -> None:
    """A new client receives its start position in the format of a frame, and then the later entries."""
    stream = SseReader(services, "trades")
    welcome = await stream.next()
    epoch, seq = markets.head()
    assert (welcome.name, welcome.id) == ("welcome", feed.FeedPosition(epoch, seq))
    assert welcome.data == {"epoch": epoch, "seq": seq, "position": markets.position(), "messages": []}
    markets.buy(1, 4, yes=False)
    await markets.deliver()
    frame = await stream.next()
    assert (frame.name, frame.id) == (None, feed.FeedPosition(epoch, seq + 1))
    assert frame.data["position"] == str(frame.id)
    assert [message["type"] for message in frame.data["messages"]] == ["trade"]


async def test_trade_is_sent_in_every_message_type_clients_know(markets: Log, services: AppServices) -> None:
    """The union of the older server's messages and those that the browser reads."""
    stream = SseReader(services, f"market:{ONE}")
    await stream.next()
    markets.buy(1, 4, yes=False, price=450_000_000)
    await markets.deliver()
    by_type = {message["type"]: message for message in (await stream.next()).data["messages"]}
    assert set(by_type) == {"trade", "market_state", "market_update", "price_update"}
    trade = by_type["trade"]["data"]
    assert by_type["trade"]["market_id"] == trade["market_id"] == trade["marketId"] == ONE
    assert (trade["outcome"], trade["outcome_bool"], trade["trade_type"]) == ("NO", False, "buy")
    assert trade["trader"] == trade["user_wallet"] == address(4)
    assert (trade["price"], trade["price_after"], trade["shares_exact"]) == (0.55, 0.45, "1000000000")
    assert trade["tradeId"] == trade["id"] == f"{trade['tx_signature']}:0"
    state = by_type["market_state"]["data"]
    assert (state["priceYes"], state["priceNo"], state["action"], state["new_state"]) == (
        0.45,
        0.55,
        "updated",
        "ACTIVE",
    )
    assert state["totalShares"] == 8_200_000_000
    assert state["market"]["question"] == "Will it rain in Lisbon tomorrow?"
    assert by_type["price_update"]["data"]["priceYes"] == 0.45


async def test_topics_choose(markets: Log, services: AppServices) -> None:
    """Each topic has its own messages: all trades, one market, one wallet, one market's votes, the status."""
    streams = {
        name: SseReader(services, name)
        for name in (
            "trades",
            f"market:{ONE}",
            f"market:{TWO}",
            f"wallet:{address(9)}",
            f"votes:{TWO}",
            "markets",
            "status",
        )
    }
    for stream in streams.values():
        await stream.next()
    start = markets.head()[1]
    markets.buy(1, 4)
    markets.vote(2, 9, like=False)
    markets.create(8)
    await markets.deliver()
    markets.owner.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 1000)")
    markets.owner.execute("notify zmart_feed")
    frames = {name: await stream.next() for name, stream in streams.items()}
    assert {name: frame.data["seq"] - start for name, frame in frames.items()} == {
        "trades": 1,
        f"market:{ONE}": 1,
        f"market:{TWO}": 2,
        f"wallet:{address(9)}": 2,
        f"votes:{TWO}": 2,
        "markets": 1,
        "status": 4,
    }
    vote, tally = frames[f"votes:{TWO}"].data["messages"]
    assert (vote["type"], vote["data"]["vote"], vote["data"]["vote_type"]) == ("vote", False, "proposal")
    assert (tally["type"], tally["data"]["likes"], tally["data"]["dislikes"]) == ("vote_tally", 3, 2)
    (status,) = frames["status"].data["messages"]
    assert (status["type"], status["data"]["finalized_through"]) == ("status", 1000)


async def test_a_part_of_a_topic_has_one_type_of_message(markets: Log, services: AppServices) -> None:
    """With the same frames live and on return; two parts share a frame, and a whole topic has all its types."""
    parts = {
        "markets.market_update": {"market_update"},
        f"market:{ONE}.market_state": {"market_state"},
        "markets.market_update,markets.trade_executed": {"market_update", "trade_executed"},
        "markets.market_update,markets": {"market_update", "price_update", "trade_executed"},
    }
    before = feed.FeedPosition.parse(markets.position())
    streams = {names: SseReader(services, names) for names in parts}
    for stream in streams.values():
        await stream.next()
    markets.buy(1, 4)
    await markets.deliver()
    for names, types in parts.items():
        frame = await streams[names].next()
        assert sorted(message["type"] for message in frame.data["messages"]) == sorted(types)
        again = await SseReader(services, names, before).next()
        assert sorted(message["type"] for message in again.data["messages"]) == sorted(types)
        assert again.data["position"] == frame.data["position"]


async def test_ballots_and_comments_of_people(markets: Log, services: AppServices) -> None:
    """Ballots and posts made here are sent like events of the chain."""
    votes, discussions = SseReader(services, f"votes:{TWO}"), SseReader(services, f"discussions:{TWO}")
    await votes.next()
    await discussions.next()
    with markets.owner.transaction():
        markets.owner.execute("set local role zmart_api")
        markets.owner.execute("select set_config('zmart.wallet', %s, true)", [address(30)])
        markets.owner.execute("select app.cast_ballot(%s, 'proposal', true, 'm', 's')", [TWO])
        markets.owner.execute("select app.post_comment(%s, 'Quite likely')", [TWO])
    vote = (await votes.next()).data["messages"][0]
    assert (vote["type"], vote["data"]["source"], vote["data"]["user_wallet"]) == ("vote", "api", address(30))
    (comment,) = (await discussions.next()).data["messages"]
    assert (comment["type"], comment["data"]["action"]) == ("discussion", "created")
    assert comment["data"]["content"] == comment["data"]["discussion"]["content"] == "Quite likely"
    assert comment["data"]["author"] == address(30)


async def test_a_client_comes_back_without_gap_or_double(markets: Log, services: AppServices) -> None:
    """A client that reconnects with its last id receives every trade exactly once, while they continue."""
    epoch, start = markets.head()

    async def write() -> None:
        for number in range(120):
            markets.buy(1, 2 + number % 5)
            await markets.deliver()

    received: list[int] = []
    place = feed.FeedPosition(epoch, start)
    writing = asyncio.create_task(write())
    while len(received) < 120:
        stream = SseReader(services, "trades", since=place)
        for _ in range(7):
            event = await stream.next()
            assert event.id is not None
            received += seqs_of_type([event], "trade")
            place = event.id
            if len(received) == 120:
                break
        await stream.leave()
    await writing
    assert received == list(range(start + 1, start + 121))
    assert services.hub.streams == 0


async def test_a_history_longer_than_a_queue_is_replayed(markets: Log, services: AppServices) -> None:
    """A client that starts at the beginning of a long log is sent all of it, in order."""
    for _ in range(client.QUEUE_FRAMES + 300):
        markets.buy(1, 2)
    await markets.deliver()
    epoch, seq = markets.head()
    events = await SseReader(services, "trades", since=feed.FeedPosition(epoch, 0)).until(seq)
    trades = seqs_of_type(events, "trade")
    assert trades[-1] == seq
    assert len(trades) == len(set(trades)) == client.QUEUE_FRAMES + 303
    assert trades == sorted(trades)


async def test_a_killed_listener_costs_nothing(markets: Log, services: AppServices) -> None:
    """Terminating the process's connections causes no gap and no duplicate in an open stream."""
    stream = SseReader(services, "trades")
    await stream.next()
    start = markets.head()[1]
    for _ in range(6):
        markets.buy(1, 2)
        await markets.deliver()
        markets.owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like 'zmart api%' and datname = current_database()"
        )
        markets.buy(1, 3)
        await markets.deliver()
    events = await stream.until(start + 12)
    assert seqs_of_type(events, "trade") == list(range(start + 1, start + 13))


async def test_two_clients_and_two_processes_send_the_same_frames(markets: Log, services: AppServices) -> None:
    """All clients that follow a topic of the log are sent the same frames."""
    async with process(markets) as other:
        streams = [
            SseReader(services, "trades,status"),
            SseReader(services, "trades,status"),
            SseReader(other, "trades,status"),
        ]
        for stream in streams:
            await stream.next()
        for number in range(40):
            markets.buy(1 + number % 2, 2)
            await markets.deliver()
        seq = markets.head()[1]
        first, second, third = [await stream.until(seq) for stream in streams]
    assert [event.data for event in first] == [event.data for event in second] == [event.data for event in third]
    assert seqs_of_type(first, "trade") == list(range(seq - 39, seq + 1))


async def test_replay_equals_the_live_stream(markets: Log, services: AppServices) -> None:
    """A client that was connected and one that connects later receive the same log."""
    epoch, start = markets.head()
    names = f"trades,wallet:{address(2)},votes:{TWO}"
    stream = SseReader(services, names)
    await stream.next()
    for number in range(20):
        markets.buy(1, 2)
        markets.vote(2, 40 + number, like=True)
        await markets.deliver()
    seq = markets.head()[1]
    live = await stream.until(seq)
    later = await SseReader(
        services, f"trades,wallet:{address(2)},votes:{TWO}", since=feed.FeedPosition(epoch, start)
    ).until(seq)

    def log_of(events: list[Event]) -> list[tuple[int, Any]]:
        return [
            (event.data["seq"], message)
            for event in events
            for message in event.data["messages"]
            if message["type"] not in {"vote_tally", "position_update"}
        ]

    assert log_of(later) == log_of(live)


async def test_states_are_never_ahead_of_the_log(markets: Log, services: AppServices) -> None:
    """When a state is sent, all entries that it reflects were sent before, on replay as well as live."""
    epoch, _ = markets.head()
    for _ in range(300):
        markets.buy(1, 2)
    await markets.deliver()
    seq = markets.head()[1]
    for event in await SseReader(services, f"market:{ONE}", since=feed.FeedPosition(epoch, 0)).until(seq):
        for message in event.data["messages"]:
            if message["type"] in {"market_update", "price_update"}:
                assert message["data"]["last_seq"] <= event.data["seq"]


async def test_position_of_another_log_gets_a_resync(markets: Log, services: AppServices) -> None:
    """A foreign epoch and a seq beyond the end get `resync` with the reason and the position to continue from."""
    epoch, seq = markets.head()
    foreign = SseReader(services, "trades", since=feed.FeedPosition("00000000-0000-0000-0000-000000000000", 3))
    future = SseReader(services, "trades", since=feed.FeedPosition(epoch, seq + 100))
    for stream, reason in ((foreign, "foreign_epoch"), (future, "future_position")):
        resync = await stream.next()
        assert (resync.name, resync.id) == ("resync", feed.FeedPosition(epoch, seq))
        assert resync.data == {"reason": reason, "epoch": epoch, "seq": seq, "position": markets.position()}
    markets.buy(1, 2)
    await markets.deliver()
    for stream in (foreign, future):
        assert (await stream.next()).data["seq"] == seq + 1


async def test_an_epoch_that_changes_under_a_stream(markets: Log, services: AppServices) -> None:
    """When the database becomes another log, open streams receive a resync and continue in the new one."""
    stream = SseReader(services, "trades")
    await stream.next()
    old = markets.head()[0]
    markets.owner.execute("update raw.identity set epoch = gen_random_uuid()")
    markets.buy(1, 2)
    await markets.deliver()
    resync = await stream.next()
    assert (resync.name, resync.data["reason"]) == ("resync", "foreign_epoch")
    markets.buy(1, 2)
    await markets.deliver()
    event = await stream.next()
    assert event.data["epoch"] == markets.head()[0] != old
    assert event.data["seq"] == resync.data["seq"] + 1


async def test_another_history_of_the_same_epoch_under_a_stream(markets: Log, services: AppServices) -> None:
    """Open streams receive a resync, and the process's own reader of the log goes on, too."""
    stream = SseReader(services, "trades")
    await stream.next()
    markets.owner.execute(
        "update raw.commits set value = sha256(value) where last_seq = (select max(last_seq) from raw.commits)"
    )
    markets.buy(1, 2)
    await markets.deliver()
    resync = await stream.next()
    assert (resync.name, resync.data["reason"]) == ("resync", "mark_mismatch")
    resynced_at = time.monotonic()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while services.hub.silent_seconds > time.monotonic() - resynced_at:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.05)


async def test_a_hole_in_the_feed_stops_streams_and_readiness(markets: Log, services: AppServices) -> None:
    """No client skips a missing entry: streams wait, the process reports why."""
    stream = SseReader(services, "trades")
    await stream.next()
    markets.owner.execute("alter table raw.feed disable trigger user")
    markets.owner.execute("insert into raw.feed (seq, kind) values (raw.next_seq() + 1, 'mart_stale')")
    markets.owner.execute("notify zmart_feed")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while services.hub.stall_reason is None:  # noqa: ASYNC110 - the hub tells nobody but readiness
            await asyncio.sleep(0.02)
    assert "no entry" in services.hub.stall_reason


async def test_shutdown_sends_a_close_event(markets: Log, services: AppServices) -> None:
    """At shutdown a stream ends with an event and all outstanding frames; new ones are rejected."""
    stream = SseReader(services, "trades")
    welcome = await stream.next()
    services.hub.close()
    goodbye = await stream.next()
    assert (goodbye.name, goodbye.data) == ("close", {"reason": "shutdown"})
    with pytest.raises(StopAsyncIteration):
        await stream.next()
    assert welcome.id is not None


class Proven(Identity):
    """An identity whose proof expires when the test decides."""

    left = 60.0

    @property
    def seconds_left(self) -> float:
        """Return the time left."""
        return type(self).left


async def test_a_proof_that_runs_out_ends_the_stream(
    markets: Log, services: AppServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream of a wallet ends with an event that names the reason, before any later entry."""
    identity = Proven(Address(address(2)), datetime.datetime.now(datetime.UTC))
    stream = SseReader(services, "me,trades", identity=identity)
    welcome = await stream.next()
    markets.buy(1, 2)
    await markets.deliver()
    assert seqs_of_type([await stream.next()], "trade")
    monkeypatch.setattr(Proven, "left", 0.0)
    markets.buy(1, 2)
    await markets.deliver()
    goodbye = await stream.next()
    assert (goodbye.name, goodbye.data) == ("close", {"reason": "token_expired"})
    with pytest.raises(StopAsyncIteration):
        await stream.next()
    monkeypatch.setattr(Proven, "left", 60.0)
    again = SseReader(services, "me,trades", welcome.id, identity)
    assert seqs_of_type(await again.until(markets.head()[1]), "trade") == [markets.head()[1] - 1, markets.head()[1]]


@pytest.mark.parametrize("reason", ["key_revoked", "token_expired"])
async def test_a_replay_ends_with_its_proof(
    markets: Log, services: AppServices, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """Missed entries, too, stop when the key is revoked or the token expires, however many there are."""
    resume = services.hub.resume

    async def end_in_the_middle(one: client.StreamClient, since: feed.FeedPosition) -> AsyncIterator[list[Frame]]:
        async for frames in resume(one, since):
            yield frames
            if reason == "key_revoked":
                one.close("key_revoked")
            else:
                monkeypatch.setattr(Proven, "left", 0.0)
            yield frames

    monkeypatch.setattr(services.hub, "resume", end_in_the_middle)
    identity = Proven(Address(address(2)), datetime.datetime.now(datetime.UTC))
    reader = SseReader(services, "me,trades", feed.FeedPosition.parse(f"{markets.head()[0]}:0"), identity)
    found = [await reader.next()]
    with contextlib.suppress(StopAsyncIteration):
        while True:
            found.append(await reader.next())
    seqs = [event.data["seq"] for event in found[:-1]]
    assert seqs
    assert len(set(seqs)) == len(seqs)
    assert (found[-1].name, found[-1].data) == ("close", {"reason": reason})


async def test_limits_on_streams(markets: Log) -> None:
    """One address and all together have limits; closing frees a place."""
    async with process(markets, STREAMS_PER_ADDRESS="2", STREAMS="3") as services:
        one, other = SseReader(services, "trades"), SseReader(services, "trades")
        await one.next()
        await other.next()
        with pytest.raises(errors.TooManyStreams, match="from this address"):
            services.hub.admit("192.0.2.1")
        services.hub.admit("192.0.2.2")
        third = client.StreamClient(frozenset(), "192.0.2.2")
        with services.hub.register(third), pytest.raises(errors.TooManyStreams, match="All 3 streams"):
            services.hub.admit("192.0.2.3")
        services.hub.admit("192.0.2.3")
        await one.leave()
        services.hub.admit("192.0.2.1")


async def test_each_list_of_topics_resumes_from_its_own_position(markets: Log, services: AppServices) -> None:
    """In the order of the log: what one list has received is left out, and only for that list."""
    epoch, last = markets.head()
    seqs = [
        seq for (seq,) in markets.owner.execute("select seq from raw.events where name = 'SharesBought' order by 1")
    ]
    trades, wallet = frozenset({"trades"}), frozenset({f"wallet:{address(2)}"})
    at_first = feed.FeedPosition.parse(f"{epoch}:{seqs[0]}")
    starts = sse.StartPositions([(trades, at_first), (wallet, at_first.with_seq(last))])
    chunks = sse.events(services.hub, trades | wallet, "192.0.2.1", starts)
    reader = SseReader(services, "", chunks=chunks)
    markets.buy(1, 2)
    await markets.deliver()
    _, newest = markets.head()
    found = await reader.until(newest)
    missed = [event for event in found if event.data["seq"] <= last]
    assert {message["type"] for event in missed for message in event.data["messages"]} == {"trade"}
    assert [event.data["seq"] for event in missed] == seqs[1:]
    # What follows is for both lists.
    assert "position_update" in {m["type"] for event in found for m in event.data["messages"]}
    # After the missed entries an id without data says that one position is enough.
    markets.buy(1, 2)
    await markets.deliver()
    assert (await reader.next()).data["seq"] > newest
    assert [position.seq for position in reader.positions] == [newest]
    await reader.leave()


async def test_lists_with_the_same_position_have_it_together(markets: Log, services: AppServices) -> None:
    """The client need not know that their positions are the same."""
    _, last = markets.head()
    position = feed.FeedPosition.parse(markets.position())
    trades, status = frozenset({"trades"}), frozenset({"status"})
    starts = sse.StartPositions([(trades, position), (status, position)])
    reader = SseReader(services, "", chunks=sse.events(services.hub, trades | status, "192.0.2.1", starts))
    markets.buy(1, 2)
    await markets.deliver()
    assert (await reader.next()).data["seq"] == last + 1
    markets.buy(1, 2)
    await markets.deliver()
    assert (await reader.next()).data["seq"] == last + 2
    assert [position.seq for position in reader.positions] == [last + 1]
    await reader.leave()


async def test_lists_whose_positions_are_of_another_log_get_every_entry(markets: Log, services: AppServices) -> None:
    """After the resync nothing is left out, although the entries' seqs are below those of the positions."""
    epoch, last = markets.head()
    foreign = feed.FeedPosition("0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11", last + 1_000)
    trades, status = frozenset({"trades"}), frozenset({"status"})
    starts = sse.StartPositions([(trades, foreign), (status, foreign.with_seq(last + 2_000))])
    reader = SseReader(services, "", chunks=sse.events(services.hub, trades | status, "192.0.2.1", starts))
    assert (await reader.next()).name == "resync"
    markets.buy(1, 2)
    await markets.deliver()
    frame = await reader.next()
    assert (frame.data["epoch"], frame.data["seq"]) == (epoch, last + 1)
    await reader.leave()
