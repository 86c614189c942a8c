"""Defines the assets of the models: folded marts, which ingest updates by itself, and the models that depend on them.

Materializing a folded mart folds it again from the whole log. Materializing a scheduled mart computes it again from
the others. Materializing a view installs its SQL. All share a pool with everything else that writes marts, so they
never overlap.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import time
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from zmart import errors
from zmart.db import queries
from zmart.run.deploy import rebuild

from .. import dbt_manifest as models
from ..resources import Connection, DatabaseResource, Dbt

sql = queries.load("orchestration")

#: A pool of size one: a run that writes marts, or compares them with a rebuild, runs alone.
POOL = "marts"

#: Marts follow the log by themselves, so folding one again does not make those that depend on it outdated. All have
#: the same data version, and only changed SQL (the code version) shows as a difference.
LIVE = dg.DataVersion("live")


def assets(manifest: models.Manifest) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of every model that is a relation."""
    return [
        _folded_asset(models.specs(manifest, "fold")),
        _scheduled_asset(models.specs(manifest, "scheduled")),
        _views_asset(models.specs(manifest, "view")),
    ]


def _folded_asset(specs: Sequence[dg.AssetSpec]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="rebuild_folded_marts",
        specs=specs,
        can_subset=True,
        pool=POOL,
        required_resource_keys={"database"},
    )
    def rebuild_folded_marts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        database: DatabaseResource = context.resources.database
        failed: dict[str, str] = {}
        for key in sorted(context.selected_asset_keys):
            try:
                yield _rebuild(database, key, context.log.info)
            except Exception as error:  # the others are still rebuilt; the failure is raised afterwards
                failed[key.path[-1]] = str(error)
        if failed:
            raise dg.Failure(
                f"Not rebuilt, unchanged: {', '.join(failed)}.",
                metadata={name: dg.MetadataValue.text(reason) for name, reason in failed.items()},
            )

    return rebuild_folded_marts


def _rebuild(database: DatabaseResource, key: dg.AssetKey, report: Any) -> dg.MaterializeResult[Any]:
    began = time.monotonic()
    name = key.path[-1]
    differed = rebuild.rebuild(database.owner_dsn, [name], report=report)
    with database.connect("zmart_owner") as connection:
        rows = _count(connection, name)
    return dg.MaterializeResult(
        asset_key=key,
        data_version=LIVE,
        metadata={
            "rows that differed": differed,
            "dagster/row_count": rows,
            "seconds": round(time.monotonic() - began, 3),
        },
    )


def _scheduled_asset(specs: Sequence[dg.AssetSpec]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="compute_refreshed_marts",
        specs=specs,
        can_subset=True,
        pool=POOL,
        required_resource_keys={"database"},
    )
    def compute_refreshed_marts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        database: DatabaseResource = context.resources.database
        selected = {key.path[-1]: key for key in context.selected_asset_keys}
        changed = rebuild.refresh(database.owner_dsn, sorted(selected), report=context.log.info)
        with database.connect("zmart_owner") as connection:
            known = {row[0]: row[1:] for row in connection.execute(sql.scheduled)}
            for name, rows_changed in changed.items():
                applied_seq, seconds = known[name]
                yield dg.MaterializeResult(
                    asset_key=selected[name],
                    data_version=LIVE,
                    metadata={
                        "rows changed": rows_changed,
                        "reflects seq": applied_seq,
                        "dagster/row_count": _count(connection, name),
                        "seconds": float(seconds),
                    },
                )

    return compute_refreshed_marts


def _views_asset(specs: Sequence[dg.AssetSpec]) -> dg.AssetsDefinition:
    @dg.multi_asset(name="install_views", specs=specs, can_subset=True, pool=POOL, required_resource_keys={"dbt"})
    def install_views(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        dbt: Dbt = context.resources.dbt
        selected = {key.path[-1]: key for key in context.selected_asset_keys}
        outcomes = {each.unique_id.rpartition(".")[2]: each for each in dbt.run("run", "--select", *sorted(selected))}
        for name, key in selected.items():
            outcome = outcomes[name]
            if not outcome.is_successful:
                raise errors.ConfigurationError(outcome.message, help="Correct the model's SQL.")
            metadata: dict[str, Any] = {"message": outcome.message, "seconds": outcome.seconds}
            yield dg.MaterializeResult(asset_key=key, data_version=LIVE, metadata=metadata)

    return install_views


def _count(connection: Connection, name: str) -> int:
    statement = connection.execute(sql.row_count, {"name": name}).fetchone()
    assert statement is not None
    row = connection.execute(statement[0]).fetchone()
    assert row is not None
    return int(row[0])
