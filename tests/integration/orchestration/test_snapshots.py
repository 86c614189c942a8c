"""Discussion snapshots: the same bytes every time, under our own CID, and nothing anchored without being read back."""

from __future__ import annotations

import dataclasses
import datetime
import json
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import fake_ipfs
import psycopg
import pytest
from fake_ipfs import FakeIpfs, ManualClock

from ingest.testing import address
from orchestration.assets import snapshots
from orchestration.resources import DatabaseResource
from orchestration.snapshots import publish
from orchestration.snapshots.document import Comment, Document
from orchestration.snapshots.publish import SnapshotResult
from orchestration.snapshots.services import PINNED_WITHIN_SECONDS, TIMEOUT_SECONDS, IpfsServices
from zmart import errors, settings, testing
from zmart.domain import cids

FRIDAY = datetime.date(2026, 1, 2)
SATURDAY = datetime.date(2026, 1, 3)
MARKET, OTHER = "a" * 64, "b" * 64
ALICE, BOB = address(1), address(2)


@pytest.fixture
def world() -> Iterator[FakeIpfs]:
    """IPFS services in this process."""
    with fake_ipfs.serve_fake_ipfs() as world:
        yield world


@pytest.fixture
def discussions(database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """Two markets; on Friday one has comments, on Saturday both, and Friday's comments are edited."""
    with database.connect() as connection:
        for table in ("comments", "comment_edits"):
            connection.execute(f"alter table app.{table} no force row level security".encode())
        connection.execute("insert into raw.wallets_seen values (1, %s), (2, %s)", (ALICE, BOB))
        connection.execute(
            "insert into raw.markets_seen values (1, %s, %s), (2, %s, %s)", (address(11), MARKET, address(12), OTHER)
        )
        insert_comment(connection, 1, 1, 1, None, 'Will it räin? \u2028 \\ "', "2026-01-02T00:00:00Z")
        insert_comment(connection, 2, 1, 2, 1, "It will not.", "2026-01-02T23:59:59.999999Z")
        insert_comment(connection, 3, 2, 2, None, "Second market.", "2026-01-03T00:00:00Z")
        insert_comment(connection, 4, 1, 2, None, "Never mind.", "2026-01-02T12:00:00Z")
        edit(connection, 2, "It may.", "2026-01-03T08:00:00Z")
        edit(connection, 2, "It will.", "2026-01-03T09:00:00Z")
        connection.execute("update app.comments set deleted_at = '2026-01-03T10:00:00Z' where comment_no = 4")
    return database


def insert_comment(
    connection: psycopg.Connection[tuple[object, ...]],
    number: int,
    market_no: int,
    wallet_no: int,
    parent: int | None,
    content: str,
    at: str,
) -> None:
    """Post a comment at an instant."""
    connection.execute(
        "insert into app.comments (comment_no, seq, market_no, wallet_no, parent_no, root_no, content, created_at) "
        "overriding system value values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (number, number, market_no, wallet_no, parent, parent, content, at),
    )


def edit(connection: psycopg.Connection[tuple[object, ...]], number: int, content: str, at: str) -> None:
    """Edit it, like app.edit_comment."""
    connection.execute(
        "insert into app.comment_edits select comment_no, %s, content from app.comments where comment_no = %s",
        (at, number),
    )
    connection.execute(
        "update app.comments set content = %s, edited_at = %s where comment_no = %s", (content, at, number)
    )


def anchor(
    place: testing.PostgresDatabase,
    world: FakeIpfs,
    day: datetime.date = FRIDAY,
    *,
    ipfs: settings.IpfsSettings | None = None,
    replaces: bool = False,
) -> list[SnapshotResult]:
    """Publish a day as the keeper's role; waits take no time."""
    chosen = ipfs or world.ipfs()
    with (
        IpfsServices(chosen, api_url=chosen.api_url or settings.Secret(""), clock=ManualClock().clock()) as services,
        place.connect("zmart_keeper") as connection,
    ):
        return publish.publish_day(connection, services, day, replaces=replaces)


def rows(place: testing.PostgresDatabase) -> list[tuple[object, ...]]:
    """Return the anchored snapshots."""
    with place.connect() as connection:
        return connection.execute(
            "select market_no, day, cid_v0, cid_v1, previous_cid, comments_count, pinned_at is not null "
            "from ops.snapshots order by day, market_no"
        ).fetchall()


def open_alerts(place: testing.PostgresDatabase) -> set[tuple[object, ...]]:
    """Return kind and subject of each open alert."""
    with place.connect() as connection:
        return set(connection.execute("select kind, subject from ops.alerts where resolved_at is null").fetchall())


# --- the document -----------------------------------------------------------------------------


def test_the_document_is_written_in_one_way() -> None:
    """Names in order, no blanks between them, instants in UTC, comments by number; no time of publication."""
    moment = datetime.datetime(2026, 1, 2, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    comments = [Comment(2, 1, BOB, None, moment, None, moment), Comment(1, None, ALICE, 'ä "', moment, moment, None)]
    document = Document(MARKET, FRIDAY, "Qm", comments)

    assert (
        document.content
        == (
            '{"discussions":['
            '{"content":"ä \\"","created_at":"2026-01-02T00:00:00.000000Z","deleted_at":null,'
            '"edited_at":"2026-01-02T00:00:00.000000Z","id":"1","parent_id":null,"user_wallet":"' + ALICE + '"},'
            '{"content":null,"created_at":"2026-01-02T00:00:00.000000Z","deleted_at":"2026-01-02T00:00:00.000000Z",'
            '"edited_at":null,"id":"2","parent_id":"1","user_wallet":"' + BOB + '"}'
            '],"discussions_count":2,"market_id":"' + MARKET + '","previous_cid":"Qm","snapshot_date":"2026-01-02",'
            '"snapshot_version":"2.0"}'
        ).encode()
    )
    assert Document(MARKET, FRIDAY, "Qm", comments[::-1]).cid == document.cid


def test_snapshot_shows_a_day_as_it_ended(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """A comment that is edited or deleted later is in the snapshot of its day, and changed in that of the later day."""
    friday = anchor(discussions, world)
    saturday = anchor(discussions, world, SATURDAY)

    contents = [
        [(one["id"], one["content"]) for one in json.loads(each.work.document.content)["discussions"]]
        for each in friday + saturday
    ]
    assert contents == [
        [("1", 'Will it räin? \u2028 \\ "'), ("2", "It will not."), ("4", "Never mind.")],
        [("2", "It will."), ("4", None)],
        [("3", "Second market.")],
    ]


# --- a day ----------------------------------------------------------------------------------------


def test_a_day_is_published_read_back_and_anchored_with_the_one_before(
    discussions: testing.PostgresDatabase, world: FakeIpfs
) -> None:
    """Both versions of the CID; the first snapshot has no previous one."""
    (friday,) = anchor(discussions, world)
    saturday = anchor(discussions, world, SATURDAY)

    cid = friday.work.document.cid
    others = [each.work.document.cid for each in saturday]
    assert rows(discussions) == [
        (1, FRIDAY, cid, cids.to_v1(cid), None, 3, False),
        (1, SATURDAY, others[0], cids.to_v1(others[0]), cid, 2, False),
        (2, SATURDAY, others[1], cids.to_v1(others[1]), None, 1, False),
    ]
    assert world.files[cid] == friday.work.document.content
    assert world.calls[:2] == ["POST /api/v0/add", "GET /ipfs"]
    assert open_alerts(discussions) == set()


def test_a_second_time_changes_nothing(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """Also after later days were anchored: the link is the one at the time of anchoring."""
    anchor(discussions, world, SATURDAY)
    before = rows(discussions)
    anchor(discussions, world, FRIDAY)
    anchor(discussions, world, SATURDAY)

    assert [row for row in rows(discussions) if row[1] == SATURDAY] == before


def test_without_a_gateway_the_node_is_read(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """The document is read back in any case."""
    anchor(discussions, world, ipfs=world.ipfs(gateway=False))

    assert world.calls == ["POST /api/v0/add", "POST /api/v0/cat"]
    assert len(rows(discussions)) == 1


def test_a_long_day_takes_several_blocks(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """Documents above 262,144 bytes are a tree, with a CID and read back like the rest."""
    with discussions.connect() as connection:
        for number in range(100, 500):
            insert_comment(connection, number, 1, 1, None, "x" * 1000, "2026-01-02T11:00:00Z")

    (outcome,) = anchor(discussions, world)

    assert outcome.status == "anchored"
    assert len(outcome.work.document.content) > cids.CHUNK_BYTES


def test_today_is_refused(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """Comments may still be written."""
    today = datetime.datetime.now(datetime.UTC).date()

    with pytest.raises(errors.Conflict, match="not over yet"):
        anchor(discussions, world, today)


def test_who_is_writing_is_waited_for(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """A comment dated into the day may not be committed yet; a day is read after that."""
    with discussions.connect() as writer, writer.transaction():
        writer.execute("select raw.take_writer()")
        with discussions.connect("zmart_keeper") as connection:
            connection.execute("set statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                publish.plan_snapshots(connection, FRIDAY)

    assert len(anchor(discussions, world)) == 1


# --- faults ---------------------------------------------------------------------------------------


def test_another_name_is_not_anchored(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """The alert is critical, and is resolved when the CIDs are equal."""
    world.renames = True
    (outcome,) = anchor(discussions, world)

    assert outcome.status == "misnamed"
    assert rows(discussions) == []
    assert open_alerts(discussions) == {("snapshot_misnamed", f"2026-01-02 {MARKET}")}
    assert world.count("GET /ipfs") == 0

    world.renames = False
    anchor(discussions, world)
    assert len(rows(discussions)) == 1
    assert open_alerts(discussions) == set()


def test_other_bytes_are_not_anchored(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """A gateway that serves other bytes is no proof."""
    world.corrupts = True
    (outcome,) = anchor(discussions, world)

    assert outcome.status == "unreadable"
    assert rows(discussions) == []
    assert open_alerts(discussions) == {("snapshot_unreadable", f"2026-01-02 {MARKET}")}


def test_a_gateway_is_given_time(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """A new document is found after a while; one that is never found is not anchored."""
    world.failing["/ipfs"] = [504, 500, 504]
    (patient,) = anchor(discussions, world)
    world.failing["/ipfs"] = [504] * 4
    (lost, *_) = anchor(discussions, world, SATURDAY)

    assert (patient.status, lost.status) == ("anchored", "unreadable")
    assert [row[:2] for row in rows(discussions)] == [(1, FRIDAY), (2, SATURDAY)]


def test_a_node_that_fails_is_not_asked_again_that_day(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """One alert for the day, not one per market; resolved by the next run that works."""
    world.failing["/api/v0/add"] = [500]
    outcomes = anchor(discussions, world, SATURDAY)

    assert [each.status for each in outcomes] == ["unpublished", "unpublished"]
    assert world.count("POST /api/v0/add") == 1
    assert rows(discussions) == []
    assert open_alerts(discussions) == {("snapshot_unpublished", "2026-01-03")}
    anchor(discussions, world, SATURDAY)
    assert open_alerts(discussions) == set()


def test_a_node_that_is_not_there_is_named_without_its_address(
    discussions: testing.PostgresDatabase, world: FakeIpfs
) -> None:
    """An address may contain a password."""
    nowhere = settings.IpfsSettings(
        snapshot_cron="",
        api_url=settings.Secret("http://me:hunter2@127.0.0.1:1"),
        gateway_url=None,
        pinning_url=None,
        pinning_token=None,
    )
    (outcome,) = anchor(discussions, world, ipfs=nowhere)

    assert outcome.status == "unpublished"
    assert "hunter2" not in str(outcome.error)
    assert outcome.error is not None
    assert outcome.error.__cause__ is None


def test_a_node_that_hangs_is_left(
    discussions: testing.PostgresDatabase, world: FakeIpfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request has a time limit."""
    assert TIMEOUT_SECONDS <= 60
    monkeypatch.setattr("orchestration.snapshots.services.TIMEOUT_SECONDS", 0.05)
    with fake_ipfs.silent() as url:
        hanging = dataclasses.replace(world.ipfs(), api_url=settings.Secret(url))
        (outcome,) = anchor(discussions, world, ipfs=hanging)

    assert outcome.status == "unpublished"
    assert "does not answer" in str(outcome.error)


def test_what_is_anchored_is_not_written_over(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """A log that differs needs an operator, who may choose the log."""
    (before,) = anchor(discussions, world)
    with discussions.connect() as connection:
        connection.execute("update app.comments set content = 'I never said that.' where comment_no = 1")

    (changed,) = anchor(discussions, world)
    assert changed.status == "changed"
    assert rows(discussions)[0][2] == before.work.document.cid
    assert open_alerts(discussions) == {("snapshot_changed", f"2026-01-02 {MARKET}")}

    (replaced,) = anchor(discussions, world, replaces=True)
    assert rows(discussions)[0][2] == replaced.work.document.cid != before.work.document.cid
    assert open_alerts(discussions) == set()


# --- the pinning service --------------------------------------------------------------------------


def test_the_second_service_is_asked_until_it_keeps_it(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """By CID, once: a second run finds the request of the first."""
    (outcome,) = anchor(discussions, world, ipfs=world.ipfs(pins=True))
    again = anchor(discussions, world, ipfs=world.ipfs(pins=True))

    assert outcome.is_pinned
    assert again[0].is_pinned
    assert rows(discussions)[0][-1] is True
    assert world.count("POST /pins") == 1
    assert [pin["pin"]["cid"] for pin in world.pins.values()] == [outcome.work.document.cid]


@pytest.mark.parametrize(
    ("fate", "message"),
    [(["queued", "failed"], "stopped pinning"), (["pinning"], f"within {PINNED_WITHIN_SECONDS:g} s")],
)
def test_pin_that_fails_or_never_ends_raises_an_alert(
    discussions: testing.PostgresDatabase, world: FakeIpfs, fate: list[str], message: str
) -> None:
    """It is anchored nevertheless, because it is published; the row shows that it is not pinned."""
    world.fate = fate
    (outcome,) = anchor(discussions, world, ipfs=world.ipfs(pins=True))

    assert outcome.status == "unpinned"
    assert message in str(outcome.error)
    assert rows(discussions)[0][-1] is False
    assert open_alerts(discussions) == {("snapshot_unpinned", f"2026-01-02 {MARKET}")}

    world.fate = ["pinned"]
    anchor(discussions, world, ipfs=world.ipfs(pins=True))
    assert rows(discussions)[0][-1] is True
    assert open_alerts(discussions) == set()


def test_pinning_service_that_fails_raises_an_alert(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """Neither its response nor our message shows the token."""
    world.failing["/pins"] = [500]
    (outcome,) = anchor(discussions, world, ipfs=world.ipfs(pins=True))

    assert outcome.status == "unpinned"
    assert fake_ipfs.TOKEN not in str(outcome.error)
    assert len(rows(discussions)) == 1


# --- days -------------------------------------------------------------------------------------


def test_what_is_missing_is_known(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """Days with something to anchor, until it is anchored; with a pinning service, until it is pinned."""

    def missing(*, has_keeper: bool = False) -> list[datetime.date]:
        with discussions.connect("zmart_keeper") as connection:
            return publish.days_missing(connection, datetime.date(2025, 12, 1), has_pinning_service=has_keeper)

    assert missing() == [FRIDAY, SATURDAY]
    anchor(discussions, world)
    assert missing() == [SATURDAY]
    assert missing(has_keeper=True) == [FRIDAY, SATURDAY]


@pytest.fixture
def configured(
    discussions: testing.PostgresDatabase, world: FakeIpfs, monkeypatch: pytest.MonkeyPatch
) -> DatabaseResource:
    """The asset's settings."""
    monkeypatch.setenv("IPFS_API_URL", world.url)
    return DatabaseResource(dsn_of=discussions.dsn)


def test_a_day_is_materialized(
    configured: DatabaseResource, world: FakeIpfs, discussions: testing.PostgresDatabase
) -> None:
    """The run shows each market's CID, and fails if one failed."""

    def materialize() -> dg.ExecuteInProcessResult:
        return dg.materialize(
            snapshots.assets(),
            partition_key="2026-01-02",
            resources={"database": configured},
            raise_on_error=False,
        )

    done = materialize()
    (event,) = done.get_asset_materialization_events()
    shown = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (shown["markets"], shown["comments"]) == (1, 3)
    assert str(rows(discussions)[0][2]) in str(shown["snapshots"])

    world.renames = True
    assert not materialize().success


def test_the_schedule_makes_up_for_what_is_missing(
    configured: DatabaseResource,
    world: FakeIpfs,
    discussions: testing.PostgresDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One run for each incomplete day; none without a node."""
    monkeypatch.setattr(snapshots, "LOOKS_BACK_DAYS", 100_000)
    (schedule,) = snapshots.schedules()

    def requested() -> list[str | None]:
        context = dg.build_schedule_context(scheduled_execution_time=datetime.datetime.now(datetime.UTC))
        requests = schedule(context, database=configured)
        assert isinstance(requests, list)
        return [each.partition_key for each in requests]

    assert requested() == ["2026-01-02", "2026-01-03"]
    anchor(discussions, world)
    assert requested() == ["2026-01-03"]
    monkeypatch.delenv("IPFS_API_URL")
    assert isinstance(schedule(dg.build_schedule_context(), database=configured), dg.SkipReason)


# --- the command ----------------------------------------------------------------------------------


def test_a_name_is_verified_against_the_log(discussions: testing.PostgresDatabase, world: FakeIpfs) -> None:
    """In either version; status 1 if the log differs, 2 if nothing is anchored."""
    (outcome,) = anchor(discussions, world)
    cid = outcome.work.document.cid

    def verify(name: str, *flags: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestration.snapshots", "verify", name, *flags],
            env={"PATH": "", settings.RUN_VARIABLE: "test", "DATABASE_URL_KEEPER": discussions.dsn("zmart_keeper")},
            capture_output=True,
            text=True,
            check=False,
        )

    assert verify(cid).stdout.startswith(f"equal: 2026-01-02 of market {MARKET}, 3 comments")
    shown = verify(cids.to_v1(cid), "--show")
    assert shown.stdout.removesuffix("\n").encode() == outcome.work.document.content
    assert verify("Qm" + "1" * 44).returncode == 2

    with discussions.connect() as connection:
        connection.execute("update app.comments set content = 'I never said that.' where comment_no = 1")
    differs = verify(cid)
    assert differs.returncode == 1
    assert "differs" in differs.stderr
