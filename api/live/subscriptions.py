"""Who hears what: topics lead to subscriptions, subscriptions to the clients that have them.

Clients with equal topics are one `Subscription`, whose frames are made once. Looking up goes from a
message's topics to those that have them, so a window costs what it delivers and not what is subscribed.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from .client import Client
from .frames import Batch, Frame, Message, Window


class Subscription:
    """A set of topics and the clients that have just these."""

    __slots__ = ("clients", "topics")

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.clients: set[Client] = set()


class Routes:
    """Every subscription there is."""

    def __init__(self) -> None:
        self._subscriptions: dict[frozenset[str], Subscription] = {}
        self._by_topic: dict[str, set[Subscription]] = collections.defaultdict(set)
        #: Grows whenever a topic is wanted that nobody wanted before.
        self.version = 0

    @property
    def topics(self) -> frozenset[str]:
        """Everything anybody wants to hear about."""
        return frozenset(self._by_topic)

    def clients(self) -> Iterator[Client]:
        """Everyone, once; they may be taken out meanwhile."""
        for subscription in list(self._subscriptions.values()):
            yield from list(subscription.clients)

    def add(self, client: Client) -> None:
        """Let a client hear its topics from the next window on."""
        subscription = self._subscriptions.get(client.topics)
        if subscription is None:
            subscription = self._subscriptions[client.topics] = Subscription(client.topics)
            for topic in client.topics:
                self.version += topic not in self._by_topic
                self._by_topic[topic].add(subscription)
        subscription.clients.add(client)

    def discard(self, client: Client) -> None:
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

    def batches(self, window: Window) -> Iterator[tuple[Subscription, Batch]]:
        """What each subscription hears of a window; those that hear nothing are left out."""
        frames: dict[Subscription, list[Frame]] = {}
        for seq, messages in window.messages:
            made: dict[tuple[int, ...], Frame] = {}
            for subscription, places in self._hearing(messages).items():
                key = tuple(places)
                if (frame := made.get(key)) is None:
                    chosen = tuple(messages[place] for place in places)
                    frame = made[key] = Frame(window.position.with_seq(seq), chosen)
                frames.setdefault(subscription, []).append(frame)
        for subscription, heard in frames.items():
            yield subscription, Batch(heard)

    def _hearing(self, messages: collections.abc.Sequence[Message]) -> dict[Subscription, list[int]]:
        """Which of an entry's messages each subscription hears."""
        hearing: dict[Subscription, list[int]] = {}
        for place, message in enumerate(messages):
            listeners: set[Subscription] = set()
            for topic in message.topics:
                listeners |= self._by_topic.get(topic, set())
            for subscription in listeners:
                hearing.setdefault(subscription, []).append(place)
        return hearing
