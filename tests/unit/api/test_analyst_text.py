"""What SQL may be asked, by its words alone."""

from __future__ import annotations

import pytest

from api.analyst import text


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "select count(*) from marts.trades;",
        "with a as (select 1 as x), b as materialized (select x from a) select sum(x) over (partition by x) from b",
        "select 'pg_sleep(1)' as harmless -- pg_sleep(1)",
        "select $$pg_sleep(1)$$, $a$ lo_export(1) $a$, E'\\'pg_sleep(1)'",
        "select x::numeric(10, 2) from (values (1), (2)) as t (x) where x in (1, 2)",
        "with pg_sleep(x) as (select 1) select x from pg_sleep",
        "select count(*) filter (where true), mode() within group (order by 1) from generate_series(1, 3)",
        'select "count"(*) from markets',
    ],
)
def test_what_selects_is_asked(sql: str) -> None:
    """Text in quotes and comments calls nothing; names of columns are no calls."""
    assert text.checked(sql).startswith(sql[:6])


@pytest.mark.parametrize(
    "sql",
    [
        "select pg_sleep(1)",
        "select PG_SLEEP (1)",
        "select pg_catalog.pg_sleep(1)",
        "select pg_catalog . count(1)",
        'select "pg_sleep"(1)',
        "select pg_sleep\n--\n(1)",
        "select pg_sleep/**/(1)",
        'select U&"pg\\005fsleep"(1)',
        "select set_config('a', 'b', false)",
        "select * from pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "select pg_notify('zmart_feed', '')",
        "select query_to_xml('select 1', true, true, '')",
        "select repeat('x', 1000000000)",
        "select 1 where pg_advisory_lock(1) is null",
        "select pg_terminate_backend(1)",
        "select 'a' '\\', pg_sleep(1), '",
        "",
        " ; ",
        "-- nothing",
    ],
)
def test_what_calls_anything_else_is_not(sql: str) -> None:
    """However it is spelled."""
    if sql == "-- nothing":
        assert text.checked(sql) == sql  # Postgres says that this is no statement.
        return
    with pytest.raises(text.UnfitSql):
        text.checked(sql)
