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
