"""Implements the instructions of the protocol: its configuration and its pause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from zmart.domain import events, market, votes
from zmart.domain.program_errors import ErrorCode

from ..anchor import InstructionFrame

_RATES: Final = ("protocol_fee_bps", "resolver_reward_bps", "liquidity_provider_fee_bps")
_THRESHOLDS: Final = ("proposal_approval_threshold", "dispute_success_threshold")
_PERIODS: Final = ("min_resolution_delay", "dispute_period")


def initialize_global_config(frame: InstructionFrame) -> None:
    """Create the configuration (protocol.md 1.4.1); the first caller becomes the admin."""
    config = frame.config
    config.admin = frame.address("admin")
    config.backend_authority = frame.args["backend_authority"]
    config.protocol_fee_wallet = frame.address("protocol_fee_wallet")
    config.protocol_fee_bps = market.PROTOCOL_FEE_BPS
    config.resolver_reward_bps = market.RESOLVER_REWARD_BPS
    config.liquidity_provider_fee_bps = market.LIQUIDITY_PROVIDER_FEE_BPS
    config.proposal_approval_threshold = votes.PROPOSAL_APPROVAL_THRESHOLD_BPS
    config.dispute_success_threshold = votes.DISPUTE_SUCCESS_THRESHOLD_BPS
    config.min_resolution_delay = market.MIN_RESOLUTION_DELAY_SECONDS
    config.dispute_period = market.DISPUTE_PERIOD_SECONDS
    config.min_resolver_reputation = market.MIN_RESOLVER_REPUTATION
    frame.emit(
        events.GlobalConfigInitialized(config.admin, config.backend_authority, config.protocol_fee_bps, frame.now)
    )


def update_global_config(frame: InstructionFrame) -> None:
    """Change the configuration (protocol.md 1.4.16)."""
    config, args = frame.config, frame.args
    _require_rates(args)
    for name in _RATES + _THRESHOLDS:
        setattr(config, name, args[name])
    for name in _PERIODS:
        if args[name] is not None:
            setattr(config, name, args[name])
    written = (getattr(config, name) for name in _RATES + _THRESHOLDS + _PERIODS)
    frame.emit(events.ConfigUpdated._make((*written, frame.now)))


def _require_rates(args: Mapping[str, Any]) -> None:
    protocol, resolver, lp = (args[name] for name in _RATES)
    refusal = ErrorCode.InvalidFeeStructure
    market.require_fee_rates(protocol_bps=protocol, resolver_bps=resolver, lp_bps=lp, refusal=refusal)
    for name in _THRESHOLDS:
        market.require_threshold(args[name])
    for name in _PERIODS:
        market.require_period(args[name])


def emergency_pause(frame: InstructionFrame) -> None:
    """Toggle the pause (protocol.md 1.4.17)."""
    frame.config.is_paused = not frame.config.is_paused
    frame.emit(events.ProtocolPauseStatusChanged(frame.config.is_paused, frame.address("admin"), frame.now))
