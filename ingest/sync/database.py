"""Gives the sync task its own database connection, to store what the chain lists and compare it with the log.

Lists are stored in a temporary table, so that a history of any length takes no memory here and a comparison is a join.
The table is lost with the connection: `generation` shows whether a list that was made earlier still exists. Nothing is
written to the log through this connection; only the writer does that.
"""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from zmart import errors
from zmart.db import alerts, queries
from zmart.db.connection import Connection, ReconnectingConnection, translate_all_errors

sql = queries.load("ingest.sync", "queries.sql")

#: Comparing whole histories takes time, and blocks nothing else.
STATEMENT_TIMEOUT_SECONDS = 300.0
_READ_FAILURE = "The log cannot be read"


class SyncDatabase:
    """Runs the statements of queries.sql on one connection that reconnects automatically."""

    def __init__(self, dsn: str) -> None:
        self._connection = ReconnectingConnection(
            dsn,
            application_name="zmart ingest walk",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            on_connect=_create_listing_table,
        )

    @property
    def generation(self) -> int:
        """A number that grows whenever the lists were lost."""
        return self._connection.generation

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def fetch_all(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return every row of a statement. Raises Unavailable where Postgres does not answer."""
        connection = await self._connection.get()
        with translate_all_errors(_READ_FAILURE):
            return await (await connection.execute(statement, parameters)).fetchall()

    async def fetch_one(self, statement: str, **parameters: Any) -> tuple[Any, ...]:
        """Return the row of a statement that returns exactly one."""
        rows = await self.fetch_all(statement, **parameters)
        return rows[0]

    async def execute(self, statement: str, **parameters: Any) -> int:
        """Run a statement that returns no rows; return how many rows it changed."""
        connection = await self._connection.get()
        with translate_all_errors(_READ_FAILURE):
            return (await connection.execute(statement, parameters)).rowcount

    async def alert(self, kind: str, message: str, *, subject: str = "", severity: str = "warning") -> None:
        """Raise an alert; while it is open, raising it again only increases its count."""
        await self.fetch_all(alerts.sql.raise_alert, kind=kind, subject=subject, severity=severity, message=message)

    async def resolve(self, kind: str, subject: str = "") -> None:
        """Resolve an alert, if it is open."""
        await self.fetch_all(alerts.sql.resolve_alert, kind=kind, subject=subject)

    async def save_completeness(self, completeness: dict[str, Any]) -> None:
        """Store the current completeness in the database."""
        await self.execute(sql.save_completeness, value=Jsonb(completeness))


async def _create_listing_table(connection: Connection) -> None:
    await connection.execute(sql.create_listing_table)


async def require_identity(database: SyncDatabase, *, genesis_hash: str, program_id: str) -> None:
    """Check that this log belongs to this chain and program; a new log is assigned to them.

    Raises ConfigurationError if it belongs to another one: two chains in one log could never be separated again.
    """
    found = await database.fetch_all(sql.identity)
    if not found:
        raise errors.Unavailable("This database has a log without an identity.", help="Run: zmart migrate")
    known_genesis, known_program = found[0]
    if known_genesis not in (None, genesis_hash):
        raise errors.ConfigurationError(
            f"The log is of the chain with genesis hash {known_genesis}, but the node's is {genesis_hash}.",
            help="Set SOLANA_RPC_URL to a node of the log's chain, or use another database.",
        )
    if known_program not in (None, program_id):
        raise errors.ConfigurationError(
            f"The log is of program {known_program}, but SOLANA_PROGRAM_ID_CORE is {program_id}.",
            help="Set it to the log's program, or use another database.",
        )
    if (known_genesis, known_program) != (genesis_hash, program_id):
        await database.execute(sql.save_identity, genesis_hash=genesis_hash, program_id=program_id)
