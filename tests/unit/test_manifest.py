"""The manifest that many processes read: whole, and of the reader's own models, or none."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from zmart.run import rebuild
from zmart.run.manifest import Kept

WHOLE = {"nodes": {"model.zmart.markets": {}}}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Nothing kept yet."""
    return Kept(folder=tmp_path)


def written(kept: Kept, text: str) -> Path:
    """What dbt has written so far."""
    path = kept.folder / "manifest.json"
    path.write_text(text)
    return path


def test_what_was_taken_is_read(kept: Kept) -> None:
    """Whole, under its digest."""
    assert kept.take(written(kept, json.dumps(WHOLE)), "one")
    assert kept.read("one") == WHOLE


def test_nothing_and_another_checkouts_are_none(kept: Kept) -> None:
    """A reader whose models are others has to parse them."""
    assert kept.read("one") is None
    kept.take(written(kept, json.dumps(WHOLE)), "one")
    assert kept.read("two") is None


@pytest.mark.parametrize("text", ["", json.dumps(WHOLE)[:-1]])
def test_half_of_one_is_not_taken(kept: Kept, text: str) -> None:
    """Another dbt is writing at the moment: what was kept stays."""
    kept.take(written(kept, json.dumps(WHOLE)), "one")
    assert not kept.take(written(kept, text), "two")
    assert kept.read("one") == WHOLE
    assert [path.name for path in sorted(kept.folder.iterdir())] == ["manifest.json", "models.json"]


def test_none_written_is_not_taken(kept: Kept) -> None:
    """dbt was told to write elsewhere."""
    assert not kept.take(kept.folder / "manifest.json", "one")


def names() -> list[str]:
    """What a process reads that needs the manifest."""
    return sorted(rebuild.manifest()["nodes"])


def test_processes_that_start_together_each_read_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster starts several; while they do, a dbt that works in the same folder has written half of its own."""
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path))
    (tmp_path / "dbt").mkdir()
    written(Kept(folder=tmp_path / "dbt"), '{"nodes": {')
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, other = (pool.apply_async(names) for _ in range(2))
        assert one.get() == other.get()
    assert "model.zmart.markets" in names()
