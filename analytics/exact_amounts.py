"""Reads amounts into data frames without a rounding error; docs/analytics.md shows these lines.

An amount is `numeric(39, 0)`. pandas makes a float of it unless it is asked not to, which loses lamports above 2^53.
ADBC makes text of it. No amount on chain has more than 20 digits, so 38 decimal digits hold every amount and every sum.
"""

from __future__ import annotations

import adbc_driver_postgresql.dbapi
import duckdb
import pandas
import polars
import psycopg
import pyarrow
import sqlalchemy

LAMPORTS = polars.Decimal(38, 0)


def with_pandas(dsn: str, query: str) -> pandas.DataFrame:
    """Return the rows; amounts are `decimal.Decimal`, which sums exactly."""
    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    return pandas.read_sql(query, engine, coerce_float=False)


def with_polars(dsn: str, query: str) -> polars.DataFrame:
    """Return the rows; the column `cost` is a decimal of 38 digits."""
    with psycopg.connect(dsn) as connection:
        return polars.read_database(query, connection, schema_overrides={"cost": LAMPORTS})


def with_adbc(dsn: str, query: str) -> polars.DataFrame:
    """Return the rows; ADBC returns `cost` as text, which is cast."""
    with adbc_driver_postgresql.dbapi.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        table = cursor.fetch_arrow_table()
    costs = table["cost"].combine_chunks().storage.cast(pyarrow.decimal128(38, 0))
    return polars.DataFrame(table.set_column(table.schema.get_field_index("cost"), "cost", costs))


def with_duckdb(dsn: str, query: str) -> duckdb.DuckDBPyRelation:
    """Return the rows as a relation; DuckDB sums decimals exactly."""
    trades = with_polars(dsn, query)
    return duckdb.from_arrow(trades.to_arrow())
