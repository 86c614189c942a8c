"""The type that docs/marts.md gives for a column is the one that it has in Postgres, in every mart and view."""

from __future__ import annotations

import re

from zmart import testing
from zmart.run.deploy import rebuild

SECTION = re.compile(r"^## (\w+)\n", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| .*? \|$", re.MULTILINE)
COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    from pg_class as c
    inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'v', 'm')
"""


def documented_types() -> dict[tuple[str, str], str]:
    """Return the type of each column of each section of the page."""
    parts = SECTION.split((rebuild.PROJECT / "docs" / "marts.md").read_text())[1:]
    return {
        (mart, column): kind
        for mart, section in zip(parts[::2], parts[1::2], strict=True)
        for column, kind in ROW.findall(section)
    }


def test_every_column_has_its_type_in_the_document(marts_database: testing.PostgresDatabase) -> None:
    """No column is missing, none is too many, and no type is empty or another."""
    documented = documented_types()
    with marts_database.connect() as owner:
        found = {(str(mart), str(column)): str(kind) for mart, column, kind in owner.execute(COLUMNS)}

    assert {key: _normalized(kind) for key, kind in documented.items()} == found
    assert len(found) > 300


def _normalized(kind: str) -> str:
    names = {"int": "integer", "timestamptz": "timestamp with time zone"}
    return names.get(kind, kind.replace(", ", ",").replace(" []", "[]"))
