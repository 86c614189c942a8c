"""Asking Postgres, one statement an answer.

A statement of `sql` gives one row: what it is true of (epoch, seq, slot, commitment) and the
finished JSON body, all from one snapshot. So an answer can never pair rows with another moment's
position, and Python neither sees nor copies the rows.

Most questions are asked again before anything has happened. An answer is kept for as long as the log
ends where it was read, which is looked up each time (`api/reads/response_cache.py`). Of a list that must be read, only
rows are written that nobody has been shown since they last changed (`api/reads/row_pages.py`).

Reading is safe to repeat. When a connection turns out to be dead (the server restarted while it lay
in the pool), the statement is sent once more on a checked one before the caller hears of it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg_pool
from litestar import Response
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader

from zmart import errors
from zmart.db import feed, pool
from zmart.db.connection import translate_errors

from . import etags, response_cache, statements
from .batching import RequestBatcher, Row, Run, Varying
from .row_pages import ListSpec, PageReader


class _RawJsonLoader(Loader):
    """JSON as the bytes that Postgres sent: a list has tens of thousands, and nobody here reads them."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def raw_json_adapters() -> AdaptersMap:
    """How connections of a Database read values: as the driver does, but JSON stays bytes."""
    context = AdaptersMap(psycopg.adapters)
    for name in ("json", "jsonb"):
        context.register_loader(name, _RawJsonLoader)
    return context


@dataclass(frozen=True)
class Answer:
    """One row of `sql`, shared by all who asked for it at the same time."""

    epoch: str
    seq: int
    slot: int | None
    commitment: str
    #: JSON, as Postgres wrote it.
    body: bytes

    @property
    def position(self) -> response_cache.PositionKey:
        """Of which place in the log this is true."""
        return self.epoch, self.seq

    @property
    def is_found(self) -> bool:
        """Whether there is such a thing; the statement's body is null where there is none."""
        return self.body is not None

    def headers(self) -> dict[str, str]:
        """What every answer says about itself; an empty slot while no event is known."""
        return {
            "zmart-seq": str(feed.FeedPosition(self.epoch, self.seq)),
            "zmart-slot": "" if self.slot is None else str(self.slot),
            "zmart-commitment": self.commitment,
        }

    def response_with_body(self, body: bytes) -> Response[Any]:
        """The answer with a body made of this one, or 304 where the caller has the same rows already."""
        return _response(body, {**self.headers(), "etag": etags.tag(self.epoch, body), "cache-control": "no-cache"})

    def response(self) -> Response[Any]:
        """The answer with its own body."""
        return _response(*self._body_and_headers)

    @functools.cached_property
    def _body_and_headers(self) -> tuple[bytes, dict[str, str]]:
        """The bytes and what is said about them, made once however many asked."""
        return self.body, {**self.headers(), "etag": etags.tag(self.epoch, self.body), "cache-control": "no-cache"}


def _response(body: bytes, headers: dict[str, str]) -> Response[Any]:
    if etags.is_held_by_client(headers["etag"]):
        return Response(None, status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _to_answer(row: Row) -> Answer:
    return Answer(*row)


def _require_found(found: Answer | None, missing: str) -> Answer:
    if found is None:
        raise errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
    if not found.is_found:
        raise errors.NotFound(missing)
    return found


#: How much of the memory for what is kept belongs to the texts of rows, which more pages share.
_ROW_CACHE_SHARE = 0.75


class ReadDatabase:
    """The pool, seen as a place to ask."""

    def __init__(self, connections: pool.Pool, *, cache_bytes: int = 0) -> None:
        self._connections = connections
        self._batcher = RequestBatcher(self.rows, _to_answer)
        self._head_batcher = RequestBatcher(self.rows)
        row_cache_bytes = int(_ROW_CACHE_SHARE * cache_bytes)
        self._page_reader = PageReader(self.rows, self._snapshot, _to_answer, most_bytes=row_cache_bytes)
        self._response_cache = response_cache.ResponseCache[Answer](
            self._head, most_bytes=cache_bytes - row_cache_bytes
        )

    def invalidate_cache(self) -> None:
        """Keep no answer that was read until now; for who wrote something."""
        self._response_cache.invalidate()

    async def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a reading statement; Unavailable or Overloaded when it cannot be run now."""
        try:
            return await self._rows(statement, parameters)
        except errors.Unavailable:
            with translate_errors():
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
        varying: Varying = None,
        missing: str = "",
        is_cacheable: bool = True,
    ) -> Response[Any]:
        """Answer with the body that a statement of `sql` builds.

        Equal requests, and those that differ in the parameters `varying` alone, are asked
        together. Raises NotFound with the text `missing` when there is no such thing. `is_kept` must be
        false where the body tells the time, or is for the caller alone.
        """
        if not is_cacheable:
            return (await self.read(statement, parameters, varying=varying, missing=missing)).response()
        read_answer = functools.partial(self.read, statement, parameters, varying=varying, missing=missing)
        return await self._cached_or_read((statement, *parameters.items()), read_answer)

    async def page(
        self,
        spec: ListSpec,
        statement: str,
        parameters: Mapping[str, Any],
        *,
        varying: Varying = None,
        missing: str = "",
    ) -> Response[Any]:
        """Answer with a page of rows that a statement of `sql` names; `listed.texts` writes those that are new here.

        Otherwise as `answer`.
        """
        read_page = functools.partial(self._page, spec, statement, parameters, varying=varying, missing=missing)
        return await self._cached_or_read((statement, *parameters.items()), read_page)

    async def _cached_or_read(self, key: Hashable, read: Callable[[], Awaitable[Answer]]) -> Response[Any]:
        found = await self._response_cache.find(key)
        if found is None:
            pending = self._response_cache.begin_read()
            found = await read()
            self._response_cache.store(key, found, pending)
        return found.response()

    async def read(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        *,
        varying: Varying = None,
        missing: str = "",
    ) -> Answer:
        """The same, never kept, for who makes the body of something else out of it."""
        return _require_found(await self._batcher.row(statement, parameters, varying=varying), missing)

    async def _page(
        self, spec: ListSpec, statement: str, parameters: Mapping[str, Any], *, varying: Varying, missing: str
    ) -> Answer:
        return _require_found(await self._page_reader.read(spec, statement, parameters, varying=varying), missing)

    async def _head(self) -> response_cache.PositionKey | None:
        """Where the log ends, looked up for all who ask meanwhile."""
        found: response_cache.PositionKey | None = await self._head_batcher.row(
            statements.compose("head"), {}, varying=None
        )
        return found

    @contextlib.asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Run]:
        """Run statements that all see the same moment."""
        with translate_errors():
            async with self._connections.connection() as connection, connection.transaction():
                await connection.execute("set transaction isolation level repeatable read")
                # Before anything is seen: a mart that is being swapped would look empty to who waits for it later.
                await connection.execute(statements.compose("lock_lists"))

                async def run(statement: str, parameters: Mapping[str, Any]) -> list[Row]:
                    return await (await connection.execute(statement, parameters)).fetchall()

                yield run

    async def _rows(self, statement: str, parameters: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
        with translate_errors():
            async with self._connections.connection() as connection:
                cursor = await connection.execute(statement, parameters)
                return await cursor.fetchall()
