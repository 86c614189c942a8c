"""The notebook runs from beginning to end on the generated month, and draws its plots.

ZMART_WRITE_IMAGES=1 writes its pictures to docs/images.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import nbclient
import nbformat
import pytest

from zmart import testing
from zmart.run.export import exporter
from zmart.run.export.store import FolderStore

ROOT = Path(__file__).resolve().parents[3]
IPYNB_PATH = ROOT / "analytics" / "markets.ipynb"
PICTURES = {"price-path", "calibration", "profit", "fees", "funnel", "impact"}


@pytest.mark.slow
def test_ipynb_runs_and_draws_every_chart(
    month: testing.PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell runs without output on stderr, as an analyst, and every plot is a picture."""
    images = ROOT / "docs" / "images" if os.environ.get("ZMART_WRITE_IMAGES") else tmp_path
    monkeypatch.setenv("ZMART_DSN", month.dsn("analyst"))
    monkeypatch.setenv("ZMART_IMAGES", str(images))
    run_and_check(images)


@pytest.mark.drill
@pytest.mark.slow
def test_ipynb_reads_files_too(
    postgres_server: testing.PostgresServer,
    month_template: testing.PostgresDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same plots from exported files, without a database."""
    with postgres_server.clone(month_template) as database:
        exporter.export(database.dsn(), FolderStore(tmp_path / "files"))
    (tmp_path / "images").mkdir()
    monkeypatch.setenv("ZMART_DSN", "postgresql://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setenv("ZMART_FILES", str(tmp_path / "files"))
    monkeypatch.setenv("ZMART_IMAGES", str(tmp_path / "images"))
    run_and_check(tmp_path / "images")


def run_and_check(images: Path) -> None:
    """Run all cells; check that each picture was drawn."""
    document = nbformat.read(IPYNB_PATH, as_version=4)

    nbclient.NotebookClient(
        document, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()

    outputs = [output for cell in document.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert " trades of " in outputs[0].text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(PICTURES)
    for name in PICTURES:
        width, height = struct.unpack(">II", (images / f"analytics-{name}.png").read_bytes()[16:24])
        assert width > 600
        assert height > 400


def test_committed_ipynb_has_no_outputs() -> None:
    """The committed notebook has no outputs and no execution counts."""
    document = nbformat.read(IPYNB_PATH, as_version=4)
    nbformat.validate(document)

    code = [cell for cell in document.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
