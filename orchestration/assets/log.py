"""Defines the assets of the log: tables that ingest and users write. Nothing in Dagster writes them.

They are external assets. Observing them reads the number and age of their rows; it changes nothing.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from zmart.db import queries

from .. import dbt_manifest as models
from ..resources import Connection, DatabaseResource

sql = queries.load("orchestration")

OBSERVED = ("feed", "events", "transactions", "dead_letters")
_DEAD_LETTERS = dg.AssetSpec(
    key=["raw", "dead_letters"],
    description="Deliveries that could not be used, stored with their bytes and the reason. `zmart dead-letters "
    "list` lists the open ones, `show N` prints one with its bytes, `retry [N ...]` retries them: "
    "stored items are decoded by the current code, stored transactions are decoded again, signatures "
    "are fetched. A dead letter is resolved when its retry succeeds, so after a deploy that caused new "
    "ones, deploy a correction and retry.",
    group_name="log",
    kinds={"postgres", "table"},
    owners=models.OWNERS,
    tags={"materialization": "log"},
)
_OBSERVE_HELP = "\n\n**Observe** reads the number of rows and the age of the newest; it changes nothing."


def assets(manifest: models.Manifest) -> Sequence[dg.AssetSpec | dg.AssetsDefinition]:
    """Return the observed tables of the log, and the other tables that models read."""
    specs = {spec.key.path[-1]: spec for spec in [*models.sources(manifest), _DEAD_LETTERS]}
    observed = [_with_observe_help(specs.pop(name)) for name in OBSERVED]
    return [*specs.values(), _observation_asset(observed)]


def _observation_asset(specs: Sequence[dg.AssetSpec]) -> dg.AssetsDefinition:
    with warnings.catch_warnings():
        # Dagster marks the decorator as beta; without it, every table would need its own observation.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _observable_asset(specs)


def _observable_asset(specs: Sequence[dg.AssetSpec]) -> dg.AssetsDefinition:
    @dg.multi_observable_source_asset(  # type: ignore[untyped-decorator] # Dagster's has no types
        name="look_at_the_log", specs=specs, can_subset=True, required_resource_keys={"database"}
    )
    def look_at_the_log(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
        database: DatabaseResource = context.resources.database
        with database.connect() as connection:
            for key in sorted(context.selected_asset_keys):
                yield dg.ObserveResult(asset_key=key, metadata=_metadata(connection, key.path[-1]))

    definition: dg.AssetsDefinition = look_at_the_log
    return definition


def _with_observe_help(spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec.replace_attributes(description=f"{spec.description}{_OBSERVE_HELP}")


def _metadata(connection: Connection, name: str) -> Mapping[str, Any]:
    size = {
        table: {"rows (estimated)": rows, "bytes": size}
        for table, rows, size in connection.execute(sql.tables, {"names": list(OBSERVED)})
    }
    return {**size[name], **_DETAILS[name](connection)}


def _feed(connection: Connection) -> Mapping[str, Any]:
    seq, at, _, _, age, _ = _fetch_one(connection, sql.heads)
    return _without_none({"last seq": seq, "newest arrival": _timestamp(at), "seconds since": age})


def _events(connection: Connection) -> Mapping[str, Any]:
    _, _, at, slot, _, age = _fetch_one(connection, sql.heads)
    return _without_none({"newest event": _timestamp(at), "slot": slot, "seconds since": age})


def _transactions(connection: Connection) -> Mapping[str, Any]:
    provisional, retracted, wanted = _fetch_one(connection, sql.transactions)
    (final,) = _fetch_one(connection, sql.finality)
    return _without_none(
        {
            "order provisional": provisional,
            "retracted": retracted,
            "still to be fetched": wanted,
            "finalized through slot": final,
        }
    )


def _dead_letters(connection: Connection) -> Mapping[str, Any]:
    open_ones = {reason: count for reason, count, *_ in connection.execute(sql.dead_letters)}
    return {"open": sum(open_ones.values()), "open by reason": open_ones}


_DETAILS = {
    "feed": _feed,
    "events": _events,
    "transactions": _transactions,
    "dead_letters": _dead_letters,
}


def _fetch_one(connection: Connection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row


def _timestamp(at: Any) -> dg.MetadataValue[Any] | None:
    return None if at is None else dg.MetadataValue.timestamp(at)


def _without_none(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return only the values that exist: an empty log has no newest event."""
    return {name: value for name, value in values.items() if value is not None}
