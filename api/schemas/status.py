"""Defines the schemas of health, readiness, the log's status, and the program's configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .answer import AsOf, Commitment, Instant, Integer, Position


class Health(Struct, kw_only=True):
    """The process is running."""

    status: Literal["healthy"]
    service: str
    timestamp: str
    uptime: Annotated[float, Meta(description="Seconds since the process started to serve.")]
    environment: str


class Readiness(Struct, kw_only=True):
    """Whether requests can be answered, and the reasons if not."""

    status: Literal["ready", "unready"]
    service: str
    reasons: Annotated[list[str], Meta(description="Reasons why the process is not ready.")]
    warnings: Annotated[list[str], Meta(description="Problems that do not prevent readiness.")]
    epoch: str | None
    seq: int | None
    position: Position | None
    streams: Annotated[int, Meta(description="Open streams of this process.")]


class Completeness(Struct, kw_only=True):
    """How far completeness is proven: not at all, up to a slot, or for everything so far."""

    state: Literal["unverified", "behind", "verified", "refused"]
    reason: str
    consensus: Annotated[
        Literal["alpenglow", "tower", "unknown"],
        Meta(
            description="The cluster's consensus, by its nodes' certificate. With alpenglow, confirmed and finalized "
            "mean the same. unknown: no node can be asked, or none knows the method."
        ),
    ]
    slot_seconds: Annotated[float | None, Meta(description="Measured length of a slot; null before the first walk.")]


class AcceptedGap(Struct, kw_only=True):
    """Slots with transactions that no node proves; an operator accepted them, so that finality goes on."""

    gap_no: int
    from_slot: int
    to_slot: int
    accepted_at: Instant
    reason: Annotated[str | None, Meta(description="For METRICS_TOKEN and OPERATOR_WALLETS; null for others.")]
    missing: Annotated[int, Meta(description="Transactions that the chain lists and the log lacks.")]
    unproven: Annotated[int, Meta(description="Transactions of the log that no node lists; they stay confirmed.")]


class Lag(Struct, kw_only=True):
    """The age of the newest entry and event."""

    last_entry_at: Instant | None
    last_entry_age_seconds: float | None
    last_event_at: Annotated[Instant | None, Meta(description="By the chain's clock.")]
    last_event_age_seconds: float | None


class ModelStatus(Struct, kw_only=True):
    """A mart, and the log entry up to which it is complete."""

    name: str
    kind: str
    is_stale: Annotated[bool, Meta(description="It stopped and waits for an operator.")]
    applied_seq: int
    behind: Annotated[int, Meta(description="Log entries that are not applied yet.")]
    stale_since: Instant | None
    failed_event: int | None
    reason: Annotated[
        str | None, Meta(description="The error of the last attempt, for METRICS_TOKEN and OPERATOR_WALLETS.")
    ]
    built_at: Instant
    is_behind: Annotated[bool, Meta(description="An entry failed; the mart is retried automatically.")]
    behind_since: Instant | None
    next_attempt_at: Instant | None


class ScheduledMart(Struct, kw_only=True):
    """A mart that Dagster computes every few minutes."""

    name: str
    applied_seq: Annotated[int, Meta(description="The newest log entry that its rows reflect.")]
    refreshed_at: Instant
    is_overdue: Annotated[bool, Meta(description="The log advanced more than 15 minutes ago, and it was not computed.")]


class AlertDetail(Struct, kw_only=True):
    """One open alert, for operators."""

    subject: str
    severity: Literal["info", "warning", "critical"]
    message: str
    occurrences: int
    raised_at: Instant
    last_at: Instant


class AlertKind(Struct, kw_only=True):
    """The open alerts of one kind: conditions that an operator should check."""

    kind: str
    severity: Annotated[Literal["info", "warning", "critical"], Meta(description="The most severe of them.")]
    open: Annotated[int, Meta(description="How many are open.")]
    last_at: Instant
    details: Annotated[
        list[AlertDetail] | None,
        Meta(description="The newest 20 with their texts, for METRICS_TOKEN and OPERATOR_WALLETS; null for others."),
    ]


class KeeperStatus(Struct, kw_only=True):
    """A keeper, its last round, and what waits for it."""

    name: str
    waiting: Annotated[
        int | None, Meta(description="Markets that wait for it, estimated; null before the first estimate.")
    ]
    last_round_at: Annotated[Instant | None, Meta(description="Null when it has never run.")]
    last_round_age_seconds: float | None
    is_dry: Annotated[bool | None, Meta(description="Whether that round signed nothing.")]
    outcome: Literal["worked", "skipped", "stopped", "failed"] | None
    due: Annotated[int | None, Meta(description="Actions that were due in that round.")]
    sent: int | None


class Status(Struct, kw_only=True):
    """The status of the log and its marts."""

    epoch: str
    seq: int
    position: Position
    slot: int | None
    commitment: Commitment
    verified_through: Annotated[int | None, Meta(description="Slot; null when nothing is proven.")]
    finalized_through: int | None
    completeness: Completeness
    gaps: Annotated[list[AcceptedGap], Meta(description="Accepted gaps that are not filled yet.")]
    lag: Lag
    models: list[ModelStatus]
    scheduled_marts: list[ScheduledMart]
    keepers: list[KeeperStatus]
    dead_letters: Annotated[int, Meta(description="Deliveries that could not be used and were stored.")]
    wanted: Annotated[int, Meta(description="Known transactions that are not fetched yet.")]
    alerts: list[AlertKind]
    as_of: AsOf


class ConfigSource(Struct, kw_only=True):
    """The event that set a field."""

    event: str
    tx_signature: str
    slot: int
    seq: int
    block_time: Instant


class ConfigSources(Struct, kw_only=True):
    """The event that set each field; null if no event did and the value is the one that initialize sets."""

    protocol_fee_bps: ConfigSource | None
    resolver_reward_bps: ConfigSource | None
    liquidity_provider_fee_bps: ConfigSource | None
    proposal_approval_threshold: ConfigSource | None
    dispute_success_threshold: ConfigSource | None
    min_resolution_delay: ConfigSource | None
    dispute_period: ConfigSource | None
    is_paused: ConfigSource | None
    admin: ConfigSource | None
    backend_authority: ConfigSource | None


class Protocol(Struct, kw_only=True):
    """The program's current configuration."""

    protocol_fee_bps: int
    resolver_reward_bps: int
    liquidity_provider_fee_bps: int
    proposal_approval_threshold: Annotated[int, Meta(description="Basis points of likes that approve a proposal.")]
    dispute_success_threshold: Annotated[int, Meta(description="Basis points of agrees that uphold a dispute.")]
    min_resolution_delay: Annotated[Integer, Meta(description="Seconds; the program stores it and never enforces it.")]
    dispute_period: Annotated[Integer, Meta(description="Seconds in which a proposed outcome can be disputed.")]
    is_paused: bool
    admin: str | None
    backend_authority: str | None
    set_by: ConfigSources
    as_of: AsOf
