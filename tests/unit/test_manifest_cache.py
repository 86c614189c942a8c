"""The manifest that many processes read: complete, and of the reader's own models, or none."""

from __future__ import annotations

import itertools
import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import pytest

from zmart.run.deploy import manifest_cache, rebuild
from zmart.run.deploy.manifest_cache import ManifestCache

WHOLE = {"nodes": {"model.zmart.markets": {}}}


@pytest.fixture
def cache(tmp_path: Path) -> ManifestCache:
    """No cached manifest yet."""
    return ManifestCache(folder=tmp_path)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"digest": "one"}', json.dumps(WHOLE)[:-1]])
def test_an_invalid_cache_file_reads_as_none(cache: ManifestCache, text: str | None) -> None:
    """A reader then parses the models itself."""
    if text is not None:
        cache.path.write_text(text)
    assert cache.read("one") is None


def test_a_stored_manifest_is_read_for_the_same_models_only(cache: ManifestCache) -> None:
    """Complete, under its digest; no other file is left in the folder."""
    cache.store({}, "none")
    cache.store(WHOLE, "one")
    assert cache.read("one") == WHOLE
    assert cache.read("two") is None
    assert list(cache.folder.iterdir()) == [cache.path]


def test_an_unwritable_folder_is_ignored(cache: ManifestCache) -> None:
    """On a full disk, for example: the cache only saves time."""
    cache.path.mkdir()
    cache.store(WHOLE, "one")
    assert cache.read("one") is None
    assert list(cache.folder.iterdir()) == [cache.path]


@pytest.mark.parametrize("text", ["", json.dumps(WHOLE)[:-1]])
def test_a_half_written_manifest_reads_as_none(tmp_path: Path, text: str) -> None:
    """Another dbt is writing at the moment, or was configured to write to another folder."""
    path = tmp_path / "manifest.json"
    assert manifest_cache.read_dbt_manifest(path) is None
    path.write_text(text)
    assert manifest_cache.read_dbt_manifest(path) is None
    path.write_text(json.dumps(WHOLE))
    assert manifest_cache.read_dbt_manifest(path) == WHOLE


def test_models_that_change_during_the_read_are_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The models of that manifest are unknown, so the next reader parses again; this one has the parsed manifest."""
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path))
    digests = itertools.count()
    monkeypatch.setattr(rebuild, "sources_digest", lambda: str(next(digests)))
    assert "model.zmart.markets" in rebuild.load_manifest()["nodes"]
    assert not ManifestCache(folder=tmp_path / "dbt").path.exists()


def names() -> list[str]:
    """Return the manifest of a process that needs it."""
    return sorted(rebuild.load_manifest()["nodes"])


@pytest.mark.drill
def test_processes_that_start_together_each_read_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster starts several; in the meantime, a dbt in the same folder has written half of its own."""
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path))
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "manifest.json").write_text('{"nodes": {')
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, other = (pool.apply_async(names) for _ in range(2))
        assert one.get() == other.get()
        # The end of the block sends SIGTERM, on which a measured worker writes its data and may wait for ever.
        pool.close()
        pool.join()
    assert "model.zmart.markets" in names()


def test_models_are_read_where_the_state_directory_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's code server starts without it: dbt works in the system's temporary folder instead."""
    (tmp_path / "state").touch()
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path / "state"))
    folders: list[Path] = []

    def build(dsn: str, arguments: Sequence[str], *, target: Path) -> None:
        folders.append(target)
        (target / "manifest.json").write_text("{}")

    monkeypatch.setattr(rebuild, "build_models", build)

    assert rebuild.load_manifest() == {}
    assert tmp_path not in folders[0].parents
