"""A day's work: what was said, published under the name we computed, read back, and only then remembered.

The order is the point. A row of ops.snapshots says that a node held exactly these bytes under exactly this name, so it
is written after the name was compared and the bytes were read back, never before. Doing a day twice changes nothing:
the document is the same, adding it again is harmless, and the row is the day's own.
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
    """What ops.snapshots says of a market's day."""

    cid: str
    previous_cid: str | None
    is_pinned: bool


@dataclass(frozen=True, kw_only=True)
class SnapshotTask:
    """A market's day that something is to be done about."""

    market_no: int
    document: Document
    before: AnchoredSnapshot | None

    @property
    def subject(self) -> str:
        """What an alert about it is about."""
        return f"{self.document.day} {self.document.market_id}"


@dataclass(frozen=True, kw_only=True)
class SnapshotResult:
    """What became of it; `is_kept` says whether a second service keeps it."""

    work: SnapshotTask
    error: SnapshotError | None = None
    is_pinned: bool = False

    @property
    def status(self) -> str:
        """One word: the fault's, or anchored."""
        return "anchored" if self.error is None else self.error.kind.removeprefix("snapshot_")


def plan_snapshots(connection: Connection, day: datetime.date) -> list[SnapshotTask]:
    """A document for each market that was talked about on a day. Conflict unless the day is over."""
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
    """Anchor a day, market by market, and keep the alerts about it true; what became of each.

    `replaces` anchors what the log says now, also where something else is anchored. A node that does not answer is not
    asked for the markets after.
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
        raise ContentChanged(f"{before.cid} is anchored for {work.subject}, and the log makes {document.cid}.")
    node_cid = services.publish(document.content)
    if node_cid != document.cid:
        raise CidMismatch(f"The IPFS node calls {work.subject} {node_cid[:100]}, which is {document.cid}.")
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
    """An alert for what is wrong, none for what is right again; a server that is down is one alert a day."""
    work, fault = outcome.work, outcome.error
    for kind in SNAPSHOT_ERRORS:
        if kind is not PublishFailed and not isinstance(fault, kind):
            alerts.resolve_alert(connection, kind.kind, work.subject)
    if fault is not None:
        subject = str(work.document.day) if fault.is_server_error else work.subject
        alerts.raise_alert(connection, fault.kind, subject, fault.severity, str(fault))


def days_missing(connection: Connection, since: datetime.date, *, has_pinning_service: bool) -> list[datetime.date]:
    """Days that are over and of which something is not anchored, or not kept."""
    rows = connection.execute(sql.days_missing, {"from_day": since, "has_keeper": has_pinning_service})
    return [day for (day,) in rows]


def recompute(connection: Connection, cid: str) -> tuple[str, Document]:
    """The anchored CIDv0 of a name in either spelling, and the document that the log makes of that day now.

    NotFound where nothing is anchored under the name, or where the log knows nothing of that day any more.
    """
    row = connection.execute(sql.by_cid, {"cid": cid}).fetchone()
    if row is None:
        raise errors.NotFound(f"No snapshot is anchored as {cid[:100]!r}.", help="See: zmart snapshot list")
    market_no, market_id, day, anchored, previous = row
    comments: Sequence[Comment] = next(
        (found for (number, _), found in _discussions(connection, day) if number == market_no), ()
    )
    return anchored, Document(market_id, day, previous, comments)
