"""Valid SQL by its text alone."""

from __future__ import annotations

import pytest

from api.sql_console import validator


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
        "select 'Größe \u00a0' as size,\r\n\te'\\'é' || '…' from markets -- the end\rwhere true",
        "select 1_000, 0x1f, 1.5e3, .5, t.name from t",
    ],
)
def test_select_statements_are_accepted(sql: str) -> None:
    """Text in quotes and comments calls nothing; column names are not calls."""
    assert validator.validate(sql).startswith(sql[:6])


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
        "select 1 --\r, pg_sleep(1)",
        "select E'a'\n'\\' || ', pg_sleep(1) --'",
        "select E'a' -- b\n'\\' || ', pg_sleep(1) --'",
        "select 'a'\n'b'",
        "select 1 -- \u00e9",
        'select 1 as "\u00e9"',
        "select 1 as gr\u00f6\u00dfe",
        "select $$\u00e9$$",
        "select\u00a01",
        "select\u20281",
        *(f"select '{chr(code)}'" for code in (*range(9), 11, 12, *range(14, 32), 127)),
        "\x1cselect 1",
        "-- nothing",
    ],
)
def test_forbidden_function_calls_are_rejected(sql: str) -> None:
    """In any spelling."""
    if sql == "-- nothing":
        assert validator.validate(sql) == sql  # Postgres reports that this is not a statement.
        return
    with pytest.raises(validator.InvalidSql):
        validator.validate(sql)


def test_names_after_a_dot_are_found() -> None:
    """`(5).pg_sleep` is a call to Postgres; blanks, quotes and case do not hide it, and literals contain none."""
    statement = """select (5).pg_sleep, g . "Pg_Sleep", h.-- x
        PG_LS_DIR, 'a.b', (m).abs, 1.5, m.* from marts.markets as m"""
    assert validator.fields(statement) == {"pg_sleep", "Pg_Sleep", "pg_ls_dir", "markets"}
