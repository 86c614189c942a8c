"""Topics as clients write them."""

from __future__ import annotations

import pytest

from api import errors
from api.live import topics
from ingest.testing import address

MARKET = "ab" * 32


def test_every_known_topic_is_read() -> None:
    """Topics are separated by commas, in any case of their market id, with optional spaces."""
    wallet = address(1)
    text = f"markets, market:{MARKET.upper()},trades,wallet:{wallet},votes:{MARKET},discussions:{MARKET},status"
    assert topics.parse(text) == {
        "markets",
        "trades",
        "status",
        f"market:{MARKET}",
        f"wallet:{wallet}",
        f"votes:{MARKET}",
        f"discussions:{MARKET}",
    }


@pytest.mark.parametrize(
    "text",
    ["", ",", "nothing", "market", "market:", "market:xyz", "wallet:0OIl", "trades:1", "me:x", "\0", "markets,x"],
)
def test_an_unknown_topic_is_refused_and_the_known_are_named(text: str) -> None:
    """One unknown topic rejects the stream; the message lists the valid ones."""
    with pytest.raises(errors.UnknownTopic, match="market:<id>"):
        topics.parse(text)


def test_a_subscription_is_bounded() -> None:
    """More topics than one stream takes are rejected."""
    with pytest.raises(errors.UnknownTopic, match="at most"):
        topics.parse(",".join(f"market:{n:064x}" for n in range(topics.MAX_TOPICS + 1)))


def test_topic_me_is_bound_to_the_signed_in_wallet() -> None:
    """`me` becomes the signed-in wallet; no client can write that form itself, and messages do not show it."""
    mine = topics.resolve_me(topics.parse("me,trades"), address(3))
    assert mine == {f"me:{address(3)}", "trades"}
    assert topics.display_names(mine) == ["me", "trades"]
    assert topics.without_private(mine) == {"trades"}
    with pytest.raises(errors.NotSignedIn):
        topics.resolve_me(topics.parse("me"), None)
    with pytest.raises(errors.UnknownTopic):
        topics.parse(f"me:{address(3)}")
