"""Checks continuously that the marts equal the log, and that the log is fresh, complete and used.

A check that has nothing to prove reports that instead of passing: an empty log is not a fresh one, and without a walk
of the chain nothing is complete.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from zmart import errors
from zmart.db import alerts, queries
from zmart.run.deploy import rebuild

from . import dbt_manifest as models
from .assets.marts import POOL
from .diff_report import sample_differences
from .resources import DatabaseResource, Dbt

sql = queries.load("orchestration")

REPLAY = "replay_equals_live"
FOLLOWS = "follows_the_log"
NOT_DEPLOYED = "Not deployed in this database. Run the job dbt_build, or: zmart migrate"

#: A chain may be quiet, but then a walk of it must have proven that within this time.
SILENCE_SECONDS = 15 * 60.0

RAW_EVENTS = dg.AssetKey(["raw", "events"])
RAW_TRANSACTIONS = dg.AssetKey(["raw", "transactions"])
RAW_DEAD_LETTERS = dg.AssetKey(["raw", "dead_letters"])


def checks(manifest: models.Manifest) -> Sequence[dg.AssetChecksDefinition]:
    """Return all asset checks."""
    folded = [spec.key for spec in models.specs(manifest, "fold")]
    return [
        _replay_equals_live(folded),
        _follows_the_log(folded),
        _dbt_tests(dict(models.tests(manifest))),
        is_fresh,
        coverage_is_proven,
        none_is_open,
    ]


# --- the marts --------------------------------------------------------------------------------


def _replay_equals_live(folded: Sequence[dg.AssetKey]) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            name=REPLAY,
            asset=key,
            description="Guards that readers see what the log says: folds the whole log beside the live mart and "
            "compares all rows and columns in both directions, on one snapshot. Changes nothing. When rows differ it "
            "shows some of them and raises an alert; **Materialize** on the mart corrects them.",
        )
        for key in folded
    ]

    @dg.multi_asset_check(
        name=REPLAY,
        specs=specs,
        can_subset=True,
        pool=POOL,
        required_resource_keys={"database"},
    )
    def replay_equals_live(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        database: DatabaseResource = context.resources.database
        for name, key in _selected_marts(context).items():
            yield _replay_result(database, key, name)

    return replay_equals_live


def _replay_result(database: DatabaseResource, key: dg.AssetKey, name: str) -> dg.AssetCheckResult:
    try:
        (verdict,) = rebuild.verify(database.owner_dsn, [name])
    except errors.NotFound:
        return _failed_result(key, NOT_DEPLOYED)
    if verdict.fold_error:
        # A model that cannot fold some event is a result of the check. An unreachable server is an error.
        return _failed_result(key, f"The log cannot be folded: {verdict.fold_error}")
    _update_alert(database, verdict)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=REPLAY,
        passed=verdict.is_consistent,
        description=_describe(verdict),
        metadata=_metadata(database, verdict),
    )


def _failed_result(key: dg.AssetKey, reason: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(asset_key=key, check_name=REPLAY, passed=False, description=reason)


def _describe(verdict: rebuild.MartCheck) -> str:
    if verdict.stale_reason:
        return f"Stopped following the log: {verdict.stale_reason}"
    if verdict.differing_rows:
        return f"Rows that differ from a rebuild: {verdict.differing_rows:,}."
    return "The live mart equals its rebuild."


def _metadata(database: DatabaseResource, verdict: rebuild.MartCheck) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {
        "differing rows": verdict.differing_rows,
        "rows (estimated)": verdict.rows,
    }
    if verdict.differing_rows:
        with database.connect("zmart_owner") as connection:
            metadata["difference"] = dg.MetadataValue.md(sample_differences(connection, verdict.name))
    return metadata


def _update_alert(database: DatabaseResource, verdict: rebuild.MartCheck) -> None:
    """Raise or resolve `mart_differs`.

    A stale mart already has an alert. A mart that differs without being marked stale is worse.
    """
    with database.connect() as connection:
        if verdict.differing_rows and not verdict.stale_reason:
            alerts.raise_alert(
                connection,
                "mart_differs",
                verdict.name,
                "critical",
                f"The mart {verdict.name} differs from a rebuild, in {verdict.differing_rows:,} of its rows. See "
                f"its check {REPLAY} in Dagster; correct it with: zmart rebuild {verdict.name}",
            )
        elif verdict.is_consistent:
            alerts.resolve_alert(connection, "mart_differs", verdict.name)


def _follows_the_log(folded: Sequence[dg.AssetKey]) -> dg.AssetChecksDefinition:
    specs = [
        dg.AssetCheckSpec(
            name=FOLLOWS,
            asset=key,
            description="Guards that readers see the present: the mart takes part in every ingest transaction. A mart "
            "whose SQL failed on an event is excluded from them, returns the state before that event, and waits until "
            "its model is corrected and rebuilt.",
        )
        for key in folded
    ]

    @dg.multi_asset_check(name=FOLLOWS, specs=specs, can_subset=True, required_resource_keys={"database"})
    def follows_the_log(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        database: DatabaseResource = context.resources.database
        with database.connect() as connection:
            known = {row[0]: row[1:] for row in connection.execute(sql.models)}
        for name, key in _selected_marts(context).items():
            passed, text, metadata = _follow_status(known.get(name))
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=FOLLOWS,
                passed=passed,
                description=text,
                metadata=metadata,
            )

    return follows_the_log


def _follow_status(row: tuple[Any, ...] | None) -> tuple[bool, str, Mapping[str, Any]]:
    if row is None:
        return False, NOT_DEPLOYED, {}
    is_stale, applied_seq, behind, since, failed_event, reason = row
    metadata = {"reflects seq": applied_seq, "entries behind": behind}
    if not is_stale:
        return not behind, f"Behind the log, and retried: {reason}" if behind else "Follows the log.", metadata
    stopped = {"stale since": dg.MetadataValue.timestamp(since), "failed at event": failed_event}
    return False, f"Stopped following the log: {reason}", {**metadata, **stopped}


def _dbt_tests(specs: Mapping[str, dg.AssetCheckSpec]) -> dg.AssetChecksDefinition:
    ids = {spec.key: unique_id for unique_id, spec in specs.items()}

    @dg.multi_asset_check(
        name="dbt_tests",
        specs=list(specs.values()),
        can_subset=True,
        pool=POOL,
        required_resource_keys={"dbt"},
    )
    def dbt_tests(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        dbt: Dbt = context.resources.dbt
        chosen = {ids[key]: key for key in context.selected_asset_check_keys}
        names = [key.name for key in chosen.values()]
        for outcome in dbt.run("test", "--select", *sorted(names)):
            if key := chosen.get(outcome.unique_id):
                yield dg.AssetCheckResult(
                    asset_key=key.asset_key,
                    check_name=key.name,
                    passed=outcome.is_successful,
                    description=outcome.message or "No row was returned.",
                    metadata={"rows found": outcome.failures, "seconds": outcome.seconds},
                )

    return dbt_tests


def _selected_marts(context: dg.AssetCheckExecutionContext) -> dict[str, dg.AssetKey]:
    """Return the selected marts by name, sorted."""
    keys = sorted(key.asset_key for key in context.selected_asset_check_keys)
    return {key.path[-1]: key for key in keys}


# --- the log ----------------------------------------------------------------------------------


@dg.asset_check(
    asset=RAW_EVENTS,
    required_resource_keys={"database"},
    description="Guards against a silent webhook: an event arrived in the last "
    f"{SILENCE_SECONDS / 60:.0f} minutes, or a walk of the chain proved within that time that there was none. Warns "
    "otherwise: silence alone proves nothing.",
)
def is_fresh(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Check that entries arrive, or that their absence is proven."""
    database: DatabaseResource = context.resources.database
    with database.connect() as connection:
        heads = connection.execute(sql.heads).fetchone()
        proofs = [row[5] for row in connection.execute(sql.coverage)]
    assert heads is not None
    seq, _, _, slot, since_arrival, since_event = heads
    since_proof = min(proofs, default=None)
    passed, text = _freshness(since_arrival, since_proof)
    values = {
        "last seq": seq,
        "newest slot": slot,
        "seconds since arrival": since_arrival,
        "seconds since newest event, by the chain's clock": since_event,
        "seconds since last proof": since_proof,
    }
    return _warning(passed, text, {name: v for name, v in values.items() if v is not None})


def _freshness(since_arrival: float | None, since_proof: float | None) -> tuple[bool, str]:
    if since_arrival is None:
        return False, "The log is empty."
    minutes = f"{since_arrival / 60:.0f} minutes"
    if since_arrival <= SILENCE_SECONDS:
        return True, "News arrive."
    if since_proof is not None and since_proof <= SILENCE_SECONDS:
        return True, f"Nothing arrived for {minutes}, and a walk of the chain found nothing either."
    return False, f"Nothing arrived for {minutes}, and no walk has proven that the chain was quiet."


@dg.asset_check(
    asset=RAW_TRANSACTIONS,
    required_resource_keys={"database"},
    description="Guards against missing transactions: each source's proven slot ranges, without a gap between them. "
    "Fails while nothing is proven: the deliveries may be complete, but no walk has verified it.",
)
def coverage_is_proven(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Check that the log is proven complete, and report from which slot to which."""
    database: DatabaseResource = context.resources.database
    with database.connect() as connection:
        rows = connection.execute(sql.coverage).fetchall()
        final = connection.execute(sql.finality).fetchone()
    assert final is not None
    if not rows:
        return _warning(False, "Nothing is proven yet: no walk of the chain has covered a slot.", {})
    gaps = {source: missing for source, _, _, _, missing, _ in rows if missing}
    proven = {source: f"slots {low}-{high}, {n} transactions" for source, low, high, n, _, _ in rows}
    text = f"Slots are missing: {gaps}" if gaps else "Proven without a gap."
    metadata = {"proven": proven, "gaps": gaps, "finalized through slot": final[0] or "nothing yet"}
    return _warning(not gaps, text, metadata)


@dg.asset_check(
    asset=RAW_DEAD_LETTERS,
    required_resource_keys={"database"},
    description="Guards against lost deliveries: no dead letter is open. Warns with the reasons otherwise; list and "
    "retry them with `zmart dead-letters`.",
)
def none_is_open(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Check that everything that was delivered could be used."""
    database: DatabaseResource = context.resources.database
    with database.connect() as connection:
        rows = connection.execute(sql.dead_letters).fetchall()
    table = "\n".join(
        ["| reason | open | seen | last | for example |", "|---|---|---|---|---|"]
        + [
            f"| {code} | {n} | {sightings} | {last:%Y-%m-%d %H:%M} | {_table_cell(example)} |"
            for code, n, sightings, _, last, example, _ in rows
        ]
    )
    total = sum(row[1] for row in rows)
    text = f"{total} open" if total else "None is open."
    return _warning(not rows, text, {"open": total, **({"reasons": dg.MetadataValue.md(table)} if rows else {})})


def _table_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]


def _warning(passed: bool, text: str, metadata: Mapping[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata=dict(metadata),
    )
