"""The priority fee of a round: a node's estimate where the setting asks for one, else recent fees, always capped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from orchestration.keepers import fees
from zmart import errors
from zmart.chain import client, rpc_errors
from zmart.domain.ids import Address

POLICY = fees.FeePolicy(
    percentile=75,
    most_micro_lamports=1_000,
    daily_budget_lamports=10_000,
    low_balance_lamports=1,
    asks_for_estimate=True,
)
LEVELS = client.PriorityFeeLevels(low=25, medium=50.2, high=75, very_high=950, unsafe_max=10_000)
ACCOUNTS = [Address(f"account {number}") for number in range(130)]


class PricingNode:
    """A node whose recent fee is 7 and whose estimate a test sets."""

    def __init__(self, estimate: client.PriorityFeeLevels | errors.ZmartError) -> None:
        self._estimate = estimate
        self.asked: list[str | int] = []

    async def priority_fee_levels(self, addresses: Sequence[str]) -> client.PriorityFeeLevels:
        """The estimate, or its error."""
        self.asked.append(len(addresses))
        if isinstance(self._estimate, errors.ZmartError):
            raise self._estimate
        return self._estimate

    async def recent_priority_fees(self, addresses: Sequence[str] = ()) -> tuple[client.PriorityFee, ...]:
        """One slot."""
        self.asked.append("recent")
        return (client.PriorityFee(slot=1, prioritization_fee=7),)


async def read(node: PricingNode, policy: fees.FeePolicy = POLICY, accounts: Sequence[Address] = ACCOUNTS[:2]) -> int:
    """The price of a round."""
    return await fees.read_price(cast("Any", node), accounts, policy)


@pytest.mark.parametrize(
    ("percentile", "price"),
    [(1, 25), (25, 25), (26, 51), (50, 51), (51, 75), (75, 75), (76, 950), (95, 950), (96, 1_000), (100, 1_000)],
)
async def test_the_estimate_is_of_the_percentile_and_capped(percentile: int, price: int) -> None:
    """The lowest level that is not below it, rounded up, never more than the maximum."""
    node = PricingNode(LEVELS)
    assert await read(node, replace(POLICY, percentile=percentile)) == price
    assert node.asked == [2]


@pytest.mark.parametrize("level", [-5.0, float("inf"), 1e300])
async def test_an_absurd_estimate_stays_within_the_bounds(level: float) -> None:
    """Neither a negative price nor one above the maximum."""
    found = await read(PricingNode(client.PriorityFeeLevels(low=0, medium=0, high=level, very_high=0, unsafe_max=0)))
    assert found == (0 if level < 0 else 1_000)


@pytest.mark.parametrize(
    "failure",
    [
        rpc_errors.MethodUnavailable("no such method"),
        rpc_errors.RateLimited("slower"),
        rpc_errors.TimedOut("too late"),
        rpc_errors.InvalidResponse("no levels"),
        rpc_errors.ApiKeyRejected("not in this plan"),
        rpc_errors.BadRequest("bad params"),
    ],
)
async def test_without_an_estimate_recent_fees_count(failure: errors.ZmartError) -> None:
    """No error of that method ends a round."""
    node = PricingNode(failure)
    assert await read(node) == 7
    assert node.asked == [2, "recent"]


async def test_recent_fees_are_the_default() -> None:
    """Without the setting, or without a market, the node is not asked for an estimate; and at most 128 accounts."""
    node = PricingNode(LEVELS)
    assert await read(node, replace(POLICY, asks_for_estimate=False)) == 7
    assert await read(node, accounts=[]) == 7
    assert node.asked == ["recent", "recent"]
    assert await read(node, accounts=ACCOUNTS) == 75
    assert node.asked[2:] == [client.MAX_FEE_ADDRESSES]
