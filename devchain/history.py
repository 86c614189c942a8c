"""Plays the whole history of a chain in memory, as fast as possible.

It is for tests and measurements: it uses the same actors, program and ledger as the running service, a simulated
clock, and neither HTTP nor a database. The same seed gives the same history to the last byte.

    history = History(seed=7)
    items = list(history.play(10_000))      # webhook items, in chain order
    history.accounts()["markets"]           # the program's market accounts at the end
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

from zmart.domain.ids import Address

from . import accounts, delivery
from .accounts import ConfigRecord, MarketRecord, PositionRecord, VoteRecord
from .admission import TransactionRejected
from .blocks import Genesis, LandedTransaction
from .cluster import ClusterProfile
from .ledger import Ledger
from .market_plans import Tempo
from .program import Program
from .traders import Traders

#: The program id of the devnet deployment (protocol.md 1.1).
PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
#: The start of a played chain by its own clock, in seconds since 1970.
START_TIME = 1_762_600_000


class History:
    """One chain and its actors, beginning with the first transaction."""

    def __init__(
        self,
        seed: int = 1,
        *,
        program_id: Address = PROGRAM_ID,
        faulty_sells: bool = False,
        tempo: Tempo | None = None,
        seconds_per_slot: float = 4.0,
        cluster: ClusterProfile | None = None,
    ) -> None:
        genesis = Genesis.from_seed(hashlib.sha256(f"history {seed}".encode()).digest(), START_TIME)
        program = Program(faulty_sells=faulty_sells)
        self.ledger = Ledger(genesis, program_id=program_id, program=program, cluster=cluster)
        self.traders = Traders(self.ledger, genesis, program_id=program_id, seed=seed, tempo=tempo)
        self._now = float(START_TIME)
        self._seconds_per_slot = seconds_per_slot
        self._stream = self._run()
        self._draw = random.Random(f"history {seed}")  # noqa: S311 - a demo, not a secret

    def play(self, transactions: int) -> Iterator[dict[str, Any]]:
        """Return the next `transactions` of the program as webhook items, in the order of the chain."""
        for landed in self.play_landed(transactions):
            yield delivery.webhook_item(landed)

    def play_landed(self, transactions: int) -> Iterator[LandedTransaction]:
        """Return the next `transactions` of the program, in the order of the chain."""
        return itertools.islice(self._stream, transactions)

    def _run(self) -> Iterator[LandedTransaction]:
        """Yield transactions as one stream for all callers, so that each continues where the last one stopped."""
        while True:
            for move in self.traders.step(self._now):
                try:
                    landed = self.ledger.submit(move.sign(self.ledger.blockhash))
                except TransactionRejected:
                    continue
                if self.ledger.program_id in landed.transaction.keys:
                    yield landed
            self._now += self._seconds_per_slot * self._draw.uniform(0.5, 1.5)
            self.ledger.advance(int(self._now))

    def accounts(self) -> dict[str, dict[Address, dict[str, Any]]]:
        """Return the program's current accounts by address: `config`, `markets`, `positions`, `votes`.

        Each value has the program's fields by their names, and `lamports`.
        """
        found: dict[str, dict[Address, dict[str, Any]]] = {kind: {} for kind in _KINDS.values()}
        for address, account in self.ledger.owned_by(self.ledger.program_id):
            record = account.record
            if record is not None:
                fields = {**accounts.record_fields(record), "lamports": account.lamports}
                found[_KINDS[type(record)]][address] = fields
        return found


_KINDS: dict[type, str] = {
    ConfigRecord: "config",
    MarketRecord: "markets",
    PositionRecord: "positions",
    VoteRecord: "votes",
}


def play(seed: int, transactions: int, **options: Any) -> Iterator[dict[str, Any]]:
    """Return the first `transactions` of a chain as webhook items; `options` are those of `History`."""
    return History(seed, **options).play(transactions)


def batches(items: Sequence[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield items as webhook bodies of at most `size` items."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
