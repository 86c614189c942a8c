"""The catalog contains every statement of the API, composed and ready for psql."""

from __future__ import annotations

import re

import pytest

from api import sql_catalog, writes
from api.reads import statements


def test_every_template_is_in_the_catalog() -> None:
    """Each statement of api/sql is listed under its name or as variants; so is each of writes.sql and live.sql."""
    listed = sql_catalog.texts()
    templates = {name.partition(".")[0] for name in listed} - {"live", "writes"}
    assert templates == set(statements.names())
    assert {name.removeprefix("writes.") for name in listed if name.startswith("writes.")} == set(writes.names())
    assert {"live.head", "live.window", "live.snapshot"} <= set(listed)


@pytest.mark.parametrize("name", sql_catalog.texts())
def test_a_printed_statement_is_complete(name: str) -> None:
    """No placeholder of a part or a parameter is left; every variable has an example."""
    printed = sql_catalog.render(name)
    text = "\n".join(line for line in printed.splitlines() if not line.startswith(("\\set ", "--")))
    assert not re.search(r"\{[a-z_]+\}|%\(|%%", text)
    examples = re.findall(r"^\\set (\w+) .", printed, re.MULTILINE)
    assert examples == list(sql_catalog.parameters(name))
    assert set(examples) <= set(re.findall(r"(?<!:):'?([a-z_]+)", text))


def test_variants_have_different_texts() -> None:
    """Two entries with one text would be one statement."""
    texts = list(sql_catalog.texts().values())
    assert len(set(texts)) == len(texts)


def test_an_unknown_name_gets_similar_names(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, then the variants of a template, names that are spelled alike, or the command that lists all."""
    assert sql_catalog.main(["holders"]) == 2
    assert capsys.readouterr().err == (
        "zmart: There is no statement holders. Similar: holders.both, holders.next_page, holders.no, holders.yes.\n"
    )
    assert sql_catalog.main(["leaderbord.volume"]) == 2
    assert "Similar: leaderboard.volume" in capsys.readouterr().err
    assert sql_catalog.main(["%"]) == 2
    assert capsys.readouterr().err == "zmart: There is no statement %. List all: zmart sql list\n"


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each statement: its name and the first sentence about it."""
    assert sql_catalog.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(sql_catalog.texts())
    assert all(re.fullmatch(r"\S+ +\S.*[^ ]\.", line) for line in lines)
