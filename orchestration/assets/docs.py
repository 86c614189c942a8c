"""Defines the asset of the models' documentation: one page with all columns, tests and lineage, readable offline."""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

from collections.abc import Sequence
from typing import Any

import dagster as dg

from zmart import settings

from .. import dbt_manifest as models
from ..resources import Dbt
from .marts import POOL


def assets() -> Sequence[dg.AssetsDefinition]:
    """Return the asset of the page. It depends on no other asset, because the rows of the marts do not change it."""

    @dg.asset(
        key=["docs", "models"],
        group_name="docs",
        kinds={"dbt", "html"},
        owners=models.OWNERS,
        pool=POOL,
        required_resource_keys={"dbt"},
        description="The models' documentation as one HTML file, which needs no server and no network. "
        "**Materialize** generates it from the checkout and the database; its path is in the metadata.",
    )
    def documentation(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        dbt: Dbt = context.resources.dbt
        dbt.run("docs", "generate", "--static")
        page = settings.load().state_dir / "dbt" / "static_index.html"
        return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(page), "bytes": page.stat().st_size})

    return [documentation]
