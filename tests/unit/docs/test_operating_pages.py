"""docs/operating: the pages say what checks them, and agree with the units, settings and tests that they name."""

from __future__ import annotations

import ast
import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_citations import known_variables

from zmart import settings
from zmart.http import handover
from zmart.run.supervisor import services
from zmart.settings import loading
from zmart.settings.environment import Environment
from zmart.settings.values import Role

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs" / "operating"
UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
SOCKETS = sorted(UNITS.glob("*.socket"))
#: Pages that are procedures; their first line says which test checks them.
PROCEDURES = (
    "install",
    "backup-and-restore",
    "upgrade-and-rollback",
    "secrets-and-rotation",
    "retention",
    "security",
    "containers",
    "managed-postgres",
)
#: Units of others that the pages name.
FOREIGN_UNITS = {"postgresql.service", "network-online.target", "multi-user.target", "timers.target"}
#: The services of `zmart up` that each unit stands for.
STANDS_FOR = {
    "zmart-ingest": ["ingest"],
    "zmart-api": ["api"],
    "zmart-ws": ["ws"],
    "zmart-relay": ["relay"],
    "zmart-dagster": ["dagster-code", "dagster", "dagster-daemon"],
    "zmart-migrate": ["migrate"],
    "zmart-history": ["history"],
}
#: The greatest exposure that `systemd-analyze security` may find, in its tenths; an ordinary unit has 9.6.
MOST_EXPOSURE = 20


def page(name: str) -> str:
    """Return the text of a page."""
    return (PAGES / f"{name}.md").read_text()


def table(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables in a text, headings included."""
    lines = re.findall(r"^\|(.+)\|$", text, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines if not set(line) <= {"-", "|", " "}]


def values(unit: Path, name: str) -> list[str]:
    """Return the values of a setting of a unit, in order."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), flags=re.MULTILINE)


def template_variables(*names: str) -> set[str]:
    """Return the variables in templates of environment files, those in comments included."""
    text = "\n".join((UNITS / "environment" / name).read_text() for name in names)
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, flags=re.MULTILINE))


# --- the pages --------------------------------------------------------------------------------


def test_the_index_lists_every_page() -> None:
    """README.md links each page of the folder."""
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", page("README")))
    assert {path.name for path in PAGES.glob("*.md")} - {"README.md"} == linked


@pytest.mark.parametrize("name", PROCEDURES)
def test_a_procedure_says_what_checks_it(name: str) -> None:
    """Its first sentence names tests, which exist, and its second what has not been run."""
    first = " ".join(page(name).split("\n\n")[1].split())
    found = re.fullmatch(r"Checked by (.+?)\. Not run by us: .+\.|Checked by (.+?): .+\. Not run by us: .+\.", first)
    assert found is not None, first
    named = re.findall(r"`(tests/[\w/]+\.py)`", first)
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_pages_name_units_and_files_that_exist() -> None:
    """In commands, tables and text."""
    text = "".join(page(name) for name in ("README", *PROCEDURES))
    units = set(re.findall(r"\b[\w-]+\.(?:service|socket|timer|target)\b", text)) - FOREIGN_UNITS
    assert {name for name in units if not (UNITS / name).is_file()} == set()
    paths = set(re.findall(r"\bdeploy/[\w./*-]+\w", text))
    assert len(paths) > 8
    assert {path for path in paths if not list(ROOT.glob(path))} == set()


# --- secrets ----------------------------------------------------------------------------------


def secret_names() -> set[str]:
    """Return the variables that may be files, which are the secrets."""
    environment = Environment({})
    loading.read(environment)
    return {name.removesuffix("_FILE") for name in environment.requested_names if name.endswith("_FILE")}


def test_each_secret_has_its_row() -> None:
    """Change, restart, and how to see that it worked; the row names no variable that is no setting."""
    rows = [row for row in table(page("secrets-and-rotation")) if len(row) == 4]
    named = {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+?)(?:_FILE)?`", row[0])}
    # PGPASSWORD is the password of DATABASE_URL by another name.
    assert len(secret_names()) > 8
    assert secret_names() - named - {"PGPASSWORD"} == set()
    assert {name for name in named if not {name, f"{name}_FILE"} & known_variables()} == set()
    assert [row for row in rows if not all(row)] == []


# --- threats ----------------------------------------------------------------------------------


@functools.cache
def names_of_tests(path: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_threat_names_tests_that_exist() -> None:
    """At least one in each row."""
    section = page("security").split("## Threats")[1].split("\n## ")[0]
    rows = table(section)[1:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[2])
        assert named, row[0]
        assert [name for path, name in named if name not in names_of_tests(path)] == [], row[0]


# --- the units --------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_a_unit_has_the_logins_of_its_service_and_no_others(unit: Path, tmp_path: Path) -> None:
    """Its environment files offer the database logins that `zmart up` passes to the same services."""
    files = [Path(value).name for value in values(unit, "EnvironmentFile")]
    offered = {name for name in template_variables(*files) if name.startswith("DATABASE_URL")}
    if unit.stem == "zmart-backup":
        assert offered == {"DATABASE_URL_BACKUP"}
        return
    passed = _passed_logins(tmp_path, STANDS_FOR[unit.stem])
    if unit.stem in {"zmart-dagster", "zmart-migrate", "zmart-history"}:
        # Its runs act as the services where they write to the log and test the API's access.
        passed |= {"DATABASE_URL", "DATABASE_URL_INGEST", "DATABASE_URL_API", "DATABASE_URL_KEEPER"}
        passed -= {"DATABASE_URL_ANALYST", "DATABASE_URL_BACKUP"}
    assert offered == passed


def _passed_logins(state_dir: Path, names: list[str]) -> set[str]:
    roles: dict[Role, str] = {"zmart_owner": "DATABASE_URL", **services.LOGIN_VARIABLES}
    environ = {
        **{variable: f"postgresql://{role}:p@db/z" for role, variable in roles.items()},
        "ZMART_STATE_DIR": str(state_dir),
        "SOLANA_RPC_URL": "https://node.example.org",
        "HELIUS_AUTH_HEADER": "a-header-of-helius",
        "JWT_SECRET": "j" * 40,
        "NATS_URL": "nats://bus.example.org",
    }
    plan = services.plan(settings.load(environ), environ)
    launched = [service.launch().environment for service in plan if service.name in names]
    assert len(launched) == len(names)
    return {name for environment in launched for name in environment if name.startswith("DATABASE_URL")}


def test_templates_have_settings_only() -> None:
    """Each variable of a template is one that the settings read; each template is used by a unit."""
    files = {path.name for path in (UNITS / "environment").iterdir()}
    assert template_variables(*files) - known_variables() == set()
    assert {Path(value).name for unit in SERVICES for value in values(unit, "EnvironmentFile")} == files


def test_the_install_page_describes_each_unit() -> None:
    """Account and environment file in the table are those of the unit; sysusers creates the account."""
    accounts = set(re.findall(r"^u (\S+)", (UNITS / "zmart.sysusers").read_text(), flags=re.MULTILINE))
    rows = {row[0].split("`")[1]: row for row in table(page("install")) if row[0].startswith("`zmart-")}
    assert set(rows) == {unit.name for unit in SERVICES}
    for unit in SERVICES:
        own = [Path(value).name for value in values(unit, "EnvironmentFile") if "common" not in value]
        assert rows[unit.name][1:3] == [*values(unit, "User"), f"`{own[0]}`"]
        assert set(values(unit, "User")) <= accounts
    assert {account for unit in SERVICES for account in values(unit, "User")} == accounts


def test_a_socket_has_the_address_of_its_service() -> None:
    """The default one, on which the pages and the proxies find it; and the process that stops lets requests finish."""
    configured = settings.load({})
    assert len(SOCKETS) == 3
    for unit in SOCKETS:
        name = unit.stem.removeprefix("zmart-")
        host, port = getattr(configured.hosts, name), getattr(configured.ports, name)
        assert values(unit, "ListenStream") == [f"{host}:{port}"]
        # Otherwise a delivery would start the service again in the middle of an upgrade.
        assert values(unit, "PartOf") == ["zmart.target"]
        assert values(unit.with_suffix(".service"), "RestartKillSignal") == [handover.HANDOVER_SIGNAL.name]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The units with the programs of this checkout, as the tool requires that they exist."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    folder = tmp_path_factory.mktemp("units")
    for path in [*SERVICES, *SOCKETS, *UNITS.glob("*.timer"), *UNITS.glob("*.target")]:
        text = path.read_text().replace("/opt/zmart/.venv/bin", str(ROOT / ".venv" / "bin"))
        (folder / path.name).write_text(re.sub(r"^User=.*$", "User=root", text, flags=re.MULTILINE))
    return sorted(folder.iterdir())


def test_systemd_accepts_the_units(installed: list[Path]) -> None:
    """No unknown setting, no program that does not exist."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *installed], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "zmart" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_units_are_confined(installed: list[Path]) -> None:
    """`systemd-analyze security` finds little that a service could reach beyond what it needs."""
    for unit in installed:
        if unit.suffix == ".service":
            threshold = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit]
            done = subprocess.run(threshold, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout.splitlines()[-1]
