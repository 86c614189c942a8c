"""Ranks and histories: scheduled, with the seq that they reflect."""

from __future__ import annotations

import httpx
import pytest
from api_fixtures import Log
from assertions import body

from api import schemas
from ingest.testing import address

Client = httpx.AsyncClient


async def test_before_any_refresh_nobody_has_a_rank(client: Client, markets: Log) -> None:
    """A response with an as_of that is not the newest entry."""
    found = await body(client, "/api/leaderboard", schemas.Leaderboard)
    assert found["leaderboard"] == []
    assert found["as_of"]["seq"] < markets.head()[1]


async def test_the_status_names_marts_that_were_not_computed(client: Client, markets: Log) -> None:
    """Overdue once the log advanced 15 minutes ago without a refresh; a refresh ends it."""

    async def overdue() -> set[str]:
        status = await body(client, "/api/status", schemas.Status)
        return {mart["name"] for mart in status["scheduled_marts"] if mart["is_overdue"]}

    assert await overdue() == set()
    markets.owner.execute("update raw.feed set at = at - interval '16 minutes'")
    markets.owner.execute("update ops.scheduled_models set refreshed_at = refreshed_at - interval '16 minutes'")
    assert {"leaderboard", "wallets", "pnl_history"} <= await overdue()
    refresh(markets)
    assert await overdue() == set()


async def test_wallets_are_ranked_after_a_refresh(client: Client, markets: Log) -> None:
    """By each of the four; two wallets traded the same, so they share a rank by volume."""
    refresh(markets)
    by_volume = await body(client, "/api/leaderboard?by=volume&period=all", schemas.Leaderboard)
    assert {one["user_wallet"] for one in by_volume["leaderboard"]} >= {address(2), address(3)}
    assert by_volume["leaderboard"][0]["rank"] == 1
    assert by_volume["as_of"]["seq"] == markets.head()[1]
    for by in ("profit", "trades", "win_rate"):
        for period in ("24h", "7d", "30d", "all"):
            found = await body(client, f"/api/leaderboard?by={by}&period={period}", schemas.Leaderboard)
            ranks = [one["rank"] for one in found["leaderboard"]]
            assert ranks == sorted(ranks)


async def test_a_wallets_days_and_the_platform(client: Client, markets: Log) -> None:
    """One day of trading, and the platform's totals of it."""
    refresh(markets)
    (day,) = (await body(client, f"/api/users/{address(3)}/pnl-history", schemas.PnlHistory))["days"]
    assert (day["trades_count"], day["invested"]) == (1, "1100000000")
    platform = await body(client, "/api/stats", schemas.Platform)
    assert {one["period"] for one in platform["periods"]} == {"24h", "7d", "30d", "all"}
    assert platform["periods"][-1]["trades_count"] >= 2


@pytest.mark.parametrize("query", ["period=year", "by=luck", "limit=0", "offset=-1"])
async def test_unknown_ranks_are_refused(reader: Client, query: str) -> None:
    """400, naming the field."""
    response = await reader.get(f"/api/leaderboard?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "validation_failed")


def refresh(markets: Log) -> None:
    """Refresh every scheduled mart, twice: one reads another."""
    for (name,) in markets.owner.execute("select name from ops.scheduled_models").fetchall() * 2:
        markets.owner.execute("select folds.refresh(%s)", [name])
