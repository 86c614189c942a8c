"""Tests share one Postgres server: a query about sessions or locks names the database or the process it means."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
_VIEW = re.compile(r"(?:from|join) (?:pg_stat_activity|pg_locks)")
#: A server has one checkpointer; only a test with a server of its own looks for it.
_BOUND = re.compile(r"datname|pid = %s|backend_type = 'checkpointer'")

_ENDS_ANALYSTS = re.compile(r"end_listening_analysts|NotificationWatch\(")


def _unbounded(text: str) -> list[str]:
    """Return the statements of a file that read other databases' sessions, too."""
    found = (text[match.start() : match.start() + 240] for match in _VIEW.finditer(text))
    return [statement.splitlines()[0] for statement in found if not _BOUND.search(statement)]


def test_sessions_of_other_databases_are_left_alone() -> None:
    """A test that stopped or counted the sessions of another test would fail it, or be failed by it."""
    paths = [path for folder in ("integration", "chaos", "acceptance") for path in (TESTS / folder).rglob("*.py")]

    assert {path.name: found for path in paths if (found := _unbounded(path.read_text()))} == {}


def test_what_ends_sessions_of_every_database_has_a_server_of_its_own() -> None:
    """The watch of the queue ends analysts in all databases, so its tests may not share a server with others."""
    paths = [path for folder in ("integration", "chaos", "acceptance") for path in (TESTS / folder).rglob("*.py")]
    callers = [text for path in paths if _ENDS_ANALYSTS.search(text := path.read_text())]

    assert callers
    assert all("def own_server" in text for text in callers)


def test_an_unbounded_query_is_found() -> None:
    """The rule finds the query that stopped a session of another test."""
    assert _unbounded("select pid from pg_stat_activity where application_name = 'x'") != []
    assert _unbounded("select pid from pg_stat_activity where datname = current_database()") == []
