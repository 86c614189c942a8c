"""Computes the cost of a transaction: compute units from its simulation, a price from recent fees, and caps on both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from zmart.chain import client, transactions

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


def units(consumed: int) -> int:
    """Return the compute unit limit to request, from the units that the simulation used."""
    return min(transactions.MAX_COMPUTE_UNITS, max(1, math.ceil(consumed * MARGIN_PERCENT / 100)))


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
