"""Defines the jobs that can be started by name, from the UI, a schedule or GraphQL."""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

from collections.abc import Sequence
from typing import Any, TypeAlias

import dagster as dg

from zmart.run.deploy import rebuild

from . import dbt_manifest as models
from .assets import accounts, log
from .assets.marts import LIVE, POOL
from .resources import Dbt, DbtNodeResult

Job: TypeAlias = Any

REBUILD = "rebuild_marts"
REFRESH = "refresh_marts"
RECONCILIATION = "reconciliation"
DATA_TESTS = "data_tests"
OBSERVE = "observe_log"
DBT_BUILD = "dbt_build"

#: The messages with which our materializations report that they built rows. An unchanged fold is not touched and a
#: view has no rows, so neither counts as a materialization, and the results of earlier checks remain valid.
BUILT = ("FOLD built", "FOLD in place", "SCHEDULED")


def jobs(manifest: models.Manifest) -> Sequence[Job]:
    """Return all jobs."""
    folded = [spec.key for spec in models.specs(manifest, "fold")]
    scheduled = [spec.key for spec in models.specs(manifest, "scheduled")]
    tests = [spec.key for _, spec in models.tests(manifest)]
    return [
        dg.define_asset_job(
            REBUILD,
            selection=dg.AssetSelection.assets(*folded).without_checks(),
            description="Folds every folded mart again from the whole log and merges the rows that differ, in "
            "place; select one in the launchpad to rebuild only that. Readers are not affected. The "
            "number of rows that differed is in each materialization's metadata; on a healthy system "
            "it is 0.",
        ),
        dg.define_asset_job(
            REFRESH,
            selection=dg.AssetSelection.assets(*scheduled).without_checks(),
            description="Computes leaderboards, histories and platform numbers again, all on one snapshot, and "
            "merges the rows that differ, in place. Readers see the old rows or the new. Each mart "
            "stores the seq that it reflects.",
        ),
        dg.define_asset_job(
            RECONCILIATION,
            selection=dg.AssetSelection.all_asset_checks()
            - dg.AssetSelection.checks(*tests)
            - dg.AssetSelection.checks_for_assets(accounts.KEY),
            description="Verifies that every folded mart equals its rebuild, that all follow the log, that the log "
            "is fresh and its coverage proven, and that no dead letter is open. Changes nothing.",
        ),
        dg.define_asset_job(
            DATA_TESTS,
            selection=dg.AssetSelection.checks(*tests),
            description="Runs dbt's tests of the data in the marts: keys, relationships, accepted values, invariants. "
            "Changes nothing.",
        ),
        dg.define_asset_job(
            OBSERVE,
            selection=dg.AssetSelection.assets(*(["raw", name] for name in log.OBSERVED)),
            description="Reads the size of the log and the age of its newest rows. Changes nothing.",
        ),
        _dbt_build(models.keys(manifest), dict(models.tests(manifest))),
    ]


def _dbt_build(keys: dict[str, dg.AssetKey], tests: dict[str, dg.AssetCheckSpec]) -> Job:
    @dg.op(pool=POOL, required_resource_keys={"dbt"}, tags={"dagster/compute_kind": "dbt"})
    def build_and_test_everything(context: dg.OpExecutionContext) -> None:
        dbt: Dbt = context.resources.dbt
        outcomes = dbt.run("build")
        for statement in rebuild.create_indexes(dbt.database.owner_dsn):
            context.log.info(statement)
        for outcome in outcomes:
            context.log.info(f"{outcome.status}: {outcome.unique_id} {outcome.message}")
            if outcome.unique_id in keys and outcome.is_successful and outcome.message.startswith(BUILT):
                context.log_event(_materialization(keys[outcome.unique_id], outcome))
            elif outcome.unique_id in tests and outcome.status != "skipped":
                # Dagster accepts an evaluation here; its type annotation does not include it yet.
                context.log_event(_evaluation(tests[outcome.unique_id], outcome))  # type: ignore[arg-type]
        failed = {each.unique_id: each.message for each in outcomes if not each.is_successful}
        if failed:
            raise dg.Failure(
                f"dbt build: {len(failed)} of {len(outcomes)} did not succeed: {', '.join(failed)}.",
                metadata={name: dg.MetadataValue.text(message) for name, message in failed.items()},
            )

    @dg.job(
        name=DBT_BUILD,
        description="Installs every model of the checkout and runs every test, unit tests first. An unchanged fold "
        "is not touched; a changed one is built beside the live mart and swapped in: readers see the "
        "old rows or the new. Run it after editing sql_models/.",
    )
    def dbt_build() -> None:
        build_and_test_everything()

    return dbt_build


def _materialization(key: dg.AssetKey, outcome: DbtNodeResult) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=key,
        metadata={"message": outcome.message, "seconds": outcome.seconds},
        tags={"dagster/data_version": LIVE.value},
    )


def _evaluation(spec: dg.AssetCheckSpec, outcome: DbtNodeResult) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=outcome.is_successful,
        description=outcome.message or "No row was returned.",
        metadata={"rows found": dg.MetadataValue.int(outcome.failures)},
    )
