"""Prepares `zmart dbt`, which tries models in a schema of their own, as a role that may only read everything else.

dbt runs with the target `trial` of profiles.yml: models become plain tables and views of the schema `dbt`. dbt's own
`--defer` reads a model that was not built there from the live marts, so that a trial of one model needs no other. All
folded models of one run read the log up to the same seq, so that they agree while the log grows.

The connection starts with the owner's login and changes to the role `zmart_dbt`. This protects from mistakes, not from
a model that changes the role back. The password is in the environment of the child process, never among its arguments.
"""

from __future__ import annotations

import json
import shutil
from importlib import util
from pathlib import Path

from psycopg import conninfo

from zmart import errors
from zmart.db.connection import connect_sync, translate_errors
from zmart.settings import Settings

from . import rebuild
from .manifest_cache import ManifestCache

ROLE = "zmart_dbt"
TARGET = "trial"
#: A trial reads whole marts and the log, and an open statement keeps Postgres from removing dead rows.
STATEMENT_TIMEOUT_SECONDS = 600


def trial_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for dbt.

    Raise ConfigurationError when dbt, the project, the role or its schema is missing.
    """
    _require_dbt()
    owner = settings.postgres.dsn()
    database, seq = _check_database(owner)
    folder = settings.state_dir / "dbt" / TARGET
    return {
        **rebuild.dbt_environment(trial_dsn(owner)),
        "DBT_TARGET": TARGET,
        "DBT_TARGET_PATH": str(folder),
        "DBT_LOG_PATH": str(folder),
        "DBT_DEFER": "true",
        "DBT_STATE": str(_write_live_manifest(folder / "live", database=database)),
        "ZMART_TRIAL_SEQ": str(seq),
    }


def trial_dsn(owner: str) -> str:
    """Return the owner's connection string with the trial's role; of two options with one name, the last one counts."""
    options = str(conninfo.conninfo_to_dict(owner).get("options") or "")
    timeout = f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s"
    return conninfo.make_conninfo(owner, options=f"{options} -c role={ROLE} {timeout}".strip())


def _require_dbt() -> None:
    if util.find_spec("dbt") is None or util.find_spec("dbt.adapters.postgres") is None:
        raise errors.ConfigurationError("dbt is not installed.", help="Run: make setup")
    if not (rebuild.PROJECT / "dbt_project.yml").is_file():
        raise errors.ConfigurationError(
            f"There is no dbt_project.yml in {rebuild.PROJECT}.", help="Run zmart from a checkout of the repository."
        )


def _check_database(owner: str) -> tuple[str, int]:
    """Return the name of the database and the newest seq of its log; raise ConfigurationError without the role."""
    with translate_errors(), connect_sync(owner, application_name="zmart dbt", autocommit=True) as connection:
        if found := connection.execute(rebuild.sql.missing_for_trials).fetchone():
            missing, remedy = found
            statement = f" (as an administrator of the server: {remedy})" if remedy else ""
            raise errors.ConfigurationError(
                f"{missing[0].upper()}{missing[1:]}.", help=f"Run: zmart migrate{statement}"
            )
        [(database, seq)] = connection.execute(rebuild.sql.trial_source)
    return database, seq


def _write_live_manifest(folder: Path, *, database: str) -> Path:
    """Write the manifest of the live marts where dbt can compare with it; the last deployed one is close enough.

    dbt takes from it only the database and the schema in which each model is. A manifest that was parsed without a
    database names another one.
    """
    manifest = ManifestCache(folder=rebuild.dbt_folder()).read_any() or rebuild.load_manifest()
    nodes = {name: {**node, "database": database} for name, node in manifest["nodes"].items()}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({**manifest, "nodes": nodes}), encoding="utf-8")
    return folder
