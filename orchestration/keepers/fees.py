"""Computes the cost of a transaction: compute units from its simulation, a price from recent fees, and caps on both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from zmart.chain import client, rpc_errors, transactions
from zmart.domain.ids import Address

#: Percent of the simulated units: the cost may differ a little when the transaction lands, because the market's state
#: does.
MARGIN_PERCENT: Final = 110


@dataclass(frozen=True, kw_only=True)
class FeePolicy:
    """The limits on priority fees and spending."""

    #: The percentage of recent slots in which our offer would have been enough.
    percentile: int
    #: Maximum price in millionths of a lamport per compute unit.
    most_micro_lamports: int
    #: Maximum lamports for all submissions of a day (UTC) together.
    daily_budget_lamports: int
    #: Balance in lamports below which an alert about the payer is raised.
    low_balance_lamports: int
    #: Whether a node that estimates prices (getPriorityFeeEstimate) is asked first.
    asks_for_estimate: bool = False


def units(consumed: int) -> int:
    """Return the compute unit limit to request, from the units that the simulation used."""
    return min(transactions.MAX_COMPUTE_UNITS, max(1, math.ceil(consumed * MARGIN_PERCENT / 100)))


async def read_price(node: client.ChainClient, accounts: Sequence[Address], policy: FeePolicy) -> int:
    """Return the price to offer for transactions that write to these accounts, in millionths of a lamport per unit.

    It is the node's estimate where the policy asks for one and the node gives it, else the percentile of recent fees;
    both are capped. Raises NodeError if no node lists recent fees.
    """
    if policy.asks_for_estimate and accounts:
        try:
            levels = await node.priority_fee_levels(accounts[: client.MAX_FEE_ADDRESSES])
        except (rpc_errors.NodeError, rpc_errors.ApiKeyRejected, rpc_errors.BadRequest):
            # Most nodes do not serve this method; those that do may limit it more than others.
            pass
        else:
            return price_of_level(levels, policy)
    return price(await node.recent_priority_fees(), policy)


def price_of_level(levels: client.PriorityFeeLevels, policy: FeePolicy) -> int:
    """Return the lowest estimated level that is not below the policy's percentile, capped."""
    by_percentile = (
        (25, levels.low),
        (50, levels.medium),
        (75, levels.high),
        (95, levels.very_high),
        (100, levels.unsafe_max),
    )
    level = next(value for percentile, value in by_percentile if policy.percentile <= percentile)
    return math.ceil(min(max(0.0, level), policy.most_micro_lamports))


def price(recent: Iterable[client.PriorityFee], policy: FeePolicy) -> int:
    """Return the price to offer, in millionths of a lamport per unit.

    It is the nearest-rank percentile of recent slots, capped.
    """
    paid = sorted(each.prioritization_fee for each in recent)
    if not paid:
        return 0
    rank = max(1, math.ceil(len(paid) * policy.percentile / 100))
    return min(paid[rank - 1], policy.most_micro_lamports)


def cost(consumed: int, micro_lamports: int) -> transactions.Cost:
    """Return the limit and the price together."""
    return transactions.Cost(units=units(consumed), micro_lamports_per_unit=micro_lamports)
