"""The contract passes tools of others: a linter, and generators of clients in two languages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recorded_chain import RecordedChain

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PEERS = ROOT / "tests" / "peers"
RUN_SECONDS = 300
#: It installs packages from two registries.
pytestmark = [pytest.mark.drill, pytest.mark.timeout(900, func_only=True)]

#: Reads one page with the generated package, and imports each of its modules.
PROGRAM = """
import importlib, pkgutil, sys
import generated
from generated import Client
from generated.api.markets import list_markets
from generated.models import MarketPage
for module in pkgutil.walk_packages(generated.__path__, "generated."):
    importlib.import_module(module.name)
page = list_markets.sync(client=Client(base_url=sys.argv[1], raise_on_unexpected_status=True), limit=2)
assert isinstance(page, MarketPage), page
for market in page.markets:
    print(market.id, market.state, market.total_volume_exact)
"""


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The result of a command that finds its own programs beside it; the tools must not report to their makers."""
    environment = {
        **os.environ,
        "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}",
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        "CI": "true",
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )


def require_success(ran: subprocess.CompletedProcess[str]) -> str:
    """The output of a command that must succeed."""
    assert ran.returncode == 0, f"{ran.args}\n{ran.stdout[-5_000:]}\n{ran.stderr[-5_000:]}"
    return ran.stdout


def problems(tools: Path, document: Path) -> list[str]:
    """What Redocly's recommended rules report, warnings included."""
    command = ["node", "node_modules/@redocly/cli/bin/cli.js", "lint", str(document)]
    options = ["--extends", "recommended", "--format", "json", "--max-problems", "1000"]
    ran = run([*command, *options], tools)
    found: dict[str, Any] = json.loads(ran.stdout)
    return [
        f"{one['severity']} {one['ruleId']}: {one['message']} ({one['location'][0].get('pointer', '')})"
        for one in found["problems"]
    ]


def test_redocly_finds_no_problem(contract_tools: Path) -> None:
    """Its recommended rules, among them that no two paths match the same address, report no error and no warning."""
    assert problems(contract_tools, DOCS / "openapi.json") == []


def test_redocly_finds_no_problem_of_the_streams(contract_tools: Path) -> None:
    """But that operations name no proof: AsyncAPI cannot say that one is optional, and only `me` needs one."""
    found = problems(contract_tools, DOCS / "asyncapi.json")
    assert [one for one in found if not one.startswith("warn security-defined: ")] == []


def test_redocly_finds_a_problem_that_is_made(contract_tools: Path, tmp_path: Path) -> None:
    """The linter reads the rules: without the security of one operation it reports that."""
    document = json.loads((DOCS / "openapi.json").read_text())
    del document["paths"]["/api/markets"]["get"]["security"]
    broken = tmp_path / "openapi.json"
    broken.write_text(json.dumps(document))
    assert [one for one in problems(contract_tools, broken) if one.startswith("error security-defined")]


def test_openapi_typescript_writes_types_that_compile(contract_tools: Path, tmp_path: Path) -> None:
    """Its types are strict enough for a frontend: they know members, statuses and required fields."""
    shutil.copy(PEERS / "contract" / "use.ts", tmp_path)
    command = ["node", str(contract_tools / "node_modules" / "openapi-typescript" / "bin" / "cli.js")]
    schema = tmp_path / "schema.ts"
    require_success(run([*command, str(DOCS / "openapi.json"), "--output", str(schema)], tmp_path))
    compiler = contract_tools / "node_modules" / "typescript" / "bin" / "tsc"
    options = ["--target", "ES2022", "--module", "NodeNext", "--strict", "--noEmit", "use.ts"]
    require_success(run(["node", str(compiler), *options], tmp_path))


def test_openapi_python_client_writes_a_package_that_reads(played: RecordedChain, tmp_path: Path) -> None:
    """Without a warning; each of its modules can be imported, and it reads markets from a running API."""
    require_success(run([sys.executable, "-m", "venv", "environment"], tmp_path))
    interpreter = str(tmp_path / "environment" / "bin" / "python")
    requirements = PEERS / "openapi_python_client" / "requirements.lock"
    installed = run([interpreter, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(requirements)], tmp_path)
    if installed.returncode != 0 and "Failed to establish" in installed.stderr:
        pytest.skip(f"no registry: {installed.stderr}")
    require_success(installed)
    command = [str(tmp_path / "environment" / "bin" / "openapi-python-client"), "generate", "--fail-on-warning"]
    options = ["--path", str(DOCS / "openapi.json"), "--output-path", "generated", "--meta", "none"]
    # The tool does not support image types; with this option it reads them as bytes.
    pictures = {f"image/{kind}": "application/octet-stream" for kind in ("png", "jpeg", "webp")}
    (tmp_path / "config.json").write_text(json.dumps({"content_type_overrides": pictures}))
    require_success(run([*command, "--config", "config.json", *options], tmp_path))
    output = require_success(run([interpreter, "-c", PROGRAM, played.url], tmp_path))
    rows = played.fetch_all("select id, state, total_volume::text from marts.markets")
    lines = [tuple(line.split()) for line in output.splitlines()]
    assert len(lines) == 2
    assert set(lines) <= {tuple(row) for row in rows}
