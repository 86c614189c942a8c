"""Reads the models from dbt's manifest and makes asset specs and checks of them, under the names that operators know.

A deployment stores the manifest in the state directory. If it does not match the sources of the models, a child
process parses them again, so that this process never loads dbt for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg
import dagster_dbt

from zmart.run.deploy import manifest_cache, rebuild

Manifest: TypeAlias = manifest_cache.Manifest
Node: TypeAlias = Mapping[str, Any]

OWNERS = ["team:operators"]

_MATERIALIZE_HELP = {
    "fold": "**Materialize** folds this mart again from the whole log and merges the rows that differ, in place: "
    "readers, grants and views are not affected. A healthy mart reports 0 rows. A stale one follows the "
    "log again afterwards. The job `dbt_build` installs changed SQL.",
    "scheduled": "**Materialize** computes this mart again from the others and merges the rows that differ, in "
    "place: readers see the old rows or the new. The schedule `refresh_marts_every_5m` runs it every "
    "five minutes; `ops.scheduled_models` has the seq that it reflects. The job `dbt_build` installs changed "
    "SQL.",
    "view": "A view: always as new as its sources, so nothing has to be done. **Materialize** installs its SQL "
    "again from the checkout, in place.",
}

_UNUSED = {
    "dagster_dbt/manifest",
    "dagster_dbt/dagster_dbt_translator",
    "dagster_dbt/project_id",
    "dagster/storage_kind",
    "dagster-dbt/materialization_type",
}


def load() -> Manifest:
    """Return the manifest of the models in this checkout. Raises ConfigurationError if they do not parse."""
    return rebuild.load_manifest()


class Translator(dagster_dbt.DagsterDbtTranslator):
    """Sets the group, owners, tags and description of a model in the UI."""

    def get_description(self, dbt_resource_props: Node) -> str:
        """Return the model's own description, followed by the effect of **Materialize**."""
        description: str = dbt_resource_props["description"]
        help_text = _MATERIALIZE_HELP.get(materialization(dbt_resource_props))
        return f"{description}\n\n{help_text}" if help_text else description

    def get_group_name(self, dbt_resource_props: Node) -> str:
        """Return the folder: folds, views or scheduled."""
        folder: str = dbt_resource_props["fqn"][1]
        return folder

    def get_owners(self, dbt_resource_props: Node) -> Sequence[str]:
        """Return the operators."""
        del dbt_resource_props
        return OWNERS

    def get_tags(self, dbt_resource_props: Node) -> Mapping[str, str]:
        """Return how the model is updated: fold (in the ingest transaction), view, scheduled."""
        return {"materialization": materialization(dbt_resource_props)}


def specs(manifest: Manifest, kind: str) -> list[dg.AssetSpec]:
    """Return the models of one kind (fold, scheduled, view), with their lineage through the ephemeral ones."""
    every = dagster_dbt.build_dbt_asset_specs(manifest=manifest, dagster_dbt_translator=Translator())
    return [_without_manifest(spec) for spec in every if spec.tags["materialization"] == kind]


def sources(manifest: Manifest) -> list[dg.AssetSpec]:
    """Return the tables that models read and dbt does not make."""
    return [
        dg.AssetSpec(
            key=[node["source_name"], node["name"]],
            description=node["description"],
            group_name={"raw": "log"}.get(node["source_name"], node["source_name"]),
            kinds={"postgres", "table"},
            owners=OWNERS,
            tags={"materialization": "log"},
        )
        for node in manifest["sources"].values()
    ]


def keys(manifest: Manifest) -> dict[str, dg.AssetKey]:
    """Return the asset key of every model, by dbt's unique id."""
    return {
        unique_id: dg.AssetKey(["marts", node["name"]])
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and materialization(node) != "ephemeral"
    }


def tests(manifest: Manifest) -> Iterator[tuple[str, dg.AssetCheckSpec]]:
    """Yield every data test of a model as an asset check, with its unique id."""
    models = keys(manifest)
    for unique_id, node in manifest["nodes"].items():
        about = [models[each] for each in _tested_models(node) if each in models]
        if node["resource_type"] == "test" and about:
            yield (
                unique_id,
                dg.AssetCheckSpec(
                    name=node["name"],
                    asset=about[0],
                    additional_deps=about[1:],
                    description=_describe_check(node),
                ),
            )


def materialization(node: Node) -> str:
    """Return how a model is updated: fold, scheduled, view, ephemeral, or source."""
    kind: str = node["config"].get("materialized", "source")
    return {"ordered": "fold", "replaced_view": "view"}.get(kind, kind)


def _without_manifest(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Return the spec without the manifest that dagster-dbt attaches to it: nothing here runs dbt's CLI."""
    metadata = {name: value for name, value in spec.metadata.items() if name not in _UNUSED}
    return spec.replace_attributes(kinds={"dbt", "postgres", spec.tags["materialization"]}, metadata=metadata)


def _tested_models(node: Node) -> list[str]:
    """Return the models that a test covers, first the one it is attached to."""
    attached = node.get("attached_node")
    others: list[str] = node["depends_on"].get("nodes", [])
    return list(dict.fromkeys([attached, *others] if attached else others))


#: The rules of dbt's tests, as a sentence about the column or the mart.
_RULES = {
    "not_null": "{column} has a value in every row.",
    "unique": "No two rows have the same {column}.",
    "accepted_values": "{column} is one of {values}.",
    "relationships": "Each {column} is a {field} of {to}.",
    "grain": "No two rows have the same {columns}.",
}


def _describe_check(node: Node) -> str:
    """Return what a test guards, and when it fails."""
    text = node["description"] or _describe_test(node)
    return text if text.startswith("Guards") else f"Guards the mart's rows: {text}"


def _describe_test(node: Node) -> str:
    test = node.get("test_metadata")
    if not test:
        return "No row may come back."
    kwargs = {name: _describe_argument(value) for name, value in test["kwargs"].items() if name != "model"}
    rule = _RULES.get(test["name"])
    if rule is None:
        return f"{test['name']} ({', '.join(f'{name}: {value}' for name, value in kwargs.items())})."
    return rule.format_map({"column": kwargs.get("column_name", "the column"), **kwargs})


def _describe_argument(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return re.sub(r"^ref\('(\w+)'\)$", r"\1", str(value))
