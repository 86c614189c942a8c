"""Topics as clients write them."""

from __future__ import annotations

import datetime

import pytest

from api import errors
from api.auth.api_keys import KeyClaims, Scope
from api.live import topics
from api.live.authentication import Identity
from ingest.testing import address
from zmart.domain.ids import Address

MARKET = "ab" * 32


def identity(number: int, *scopes: Scope) -> Identity:
    """An authenticated wallet, with an API key if scopes are given."""
    wallet, never = Address(address(number)), datetime.datetime.max.replace(tzinfo=datetime.UTC)
    key = KeyClaims("a key", wallet, frozenset(scopes), never, "00") if scopes else None
    return Identity(wallet, never, key)


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
    mine = topics.resolve_me(topics.parse("me,trades"), identity(3))
    assert mine == {f"me:{address(3)}", "trades"}
    assert topics.display_names(mine) == ["me", "trades"]
    assert topics.without_private(mine) == {"trades"}
    with pytest.raises(errors.NotSignedIn):
        topics.resolve_me(topics.parse("me"), None)
    with pytest.raises(errors.UnknownTopic):
        topics.parse(f"me:{address(3)}")


def test_an_api_key_needs_a_scope_for_me() -> None:
    """Public topics need none."""
    assert topics.resolve_me(topics.parse("me"), identity(3, "read")) == {f"me:{address(3)}"}
    assert topics.resolve_me(topics.parse("trades"), identity(3, "trade")) == {"trades"}
    with pytest.raises(errors.Forbidden, match="scope read"):
        topics.resolve_me(topics.parse("me"), identity(3, "trade"))


def test_a_part_of_a_topic_has_one_type_of_message() -> None:
    """Its id is canonical too; `me` is bound to the wallet and shown as it was written."""
    asked = f"markets.market_update, market:{MARKET.upper()}.trade, me.trade"
    found = topics.resolve_me(topics.parse(asked), identity(3, "read"))
    assert found == {"markets.market_update", f"market:{MARKET}.trade", f"me:{address(3)}.trade"}
    assert topics.display_names(found) == [f"market:{MARKET}.trade", "markets.market_update", "me.trade"]
    assert topics.without_private(found) == {"markets.market_update", f"market:{MARKET}.trade"}
    assert {topics.whole(topic) for topic in found} == {"markets", f"market:{MARKET}", f"me:{address(3)}"}
    with pytest.raises(errors.NotSignedIn):
        topics.resolve_me(topics.parse("me.trade"), None)
    with pytest.raises(errors.Forbidden, match="scope read"):
        topics.resolve_me(topics.parse("me.trade"), identity(3, "trade"))


@pytest.mark.parametrize("text", ["markets.trade", "markets.", "trades.vote", "status.market_update", "markets.x.y"])
def test_a_part_without_messages_is_refused(text: str) -> None:
    """The error names the types that the topic has."""
    with pytest.raises(errors.UnknownTopic, match="has no messages of the type"):
        topics.parse(text)
