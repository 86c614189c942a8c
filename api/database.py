"""Asking Postgres, one statement an answer.

A statement of `sql` gives one row: what it is true of (epoch, seq, slot, commitment) and the
finished JSON body, all from one snapshot. So an answer can never pair rows with another moment's
position, and Python neither sees nor copies the rows.

Reading is safe to repeat. When a connection turns out to be dead (the server restarted while it lay
in the pool), the statement is sent once more on a checked one before the caller hears of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg_pool
from litestar import Response

from zmart import errors
from zmart.db import pool

from . import etags
from .gathering import Gatherer


class Answer(NamedTuple):
    """One row of `sql`."""

    epoch: str
    seq: int
    slot: int | None
    commitment: str
    #: JSON.
    body: str

    def headers(self) -> dict[str, str]:
        """What every answer says about itself; an empty slot while no event is known."""
        return {
            "zmart-seq": f"{self.epoch}:{self.seq}",
            "zmart-slot": "" if self.slot is None else str(self.slot),
            "zmart-commitment": self.commitment,
        }

    def told(self, body: bytes) -> Response[Any]:
        """The answer with a body, or 304 where the caller has the same rows already."""
        tag = etags.tag(self.epoch, body)
        headers = {**self.headers(), "etag": tag, "cache-control": "no-cache"}
        if etags.is_known(tag):
            return Response(None, status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)


class Database:
    """The pool, seen as a place to ask."""

    def __init__(self, connections: pool.Pool) -> None:
        self._connections = connections
        self._gatherer = Gatherer(self.rows)

    async def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a reading statement; Unavailable or Overloaded when it cannot be run now."""
        try:
            return await self._rows(statement, parameters)
        except errors.Unavailable:
            with pool.translated():
                await self._connections.check()
            return await self._rows(statement, parameters)
        except errors.Overloaded as error:
            if isinstance(error.__cause__, psycopg_pool.PoolTimeout):
                raise errors.Unavailable("No connection to Postgres became free in time.") from error
            raise

    async def answer(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        *,
        varying: str | None = None,
        missing: str = "",
    ) -> Response[Any]:
        """Answer with the body that a statement of `sql` builds.

        Equal requests, and those that differ in the text parameter `varying` alone, are asked
        together. Raises NotFound with the text `missing` when there is no such thing.
        """
        found = await self.read(statement, parameters, varying=varying, missing=missing)
        return found.told(found.body.encode())

    async def read(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        *,
        varying: str | None = None,
        missing: str = "",
    ) -> Answer:
        """The same, for who makes the body of something else out of it."""
        row = await self._gatherer.row(statement, parameters, varying=varying)
        if row is None:
            raise errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
        if row[-1] is None:
            raise errors.NotFound(missing)
        return Answer(*row)

    async def _rows(self, statement: str, parameters: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
        with pool.translated():
            async with self._connections.connection() as connection:
                cursor = await connection.execute(statement, parameters)
                return await cursor.fetchall()
