"""Who hears what: topics lead to subscriptions, subscriptions to the clients that have them.

Clients with equal topics are one `Subscription`, whose frames are made once. Looking up goes from a
message's topics to those that have them, so a window costs what it delivers and not what is subscribed.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from .client import StreamClient
from .frames import Frame, FrameBatch, LogWindow, StreamMessage


class TopicSubscription:
    """A set of topics and the clients that have just these."""

    __slots__ = ("clients", "topics")

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.clients: set[StreamClient] = set()


class Subscriptions:
    """Every subscription there is."""

    def __init__(self) -> None:
        self._subscriptions: dict[frozenset[str], TopicSubscription] = {}
        self._by_topic: dict[str, set[TopicSubscription]] = collections.defaultdict(set)
        #: Grows whenever a topic is wanted that nobody wanted before.
        self.version = 0

    @property
    def topics(self) -> frozenset[str]:
        """Everything anybody wants to hear about."""
        return frozenset(self._by_topic)

    def clients(self) -> Iterator[StreamClient]:
        """Everyone, once; they may be taken out meanwhile."""
        for subscription in list(self._subscriptions.values()):
            yield from list(subscription.clients)

    def add(self, client: StreamClient) -> None:
        """Let a client hear its topics from the next window on."""
        subscription = self._subscriptions.get(client.topics)
        if subscription is None:
            subscription = self._subscriptions[client.topics] = TopicSubscription(client.topics)
            for topic in client.topics:
                self.version += topic not in self._by_topic
                self._by_topic[topic].add(subscription)
        subscription.clients.add(client)

    def discard(self, client: StreamClient) -> None:
        """Let it hear nothing more."""
        subscription = self._subscriptions.get(client.topics)
        if subscription is None:
            return
        subscription.clients.discard(client)
        if not subscription.clients:
            del self._subscriptions[client.topics]
            for topic in client.topics:
                self._by_topic[topic].discard(subscription)
                if not self._by_topic[topic]:
                    del self._by_topic[topic]

    def batches(self, window: LogWindow) -> Iterator[tuple[TopicSubscription, FrameBatch]]:
        """What each subscription hears of a window; those that hear nothing are left out."""
        frames: dict[TopicSubscription, list[Frame]] = {}
        for seq, messages in window.messages:
            frames_by_key: dict[tuple[int, ...], Frame] = {}
            for subscription, indexes in self._receivers(messages).items():
                key = tuple(indexes)
                if (frame := frames_by_key.get(key)) is None:
                    chosen = tuple(messages[index] for index in indexes)
                    frame = frames_by_key[key] = Frame(window.position.with_seq(seq), chosen)
                frames.setdefault(subscription, []).append(frame)
        for subscription, subscription_frames in frames.items():
            yield subscription, FrameBatch(subscription_frames)

    def _receivers(self, messages: collections.abc.Sequence[StreamMessage]) -> dict[TopicSubscription, list[int]]:
        """Which of an entry's messages each subscription hears."""
        receivers: dict[TopicSubscription, list[int]] = {}
        for index, message in enumerate(messages):
            listeners: set[TopicSubscription] = set()
            for topic in message.topics:
                listeners |= self._by_topic.get(topic, set())
            for subscription in listeners:
                receivers.setdefault(subscription, []).append(index)
        return receivers
