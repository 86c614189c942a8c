"""Publishes a day's discussions: each document under the CID that we compute, read back, and only then recorded.

The order of the steps matters. A row of ops.snapshots means that a node held exactly these bytes under exactly this
CID, so the row is written only after the CID was compared and the bytes were read back. Publishing a day twice
changes nothing: the document is the same, adding it again has no effect, and the row is keyed by the day.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zmart import errors
from zmart.db import alerts, queries

from ..resources import Connection
from .document import Comment, Document
from .errors import SNAPSHOT_ERRORS, CidMismatch, ContentChanged, PublishFailed, SnapshotError
from .services import IpfsServices

sql = queries.load("orchestration.snapshots")


class AnchoredSnapshot(NamedTuple):
    """A market's day as recorded in ops.snapshots."""

    cid: str
    previous_cid: str | None
    is_pinned: bool


@dataclass(frozen=True, kw_only=True)
class SnapshotTask:
    """A market's day that has to be published."""

    market_no: int
    document: Document
    before: AnchoredSnapshot | None

    @property
    def subject(self) -> str:
        """Return the subject of its alerts."""
        return f"{self.document.day} {self.document.market_id}"


@dataclass(frozen=True, kw_only=True)
class SnapshotResult:
    """The result of a task; `is_pinned` tells whether the pinning service has pinned it."""

    work: SnapshotTask
    error: SnapshotError | None = None
    is_pinned: bool = False

    @property
    def status(self) -> str:
        """Return the error's kind without its prefix, or "anchored"."""
        return "anchored" if self.error is None else self.error.kind.removeprefix("snapshot_")


def plan_snapshots(connection: Connection, day: datetime.date) -> list[SnapshotTask]:
    """Return a task for each market that has comments of a day. Raises Conflict unless the day is over."""
    (is_over,) = connection.execute(sql.day_is_over, {"day": day}).fetchone() or (False,)
    if not is_over:
        raise errors.Conflict(f"{day} is not over yet.", help="A day is over at midnight UTC.")
    anchored = {no: AnchoredSnapshot(*rest) for no, *rest in connection.execute(sql.anchored_snapshots, {"day": day})}
    previous: dict[int, str] = dict(connection.execute(sql.previous_snapshots, {"day": day}).fetchall())
    found = []
    for (market_no, market_id), comments in _discussions(connection, day):
        before = anchored.get(market_no)
        link = before.previous_cid if before else previous.get(market_no)
        found.append(
            SnapshotTask(market_no=market_no, document=Document(market_id, day, link, comments), before=before)
        )
    return found


def _discussions(connection: Connection, day: datetime.date) -> Iterator[tuple[tuple[int, str], list[Comment]]]:
    by_market: dict[tuple[int, str], list[Comment]] = {}
    for market_no, market_id, *rest in connection.execute(sql.discussion_on, {"day": day}):
        by_market.setdefault((market_no, market_id), []).append(Comment(*rest))
    yield from by_market.items()


def publish_day(
    connection: Connection, services: IpfsServices, day: datetime.date, *, replaces: bool = False
) -> list[SnapshotResult]:
    """Anchor a day, market by market, update the alerts about it, and return the result of each market.

    `replaces` anchors the current content of the log even if other content is anchored. After the first server error,
    the remaining markets are not tried.
    """
    outcomes: list[SnapshotResult] = []
    down: SnapshotError | None = None
    for work in plan_snapshots(connection, day):
        outcome = (
            SnapshotResult(work=work, error=down)
            if down
            else _publish_and_anchor(connection, services, work, replaces=replaces)
        )
        if outcome.error is not None and outcome.error.is_server_error:
            down = outcome.error
        outcomes.append(outcome)
        _update_alerts(connection, outcome)
    if down is None:
        alerts.resolve_alert(connection, PublishFailed.kind, str(day))
    return outcomes


def _publish_and_anchor(
    connection: Connection, services: IpfsServices, work: SnapshotTask, *, replaces: bool
) -> SnapshotResult:
    try:
        _publish(services, work, replaces=replaces)
        _store_anchor(connection, work)
        services.pin(work.document.cid, f"zmart {work.subject}")
    except SnapshotError as fault:
        return SnapshotResult(work=work, error=fault)
    if services.has_pinning_service:
        connection.execute(sql.mark_pinned, _key(work) | {"cid_v0": work.document.cid})
    return SnapshotResult(work=work, is_pinned=services.has_pinning_service)


def _publish(services: IpfsServices, work: SnapshotTask, *, replaces: bool) -> None:
    document, before = work.document, work.before
    if before is not None and before.cid != document.cid and not replaces:
        raise ContentChanged(f"{before.cid} is anchored for {work.subject}, but the log results in {document.cid}.")
    node_cid = services.publish(document.content)
    if node_cid != document.cid:
        raise CidMismatch(
            f"The IPFS node returned the CID {node_cid[:100]} for {work.subject}; the computed one is {document.cid}."
        )
    services.read_back(document.cid, document.content)


def _store_anchor(connection: Connection, work: SnapshotTask) -> None:
    document = work.document
    connection.execute(
        sql.insert_snapshot,
        _key(work)
        | {
            "cid_v0": document.cid,
            "cid_v1": document.cid_v1,
            "previous_cid": document.previous_cid,
            "comments_count": len(document.comments),
            "document_bytes": len(document.content),
        },
    )


def _key(work: SnapshotTask) -> dict[str, object]:
    return {"market_no": work.market_no, "day": work.document.day}


def _update_alerts(connection: Connection, outcome: SnapshotResult) -> None:
    """Raise the alert for an error and resolve those of errors that are over; a server error has one alert per day."""
    work, fault = outcome.work, outcome.error
    for kind in SNAPSHOT_ERRORS:
        if kind is not PublishFailed and not isinstance(fault, kind):
            alerts.resolve_alert(connection, kind.kind, work.subject)
    if fault is not None:
        subject = str(work.document.day) if fault.is_server_error else work.subject
        alerts.raise_alert(connection, fault.kind, subject, fault.severity, str(fault))


def days_missing(connection: Connection, since: datetime.date, *, has_pinning_service: bool) -> list[datetime.date]:
    """Return the finished days with a snapshot that is not anchored, or not pinned if there is a pinning service."""
    rows = connection.execute(sql.days_missing, {"from_day": since, "has_keeper": has_pinning_service})
    return [day for (day,) in rows]


def recompute(connection: Connection, cid: str) -> tuple[str, Document]:
    """Return the anchored CIDv0 of a CID of either version, and the document that the log produces for that day now.

    Raises NotFound if nothing is anchored under the CID.
    """
    row = connection.execute(sql.by_cid, {"cid": cid}).fetchone()
    if row is None:
        raise errors.NotFound(f"No snapshot is anchored as {cid[:100]!r}.", help="See: zmart snapshot list")
    market_no, market_id, day, anchored, previous = row
    comments: Sequence[Comment] = next(
        (found for (number, _), found in _discussions(connection, day) if number == market_no), ()
    )
    return anchored, Document(market_id, day, previous, comments)
