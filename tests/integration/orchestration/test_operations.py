"""Dagster against a real log: faults are shown, reported once, and repaired by a materialization."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest

from devchain import history
from ingest.decode.decoder import Decoder
from ingest.store.writer import Writer
from orchestration import alert_webhook, checks, schedules, sensors
from orchestration.definitions import define
from orchestration.resources import DatabaseResource
from zmart import errors, settings, testing

#: More than 40 s in all: each run starts a process of Dagster.
pytestmark = pytest.mark.drill

LIFECYCLE = Path(__file__).parents[2] / "recordings" / "lifecycle.json"
Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture(scope="module", autouse=True)
def scratch() -> Iterator[Path]:
    """A state directory for dbt's files; the models are parsed into it once."""
    with testing.state_dir() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZMART_STATE_DIR", str(folder))
        yield folder


@pytest.fixture
async def story(marts_database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """One market from configuration to withdrawal, ingested as it was delivered."""
    decoded = Decoder(settings.DEFAULT_PROGRAM_ID).decode_body(LIFECYCLE.read_bytes())
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    await writer.append(decoded.transactions, source="webhook")
    await writer.close()
    return marts_database


@pytest.fixture
async def played(marts_database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """A chain whose prices are the program's own, as the data tests require."""
    items = [msgspec.json.encode(item) for item in history.play(5, 400)]
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    await writer.append(Decoder(history.PROGRAM_ID).decode_items(items).transactions, source="webhook")
    await writer.close()
    return marts_database


@pytest.fixture
def database(marts_database: testing.PostgresDatabase) -> DatabaseResource:
    """The resources of assets, checks and sensors."""
    return DatabaseResource(dsn_of=marts_database.dsn)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def run(database: DatabaseResource, instance: dg.DagsterInstance) -> Run:
    """Run a job of the definitions in this process; `assets` restricts its selection."""
    definitions = define(database)

    def run(job: str, *assets: str, succeeds: bool = True) -> dg.ExecuteInProcessResult:
        chosen = [dg.AssetKey(each.split("/")) for each in assets] or None
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance, asset_selection=chosen, raise_on_error=False
        )
        assert result.success is succeeds
        return result

    return run


def evaluations(result: dg.ExecuteInProcessResult, name: str) -> dict[str, dg.AssetCheckEvaluation]:
    """Return a check's result for each asset."""
    return {each.asset_key.path[-1]: each for each in result.get_asset_check_evaluations() if each.check_name == name}


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """The metadata of each asset that was materialized."""
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def open_alerts(place: testing.PostgresDatabase) -> dict[tuple[str, str], int]:
    """Return the number of occurrences of each open alert."""
    with place.connect() as connection:
        rows = connection.execute("select kind, subject, occurrences from ops.alerts where resolved_at is null")
        return {(str(kind), str(subject)): int(str(times)) for kind, subject, times in rows}


def execute(place: testing.PostgresDatabase, statement: str) -> None:
    """Change rows without a log entry, as the owner."""
    with place.connect() as connection:
        connection.execute(statement)


def break_trades(place: testing.PostgresDatabase) -> None:
    """Leave a mart as a model that fails on an event does."""
    execute(place, "update raw.events set payload = payload || '{\"shares\": \"many\"}' where name = 'SharesBought'")
    execute(place, "select folds.mark_stale('priced_trades', 3, 4, 'invalid input syntax for type numeric')")


# --- live equals rebuilt ----------------------------------------------------------------------


def test_a_healthy_log_passes_and_a_rebuild_changes_nothing(story: testing.PostgresDatabase, run: Run) -> None:
    """Every folded mart equals its replay, and a materialization reports no row."""
    result = run("reconciliation")
    rebuilt = materialized(run("rebuild_marts"))

    assert all(each.passed for each in evaluations(result, checks.REPLAY).values())
    assert all(each.passed for each in evaluations(result, checks.FOLLOWS).values())
    assert {name: metadata["rows that differed"] for name, metadata in rebuilt.items()} == dict.fromkeys(rebuilt, 0)
    assert rebuilt["markets"]["dagster/row_count"] == 2
    assert open_alerts(story) == {}


def test_differing_mart_is_shown_alerted_and_rebuilt(story: testing.PostgresDatabase, run: Run) -> None:
    """The check shows key, column and both values; the alert counts; a rebuild of that mart alone corrects it."""
    execute(story, "update marts.markets set creator_wallet = 'nobody' where market_no = 1")
    execute(story, "delete from marts.positions")

    for _ in range(2):
        found = evaluations(run("reconciliation"), checks.REPLAY)
    shown = str(found["markets"].metadata["difference"].value)

    assert {name for name, each in found.items() if not each.passed} == {"markets", "positions"}
    assert found["markets"].metadata["differing rows"].value == 1
    assert "| 1 | creator_wallet | nobody | " in shown
    assert "| no row | a row |" in str(found["positions"].metadata["difference"].value)
    assert open_alerts(story) == {("mart_differs", "markets"): 2, ("mart_differs", "positions"): 2}

    rebuilt = materialized(run("rebuild_marts", "marts/markets"))
    assert rebuilt.keys() == {"markets"}
    assert rebuilt["markets"]["rows that differed"] == 1
    run("rebuild_marts", "marts/positions")
    assert all(each.passed for each in evaluations(run("reconciliation"), checks.REPLAY).values())
    assert open_alerts(story) == {}


def test_a_broken_model_fails_its_checks_and_leaves_the_others_alone(story: testing.PostgresDatabase, run: Run) -> None:
    """It shows the place and the reason; a rebuild that cannot succeed fails for it alone, after the others."""
    break_trades(story)

    result = run("reconciliation")
    follows, replays = evaluations(result, checks.FOLLOWS), evaluations(result, checks.REPLAY)
    assert {name for name, each in follows.items() if not each.passed} == {"priced_trades"}
    assert "invalid input syntax" in str(follows["priced_trades"].description)
    assert follows["priced_trades"].metadata["reflects seq"].value == 3
    assert "cannot be folded" in str(replays["priced_trades"].description)

    rebuilt = materialized(run("rebuild_marts", "marts/priced_trades", "marts/ballots", succeeds=False))
    assert rebuilt.keys() == {"ballots"}


def test_undeployed_model_is_reported(story: testing.PostgresDatabase, run: Run) -> None:
    """A checkout that is newer than the database is distinguished from a mart that is wrong."""
    execute(story, "delete from ops.models where name = 'priced_trades'")

    result = run("reconciliation")

    for name in (checks.REPLAY, checks.FOLLOWS):
        found = evaluations(result, name)
        assert {each.description for each in found.values() if not each.passed} == {checks.NOT_DEPLOYED}
        assert not found["priced_trades"].passed


# --- the log ----------------------------------------------------------------------------------


def test_an_empty_log_claims_nothing(marts_database: testing.PostgresDatabase, run: Run) -> None:
    """Neither fresh nor complete: there is no evidence."""
    found = {each.check_name: each for each in run("reconciliation").get_asset_check_evaluations()}

    assert not found["is_fresh"].passed
    assert found["is_fresh"].description == "The log is empty."
    assert not found["coverage_is_proven"].passed
    assert "Nothing is proven yet" in str(found["coverage_is_proven"].description)
    assert found["none_is_open"].passed


def test_silence_is_fine_only_when_it_is_proven(story: testing.PostgresDatabase, run: Run) -> None:
    """Recent events are fresh; old ones are not, unless a walk has run since."""

    def fresh() -> bool:
        (found,) = [
            each for each in run("reconciliation").get_asset_check_evaluations() if each.check_name == "is_fresh"
        ]
        return found.passed

    assert fresh()
    execute(story, "update raw.feed set at = at - interval '1 hour'")
    assert not fresh()
    execute(story, "insert into raw.coverage values ('walk', 1, 500000000, 0, '')")
    assert fresh()


def test_coverage_names_its_gaps(story: testing.PostgresDatabase, run: Run) -> None:
    """Adjacent ranges are one; the slots between others are missing, also behind a range that contains them."""
    execute(
        story,
        "insert into raw.coverage values ('walk', 1, 100, 3, ''), ('walk', 10, 20, 1, ''), ('walk', 101, 200, 2, ''), "
        "('walk', 251, 300, 2, '')",
    )

    (found,) = [
        each for each in run("reconciliation").get_asset_check_evaluations() if each.check_name == "coverage_is_proven"
    ]

    assert not found.passed
    assert found.metadata["gaps"].value == {"walk": ["201-250"]}


def test_observing_the_log_reports_size_and_newest_entry(story: testing.PostgresDatabase, run: Run) -> None:
    """Each table of the log reports its own figures; nothing is changed."""
    result = run("observe_log")
    observed = {
        str(event.asset_key and event.asset_key.path[-1]): event.asset_observation_data.asset_observation.metadata
        for event in result.get_asset_observation_events()
    }

    assert observed.keys() == {"feed", "events", "transactions", "dead_letters"}
    assert int(str(observed["feed"]["last seq"].value)) > 10
    assert {"newest event", "slot"} <= observed["events"].keys()
    assert observed["dead_letters"]["open"].value == 0


# --- sensors ------------------------------------------------------------------------------------


def test_a_stale_mart_has_one_open_alert(story: testing.PostgresDatabase, database: DatabaseResource) -> None:
    """The fold raises it, the sensor does not repeat it, and opens it again when it was closed too early."""
    break_trades(story)
    for _ in range(3):
        sensors.stale_models(dg.build_sensor_context(), database=database)
    assert open_alerts(story) == {("mart_stale", "priced_trades"): 1}

    execute(story, "update ops.alerts set resolved_at = now()")
    sensors.stale_models(dg.build_sensor_context(), database=database)
    assert open_alerts(story) == {("mart_stale", "priced_trades"): 1}


def test_dead_letters_are_reported_when_they_grow(story: testing.PostgresDatabase, database: DatabaseResource) -> None:
    """A reason is reported when it is new and when it grows, not in between, and closed when none is left."""
    insert_dead_letter = (
        "insert into raw.dead_letters (signature, reason_code, reason, source, digest) "
        "values ('{}', 'undecodable_event', 'No event begins with these bytes.', 'webhook', '{}')"
    )
    cursor: str | None = None

    def tick() -> dict[tuple[str, str], int]:
        nonlocal cursor
        result = sensors.dead_letter_growth(dg.build_sensor_context(cursor=cursor), database=database)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        return open_alerts(story)

    assert tick() == {}
    execute(story, insert_dead_letter.format("a", "1"))
    assert tick() == tick() == {("dead_letters", "undecodable_event"): 1}
    execute(story, insert_dead_letter.format("b", "2"))
    assert tick() == {("dead_letters", "undecodable_event"): 2}
    execute(story, "update raw.dead_letters set resolved_at = now()")
    assert tick() == {}


def test_failed_run_raises_an_alert_and_the_next_success_closes_it(
    story: testing.PostgresDatabase, database: DatabaseResource, instance: dg.DagsterInstance, run: Run
) -> None:
    """One alert for each selected asset, with the run's id; the next success of that asset closes it, no other."""
    break_trades(story)
    failed = run("rebuild_marts", "marts/priced_trades", succeeds=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failed",
        dagster_instance=instance,
        dagster_run=failed.dagster_run,
        dagster_event=failed.get_run_failure_event(),
    ).for_run_failure()
    for _ in range(2):
        sensors.run_failed(context, database=database)

    failures = {subject: times for (kind, subject), times in open_alerts(story).items() if kind == "run_failed"}
    assert failures == {"marts/priced_trades": 2}
    with story.connect() as connection:
        row = connection.execute("select message from ops.alerts where kind = 'run_failed'").fetchone()
    assert row is not None
    assert failed.dagster_run.run_id in str(row[0])

    recover(database, instance, run("rebuild_marts", "marts/ballots"))
    recover(database, instance, run("__ASSET_JOB", "docs/models"))
    assert ("run_failed", "marts/priced_trades") in open_alerts(story)
    execute(story, "update raw.events set payload = payload || '{\"shares\": 5}' where name = 'SharesBought'")
    recover(database, instance, run("__ASSET_JOB", "marts/priced_trades"))
    assert ("run_failed", "marts/priced_trades") not in open_alerts(story)


def recover(database: DatabaseResource, instance: dg.DagsterInstance, worked: dg.ExecuteInProcessResult) -> None:
    """One tick of the sensor after a run that succeeded."""
    context = dg.build_run_status_sensor_context(
        sensor_name="run_recovered",
        dagster_instance=instance,
        dagster_run=worked.dagster_run,
        dagster_event=worked.get_run_success_event(),
    )
    sensors.run_recovered(context, database=database)


async def test_marts_are_refreshed_while_anything_happens(
    story: testing.PostgresDatabase, database: DatabaseResource
) -> None:
    """A run is started for new events, and not again until there are more; finality alone changes no row."""

    def tick() -> object:
        return schedules.refresh_marts_every_5m(dg.build_schedule_context(), database=database)

    with story.connect() as owner:
        before = tick()
        owner.execute("select folds.refresh(name) from ops.scheduled_models")
        after = tick()
        owner.execute(
            "update raw.feed set kind = 'finalized_through', ref = 9 where seq = (select max(seq) from raw.feed)"
        )
        owner.execute("update ops.scheduled_models set applied_seq = applied_seq - 1")
        final = tick()
        owner.execute("update ops.scheduled_models set applied_seq = applied_seq - 1")
        later = tick()

    assert isinstance(before, dg.RunRequest)
    assert isinstance(after, dg.SkipReason)
    assert isinstance(final, dg.SkipReason)
    assert isinstance(later, dg.RunRequest)


def test_deployed_marts_count_as_materialized(
    story: testing.PostgresDatabase, database: DatabaseResource, instance: dg.DagsterInstance
) -> None:
    """Each of them once, so that what stands on them does not warn; a mart that is not deployed is not reported."""
    folded = dg.AssetKey(["marts", "markets"])
    for _ in range(2):
        sensors.deployed_marts(dg.build_sensor_context(instance=instance), database=database)

    assert {key.path[-1] for key in instance.get_asset_keys()} >= {
        "markets",
        "ballots",
        "protocol_config",
        "leaderboard",
    }
    assert len(instance.fetch_materializations(folded, limit=10).records) == 1
    assert not instance.get_asset_records([dg.AssetKey(["marts", "not_there"])])


def test_a_run_without_its_worker_is_reported(instance: dg.DagsterInstance) -> None:
    """Runs are children of the code server: one that started before it has ended, one that starts now has not."""

    @dg.job
    def anything() -> None:
        pass

    old, new = (instance.create_run_for_job(anything, status=dg.DagsterRunStatus.NOT_STARTED) for _ in range(2))
    instance.report_dagster_event(_started(old), old.run_id, timestamp=1.0)
    instance.report_dagster_event(_started(new), new.run_id)

    sensors.orphaned_runs(dg.build_sensor_context(instance=instance))

    assert instance.get_run_by_id(old.run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
    assert instance.get_run_by_id(new.run_id).status is dg.DagsterRunStatus.STARTED  # type: ignore[union-attr]


def _started(run: dg.DagsterRun) -> dg.DagsterEvent:
    return dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)


class _Chat(BaseHTTPRequestHandler):
    refuses_after = 9
    #: A text to which it answers 400, at any place in a message.
    refuses = "nothing"
    taken: list[str]

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        status = 400 if self.refuses in text else 200 if len(self.taken) < self.refuses_after else 503
        if status == 200:
            self.taken.append(text)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Chat]]:
    """A webhook that stores the accepted messages."""
    handler = type("Chat", (_Chat,), {"taken": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    monkeypatch.setenv("ALERT_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
    yield handler
    server.shutdown()
    server.server_close()


def test_every_alert_is_posted_once(
    story: testing.PostgresDatabase, database: DatabaseResource, chat: type[_Chat]
) -> None:
    """Alerts of every source; a webhook that rejects one gets it at the next tick."""
    break_trades(story)
    chat.refuses_after = 0
    with pytest.raises(errors.Unavailable, match="rejected alert"):
        deliver(database)
    chat.refuses_after = 1
    execute(story, "select ops.raise_alert('silence', 'webhook', 'warning', 'No delivery for a minute.')")
    with pytest.raises(errors.Unavailable, match="rejected alert"):
        deliver(database)
    assert len(chat.taken) == 1
    chat.refuses_after = 9
    for _ in range(2):
        deliver(database)

    assert len(chat.taken) == 2
    # Alerts that were never rejected go first.
    assert chat.taken[0].startswith("⚠️ *ZMART silence* (webhook): No delivery for a minute.\n")
    assert chat.taken[1].startswith("🔴 *ZMART mart_stale* (priced_trades): The mart priced_trades stopped")


def test_refused_alerts_keep_nothing_back(
    story: testing.PostgresDatabase, database: DatabaseResource, chat: type[_Chat], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later alerts are posted though more are rejected than fit a tick; those are counted, reported and retried."""
    monkeypatch.setattr(alert_webhook, "SLOW_AFTER_REFUSALS", 4)
    chat.refuses, chat.refuses_after = "Unfit.", 99
    refused = "select ops.raise_alert('unfit', 'n' || n, 'critical', 'Unfit.') from generate_series(1, 25) as n"
    execute(story, refused)
    execute(story, "select ops.raise_alert('silence', 'webhook', 'warning', 'No delivery for a minute.')")

    def tick() -> None:
        with pytest.raises(errors.Unavailable, match="400 Bad Request"):
            deliver(database)

    for _ in range(2):
        tick()
    assert chat.taken == ["⚠️ *ZMART silence* (webhook): No delivery for a minute.\ndocs/runbook.md#silence"]
    for _ in range(3):
        tick()
    (about,) = chat.taken[1:]
    assert about.startswith("⚠️ *ZMART alert_refused*: ALERT_WEBHOOK_URL has rejected ")
    assert "(unfit), 3 times in a row: The alert webhook rejected alert" in about
    # After 125 attempts, of which each tick makes 20, all 25 have been rejected often and wait; others are posted.
    tick()
    deliver(database)
    execute(story, "select ops.raise_alert('later', '', 'info', 'Later.')")
    deliver(database)
    assert chat.taken[2:] == ["ℹ️ *ZMART later*: Later.\ndocs/runbook.md#later"]
    assert open_alerts(story)["alert_refused", ""] >= 1

    chat.refuses = "nothing"
    execute(story, "update ops.alerts set refused_at = refused_at - interval '11 minutes'")
    for _ in range(2):
        deliver(database)
    assert sum("*ZMART unfit*" in text for text in chat.taken) == 25
    deliver(database)
    assert ("alert_refused", "") not in open_alerts(story)
    assert chat.taken[-1] == "✅ *ZMART alert_refused* is resolved."


def test_a_slow_chat_does_not_hold_up_the_tick(
    story: testing.PostgresDatabase, database: DatabaseResource, chat: type[_Chat], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster ends a tick after a minute: the rest waits for the next one."""
    monkeypatch.setattr(alert_webhook, "DELIVERY_SECONDS", -1.0)
    execute(story, "select ops.raise_alert('fire', '', 'critical', 'Fire.')")

    deliver(database)

    assert chat.taken == []


def test_resolved_alert_is_posted_once(
    story: testing.PostgresDatabase, database: DatabaseResource, chat: type[_Chat]
) -> None:
    """Of posted alerts; a fault that began and ended between two ticks is not posted."""
    execute(story, "select ops.raise_alert('silence', 'webhook', 'warning', 'No delivery for a minute.')")
    deliver(database)
    execute(story, "select ops.raise_alert('blink', '', 'critical', 'Gone already.')")
    execute(story, "select ops.resolve_alert('blink', ''), ops.resolve_alert('silence', 'webhook')")
    for _ in range(2):
        deliver(database)

    assert chat.taken[1:] == ["✅ *ZMART silence* (webhook) is resolved."]


def test_a_critical_alert_is_repeated_until_it_is_acknowledged(
    story: testing.PostgresDatabase, database: DatabaseResource, chat: type[_Chat]
) -> None:
    """Once a day; a warning is not, and neither is an acknowledged alert."""
    execute(
        story, "select ops.raise_alert('fire', '', 'critical', 'Fire.'), ops.raise_alert('dust', '', 'info', 'Dust.')"
    )

    def a_day_later() -> list[str]:
        del chat.taken[:]
        deliver(database)
        execute(story, "update ops.alerts set posted_at = posted_at - interval '25 hours'")
        return [text.split("*")[1] for text in chat.taken]

    assert [a_day_later() for _ in range(2)] == [["ZMART fire", "ZMART dust"], ["ZMART fire"]]
    execute(story, "select ops.acknowledge_alert(alert_no, 'me') from ops.alerts")
    assert a_day_later() == []


def deliver(database: DatabaseResource) -> None:
    """One tick of the sensor."""
    assert isinstance(sensors.alert_delivery(dg.build_sensor_context(), database=database), dg.SkipReason)


def test_without_an_address_alerts_wait(
    story: testing.PostgresDatabase, database: DatabaseResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost: they are posted once the address is set."""
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "")

    result = sensors.alert_delivery(dg.build_sensor_context(), database=database)

    assert isinstance(result, dg.SkipReason)


# --- dbt in this process ----------------------------------------------------------------------


def test_dbt_builds_tests_and_documents_everything(played: testing.PostgresDatabase, run: Run) -> None:
    """One job installs and tests every model; unchanged folds are not touched; tests are checks; the page is a file."""
    built = run("dbt_build")
    results = materialized(built)
    tested = [each for each in built.get_asset_check_evaluations() if each.check_name == "unique_priced_trades_seq"]
    assert {name for name, each in results.items() if not each["message"].startswith("SCHEDULED")} == set()
    assert "leaderboard" in results
    assert [each.passed for each in tested] == [True]

    assert all(each.passed for each in run("data_tests").get_asset_check_evaluations())

    execute(played, "update ops.models set definition_hash = 'older' where name = 'ballots'")
    assert materialized(run("dbt_build"))["ballots"]["message"] == "FOLD in place, 0 rows changed"

    views = materialized(run("__ASSET_JOB", "marts/vote_tallies"))
    assert views["vote_tallies"]["message"] == "VIEW installed"

    page = materialized(run("__ASSET_JOB", "docs/models"))["models"]
    assert Path(str(page["path"])).stat().st_size == page["bytes"] > 100_000


def test_a_test_of_dbt_that_finds_rows_fails_its_check(story: testing.PostgresDatabase, run: Run) -> None:
    """The check reports the number of rows that violate the rule."""
    execute(story, "update marts.priced_trades set market_no = 99")

    found = {each.check_name: each for each in run("data_tests").get_asset_check_evaluations()}
    broken = found["relationships_priced_trades_market_no__market_no__ref_markets_"]

    assert not broken.passed
    assert int(str(broken.metadata["rows found"].value)) > 0
    assert found["unique_priced_trades_seq"].passed
