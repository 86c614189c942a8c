"""Every folded model reads a window of the log by index; a CTE that is used twice would read its whole table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import sql

from zmart import testing

#: As in folds.create_functions and folds.create_stage.
SETTINGS = ("enable_hashjoin", "enable_mergejoin", "enable_seqscan")
STATEMENTS = """
    select
        name,
        folds.with_window(
            replace(
                replace(merge_sql, '/*target*/', format('marts.%I', name)),
                coalesce(staged_sql, ''), format('select * from unnest(null::folds.%I [])', staged_as)
            ), '(seq > 7000 and seq <= 7100)'
        )
    from ops.models
    where kind = 'fold' and staged_as is not null
    union all
    select
        name,
        folds.with_window(
            replace(merge_sql, '/*target*/', format('marts.%I', name)), '(seq > 7000 and seq <= 7100)'
        )
    from ops.models
    where kind = 'fold' and staged_as is null
    union
    select staged_as, folds.with_window(staged_sql, '(seq > 7000 and seq <= 7100)')
    from ops.models
    where staged_as is not null
"""


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def test_a_window_is_read_by_index(marts_database: testing.PostgresDatabase) -> None:
    """Each scan of the log and of the look-up tables has a condition on an index."""
    with marts_database.connect() as owner:
        statements = owner.execute(STATEMENTS).fetchall()
        for name in SETTINGS:
            owner.execute(sql.SQL("set {} = off").format(sql.Identifier(name)))
        read_whole = [
            (name, node["Schema"], node["Relation Name"])
            for name, statement in statements
            for row in owner.execute(f"explain (verbose, format json) {statement}".encode())
            for node in nodes(row[0][0]["Plan"])  # type: ignore[index]
            if node.get("Schema") in ("raw", "app") and not node.keys() & {"Index Cond", "Recheck Cond"}
        ]
    assert len(statements) == 8
    assert read_whole == []
