"""Many readers, few statements: requests that wait at the same time are answered by one.

While a statement is under way, requests for the same thing gather; the next statement is for all of
them. For one market or a hundred it is the same text (an array of names, one row each), so under
load the cost of asking Postgres is shared, and a lone request waits for nobody.

Nobody is given an answer that was read before they asked: who comes while a statement is under way
waits for the next one. So this is no cache, and what a caller has seen committed is in its answer.
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
#: The parameter in which requests of a group differ, or several; None when they are all the same request.
Varying: TypeAlias = str | tuple[str, ...] | None
Run: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[list[Row]]]

#: Values in one statement; more would make the first wait for the last.
MOST_VALUES = 32
#: Statements under way for the same thing; one for each core that Postgres may use.
_WORKERS = 2


@dataclass
class _Group:
    """Those who wait for rows of one statement, by the value that tells them apart."""

    waiting: dict[Any, list[asyncio.Future[Any]]] = field(default_factory=lambda: collections.defaultdict(list))
    workers: set[asyncio.Task[None]] = field(default_factory=set)


class RequestBatcher:
    """Answers requests a group at a time."""

    def __init__(self, run: Run, convert_row: Callable[[Row], Any] = tuple) -> None:
        self._run = run
        #: What is made of a row, once for all who asked for it.
        self._convert_row = convert_row
        self._groups: dict[tuple[Any, ...], _Group] = {}

    async def row(self, statement: str, parameters: Mapping[str, Any], *, varying: Varying) -> Any:
        """What is made of the one row of a statement, asked together with others; None where there is none.

        Parameters that vary travel as text: the statement says at each place what they are.
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
            # In one order, whoever asks: statements that lock a row for each value never wait in a circle.
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
        """The rows by the number of their value, from 1."""
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
    """The statement for arrays of values, an array a name: its columns after the number of the values, from 1."""
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
