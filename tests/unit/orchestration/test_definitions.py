"""Dagster's definitions: they load, are named for operators, and changes need an edit here."""

from __future__ import annotations

import dagster as dg
import pytest

from orchestration import checks, dbt_manifest
from orchestration.definitions import definitions
from orchestration.keepers import actions
from zmart.run.deploy import rebuild

MODELS = {path.stem for path in rebuild.PROJECT.glob("sql_models/*/*.sql") if path.parent.name != "staging"}
REFRESHED = {path.stem for path in rebuild.PROJECT.glob("sql_models/scheduled/*.sql")}
FOLDED = {path.stem for path in rebuild.PROJECT.glob("sql_models/folds/*.sql")}

GIVEN = {
    "app/ballots",
    "app/comment_edits",
    "app/comments",
    "app/flags",
    "app/reactions",
    "ops/gap_transactions",
    "ops/scheduled_models",
    "ops/settings",
    "raw/dead_letters",
    "raw/events",
    "raw/feed",
    "raw/markets_seen",
    "raw/transactions",
    "raw/wallets_seen",
}
CRONS = {
    "accounts_hourly": ("reconcile_accounts", "45 * * * *"),
    "data_tests_daily": ("data_tests", "15 3 * * *"),
    "discussion_snapshots_daily": ("anchor_discussions", "0 0 * * *"),
    "keepers_every_5m": ("keepers", "4-59/5 * * * *"),
    "observation_hourly": ("observe_log", "30 * * * *"),
    "purge_runs_daily": ("purge_runs", "20 3 * * *"),
    "reconciliation_hourly": ("reconciliation", "10 * * * *"),
    "refresh_marts_every_5m": ("refresh_marts", "2-59/5 * * * *"),
}
SENSORS = {
    "alert_delivery",
    "dead_letter_growth",
    "deployed_marts",
    "export_ranges",
    "keeper_sweep",
    "orphaned_runs",
    "run_failed",
    "run_recovered",
    "slot_ranges",
    "stale_models",
    "overdue_markets",
}
KEEPERS = {f"keepers/{name}" for name in actions.NAMES}


@pytest.fixture(scope="module")
def graph() -> dg.AssetGraph:
    """The assets and checks, with their dependencies."""
    return definitions.resolve_asset_graph()


@pytest.fixture(scope="module")
def models() -> dbt_manifest.Manifest:
    """Return dbt's description of the models."""
    return dbt_manifest.load()


def test_definitions_load() -> None:
    """The definitions load without a database."""
    dg.Definitions.validate_loadable(definitions)


def test_every_model_and_the_whole_log_are_assets(graph: dg.AssetGraph) -> None:
    """A new model is included by itself; any other new or removed name needs an edit here."""
    shown = {key.to_user_string() for key in graph.get_all_asset_keys()}

    assert shown >= GIVEN
    assert shown - GIVEN == {
        "account_snapshots",
        "chain_backfill",
        "discussion_snapshots",
        "docs/models",
        "operations/retention",
        "log_files",
        "mart_files",
    } | KEEPERS | {f"marts/{name}" for name in MODELS}


def test_lineage_goes_through_what_is_not_a_relation(graph: dg.AssetGraph) -> None:
    """trades reads a staging select, which reads the log; a view depends on its folds."""
    assert dg.AssetKey(["raw", "events"]) in graph.get(dg.AssetKey(["marts", "priced_trades"])).parent_keys
    tallies = graph.get(dg.AssetKey(["marts", "vote_tallies"])).parent_keys
    assert {dg.AssetKey(["marts", "ballots"]), dg.AssetKey(["marts", "markets"])} <= tallies


def test_an_operator_can_read_what_each_asset_is(graph: dg.AssetGraph) -> None:
    """Description, group, owner and kinds; a text that can be materialized describes the effect."""
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name in {"log", "app", "ops", "folds", "scheduled", "views", "keepers", "docs", "files"}, key
        assert node.owners == dbt_manifest.OWNERS, key
        assert node.kinds, key
        assert "**" in node.description or not (node.is_materializable or node.is_observable), key


def test_columns_are_shown_with_their_descriptions(models: dbt_manifest.Manifest) -> None:
    """The page of a mart has the meaning of each column."""
    (markets,) = [s for s in dbt_manifest.specs(models, "fold") if s.key.path[-1] == "markets"]
    columns = markets.metadata["dagster/column_schema"].columns

    assert len(columns) > 20
    assert all(column.description and column.type for column in columns)
    assert markets.metadata["dagster/table_name"].endswith("marts.markets")


def test_every_folded_mart_is_checked_against_its_replay(graph: dg.AssetGraph) -> None:
    """Every folded mart has the check that live equals rebuilt."""
    for name in (checks.REPLAY, checks.FOLLOWS):
        about = {key.asset_key.path[-1] for key in graph.asset_check_keys if key.name == name}
        assert about == FOLDED


def test_each_check_says_what_it_guards() -> None:
    """An operator who sees a failed check knows what is at stake."""
    for check in definitions.asset_checks or ():
        assert isinstance(check, dg.AssetChecksDefinition)
        for spec in check.check_specs:
            assert (spec.description or "").startswith("Guards"), spec.name
            assert "(" not in (spec.description or "").partition(":")[0]


def test_every_test_of_dbt_is_a_check(graph: dg.AssetGraph, models: dbt_manifest.Manifest) -> None:
    """dbt's data tests and the checks of the log, and no others."""
    tests = [node["name"] for node in models["nodes"].values() if node["resource_type"] == "test"]
    shown = [key.name for key in graph.asset_check_keys if key.name not in {checks.REPLAY, checks.FOLLOWS}]

    assert sorted(shown) == sorted([*tests, "accounts_equal_folds", "coverage_is_proven", "is_fresh", "none_is_open"])


def test_jobs() -> None:
    """Each job by its name, with its selection."""
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}

    assert set(jobs) == {
        "anchor_discussions",
        "data_tests",
        "dbt_build",
        "keepers",
        "observe_log",
        "purge_runs",
        "rebuild_marts",
        "reconcile_accounts",
        "reconciliation",
        "refresh_marts",
    }
    assert all(job.description for job in jobs.values())
    rebuilt = jobs["rebuild_marts"].asset_layer
    assert {key.path[-1] for key in rebuilt.selected_asset_keys} == FOLDED
    refreshed = jobs["refresh_marts"].asset_layer
    assert {key.path[-1] for key in refreshed.selected_asset_keys} == REFRESHED
    assert not rebuilt.selected_asset_keys & jobs["reconciliation"].asset_layer.selected_asset_keys


def test_no_two_schedules_begin_in_one_minute_of_the_hour() -> None:
    """At most two runs at once, because each of them uses the whole machine."""
    begun: dict[int, str] = {}
    for name, (_, cron) in CRONS.items():
        first, _, rest = cron.split()[0].partition("-")
        for minute in range(int(first), 60, int(rest.partition("/")[2] or 60)):
            assert begun.setdefault(minute, name) == name, minute


def test_schedules() -> None:
    """The start of each, in UTC; all are on by default."""
    schedules = list(definitions.get_repository_def().schedule_defs)

    assert {each.name: (each.job_name, each.cron_schedule) for each in schedules} == CRONS
    assert {each.default_status for each in schedules} == {dg.DefaultScheduleStatus.RUNNING}


def test_sensors() -> None:
    """What operators wait for runs twice a minute, the rest once, by default."""
    sensors = list(definitions.get_repository_def().sensor_defs)

    assert {each.name for each in sensors} == SENSORS
    assert {each.default_status for each in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert {each.name for each in sensors if each.minimum_interval_seconds == 30} == {
        "run_failed",
        "alert_delivery",
        "keeper_sweep",
    }
    assert {each.minimum_interval_seconds for each in sensors} == {30, 60}


def test_jobs_that_write_marts_share_a_pool_of_one() -> None:
    """All jobs that write or replay marts share a pool of one."""
    for job in ("rebuild_marts", "refresh_marts", "data_tests", "dbt_build"):
        nodes = definitions.get_repository_def().get_job(job).nodes
        assert {pool for node in nodes for pool in node.definition.pools} == {"marts"}
