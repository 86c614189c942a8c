"""Plans the demo admin's transactions: create the configuration, change the rates, pause the protocol at times."""

from __future__ import annotations

import random
from collections.abc import Iterator

from zmart.domain import votes

from .actors import ActorClient, PlannedTransaction
from .market_plans import Tempo

#: Fee rates that the admin sets; they always sum to 10 %.
_RATES = ((300, 200, 500), (250, 250, 500), (400, 100, 500), (300, 300, 400))


class ProtocolAdmin:
    """Plans the admin's transactions; `draw` is shared with the other actors."""

    def __init__(self, client: ActorClient, tempo: Tempo, draw: random.Random) -> None:
        self._client = client
        self._tempo = tempo
        self._draw = draw
        self._next_disturbance_at: float | None = None
        self._disturbances = 0

    def initialize(self) -> Iterator[PlannedTransaction]:
        """Create the configuration where there is none."""
        if not self._tempo.plays_backend:
            # Keepers pay for their transactions and cannot ask the faucet.
            yield from self._client.plan_grant(self._client.keys.backend)
            yield from self._client.plan_grant(self._client.keys.admin)
        if self._client.config is None:
            yield from self._client.plan_grant(self._client.keys.fee_wallet)
            yield from self._client.plan_transaction(
                "initialize_global_config",
                self._client.keys.admin,
                {
                    "admin": self._client.keys.admin.address,
                    "protocol_fee_wallet": self._client.keys.fee_wallet.address,
                },
                {"backend_authority": self._client.keys.backend.address},
            )
            yield from self._configure(300, 200, 500)

    def _configure(self, protocol: int, resolver: int, lp: int) -> Iterator[PlannedTransaction]:
        """Set rates that sum to 10 %, because any other sum breaks buys (protocol.md 1.4.16)."""
        yield from self._client.plan_transaction(
            "update_global_config",
            self._client.keys.admin,
            {"admin": self._client.keys.admin.address},
            {
                "protocol_fee_bps": protocol,
                "resolver_reward_bps": resolver,
                "liquidity_provider_fee_bps": lp,
                "proposal_approval_threshold": votes.PROPOSAL_APPROVAL_THRESHOLD_BPS,
                "dispute_success_threshold": votes.DISPUTE_SUCCESS_THRESHOLD_BPS,
                "min_resolution_delay": None,
                "dispute_period": self._tempo.dispute_period_seconds,
            },
        )

    def disturb(self, now: float) -> Iterator[PlannedTransaction]:
        """Change the rates or pause the protocol for a moment, at random intervals."""
        config = self._client.config
        if config is None:
            return
        if config.is_paused:
            yield from self._toggle_pause()
        if self._next_disturbance_at is None:
            self._next_disturbance_at = now + 60
        if now < self._next_disturbance_at:
            return
        self._disturbances += 1
        self._next_disturbance_at = now + self._tempo.trading_seconds * self._draw.uniform(1, 3)
        if self._disturbances % 2:
            self._next_disturbance_at = min(self._next_disturbance_at, now + 60 * self._disturbances)
            yield from self._toggle_pause()
        else:
            yield from self._configure(*self._draw.choice(_RATES))

    def _toggle_pause(self) -> Iterator[PlannedTransaction]:
        accounts = {"admin": self._client.keys.admin.address}
        yield from self._client.plan_transaction("emergency_pause", self._client.keys.admin, accounts)
