"""A market's life, its deadlines, and the configuration that they depend on."""

from __future__ import annotations

import datetime
from typing import Any

import httpx
import pytest
from api_fixtures import CREATOR, Log, market_id
from assertions import body

from api import schemas
from ingest.testing import address

Client = httpx.AsyncClient
ONE, TWO = market_id(1), market_id(2)
RATES = {
    "protocol_fee_bps": 100,
    "resolver_reward_bps": 300,
    "liquidity_provider_fee_bps": 600,
    "proposal_approval_threshold": 6500,
    "dispute_success_threshold": 5500,
}


async def lifecycle(client: Client, market: str) -> Any:
    """A market's life."""
    return await body(client, f"/api/markets/{market}/lifecycle", schemas.Lifecycle)


def seconds(later: str, earlier: str) -> float:
    """Return the time between two instants."""
    return (datetime.datetime.fromisoformat(later) - datetime.datetime.fromisoformat(earlier)).total_seconds()


def resolve(markets: Log) -> None:
    """Propose an outcome for market 1."""
    markets.story.append(("MarketResolved", 1, CREATOR, {"outcome": True, "evidence_hash": "E" * 46}, None))


def configure(markets: Log, **more: object) -> None:
    """Change the configuration as the admin."""
    markets.story.append(("ConfigUpdated", None, 99, {**RATES, **more}, None))


async def test_lifecycle_lists_events_in_chain_order(reader: Client) -> None:
    """Every step with the state that it led to and the wallet that took it; no deadline while none is running."""
    life = await lifecycle(reader, ONE)
    assert [(step["event"], step["to_state"]) for step in life["timeline"]] == [
        ("MarketCreated", "PROPOSED"),
        ("ProposalApproved", "APPROVED"),
        ("MarketActivated", "ACTIVE"),
    ]
    assert life["timeline"][0]["user_wallet"] == address(CREATOR)
    assert (life["state"], life["outcome"], life["next_deadline"]) == ("ACTIVE", None, None)
    assert (life["dispute_period_seconds"], life["voting_window_seconds"]) == ("259200", "259200")
    newest = (await reader.get(f"/api/markets/{ONE}/lifecycle?limit=2")).json()
    assert newest["timeline"] == life["timeline"][1:]


async def test_a_proposed_outcome_can_be_disputed_until_the_period_ends(client: Client, markets: Log) -> None:
    """The current period counts, also when it was changed after the outcome was proposed."""
    resolve(markets)
    await markets.deliver()
    life = await lifecycle(client, ONE)
    proposed_at = life["timeline"][-1]["block_time"]
    assert seconds(life["dispute_closes_at"], proposed_at) == 259_200
    assert life["next_deadline"] == {"name": "dispute_closes_at", "at": life["dispute_closes_at"]}
    assert life["voting_closes_at"] is None
    configure(markets, dispute_period="120", min_resolution_delay="1")
    configure(markets)
    await markets.deliver()
    life = await lifecycle(client, ONE)
    assert life["dispute_period_seconds"] == "120"
    assert seconds(life["dispute_closes_at"], proposed_at) == 120


async def test_a_dispute_is_voted_on_until_the_window_ends(client: Client, markets: Log) -> None:
    """Ballots are accepted for the configured window; after the settlement there is no deadline."""
    resolve(markets)
    markets.story.append(("DisputeInitiated", 1, 2, {"disputed_outcome": True}, None))
    await markets.deliver()
    life = await lifecycle(client, ONE)
    assert seconds(life["voting_closes_at"], life["timeline"][-1]["block_time"]) == 259_200
    assert life["next_deadline"] == {"name": "voting_closes_at", "at": life["voting_closes_at"]}
    final = {"final_outcome": False, "was_disputed": True}
    markets.story.append(("MarketFinalized", 1, None, final, None))
    await markets.deliver()
    life = await lifecycle(client, ONE)
    assert (life["state"], life["outcome"]) == ("FINALIZED", "NO")
    assert (life["dispute_closes_at"], life["voting_closes_at"], life["next_deadline"]) == (None, None, None)


async def test_a_period_without_end_breaks_nothing(client: Client, markets: Log) -> None:
    """The chain accepts any positive period; the deadline is then the maximal timestamp."""
    resolve(markets)
    configure(markets, dispute_period=str(2**63 - 1))
    await markets.deliver()
    life = await lifecycle(client, ONE)
    assert life["dispute_period_seconds"] == str(2**63 - 1)
    assert life["dispute_closes_at"].startswith("9999-12-31")


async def test_before_any_event_the_protocol_is_as_initialize_leaves_it(reader: Client) -> None:
    """The program's own values before any event; keys are null."""
    protocol = await body(reader, "/api/protocol", schemas.Protocol)
    assert (protocol["protocol_fee_bps"], protocol["dispute_period"], protocol["is_paused"]) == (300, "259200", False)
    assert protocol["admin"] is None
    assert set(protocol["set_by"].values()) == {None}


async def test_each_protocol_field_comes_from_its_newest_event(client: Client, markets: Log) -> None:
    """An update without a time does not change it, and a pause changes nothing else."""
    initial = {"backend_authority": address(90), "protocol_fee_bps": 300}
    markets.story.append(("GlobalConfigInitialized", None, 99, initial, None))
    configure(markets, dispute_period="120", min_resolution_delay="9007199254740993")
    configure(markets, protocol_fee_bps=50)
    markets.story.append(("ProtocolPauseStatusChanged", None, 99, {"is_paused": True}, None))
    await markets.deliver()
    protocol = await body(client, "/api/protocol", schemas.Protocol)
    assert (protocol["protocol_fee_bps"], protocol["resolver_reward_bps"]) == (50, 300)
    assert (protocol["dispute_period"], protocol["min_resolution_delay"]) == ("120", "9007199254740993")
    assert (protocol["is_paused"], protocol["admin"], protocol["backend_authority"]) == (True, address(99), address(90))
    set_by = protocol["set_by"]
    assert set_by["admin"]["event"] == "GlobalConfigInitialized"
    assert set_by["is_paused"]["event"] == "ProtocolPauseStatusChanged"
    assert set_by["dispute_period"]["seq"] < set_by["protocol_fee_bps"]["seq"]


@pytest.mark.parametrize("path", ["/api/protocol", f"/api/markets/{ONE}/lifecycle"])
async def test_deadlines_and_rules_state_their_position(client: Client, markets: Log, path: str) -> None:
    """The headers and `as_of` name the log's newest entry."""
    epoch, seq = markets.head()
    response = await client.get(path)
    assert response.headers["zmart-seq"].startswith(f"{epoch}:{seq}:")
    assert response.json()["as_of"]["seq"] == seq
