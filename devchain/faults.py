"""Simulates faults between a chain and its clients, on request and repeatably.

Every decision is drawn from the seed and the place of the transaction that it concerns, so the same seed causes the
same faults however often the process is restarted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .store import Place


@dataclass(frozen=True, kw_only=True)
class WebhookFaults:
    """The faults of webhook delivery; each number is a probability."""

    #: A transaction is delivered once more, in a body of its own.
    duplicates: float = 0.0
    #: A body is delayed by up to `delay_seconds`.
    delays: float = 0.0
    delay_seconds: float = 10.0
    #: Bodies planned together are sent in another order, and so are the items in them.
    shuffles: float = 0.0
    #: A transaction is never delivered.
    drops: float = 0.0
    #: An item does not name its place in the block.
    missing_index: float = 0.0
    seed: int = 0

    def has_fault(self, fault: str, place: Place) -> bool:
        """Return whether a fault applies to the transaction at a place."""
        probability = float(getattr(self, fault))
        return probability > 0 and self.random_for(fault, place).random() < probability

    def random_for(self, fault: str, place: Place) -> random.Random:
        """Return the random generator for one fault at one place."""
        seed_text = f"{self.seed} {fault} {place.slot} {place.position}"
        return random.Random(seed_text)  # noqa: S311 - a simulation, not a secret

    def plan_bodies(self, places: Sequence[Place], *, now: float, batch: int) -> list[tuple[float, list[Place]]]:
        """Return bodies for transactions in chain order, each with the time when it is due.

        A body holds up to `batch` transactions of one slot, as Helius sends them.
        """
        remaining = [place for place in places if not self.has_fault("drops", place)]
        bodies = [(_due_at(body[0], self, now), body) for body in _group_by_slot(remaining, batch)]
        bodies += [(now, [place]) for place in remaining if self.has_fault("duplicates", place)]
        return _shuffle(bodies, self)


def _group_by_slot(places: Sequence[Place], batch: int) -> list[list[Place]]:
    bodies: list[list[Place]] = []
    for place in places:
        if bodies and bodies[-1][0].slot == place.slot and len(bodies[-1]) < batch:
            bodies[-1].append(place)
        else:
            bodies.append([place])
    return bodies


def _due_at(place: Place, faults: WebhookFaults, now: float) -> float:
    if not faults.has_fault("delays", place):
        return now
    return now + faults.random_for("how long", place).uniform(0, faults.delay_seconds)


def _shuffle(bodies: list[tuple[float, list[Place]]], faults: WebhookFaults) -> list[tuple[float, list[Place]]]:
    if not bodies or not faults.has_fault("shuffles", bodies[0][1][0]):
        return bodies
    draw = faults.random_for("order", bodies[0][1][0])
    for _, body in bodies:
        draw.shuffle(body)
    draw.shuffle(bodies)
    return bodies


@dataclass(frozen=True, kw_only=True)
class PageFaults:
    """The faults of getTransactionsForAddress; each number is a probability."""

    #: The rows of a page are in another order.
    shuffles: float = 0.0
    #: A row is in its page twice.
    repeats: float = 0.0
    #: A row is missing.
    drops: float = 0.0
    #: A page ends in its middle and names no further page.
    truncations: float = 0.0
    seed: int = 0

    def apply(self, rows: list[dict[str, Any]], token: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return the rows and the token of a page with its faults; the same page always has the same ones."""
        if not rows:
            return rows, token
        draw = random.Random(f"{self.seed} {rows[0]['slot']} {len(rows)}")  # noqa: S311 - a simulation, not a secret
        remaining = [row for row in rows if draw.random() >= self.drops]
        remaining += [row for row in remaining if draw.random() < self.repeats]
        if draw.random() < self.shuffles:
            draw.shuffle(remaining)
        if draw.random() < self.truncations:
            return remaining[: len(remaining) // 2], None
        return remaining, token


@dataclass(frozen=True, kw_only=True)
class RpcFault:
    """A fault of the RPC for a number of calls."""

    #: The method that it applies to; `*` for all.
    method: str
    #: The number of calls that it applies to.
    count: int = 1
    #: HTTP status in place of 200.
    status: int = 200
    retry_after_seconds: int | None = None
    #: Seconds to delay the response.
    delay_seconds: float = 0.0
    #: An error object in place of the result, sent unchanged.
    error: dict[str, Any] | None = None
    #: Whether `result` replaces the method's own result.
    replaces_result: bool = False
    result: Any = None
    #: Whether the method runs nevertheless: a transaction lands, and the caller does not know.
    lets_through: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> RpcFault:
        """Return the fault that a request describes; raise TypeError for an unknown field."""
        return cls(**{**fields, "replaces_result": "result" in fields})


class RpcFaults:
    """The faults that are still to be applied."""

    def __init__(self) -> None:
        self._due: list[RpcFault] = []

    def add(self, fault: RpcFault) -> None:
        """Add a fault."""
        self._due.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._due.clear()

    def take(self, method: str) -> RpcFault | None:
        """Return the fault for a call and reduce its count, or None; `devchain_*` methods have none."""
        for index, fault in enumerate(self._due):
            if fault.method in (method, "*") and not method.startswith("devchain_"):
                remaining = replace(fault, count=fault.count - 1)
                self._due[index : index + 1] = [remaining] if remaining.count > 0 else []
                return fault
        return None
