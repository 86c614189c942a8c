"""Rules and dashboards use metrics that exist, and each rule leads to a section of the runbook."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from metrics_page import documented

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
RULES = [rule for group in yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
NAME = re.compile(r"\bzmart_\w+|\bzmart:[\w:]+|\bprocess_\w+")
SECTION = re.compile(r"^#{2,3} (\w+)\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def dashboards() -> ModuleType:
    """The module that writes the dashboards."""
    spec = importlib.util.spec_from_file_location("dashboards", MONITORING / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def series() -> set[str]:
    """The names of all series that the processes expose and the rules record."""
    names = {rule["record"] for rule in RULES if "record" in rule}
    for row in documented("zmart_", "process_"):
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[row.type]
        names |= {row.name + ending for ending in endings}
    return names


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_names_a_section_of_the_runbook(rule: dict[str, Any]) -> None:
    """The section says what the alert means, where to look and what to do."""
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    sections = dict(SECTION.findall((ROOT / page).read_text()))
    if anchor == "{{ $labels.kind }}":
        # The kinds of the product's own alerts; test_runbook.py compares them with the code.
        assert len(sections) > 40
        return
    assert all(word in sections[anchor] for word in ("**Means.**", "**Look.**", "**Do.**"))
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].endswith((".", "list"))


def test_each_section_for_prometheus_has_a_rule() -> None:
    """No section is left over."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = set(re.findall(r"^### (\w+)$", text, flags=re.MULTILINE))
    assert sections
    assert sections <= {rule["annotations"]["runbook"].partition("#")[2] for rule in ALERTS}


def test_rules_and_dashboards_use_metrics_that_exist(dashboards: ModuleType) -> None:
    """Each name is on the page of metrics, or recorded by a rule; so a renamed metric is found here."""
    queries = [rule["expr"] for rule in RULES]
    queries += [query for _, panels in dashboards.DASHBOARDS.values() for panel in panels for query, _ in panel.queries]
    used = {name for query in queries for name in NAME.findall(query)}
    assert used
    assert used - series() == set()


def test_each_alert_has_a_test_of_promtool() -> None:
    """Promtool itself runs in a drill."""
    cases = yaml.safe_load((MONITORING / "rules.test.yml").read_text())["tests"]
    tested = {test["alertname"] for case in cases for test in case.get("alert_rule_test", ()) if test["exp_alerts"]}
    assert tested == {rule["alert"] for rule in ALERTS}


def test_the_dashboards_are_as_generated(dashboards: ModuleType) -> None:
    """Run: python deploy/monitoring/dashboards.py."""
    files = {file.stem: file.read_text() for file in dashboards.FOLDER.glob("*.json")}
    assert files == {name: dashboards.render(name) for name in dashboards.DASHBOARDS}


def test_the_page_of_objectives_lists_the_recorded_ones() -> None:
    """Both ways, with a target for each that is not below 90 %."""
    text = (ROOT / "docs" / "operating" / "slo.md").read_text()
    rows = re.findall(r"^\| [\w ]+ \| .+ \| ([\d.]+) % \| `(zmart:\w+:ratio_30d)` \|$", text, flags=re.MULTILINE)
    assert {name for _, name in rows} == {r["record"] for r in RULES if r.get("record", "").endswith("ratio_30d")}
    assert all(90 <= float(target) < 100 for target, _ in rows)
