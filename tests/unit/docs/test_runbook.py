"""The runbook has a section for each alert that the code can raise, and for no other."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.store import dead_letter_rows
from ingest.sync import task
from orchestration.keepers import runner
from orchestration.snapshots.errors import SNAPSHOT_ERRORS

ROOT = Path(__file__).parents[3]
SOURCES = [path for name in ("ingest", "orchestration", "zmart") for path in (ROOT / name).rglob("*.py")]
#: The functions that raise an alert, and the position of the kind among their arguments.
RAISERS = {"alert": 0, "raise_alert": 1, "_sync_alerts": 1}
#: Computed kinds, by the expression that computes them.
MADE = {
    "_alert_kind(reason)": {
        f"keeper_{reason.name.lower()}" for reason in (*runner.ALERT_SEVERITY, *runner.GENERAL_ALERT_SEVERITY)
    },
    "fault.kind": {fault.kind for fault in SNAPSHOT_ERRORS},
}
#: Functions that receive a kind and pass it on.
HANDED_ON = {"kind"}


def test_the_pages_name_the_seconds_of_a_silent_webhook() -> None:
    """docs/ingest.md and docs/runbook.md say the same, and what the code does."""
    seconds = f"{task.Intervals().silence_seconds:g} s"
    row = re.search(r"^\| `webhook_silent` .*$", (ROOT / "docs" / "ingest.md").read_text(), flags=re.MULTILINE)
    section = re.search(
        r"^## webhook_silent$.*?^## ", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert row is not None
    assert section is not None
    for text in (row[0], section[0]):
        assert re.findall(r"\d+ s\b", text) == [seconds]


def calls() -> Iterator[tuple[Path, ast.expr]]:
    """Yield the place and the expression of the kind for each call that raises an alert."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in RAISERS and _is_raised(node, RAISERS[name]):
                yield path, node.args[RAISERS[name]]


def _is_raised(call: ast.Call, place: int) -> bool:
    """Not a method of the same name: a function receives the connection first, then kind, severity and message."""
    return bool(call.args) if place == 0 else len(call.args) >= 4 and ast.unparse(call.args[0]) == "connection"


def raised() -> set[str]:
    """Return every kind; fail for an expression whose kind is unknown."""
    kinds = {f"dead_letter_{code}" for code in dead_letter_rows.ALERTING_REASONS}
    for path, expression in calls():
        text = ast.unparse(expression)
        if isinstance(expression, ast.Constant):
            kinds.add(str(expression.value))
        elif text in MADE:
            kinds |= MADE[text]
        elif text.isupper():
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            kinds.add(getattr(module, text))
        elif text not in HANDED_ON:
            pytest.fail(f"{path.relative_to(ROOT)} raises an alert of kind {text}: list its values in MADE")
    for path in ROOT.glob("zmart/db/functions/*/*.sql"):
        kinds |= set(re.findall(r"ops\.raise_alert\('(\w+)'", path.read_text()))
    return kinds


def sections() -> dict[str, str]:
    """Return the runbook's sections by kind."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    return dict(re.findall(r"^## (\w+)\n(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL))


def test_every_alert_has_its_section_and_no_section_is_left_over() -> None:
    """Every alert has a section with the operator's next step."""
    assert sorted(sections()) == sorted(raised())


@pytest.mark.parametrize("kind", sorted(sections()))
def test_a_section_has_means_look_and_do(kind: str) -> None:
    """In this order."""
    assert re.findall(r"^\*\*(\w+)\.\*\*", sections()[kind], flags=re.MULTILINE) == ["Means", "Look", "Do"]
