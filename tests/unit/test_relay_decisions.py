"""The relay's decisions without a bus: messages, kinds of failures, readiness, and where it stops."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Sequence

import pytest

from relay import app, bus, messages
from relay.log_reader import StoredPlace, Window
from relay.metrics import RelayMetrics
from relay.publisher import AnotherRelay, Publisher
from zmart import errors, settings
from zmart.db import feed
from zmart.settings import Secret

EPOCH = "3d75056b-1cc3-413a-b2ef-bfe146b0f050"
NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)


def position(seq: int, epoch: str = EPOCH) -> feed.FeedPosition:
    """A position with a mark that is computed from the seq."""
    return feed.FeedPosition(epoch, seq, f"{seq:016x}")


def entry(seq: int, market: str | None = "Market111") -> messages.Message:
    """The message of an event."""
    return messages.entry_message(
        position(seq), kind="event", market=market, at=NOW, fields='{"kind": "event"}', event='{"name": "SharesBought"}'
    )


def test_a_message_has_its_market_in_the_subject_and_its_position_as_id() -> None:
    """So consumers choose markets, and the bus recognises what it has."""
    message = entry(7)
    assert message.subject == "zmart.market.Market111.event"
    assert message.id == f"{EPOCH}:7:{7:016x}"
    body = json.loads(message.body)
    assert (body["position"], body["epoch"], body["seq"]) == (message.id, EPOCH, 7)
    assert body["event"] == {"name": "SharesBought"}
    assert entry(7, None).subject == "zmart.log.event"
    shorter = json.loads(message.without_event().body)
    assert (shorter["event"], shorter["omitted"]) == (None, "event")
    assert message.without_event().without_event() == message.without_event()


def test_each_message_names_the_position_to_continue_from() -> None:
    """An announcement as well as an entry; anything else is refused."""
    assert messages.position_of(entry(7).id) == position(7)
    assert messages.position_of(messages.resync_message(position(9), "trimmed").id) == position(9)
    for foreign in (None, "", "7", "resync:", "order-4711"):
        with pytest.raises(errors.ConfigurationError, match="was not published by the relay"):
            messages.position_of(foreign)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(10071, "refused"), (10070, "refused"), (10077, "full"), (10047, "full"), (10054, "too_large"), (10059, "error")],
)
def test_refusals_of_the_bus_have_kinds(code: int | None, kind: str) -> None:
    """Operators see them as labels."""
    assert bus.kind_of_code(code) == kind
    assert bus.kind_of_code(None) == "error"


def test_the_relay_is_ready_while_entries_pass() -> None:
    """It says why it is not; metrics are for this machine and for the token."""
    time = NOW.timestamp()
    metrics = RelayMetrics(clock=lambda: time)
    served = app.RelayApp(metrics, Secret("a-token-for-metrics"))
    assert served.answer("/ready", None, {})[0] == 503
    metrics.is_connected = True
    metrics.waits_since(NOW)
    assert served.answer("/ready", None, {})[0] == 200
    time += 61
    status, _, body = served.answer("/ready", None, {})
    assert (status, json.loads(body)["reasons"]) == (503, ["An entry has waited for 61 s to be published."])
    metrics.reached(3, 3)
    assert served.answer("/ready", None, {})[0] == 200
    assert served.answer("/health", "10.0.0.1", {})[0] == 200
    assert served.answer("/metrics", "10.0.0.1", {})[0] == 403
    assert served.answer("/metrics", "10.0.0.1", {"authorization": "Bearer a-token-for-metrics"})[0] == 200
    assert served.answer("/other", None, {})[0] == 404


def test_settings_name_the_bus() -> None:
    """Several servers of a cluster; a wrong address or name is refused without repeating the address."""
    read = settings.load({"NATS_URL": "nats://a:4222, tls://b:4222", "NATS_STREAM": "LOG-2"})
    assert [url.reveal() for url in read.relay.urls] == ["nats://a:4222", "tls://b:4222"]
    assert read.relay.stream == "LOG-2"
    for environ in ({"NATS_URL": "http://a"}, {"NATS_STREAM": "a.b"}):
        with pytest.raises(errors.ConfigurationError, match="must be") as refused:
            settings.load(environ)
        assert "http://a" not in str(refused.value)
    with pytest.raises(errors.ConfigurationError, match="NATS_URL"):
        settings.load({}).relay.require_urls()


class ListedLog:
    """A log of a fixed length."""

    def __init__(self, length: int) -> None:
        self.position: feed.FeedPosition | None = None
        self.length = length
        self.stored: StoredPlace | None = None
        self.waits = 0

    async def head(self) -> feed.FeedPosition:
        """The end."""
        return position(self.length)

    async def window(self, after: feed.FeedPosition) -> Window:
        """Up to ten entries."""
        last = min(self.length, after.seq + 10)
        return Window(tuple(entry(seq) for seq in range(after.seq + 1, last + 1)), position(self.length))

    async def wait(self) -> None:
        """Stop the test's publisher when all is published."""
        self.waits += 1
        raise asyncio.CancelledError

    async def stored_place(self, stream: str) -> StoredPlace | None:
        """What was stored."""
        return self.stored

    async def store_place(self, stream: str, place: StoredPlace) -> None:
        """Store it."""
        self.stored = place

    async def close(self) -> None:
        """Nothing to close."""


class ListedBus:
    """A stream in memory that compares sequences as JetStream does; `hooks` run before a batch."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.relay = ""
        self.failures: list[bus.BusFailure | None] = []

    async def connect(self, relay: str) -> ListedBus:
        """Connect as this relay."""
        self.relay = relay
        return self

    async def find_end(self) -> bus.StreamEnd:
        """The end as it is."""
        if not self.messages:
            return bus.StreamEnd("then", 0)
        message_id, relay = self.messages[-1]
        return bus.StreamEnd("then", len(self.messages), message_id, relay, is_held=True)

    async def publish(self, batch: Sequence[messages.Message], after: int) -> bus.Confirmation:
        """Store all, or the first half and then the next failure."""
        if after != len(self.messages):
            return bus.Confirmation(0, bus.BusFailure("refused", "wrong last sequence"))
        failure = self.failures.pop(0) if self.failures else None
        stored = batch if failure is None else batch[: len(batch) // 2]
        self.messages += [(message.id, self.relay) for message in stored]
        return bus.Confirmation(len(stored), failure)

    async def close(self) -> None:
        """Nothing to close."""

    @property
    def seqs(self) -> list[int]:
        """The seqs in order."""
        return [messages.position_of(message_id).seq for message_id, _ in self.messages]


async def publish(log: ListedLog, stream: ListedBus) -> Publisher:
    """Run a publisher until the log's end."""
    publisher = Publisher(log, stream.connect, stream="ZMART", metrics=RelayMetrics())
    with pytest.raises(asyncio.CancelledError):
        await publisher.run()
    return publisher


async def test_a_batch_that_is_stored_in_part_is_continued() -> None:
    """Neither the stored half is repeated, nor the other half skipped."""
    stream = ListedBus()
    stream.failures = [bus.BusFailure("slow", "late"), None, bus.BusFailure("unreachable", "lost")]
    log = ListedLog(35)
    await publish(log, stream)
    assert stream.seqs == list(range(1, 36))
    assert log.stored == StoredPlace("then", 35, position(35))


async def test_messages_of_another_relay_stop_this_one() -> None:
    """Those that were there before it began do not."""
    stream = ListedBus()
    stream.messages = [(entry(1).id, "an earlier relay")]
    await publish(ListedLog(5), stream)
    assert stream.seqs == [1, 2, 3, 4, 5]

    class Rival(ListedBus):
        async def publish(self, batch: Sequence[messages.Message], after: int) -> bus.Confirmation:
            if after == 3:
                self.messages.append((entry(4).id, "a rival"))
            return await super().publish(batch[:3], after)

    rival = Rival()
    publisher = Publisher(ListedLog(9), rival.connect, stream="ZMART", metrics=RelayMetrics())
    with pytest.raises(AnotherRelay):
        await publisher.run()
    assert rival.seqs == [1, 2, 3, 4]
