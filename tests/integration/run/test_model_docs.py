"""The models' documentation: one file, written once for each version of the models, and replaced in one step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zmart import errors, settings, testing
from zmart.run.deploy import model_docs, rebuild


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A state directory of the test's own."""
    monkeypatch.setenv(settings.RUN_VARIABLE, "test")
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path))
    return tmp_path


def test_the_page_is_written_once_for_each_version(
    marts_database: testing.PostgresDatabase, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the columns and their types; dbt does not run again before a model changes; no folder is left."""
    assert model_docs.write_page(marts_database.dsn())
    page = (state / "dbt" / "models.html").read_text()
    assert "Whether the log has the event MarketCreated" in page
    assert [path.name for path in (state / "dbt").iterdir() if path.is_dir()] == []

    ran: list[object] = []
    monkeypatch.setattr(rebuild, "build_models", lambda *arguments, **_: ran.append(arguments))
    assert not model_docs.write_page(marts_database.dsn())
    assert ran == []

    monkeypatch.setattr(rebuild, "sources_digest", lambda: "another")
    with pytest.raises(FileNotFoundError):
        model_docs.write_page(marts_database.dsn())
    assert len(ran) == 1
    assert (state / "dbt" / "models.html").read_text() == page


def test_a_page_of_unknown_sources_is_written_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded digest is that of this very page, not of one that was put in its place."""
    written = state / "written.html"

    def build(dsn: str, arguments: object, *, target: Path) -> None:
        (target / model_docs.DBT_PAGE).write_text("new")

    monkeypatch.setattr(rebuild, "build_models", build)
    written.write_text("old")
    (state / "dbt").mkdir()
    page = model_docs.publish(written, rebuild.sources_digest())
    assert not model_docs.write_page("")
    page.write_text("older")

    assert model_docs.write_page("")
    assert page.read_text() == "new"


def test_the_background_task_fails_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """dbt's error is the task's last line, which the supervisor repeats; it runs at the lowest priority."""
    niceness: list[int] = []

    def fail(dsn: str, arguments: object, *, target: Path) -> None:
        raise errors.ConfigurationError("dbt could not build the models.")

    monkeypatch.setattr(os, "nice", niceness.append)
    monkeypatch.setattr(rebuild, "build_models", fail)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1:1/z")

    assert model_docs.main() == 1
    assert niceness == [19]
    assert capsys.readouterr().err.startswith("ERROR: the page /docs/models is not written: dbt could not build")
