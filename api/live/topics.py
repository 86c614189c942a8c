"""Topics: what a client can ask to hear about.

`markets` every market's standing and events; `market:<id>` all of one market; `trades` every trade;
`wallet:<address>` what a wallet does on chain; `votes:<id>` ballots and tally of one market;
`discussions:<id>` what is said under one; `status` finality and the health of the marts.
"""

from __future__ import annotations

from collections.abc import Callable

from zmart import errors as zmart_errors
from zmart.domain import ids

from .. import errors

#: More would make one subscription a burden on everybody's routing.
MOST = 100

_PLAIN = frozenset({"markets", "trades", "status"})
_ABOUT: dict[str, Callable[[str], str]] = {
    "market": ids.parse_market_id,
    "votes": ids.parse_market_id,
    "discussions": ids.parse_market_id,
    "wallet": ids.parse_address,
}
KNOWN = "markets, market:<id>, trades, wallet:<address>, votes:<id>, discussions:<id>, status"


def parse(text: str) -> frozenset[str]:
    """Read a comma-separated list; UnknownTopic names those that are known."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise errors.UnknownTopic(f"Name at least one topic: {KNOWN}.")
    if len(names) > MOST:
        raise errors.UnknownTopic(f"A stream carries at most {MOST} topics, not {len(names)}.")
    return frozenset(parse_one(name) for name in names)


def parse_one(name: str) -> str:
    """One topic in its canonical spelling."""
    if name in _PLAIN:
        return name
    kind, _, about = name.partition(":")
    try:
        return f"{kind}:{_ABOUT[kind](about)}"
    except (KeyError, zmart_errors.InvalidInput):
        shown = name[:100]
        raise errors.UnknownTopic(f"There is no topic {shown!r}. Known are {KNOWN}.") from None
