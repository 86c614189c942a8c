"""The notebook runs from beginning to end on the played month, and draws what it says.

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

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = ROOT / "analytics" / "markets.ipynb"
PICTURES = {"price-path", "calibration", "profit", "fees", "funnel", "impact"}


@pytest.mark.slow
def test_the_notebook_runs_and_draws(
    month: testing.PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell runs without a word on stderr, as an analyst, and every picture is one."""
    images = ROOT / "docs" / "images" if os.environ.get("ZMART_WRITE_IMAGES") else tmp_path
    monkeypatch.setenv("ZMART_DSN", month.dsn("analyst"))
    monkeypatch.setenv("ZMART_IMAGES", str(images))
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert " trades of " in outputs[0].text
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(PICTURES)
    for name in PICTURES:
        width, height = struct.unpack(">II", (images / f"analytics-{name}.png").read_bytes()[16:24])
        assert width > 600
        assert height > 400


def test_the_notebook_is_kept_without_answers() -> None:
    """What is committed has no outputs and no counts: a notebook with answers says somebody else's."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
