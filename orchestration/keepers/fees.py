"""What a transaction may cost: units by its simulation, a price by what others paid, and a bound on both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from zmart.chain import client, transactions

#: Simulated units and a tenth: what a market's state costs may differ a little when it lands.
MARGIN_PERCENT: Final = 110


@dataclass(frozen=True, kw_only=True)
class FeePolicy:
    """How much being taken early is worth."""

    #: Of what landed lately, the share of slots in which our offer would have been enough.
    percentile: int
    #: Millionths of a lamport for a unit; nobody is ever offered more.
    most_micro_lamports: int
    #: Lamports that all submissions of a day (UTC) may cost together.
    daily_budget_lamports: int
    #: A payer with less is told of.
    low_balance_lamports: int


def units(consumed: int) -> int:
    """The limit to ask for, by what the simulation used."""
    return min(transactions.MAX_COMPUTE_UNITS, max(1, math.ceil(consumed * MARGIN_PERCENT / 100)))


def price(recent: Iterable[client.PriorityFee], policy: FeePolicy) -> int:
    """Millionths of a lamport to offer for a unit: the nearest-rank percentile of recent slots, capped."""
    paid = sorted(each.prioritization_fee for each in recent)
    if not paid:
        return 0
    rank = max(1, math.ceil(len(paid) * policy.percentile / 100))
    return min(paid[rank - 1], policy.most_micro_lamports)


def cost(consumed: int, micro_lamports: int) -> transactions.Cost:
    """The limit and the price together."""
    return transactions.Cost(units=units(consumed), micro_lamports_per_unit=micro_lamports)
