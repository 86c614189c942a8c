"""Reads from Postgres with one statement per response.

A statement of `sql` returns one row: its position (epoch, seq, mark, slot, commitment) and the finished JSON body.
All of it is from one snapshot, so a response never combines rows with the position of another moment. Python neither
parses nor copies the rows.

Most requests repeat before anything has changed. A response is cached for as long as the log ends where the response
was read, and each request checks that (`api/reads/response_cache.py`). For a list that must be read, only rows that
are missing from the row cache, because they are new or have changed, are rendered (`api/reads/row_pages.py`).

Reads are safe to repeat. If a connection turns out to be dead (the server restarted while it was idle in the pool),
the statement is sent once more on a checked connection before the caller receives an error.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
import psycopg_pool
from litestar import Response
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader

from zmart import errors
from zmart.db import feed, pool
from zmart.db.connection import translate_errors

from . import etags, response_cache, standby, statements
from .batching import RequestBatcher, Row, Run, Varying
from .row_pages import ListSpec, PageReader

Result = TypeVar("Result")


class _RawJsonLoader(Loader):
    """Loads JSON as the bytes that Postgres sent: a list has tens of thousands, and this process parses none."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def raw_json_adapters() -> AdaptersMap:
    """Return the adapters for connections of a ReadDatabase: the driver's own, but JSON stays bytes."""
    context = AdaptersMap(psycopg.adapters)
    for name in ("json", "jsonb"):
        context.register_loader(name, _RawJsonLoader)
    return context


@dataclass(frozen=True)
class Answer:
    """One row of `sql`, shared by all requests that asked for it at the same time."""

    epoch: str
    seq: int
    #: See `feed.FeedPosition.mark`.
    mark: str | None
    slot: int | None
    commitment: str
    #: JSON, as written by Postgres.
    body: bytes

    @property
    def position(self) -> response_cache.PositionKey:
        """Return the position in the log at which this answer is valid."""
        return self.epoch, self.seq

    @property
    def is_recent_enough(self) -> bool:
        """Return whether the answer has reached the position that the caller named."""
        return standby.has_reached(feed.FeedPosition(self.epoch, self.seq, self.mark), standby.required_position.get())

    @property
    def is_found(self) -> bool:
        """Return whether the object exists; the statement's body is null if it does not."""
        return self.body is not None

    def headers(self) -> dict[str, str]:
        """Return the headers that every response carries; the slot is empty while no event is known."""
        return {
            "zmart-seq": str(feed.FeedPosition(self.epoch, self.seq, self.mark)),
            "zmart-slot": "" if self.slot is None else str(self.slot),
            "zmart-commitment": self.commitment,
        }

    def response_with_body(self, body: bytes) -> Response[Any]:
        """Return a response with a body made from this one, or 304 if the caller already has the same rows."""
        return _response(body, {**self.headers(), "etag": etags.tag(self.epoch, body), "cache-control": "no-cache"})

    def response(self) -> Response[Any]:
        """Return a response with the answer's own body, or 304 if the caller already has the same rows."""
        return _response(*self._body_and_headers)

    @functools.cached_property
    def _body_and_headers(self) -> tuple[bytes, dict[str, str]]:
        """Return the body and its headers, built once for any number of requests."""
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


#: The share of the cache memory for rendered rows, which are shared by more pages.
_ROW_CACHE_SHARE = 0.75


class ReadDatabase:
    """Reads responses through the connection pool."""

    def __init__(self, connections: pool.Pool, *, cache_bytes: int = 0, fallback: ReadDatabase | None = None) -> None:
        self._connections = connections
        #: The primary, where these connections lead to a standby; it answers what the standby cannot.
        self._fallback = fallback
        self._batcher = RequestBatcher(self.rows, _to_answer)
        self._head_batcher = RequestBatcher(self.rows)
        row_cache_bytes = int(_ROW_CACHE_SHARE * cache_bytes)
        self._page_reader = PageReader(self.rows, self._snapshot, _to_answer, most_bytes=row_cache_bytes)
        self._response_cache = response_cache.ResponseCache[Answer](
            self._head, most_bytes=cache_bytes - row_cache_bytes
        )

    @property
    def cached_responses(self) -> response_cache.ResponseCache[Answer]:
        """Return the cache of responses, for its counts."""
        return self._response_cache

    def invalidate_cache(self) -> None:
        """Discard every response read until now; called after a write."""
        self._response_cache.invalidate()

    async def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a read statement; raise Unavailable or Overloaded if it cannot run now."""
        return await self._or_primary(lambda database: database._own_rows(statement, parameters))

    async def own_history(self, seq: int | None = None) -> standby.History:
        """Return the log's end, and its mark of a seq, in this database, never in the fallback; raise Unavailable."""
        rows = await self._own_rows(statements.compose("own_history"), {"seq": seq})
        if not rows:
            raise errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
        epoch, head_seq, head_mark, mark = rows[0]
        return standby.History(feed.FeedPosition(epoch, head_seq, head_mark), mark)

    async def _or_primary(self, read: Callable[[ReadDatabase], Awaitable[Result]]) -> Result:
        """Read here; on a standby, a read that replay cancels is tried once more, and then on the primary."""
        if self._fallback is None:
            return _require_recent(await read(self))
        for _ in range(2):
            try:
                found = await read(self)
            except errors.Unavailable:
                break
            except errors.NotFound:
                if standby.required_position.get() is None:
                    raise
                break
            except errors.Overloaded as error:
                if not isinstance(error.__cause__, psycopg.errors.SerializationFailure):
                    raise
            else:
                if isinstance(found, Answer) and not found.is_recent_enough:
                    # Another standby answered than the one that had replayed the caller's position.
                    break
                return found
        return _require_recent(await read(self._fallback))

    async def _own_rows(self, statement: str, parameters: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
        try:
            return await self._rows(statement, parameters)
        except errors.Unavailable:
            with translate_errors():
                await self._connections.check()
            return await self._rows(statement, parameters)
        except errors.Overloaded as error:
            if isinstance(error.__cause__, psycopg_pool.PoolTimeout):
                raise errors.Unavailable("No database connection became free in time.") from error
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
        """Return a response with the body that a statement of `sql` builds.

        Equal requests, and those that differ only in the parameters `varying`, are read together. Raises NotFound with
        the text `missing` if the object does not exist. `is_cacheable` must be false if the body depends on the
        current time or is only for this caller.
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
        """Return a response with a page of rows; `spec.rows_statement` renders rows that are not in the row cache.

        The statement of `sql` selects the rows of the page. Otherwise the same as `answer`.
        """

        async def read_page(database: ReadDatabase) -> Answer:
            return await database._page(spec, statement, parameters, varying=varying, missing=missing)

        return await self._cached_or_read((statement, *parameters.items()), lambda: self._or_primary(read_page))

    async def _cached_or_read(self, key: Hashable, read: Callable[[], Awaitable[Answer]]) -> Response[Any]:
        found = await self._response_cache.find(key)
        if found is None or not found.is_recent_enough:
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
        """Return the answer without the cache, for callers that build another body from it; raise NotFound."""

        async def read_row(database: ReadDatabase) -> Answer:
            return _require_found(await database._batcher.row(statement, parameters, varying=varying), missing)

        return await self._or_primary(read_row)

    async def _page(
        self, spec: ListSpec, statement: str, parameters: Mapping[str, Any], *, varying: Varying, missing: str
    ) -> Answer:
        return _require_found(await self._page_reader.read(spec, statement, parameters, varying=varying), missing)

    async def _head(self) -> response_cache.PositionKey | None:
        """Return the end of the log, read once for all requests that wait at the same time."""
        found: response_cache.PositionKey | None = await self._head_batcher.row(
            statements.compose("head"), {}, varying=None
        )
        return found

    @contextlib.asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Run]:
        """Provide a function that runs statements which all see the same snapshot."""
        with translate_errors():
            async with self._connections.connection() as connection, connection.transaction():
                await connection.execute("set transaction isolation level repeatable read")
                # Lock before the snapshot is taken: a mart that is being swapped would look empty to a later wait.
                await connection.execute(statements.compose("lock_lists"))

                async def run(statement: str, parameters: Mapping[str, Any]) -> list[Row]:
                    return await (await connection.execute(statement, parameters)).fetchall()

                yield run

    async def _rows(self, statement: str, parameters: Mapping[str, Any] | None) -> list[tuple[Any, ...]]:
        with translate_errors():
            async with self._connections.connection() as connection:
                cursor = await connection.execute(statement, parameters)
                return await cursor.fetchall()


def _require_recent(found: Result) -> Result:
    """Return an answer of the primary; raise Unavailable if it has not reached the position that the caller named.

    A position of another epoch is that of another log: the answer names the present one.
    """
    required = standby.required_position.get()
    if required is None or not isinstance(found, Answer):
        return found
    if found.epoch == required.epoch and not found.is_recent_enough:
        raise errors.Unavailable(f"No server has reached the position {required} yet.")
    return found
