"""Topics: what a client can ask to hear about.

`markets` every market's standing and events; `market:<id>` all of one market; `trades` every trade;
`wallet:<address>` what a wallet does on chain, and its ballots; `me` that and more, for the wallet that
is signed in: its comments, answers and reactions to them; `votes:<id>` ballots and tally of one market;
`discussions:<id>` what is said under one; `status` finality and the health of the marts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zmart import errors as zmart_errors
from zmart.domain import ids

from .. import errors

#: More would make one subscription a burden on everybody's routing.
MAX_TOPICS = 100

_PLAIN = frozenset({"markets", "trades", "status"})
_ABOUT: dict[str, Callable[[str], str]] = {
    "market": ids.parse_market_id,
    "votes": ids.parse_market_id,
    "discussions": ids.parse_market_id,
    "wallet": ids.parse_address,
}
KNOWN_TOPICS = "markets, market:<id>, trades, wallet:<address>, me, votes:<id>, discussions:<id>, status"
#: What one's own is asked for by; inside it carries the wallet, so that nobody can ask for another's.
ME = "me"


class TooManyTopics(errors.UnknownTopic):
    """More topics than one stream carries."""


def parse(text: str) -> frozenset[str]:
    """Read a comma-separated list; UnknownTopic names those that are known."""
    return parse_all(text.split(","))


def parse_all(texts: Iterable[str]) -> frozenset[str]:
    """Read several; UnknownTopic when there is none, too many, or one that is not known."""
    names = [name.strip() for name in texts if name.strip()]
    if not names:
        raise errors.UnknownTopic(f"Name at least one topic: {KNOWN_TOPICS}.")
    if len(names) > MAX_TOPICS:
        raise TooManyTopics(f"A stream carries at most {MAX_TOPICS} topics, not {len(names)}.")
    return frozenset(parse_one(name) for name in names)


def parse_one(name: str) -> str:
    """One topic in its canonical spelling."""
    if name in _PLAIN or name == ME:
        return name
    kind, _, about = name.partition(":")
    try:
        return f"{kind}:{_ABOUT[kind](about)}"
    except (KeyError, zmart_errors.InvalidInput):
        shown = name[:100]
        raise errors.UnknownTopic(f"There is no topic {shown!r}. Known are {KNOWN_TOPICS}.") from None


def resolve_me(topics: frozenset[str], wallet: str | None) -> frozenset[str]:
    """The same with one's own in it instead of `me`; NotSignedIn when that is asked for by nobody."""
    if ME not in topics:
        return topics
    if wallet is None:
        raise errors.NotSignedIn("The topic me needs a token or a ticket.", help="Sign in at /api/auth.")
    return topics - {ME} | {_private_topic(wallet)}


def without_private(topics: frozenset[str]) -> frozenset[str]:
    """The same without what is private."""
    return frozenset(topic for topic in topics if not topic.startswith(_private_topic("")))


def display_names(topics: frozenset[str]) -> list[str]:
    """As clients write them, in order."""
    return sorted(ME if topic.startswith(_private_topic("")) else topic for topic in topics)


def _private_topic(wallet: str) -> str:
    return f"{ME}:{wallet}"
