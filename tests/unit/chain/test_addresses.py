"""Derived addresses against the vectors of protocol.md 1.2."""

from __future__ import annotations

import pytest

from zmart.chain import addresses
from zmart.domain.votes import VoteKind

PROGRAM = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"
WALLET = "4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA"
MARKET = "F1doAVqwVZdnDRp4U6R3SXpVFNZ4Rk7NZmgFQB2fbbuv"


@pytest.mark.parametrize(
    ("program", "address"),
    [
        (PROGRAM, "HJUjpSEUaZCunLAhwJu1G44nUQ4R8JCLvSJNJzWWDpNP"),
        (
            "B5LimwoBn4aAqFmJsV1KtrxDbtEjaZ9WeNrfDWmJc42Z",
            "CF8kfDGNJxXwx1xtqfkb2yc7NJ3jkmfqdBAXkkgvSzm6",
        ),
    ],
)
def test_config(program: str, address: str) -> None:
    """The configuration's address depends on the program alone."""
    assert addresses.config_address(program) == address
    assert addresses.config_bump(program) == 255


def test_market() -> None:
    """A market's address comes from its 32 bytes."""
    assert addresses.market_address(PROGRAM, b"\1" * 32) == MARKET
    assert addresses.market_bump(PROGRAM, b"\1" * 32) == 255


def test_position() -> None:
    """A position's address comes from market and wallet."""
    position = addresses.position_address(PROGRAM, MARKET, WALLET)
    assert position == "8e3u1orgjAAVQyk1RYQg14PsjrBqJVXSEoLPefDVqreH"
    assert addresses.position_bump(PROGRAM, MARKET, WALLET) == 254


@pytest.mark.parametrize(
    ("kind", "address", "bump"),
    [
        (VoteKind.PROPOSAL, "43ggs9Y2wXxbP3YpHa9N4L6QqhsuUTjw8XoxE8MQysh5", 254),
        (VoteKind.DISPUTE, "9yjfwdhzevxNUqp1LR5LQCgiCrVfGepsAiv6jLA497js", 252),
    ],
)
def test_votes(kind: VoteKind, address: str, bump: int) -> None:
    """A vote's address differs for proposals and disputes."""
    assert addresses.vote_address(PROGRAM, MARKET, WALLET, kind) == address
    assert addresses.vote_bump(PROGRAM, MARKET, WALLET, kind) == bump
