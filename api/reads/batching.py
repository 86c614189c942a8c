"""Batches reads: requests that wait at the same time share one statement.

While a statement runs, requests for the same data queue up; the next statement is for all of them. The text is the
same for one market or a hundred (an array of names, one row each). Under load the requests therefore share the cost
of a query to Postgres, and a single request waits for no other.

No request receives data that was read before the request arrived: a request that arrives while a statement runs waits
for the next one. So this is not a cache, and the response contains everything that the caller has seen committed.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from . import statements

Row: TypeAlias = tuple[Any, ...]
#: The parameter, or parameters, in which requests of a group differ; None if all requests are the same.
Varying: TypeAlias = str | tuple[str, ...] | None
Run: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[list[Row]]]

#: Maximum number of values in one statement; with more, the first would wait for the last.
MOST_VALUES = 32
#: Concurrent statements for the same data; one for each core that Postgres may use.
_WORKERS = 2


@dataclass
class _Group:
    """The requests that wait for rows of one statement, by the values in which they differ."""

    waiting: dict[Any, list[asyncio.Future[Any]]] = field(default_factory=lambda: collections.defaultdict(list))
    workers: set[asyncio.Task[None]] = field(default_factory=set)


class RequestBatcher:
    """Answers requests in batches."""

    def __init__(self, run: Run, convert_row: Callable[[Row], Any] = tuple) -> None:
        self._run = run
        #: Converts a row, once for all requests that asked for it.
        self._convert_row = convert_row
        self._groups: dict[tuple[Any, ...], _Group] = {}

    async def row(self, statement: str, parameters: Mapping[str, Any], *, varying: Varying) -> Any:
        """Return the converted row of a statement, read together with other requests; None if there is no row.

        Varying parameters are sent as text; the statement casts each of them to its type.
        """
        names = _varying_names(varying)
        key = (statement, names, *(item for item in sorted(parameters.items()) if item[0] not in names))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        group.waiting[tuple([parameters[name] for name in names])].append(answer)
        if len(group.workers) < _WORKERS:
            worker = asyncio.create_task(self._work(group, statement, parameters, names))
            group.workers.add(worker)
            worker.add_done_callback(functools.partial(self._remove_worker, key, group))
        return await answer

    async def _work(self, group: _Group, statement: str, parameters: Mapping[str, Any], names: tuple[str, ...]) -> None:
        while group.waiting:
            values = list(itertools.islice(group.waiting, MOST_VALUES))
            # Always in the same order, so that statements that lock a row for each value cannot deadlock.
            values.sort()
            answers = [group.waiting.pop(value) for value in values]
            try:
                found = await self._rows(statement, parameters, names, values)
            except BaseException as error:
                _set_errors(answers, error)
                if not isinstance(error, Exception):
                    raise
            else:
                for number, waiting in enumerate(answers, start=1):
                    _set_results(waiting, found.get(number))

    async def _rows(
        self, statement: str, parameters: Mapping[str, Any], names: tuple[str, ...], values: list[tuple[Any, ...]]
    ) -> dict[int, Any]:
        """Return the converted rows by the number of their value, from 1."""
        if not names:
            return {
                number: self._convert_row(row)
                for number, row in enumerate(await self._run(statement, parameters), start=1)
            }
        columns = {name: list(column) for name, column in zip(names, zip(*values, strict=True), strict=True)}
        rows = await self._run(batched_statement(statement, names), {**parameters, **columns})
        return {row[0]: self._convert_row(row[1:]) for row in rows}

    def _remove_worker(self, key: tuple[Any, ...], group: _Group, worker: asyncio.Task[None]) -> None:
        group.workers.discard(worker)
        if not group.workers and not group.waiting:
            self._groups.pop(key, None)


@functools.cache
def batched_statement(statement: str, names: tuple[str, ...]) -> str:
    """Return the statement for one array of values per name; its first column is the number of the values, from 1."""
    one = statement
    for name in names:
        one = one.replace(f"%({name})s", f'asked."{name}"')
    return statements.part(
        "for_each_value",
        one=one,
        names=", ".join(f'"{name}"' for name in names),
        values=", ".join(f"%({name})s::text[]" for name in names),
    )


def _varying_names(varying: Varying) -> tuple[str, ...]:
    return () if varying is None else (varying,) if isinstance(varying, str) else varying


def _set_results(waiting: list[asyncio.Future[Any]], row: Any) -> None:
    for answer in waiting:
        if not answer.done():
            answer.set_result(row)


def _set_errors(answers: list[list[asyncio.Future[Any]]], error: BaseException) -> None:
    for answer in itertools.chain.from_iterable(answers):
        if not answer.done():
            if isinstance(error, Exception):
                answer.set_exception(error)
            else:
                answer.cancel()
