"""Writes docs/marts.md from the models' own descriptions, so that the page always agrees with them.

python docs/reference.py            # write it
python docs/reference.py --check    # exit 1 if it is not up to date
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "marts.md"
#: In the order of the page.
FOLDERS = ("folds", "views", "scheduled")

HEAD = """# Marts

All tables and views of the schema `marts`. The page is generated from the models (`python docs/reference.py`).

- Amounts are integer lamports. Shares have nine decimals. Times are the chain's clock in UTC.
- A folded mart changes in the transaction that stores an event. It is behind the log only after an error
  (`mart_behind`, `mart_stale` in [runbook.md](runbook.md)). A view reads folded and scheduled marts.
- A scheduled mart is computed again every few minutes. `ops.scheduled_models` and the API name the seq of the log that
  it reflects.
- A column that ends in `_key` is a place on chain (`slot << 24 | index in block << 9 | ordinal`).
- `last_seq` is the last entry of the log that concerns the row.
"""


def page() -> str:
    """Return the whole page."""
    models = sorted(_models(), key=lambda model: model["name"])
    return HEAD + "".join(_section(model) for model in models)


def _models() -> Iterator[dict[str, Any]]:
    for path in [path for folder in FOLDERS for path in sorted((ROOT / "sql_models" / folder).glob("*.yml"))]:
        yield from yaml.safe_load(path.read_text())["models"]


def _section(model: dict[str, Any]) -> str:
    rows = "".join(f"| `{c['name']}` | {c.get('data_type', '')} | {c['description']} |\n" for c in model["columns"])
    return f"\n## {model['name']}\n\n{model['description']}\n\n| column | type | meaning |\n|---|---|---|\n{rows}"


def main() -> int:
    """Write or check the page."""
    if "--check" in sys.argv:
        return 0 if PAGE.exists() and PAGE.read_text() == page() else 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
