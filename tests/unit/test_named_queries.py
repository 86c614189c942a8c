"""Named SQL: the form of the files, and its violations."""

from __future__ import annotations

import pytest

from zmart import errors
from zmart.db import queries

GOOD = """
-- Comment before the first name.
-- name: one
-- The number one.
select 1;

-- name: two_rows
-- Two rows
-- in two lines.
select * from t
-- a remark
where id = %(id)s;
"""


def test_statements_are_attributes() -> None:
    """A name returns its text, sentence included, ready for psycopg."""
    found = queries.parse(GOOD)

    assert list(found) == ["one", "two_rows"]
    assert found.one == "-- The number one.\nselect 1"
    assert found.two_rows.endswith("where id = %(id)s")


def test_an_unknown_name_error_names_the_file() -> None:
    """The error for a mistyped name contains it."""
    with pytest.raises(AttributeError, match=r"here\.sql has no statement named 'three'"):
        _ = queries.parse(GOOD, source="here.sql").three


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- name: a\nselect 1", "no sentence"),
        ("-- name: a\n-- Says something.\n", "no statement"),
        ("-- name: a\n-- S.\nselect 1\n-- name: a\n-- S.\nselect 2", "twice"),
        ("-- name: A b\n-- S.\nselect 1", "lower_case"),
    ],
)
def test_malformed_files_are_rejected(text: str, problem: str) -> None:
    """Every statement has one name and a sentence, or the file does not load."""
    with pytest.raises(errors.ConfigurationError, match=problem):
        queries.parse(text)


def test_our_own_file_loads() -> None:
    """A package's file is found by package and name."""
    assert "applied" in queries.load("zmart.db", "history.sql").history
