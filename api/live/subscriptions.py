"""Maps topics to subscriptions, and subscriptions to their clients.

Clients with equal topics share one `TopicSubscription`, whose frames are created once. The lookup goes from a
message's topics to the subscriptions, so the cost of a window depends on what it delivers, not on the number of
subscriptions.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from .client import StreamClient
from .frames import Frame, FrameBatch, LogWindow, StreamMessage


class TopicSubscription:
    """A set of topics and the clients with exactly these topics."""

    __slots__ = ("clients", "topics")

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.clients: set[StreamClient] = set()


class Subscriptions:
    """All subscriptions of this process."""

    def __init__(self) -> None:
        self._subscriptions: dict[frozenset[str], TopicSubscription] = {}
        self._by_topic: dict[str, set[TopicSubscription]] = collections.defaultdict(set)
        #: Increases whenever a topic gets its first subscription.
        self.version = 0

    @property
    def topics(self) -> frozenset[str]:
        """Return all topics with at least one subscription."""
        return frozenset(self._by_topic)

    def clients(self) -> Iterator[StreamClient]:
        """Yield every client once; clients may be removed during the iteration."""
        for subscription in list(self._subscriptions.values()):
            yield from list(subscription.clients)

    def add(self, client: StreamClient) -> None:
        """Subscribe a client to its topics from the next window on."""
        subscription = self._subscriptions.get(client.topics)
        if subscription is None:
            subscription = self._subscriptions[client.topics] = TopicSubscription(client.topics)
            for topic in client.topics:
                self.version += topic not in self._by_topic
                self._by_topic[topic].add(subscription)
        subscription.clients.add(client)

    def discard(self, client: StreamClient) -> None:
        """Remove the client; it receives nothing more."""
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
        """Yield the batch of each subscription for a window; skip subscriptions without messages."""
        frames: dict[TopicSubscription, list[Frame]] = {}
        for position, messages in window.messages:
            frames_by_key: dict[tuple[int, ...], Frame] = {}
            for subscription, indexes in self._receivers(messages).items():
                key = tuple(indexes)
                if (frame := frames_by_key.get(key)) is None:
                    chosen = tuple(messages[index] for index in indexes)
                    frame = frames_by_key[key] = Frame(position, chosen)
                frames.setdefault(subscription, []).append(frame)
        for subscription, subscription_frames in frames.items():
            yield subscription, FrameBatch(subscription_frames)

    def _receivers(self, messages: collections.abc.Sequence[StreamMessage]) -> dict[TopicSubscription, list[int]]:
        """Return, for each subscription, the indexes of the entry's messages that it receives."""
        receivers: dict[TopicSubscription, list[int]] = {}
        for index, message in enumerate(messages):
            listeners: set[TopicSubscription] = set()
            for topic in message.topics:
                listeners |= self._by_topic.get(topic, set())
            for subscription in listeners:
                receivers.setdefault(subscription, []).append(index)
        return receivers
