"""Reads the files that make the schema: `schema.sql`, numbered migrations, one file per function, and the policies.

schema.sql                     what a new database gets; equal to what the migrations make of an older one
migrations/0034_plain_names.sql  a change of tables: applied once, in order, never edited afterwards
functions/raw/append.sql       one function with its comment and grants: applied whenever its text changes
functions/ORDER                the order of the functions
policies.sql                   row level security, applied after the functions it calls, whenever its text changes
before_0034.json               checksums of the earlier migrations, and what each of them made of every object
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec

from zmart import errors

_MIGRATION_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_STOPS_SERVICES = "-- Services of the version before cannot run on."
POLICIES = "policies"


@dataclass(frozen=True, kw_only=True)
class SqlFile:
    """One file of SQL."""

    #: The name that the history records: `0034_plain_names.sql`, `raw.append`, `policies`.
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the text with normalized line ends, as 64 hex digits."""
        return hashlib.sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Migration(SqlFile):
    """One numbered migration."""

    version: int

    @property
    def stops_services(self) -> bool:
        """Return whether services of the version before fail once it is applied; its first line says so."""
        return self.text.startswith(_STOPS_SERVICES)


class EarlierSchemas(msgspec.Struct, frozen=True, kw_only=True):
    """The migrations that 0034 replaced."""

    #: Checksum by file name, oldest first.
    files: dict[str, str]
    #: For each version that can be upgraded: object name to the first 8 hex digits of its definition's SHA-256.
    objects: dict[int, dict[str, str]]

    def version_of(self, name: str) -> int:
        """Return the number in a file's name."""
        return int(name[:4])


@dataclass(frozen=True, kw_only=True)
class SchemaFiles:
    """All files of one folder like zmart/db."""

    schema: SqlFile | None
    migrations: Sequence[Migration]
    #: In the order in which they are applied; the policies are the last.
    functions: Sequence[SqlFile]
    earlier: EarlierSchemas = field(default_factory=lambda: EarlierSchemas(files={}, objects={}))

    @property
    def function_names(self) -> list[str]:
        """Return the names of the functions, without the policies."""
        return [file.name for file in self.functions if file.name != POLICIES]


def read_files(folder: Traversable | None = None) -> SchemaFiles:
    """Read the files of `folder` (default: zmart/db); raise ConfigurationError for a file that is named wrongly."""
    root = folder or resources.files("zmart.db")
    earlier = root.joinpath("before_0034.json")
    return SchemaFiles(
        schema=_read_optional(root, "schema.sql", name="schema.sql"),
        migrations=read_migrations(root.joinpath("migrations")),
        functions=[*_read_functions(root.joinpath("functions")), *_read_policies(root)],
        **(
            {"earlier": msgspec.json.decode(earlier.read_bytes(), type=EarlierSchemas, strict=False)}
            if earlier.is_file()
            else {}
        ),
    )


def read_migrations(folder: Traversable) -> list[Migration]:
    """Read the migrations in order; raise ConfigurationError for invalid names and duplicate numbers."""
    entries = folder.iterdir() if folder.is_dir() else iter(())
    files = [_parse_migration(entry) for entry in entries if entry.name.endswith(".sql")]
    files.sort(key=lambda migration: (migration.version, migration.name))
    for earlier, later in itertools.pairwise(files):
        if earlier.version == later.version:
            raise errors.ConfigurationError(
                f"{earlier.name} and {later.name} have the same number.",
                help="Rename the newer file to the next free number.",
            )
    return files


def _parse_migration(entry: Traversable) -> Migration:
    match = _MIGRATION_NAME.fullmatch(entry.name)
    if match is None:
        raise errors.ConfigurationError(f"{entry.name} is not named like 0001_what_it_does.sql.", help="Rename it.")
    return Migration(version=int(match[1]), name=entry.name, text=entry.read_text(encoding="utf-8"))


def _read_functions(folder: Traversable) -> list[SqlFile]:
    if not folder.is_dir():
        return []
    lines = folder.joinpath("ORDER").read_text(encoding="utf-8").splitlines()
    order = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    texts = _function_texts(folder)
    _check_order(order, texts)
    return [SqlFile(name=name, text=texts[name]) for name in order]


def _function_texts(folder: Traversable) -> Mapping[str, str]:
    return {
        f"{schema.name}.{entry.name.removesuffix('.sql')}": entry.read_text(encoding="utf-8")
        for schema in folder.iterdir()
        if schema.is_dir()
        for entry in schema.iterdir()
        if entry.name.endswith(".sql")
    }


def _check_order(order: Sequence[str], files: Iterable[str]) -> None:
    if differing := sorted(set(order) ^ set(files)) or sorted({name for name in order if order.count(name) > 1}):
        raise errors.ConfigurationError(
            f"zmart/db/functions/ORDER and the files beside it do not agree on {', '.join(differing)}.",
            help="Name each file there once, after the functions that it calls.",
        )


def _read_policies(root: Traversable) -> list[SqlFile]:
    file = _read_optional(root, "policies.sql", name=POLICIES)
    return [file] if file else []


def _read_optional(root: Traversable, path: str, *, name: str) -> SqlFile | None:
    entry = root.joinpath(path)
    return SqlFile(name=name, text=entry.read_text(encoding="utf-8")) if entry.is_file() else None
