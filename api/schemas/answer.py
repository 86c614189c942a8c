"""Defines the parts that all responses share: units, the position they are valid at, and problems."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType

State = Literal["PROPOSED", "APPROVED", "ACTIVE", "RESOLVING", "DISPUTED", "FINALIZED", "CANCELLED"]
Outcome = Literal["YES", "NO", "INVALID"]
Side = Literal["YES", "NO"]
Category = Literal["politics", "sports", "crypto", "science", "entertainment", "other"]
Commitment = Literal["confirmed", "finalized"]
BallotKind = Literal["proposal", "dispute"]
ActivityType = Literal["trade", "creation", "resolution", "dispute", "vote", "approval", "payout", "protocol"]
Interval = Literal["1m", "5m", "1h", "1d"]
Instant = datetime.datetime

Exact = Annotated[str, Meta(pattern="^-?[0-9]+$", description="The integer beside it, exactly.")]
Integer = Annotated[str, Meta(pattern="^-?[0-9]+$", description="An integer as text, because it may exceed 2**53.")]
Position = Annotated[str, Meta(description="Opaque; send it unchanged as `since`. Compare order by epoch and seq.")]
Price = Annotated[float, Meta(description="0 to 1.")]


class AsOf(Struct, kw_only=True):
    """The position of a response: its rows reflect this log up to this entry."""

    epoch: Annotated[str, Meta(description="Id of this history of the log; a restore starts a new one.")]
    seq: Annotated[int, Meta(description="The newest log entry that the rows reflect.")]
    position: Position
    slot: Annotated[int | None, Meta(description="The newest slot with an event; null before the first.")]
    commitment: Commitment


class FieldProblem(Struct, kw_only=True):
    """The problem with one parameter."""

    field: str
    message: str


class Problem(Struct, kw_only=True):
    """RFC 9457 problem details, with the members that older clients read."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: Annotated[str, Meta(description="Stable; compare this in programs.")]
    error: str
    message: str
    timestamp: str
    path: str
    details: list[FieldProblem] | UnsetType = msgspec.UNSET
    success: Annotated[
        bool | UnsetType,
        Meta(description="false, on paths of the earlier vote aggregator, with a sentence in error."),
    ] = msgspec.UNSET
