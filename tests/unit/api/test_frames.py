"""Frames: the messages of a subscription, and the ones that a queue may drop."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from api.live.frames import (
    Frame,
    FrameBatch,
    LogWindow,
    StreamMessage,
    coalesce,
    envelope,
    frames_for_topics,
    packet,
)
from zmart.db import feed

EPOCH = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"
START = feed.FeedPosition(EPOCH, 0)

logged = st.builds(lambda n: StreamMessage(("trades",), None, "trade", f'{{"n":{n}}}'), st.integers(0, 9))
stated = st.builds(
    lambda key, n: StreamMessage(("markets",), f"price:{key}", "price_update", f'{{"p":{n}}}'),
    st.integers(0, 3),
    st.integers(0, 9),
)
message_lists = st.lists(st.one_of(logged, stated), min_size=1, max_size=4, unique_by=lambda m: m.state_key or id(m))


def frames_of(lists: list[list[StreamMessage]]) -> list[Frame]:
    """One frame per list, at seq 1, 2 and so on."""
    return [Frame(START.with_seq(seq), tuple(messages)) for seq, messages in enumerate(lists, start=1)]


@given(st.lists(message_lists, max_size=20))
def test_coalescing_keeps_the_log_and_the_newest_state(lists: list[list[StreamMessage]]) -> None:
    """Every message of the log stays in its place; of each state only the last one stays, in its place."""
    frames = frames_of(lists)
    short = coalesce(frames)
    log = [(f.position.seq, m.text) for f in frames for m in f.messages if m.state_key is None]
    newest = {m.state_key: (f.position.seq, m.text) for f in frames for m in f.messages if m.state_key}
    assert [(f.position.seq, m.text) for f in short for m in f.messages if m.state_key is None] == log
    assert {m.state_key: (f.position.seq, m.text) for f in short for m in f.messages if m.state_key} == newest
    states = [m.state_key for f in short for m in f.messages if m.state_key]
    assert len(states) == len(set(states))
    assert [f.position.seq for f in short] == sorted({f.position.seq for f in short})


def test_frames_that_lose_nothing_are_shared() -> None:
    """A frame that needs no change is the same object for every client, its text rendered once."""
    frames = frames_of(
        [[StreamMessage(("trades",), None, "trade", "{}")], [StreamMessage(("markets",), "a", "price_update", "{}")]]
    )
    assert all(one is other for one, other in zip(frames, coalesce(frames), strict=True))


def test_a_subscription_receives_only_its_topics() -> None:
    """Messages are chosen by topic; an entry without any for this client gives no frame."""
    trade = StreamMessage(("trades", "market:a"), None, "trade", '{"type":"trade"}')
    price = StreamMessage(("markets", "market:a"), "p:a", "price_update", '{"type":"price_update"}')
    window = LogWindow(
        head=START.with_seq(3),
        position=START.with_seq(3),
        messages=[(START.with_seq(1), [trade, price]), (START.with_seq(3), [price])],
    )
    everything = frames_for_topics(window, frozenset({"market:a"}))
    assert [(f.position.seq, f.messages) for f in everything] == [(1, (trade, price)), (3, (price,))]
    assert [f.position.seq for f in frames_for_topics(window, frozenset({"trades"}))] == [1]
    assert frames_for_topics(window, frozenset({"market:b"})) == []


def test_a_frame_is_json_with_epoch_seq_and_messages() -> None:
    """The text is one JSON object on one line, and its event has the position as id."""
    frame = Frame(
        START.with_seq(7), (StreamMessage((), None, "a", '{"type":"a"}'), StreamMessage((), None, "b", '{"type":"b"}'))
    )
    assert json.loads(frame.text) == {
        "epoch": EPOCH,
        "seq": 7,
        "position": f"{EPOCH}:7",
        "messages": [{"type": "a"}, {"type": "b"}],
    }
    assert frame.event == f"id: {EPOCH}:7\ndata: {frame.text}\n\n".encode()


def test_the_older_dialect_has_the_earlier_types_only() -> None:
    """Messages of newer types are not sent in it, and a frame of such messages is no bytes at all."""
    trade = StreamMessage((), None, "trade", '{"type":"trade"}')
    newer = [
        StreamMessage((), None, kind, f'{{"type":"{kind}"}}') for kind in ("market_update", "price_update", "moved")
    ]
    position = START.with_seq(7)
    both, without = Frame(position, (newer[0], trade, *newer[1:])), Frame(position, tuple(newer))
    assert both.packets("messages") == packet(envelope(trade.text, position))
    assert without.packets("messages") == FrameBatch([without, without]).packets("messages") == b""
    assert without.packets("frames") == packet(without.text)


def test_a_mark_reaches_clients_as_part_of_the_position() -> None:
    """Frame, event id and the older dialect have the whole position; epoch and seq are unchanged."""
    whole = f"{EPOCH}:7:00112233aabbccdd"
    position = feed.FeedPosition.parse(whole)
    frame = Frame(position, ())
    assert json.loads(frame.text) == {"epoch": EPOCH, "seq": 7, "position": whole, "messages": []}
    assert frame.event.startswith(f"id: {whole}\n".encode())
    assert json.loads(envelope('{"type":"a"}', position)) == {
        "type": "a",
        "epoch": EPOCH,
        "seq": 7,
        "position": whole,
    }
