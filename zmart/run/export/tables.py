"""Reads tables of Postgres into Arrow, exactly.

Postgres writes CSV (COPY), which Arrow's parser reads column by column; going through Python values took five times as
long. Integers stay integers, and every numeric becomes decimal(38, 0): 38 digits are what Parquet, DuckDB, Polars and
ClickHouse read exactly. A value that does not fit there is an error with its table, column and row. Amounts on chain
have at most 20 digits, so sums of 10^18 of them fit.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql as composed

from zmart import errors
from zmart.db.connection import SyncConnection

from .pace import Pace

if TYPE_CHECKING:
    import pyarrow

#: CSV that is parsed at once. It makes a file of a tenth of that.
CHUNK_BYTES: Final = 64 << 20
#: CSV after which a gentle export rests. Postgres stops reading, too, once the connection's buffers are full.
_REST_BYTES: Final = 1 << 20
#: Types of Postgres whose Arrow type is another than text.
_TYPES: Final[Mapping[str, str]] = {
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "boolean": "bool",
    "date": "date32",
    "timestamp with time zone": "timestamp",
    "numeric": "decimal",
    "text": "string",
    "jsonb": "string",
    "uuid": "string",
    "numeric[]": "string",
    "bigint[]": "string",
    "integer[]": "string",
    "text[]": "string",
}


class ValueTooLarge(errors.InvalidInput):
    """A value has more than 38 digits or a fraction, so no file can hold it exactly."""


def entries_schema() -> pyarrow.Schema:
    """Return the schema of `entries.parquet`, in the order of `copy_entries`."""
    return _schema(
        {
            "seq": "int64",
            "kind": "string",
            "ref": "int64",
            "at": "timestamp",
            "market_no": "int32",
            "market_account": "string",
            "market_id": "string",
            "wallet_no": "int32",
            "wallet": "string",
            "digest": "string",
            "event_seq": "int64",
            "name": "string",
            "ordinal": "int32",
            "clock": "int64",
            "payload": "string",
            "context": "string",
            "position": "int64",
            "retracted_at": "timestamp",
            "transaction_no": "int64",
            "signature": "string",
            "slot": "int64",
            "index_in_block": "int32",
            "is_order_final": "bool",
            "block_time": "timestamp",
            "fee_lamports": "decimal",
            "transaction_digest": "string",
            "first_seen_at": "timestamp",
            "transaction_retracted_at": "timestamp",
            "ballot_kind": "string",
            "vote": "bool",
            "cast_at": "timestamp",
        }
    )


def commits_schema() -> pyarrow.Schema:
    """Return the schema of `commits.parquet`."""
    return _schema({"first_seq": "int64", "last_seq": "int64", "value": "string"})


def mart_schema(mart: str, columns: Sequence[str], types: Sequence[str]) -> pyarrow.Schema:
    """Return the schema of a mart. Raise ConfigurationError for a type that the files do not have."""
    for column, kind in zip(columns, types, strict=True):
        if kind not in _TYPES:
            raise errors.ConfigurationError(f"marts.{mart}.{column} is of type {kind}, which exported files lack.")
    return _schema({column: _TYPES[kind] for column, kind in zip(columns, types, strict=True)})


def _schema(columns: Mapping[str, str]) -> pyarrow.Schema:
    import pyarrow as pa

    types = {
        "int16": pa.int16(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "bool": pa.bool_(),
        "date32": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "decimal": pa.decimal128(38, 0),
        "string": pa.string(),
    }
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])


def set_formats(connection: SyncConnection) -> None:
    """Make a session write times as Arrow reads them."""
    connection.execute("set timezone = 'UTC'; set datestyle = 'ISO'; set bytea_output = 'hex'")


def copy_rows(connection: SyncConnection, pace: Pace, statement: Any, parameters: Any = None) -> Iterator[bytes]:
    """Yield the CSV of a COPY in pieces of about CHUNK_BYTES, each of whole rows; nothing without rows."""
    pieces: list[bytes] = []
    size = unrested = 0
    with connection.cursor() as cursor, cursor.copy(statement, parameters) as copy:
        for row in copy:
            pieces.append(bytes(row))
            size += len(row)
            unrested += len(row)
            if unrested >= _REST_BYTES:
                pace.rest()
                unrested = 0
            if size >= CHUNK_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


def parse(content: bytes, schema: pyarrow.Schema) -> pyarrow.Table:
    """Return the rows of CSV. Raise pyarrow's error for a value that its column cannot hold."""
    import pyarrow as pa
    from pyarrow import csv

    if not content:
        return schema.empty_table()
    return csv.read_csv(
        pa.py_buffer(content),
        # One thread: an export runs beside ingest.
        read_options=csv.ReadOptions(column_names=schema.names, block_size=8 << 20, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            # Postgres writes null as nothing and an empty text as "".
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def mart_select(mart: str, columns: Sequence[str], types: Sequence[str]) -> composed.Composed:
    """Return the COPY of a mart. Arrays become JSON; an infinite time, which Parquet lacks, becomes null."""
    fields = [_field(column, kind) for column, kind in zip(columns, types, strict=True)]
    return composed.SQL("copy (select {0} from marts.{1}) to stdout (format csv)").format(
        composed.SQL(", ").join(fields), composed.Identifier(mart)
    )


def _field(column: str, kind: str) -> composed.Composed:
    if kind.endswith("[]"):
        form = "array_to_json({0})::text"
    elif kind == "timestamp with time zone":
        form = "case when isfinite({0}) then {0} end"
    else:
        form = "{0}"
    return composed.SQL(form).format(composed.Identifier(column))


def find_unfit(
    connection: SyncConnection, mart: str, columns: Sequence[str], types: Sequence[str], cause: Exception
) -> ValueTooLarge:
    """Return the error that names the first value of a mart that no file can hold; `cause` is the parser's error."""
    for column in (column for column, kind in zip(columns, types, strict=True) if kind == "numeric"):
        statement = composed.SQL(
            "select {0}::text, to_jsonb(m) from marts.{1} as m"
            " where {0} = 'NaN' or abs({0}) >= 1e38 or {0} <> trunc({0}) limit 1"
        ).format(composed.Identifier(column), composed.Identifier(mart))
        row = connection.execute(statement).fetchone()
        if row is not None:
            value, content = row
            place = ", ".join(f"{name} {content[name]}" for name in list(columns)[:3])
            return ValueTooLarge(
                f"marts.{mart}.{column} is {value} in the row with {place}: it does not fit into decimal(38, 0).",
                help="Nothing of this snapshot is published. Correct the model, then run `zmart export` again.",
            )
    return ValueTooLarge(f"A value of marts.{mart} does not fit into its column of the file: {cause}.")


def write_parquet(table: pyarrow.Table) -> bytes:
    """Return the bytes of a Parquet file, compressed by zstd."""
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd", compression_level=3, store_decimal_as_integer=False)
    return buffer.getvalue()


def read_parquet(content: bytes) -> pyarrow.Table:
    """Return the rows of a Parquet file. Raise pyarrow's errors for anything else."""
    import pyarrow as pa
    from pyarrow import parquet

    return parquet.read_table(pa.BufferReader(content))


def concatenate(contents: Iterable[bytes], schema: pyarrow.Schema) -> pyarrow.Table:
    """Return the rows of several pieces of CSV."""
    import pyarrow as pa

    return pa.concat_tables([schema.empty_table(), *(parse(content, schema) for content in contents)])
