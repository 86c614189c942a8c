"""Defines the topics that a client can subscribe to.

`markets`: state and events of every market. `market:<id>`: everything of one market. `trades`: every trade.
`wallet:<address>`: a wallet's activity on chain, and its ballots. `me`: the same for the wallet that is signed in,
and its comments, answers and reactions to them. `votes:<id>`: ballots and tally of one market. `discussions:<id>`:
the discussion of one market. `status`: finality and the health of the marts.

A topic followed by a dot and the type of a message, such as `markets.market_update`, is the part of the topic with this
type. The messages of an entry name both forms (reader.py), so they are routed to whole topics and to parts alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zmart import errors as zmart_errors
from zmart.domain import ids

from .. import errors
from . import messages
from .authentication import Identity

#: The most topics of one connection. An entry is routed from its own few topics to the subscriptions of each, so its
#: cost does not depend on this number; snapshots and missed entries of so many topics are weighed (budgets.py).
MAX_TOPICS = 1_000

_PLAIN = frozenset({"markets", "trades", "status"})
_ABOUT: dict[str, Callable[[str], str]] = {
    "market": ids.parse_market_id,
    "votes": ids.parse_market_id,
    "discussions": ids.parse_market_id,
    "wallet": ids.parse_address,
}
KNOWN_TOPICS = "markets, market:<id>, trades, wallet:<address>, me, votes:<id>, discussions:<id>, status"
#: Separates a topic from the type of its messages; it occurs in no id and in no address.
PART_SEPARATOR = "."
#: The name of the private topic. Internally the topic contains the wallet, so no client can request another wallet's.
ME = "me"


class TooManyTopics(errors.UnknownTopic):
    """A stream has more topics than the limit."""


def parse(text: str) -> frozenset[str]:
    """Parse a comma-separated list; raise UnknownTopic, which lists the known topics."""
    return parse_all(text.split(","))


def parse_all(texts: Iterable[str]) -> frozenset[str]:
    """Parse several topics; raise UnknownTopic if there are none, too many, or one that is not known."""
    names = [name.strip() for name in texts if name.strip()]
    if not names:
        raise errors.UnknownTopic(f"The list of topics is empty. Use: {KNOWN_TOPICS}.")
    if len(names) > MAX_TOPICS:
        raise TooManyTopics(f"A stream takes at most {MAX_TOPICS} topics, not {len(names)}.")
    return frozenset(parse_one(name) for name in names)


def parse_one(name: str) -> str:
    """Return one topic, or one part of a topic, in its canonical spelling."""
    topic, separator, message_type = name.partition(PART_SEPARATOR)
    kind, _, about = topic.partition(":")
    try:
        found = topic if topic in _PLAIN or topic == ME else f"{kind}:{_ABOUT[kind](about)}"
    except (KeyError, zmart_errors.InvalidInput):
        shown = name[:100]
        raise errors.UnknownTopic(f"There is no topic {shown!r}. Use: {KNOWN_TOPICS}.") from None
    if not separator:
        return found
    types = [one.name for one in messages.MESSAGES if kind in one.topics]
    if message_type not in types:
        shown = message_type[:100]
        raise errors.UnknownTopic(f"The topic {kind} has no messages of the type {shown!r}. Use: {', '.join(types)}.")
    return part(found, message_type)


def part(topic: str, message_type: str) -> str:
    """Return the part of a topic with the messages of one type."""
    return f"{topic}{PART_SEPARATOR}{message_type}"


def whole(name: str) -> str:
    """Return the topic of a part; a whole topic is returned as it is."""
    return name.partition(PART_SEPARATOR)[0]


def resolve_me(topics: frozenset[str], identity: Identity | None) -> frozenset[str]:
    """Replace `me` by the wallet's private topic; raise NotSignedIn without one, Forbidden if its key cannot read."""
    of_me = frozenset(topic for topic in topics if is_me(topic))
    if not of_me:
        return topics
    if identity is None:
        raise errors.NotSignedIn("The topic me needs a token or a ticket.", help="Sign in at /api/auth.")
    if identity.key is not None:
        identity.key.require_scope("read")
    return topics - of_me | {_private_topic(identity.wallet) + topic.removeprefix(ME) for topic in of_me}


def is_me(topic: str) -> bool:
    """Return whether a topic is `me` or a part of it, before it is resolved."""
    return whole(topic) == ME


def without_private(topics: frozenset[str]) -> frozenset[str]:
    """Return the topics without the private ones."""
    return frozenset(topic for topic in topics if not topic.startswith(_private_topic("")))


def display_names(topics: frozenset[str]) -> list[str]:
    """Return the topics as clients write them, sorted."""
    return sorted(_display_name(topic) for topic in topics)


def _display_name(topic: str) -> str:
    if not topic.startswith(_private_topic("")):
        return topic
    _, separator, message_type = topic.partition(PART_SEPARATOR)
    return f"{ME}{separator}{message_type}"


def _private_topic(wallet: str) -> str:
    return f"{ME}:{wallet}"
