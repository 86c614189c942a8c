"""deploy/Containerfile and deploy/compose.yaml agree with the units, the settings and the repository; nothing runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_citations import known_variables
from test_operating_pages import SERVICES, UNITS, values

from zmart import cli

ROOT = Path(__file__).resolve().parents[3]
CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
CONTAINERS: dict[str, Any] = COMPOSE["services"]
ACCOUNTS = {name: int(number) for number, name in re.findall(r"--uid (\d+) ([\w-]+)", CONTAINERFILE)}


def unit(name: str) -> Path:
    """Return the unit of a container."""
    return UNITS / f"zmart-{name}.service"


def test_each_unit_has_a_container() -> None:
    """And each container is a unit."""
    assert {unit(name) for name in CONTAINERS} == set(SERVICES)


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_does_what_its_unit_does(name: str) -> None:
    """Command, environment files, account, state directory, and the time to stop."""
    container, service = CONTAINERS[name], unit(name)
    assert [" ".join(container["command"])] == values(service, "ExecStart")
    assert container["env_file"] == values(service, "EnvironmentFile")
    (account,) = values(service, "User")
    assert container["user"] == f"{ACCOUNTS[account]}:{ACCOUNTS[account]}"
    (state,) = values(service, "StateDirectory")
    assert container["environment"]["ZMART_STATE_DIR"] == f"/var/lib/{state}"
    mounted = dict(each.split(":") for each in container["volumes"])
    assert f"/var/lib/{state}" in mounted.values()
    assert set(mounted) <= set(COMPOSE["volumes"])
    if "stop_grace_period" in container:
        assert values(service, "TimeoutStopSec") == [container["stop_grace_period"].removesuffix("s")]
    is_restarted = values(service, "Restart") == ["always"]
    once = "on-failure" if values(service, "Restart") == ["on-failure"] else "no"
    assert container["restart"] == ("unless-stopped" if is_restarted else once)
    assert ("by-hand" in container.get("profiles", [])) != is_restarted


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_confined(name: str) -> None:
    """Not root, a read-only root, no capabilities; nothing of the host but its network."""
    container = CONTAINERS[name]
    assert int(container["user"].partition(":")[0]) >= 1_000
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(container)
    assert not [volume for volume in container["volumes"] if volume.startswith(("/", "."))]


def test_the_variables_are_settings() -> None:
    """Those that compose.yaml sets itself; the others are in the files of the units."""
    assert {name for each in CONTAINERS.values() for name in each["environment"]} <= known_variables()


def test_the_commands_exist() -> None:
    """Modules of the image, and commands of zmart."""
    for container in CONTAINERS.values():
        program, *arguments = container["command"]
        if program.endswith("/zmart"):
            assert arguments[0] in cli.main.commands
        else:
            assert (arguments[0], (ROOT / arguments[1] / "__main__.py").is_file()) == ("-m", True)


def test_the_image_has_what_the_services_need() -> None:
    """Each copied path is tracked and not ignored, and every package of the product is copied; nobody is root."""
    copied = {
        path
        for line in re.findall(r"^COPY (?!--)(.+)$", CONTAINERFILE, flags=re.MULTILINE)
        for path in line.split()[:-1]
    }
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.partition("/")[0] for line in tracked.splitlines()}
    assert copied <= top
    assert {"zmart", "ingest", "api", "relay", "orchestration", "devchain", "sql_models", "sql_macros"} <= copied
    ignored = (ROOT / "deploy" / "Containerfile.dockerignore").read_text()
    assert {line[1:] for line in ignored.splitlines() if line.startswith("!")} == copied
    assert re.findall(r"^USER (.+)$", CONTAINERFILE, flags=re.MULTILINE)[-1] in ACCOUNTS
    sysusers = (UNITS / "zmart.sysusers").read_text()
    assert set(ACCOUNTS) == set(re.findall(r"^u (\S+)", sysusers, flags=re.MULTILINE))
    assert len(set(ACCOUNTS.values())) == len(ACCOUNTS)
