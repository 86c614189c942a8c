"""Measures the time from `make up` on a fresh state directory until everything is ready, and the memory at rest."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.environment import ROOT, BenchEnvironment, RunningProcess
from zmart import testing
from zmart.run import ports
from zmart.run.supervisor import process, state_file

from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured

READY_WITHIN_SECONDS = 120.0
#: Services stop in their order, Postgres last and with a checkpoint.
STOP_SECONDS = 60.0
READY_TEXT = "Ready after"
PORTS = ("API_PORT", "WS_PORT", "INGEST_PORT", "DAGSTER_PORT", "DAGSTER_METRICS_PORT", "DEVCHAIN_PORT")


class StartupFigure(Figure):
    """Measures `make up`."""

    name = "startup"
    title = "make up, from a fresh state directory to ready, and its memory at rest"
    unit = "s"
    targets = (
        Target(label="API ready after", bound="at most", value=15.0),
        Target(label="ready after", bound="at most", value=28.0),
        Target(label="memory of all processes", bound="at most", value=1.2 * 1024),
    )
    method = (
        "`make up` with a new ZMART_STATE_DIR and free ports, packages installed before: initdb, migrations, "
        "models, development chain with its history, every service, until its state file says that the API is ready, "
        "and until it reports that all are ready. Memory is "
        "the proportional set size (shared pages divided among the processes that share them) of the supervisor "
        "and all its child processes, Postgres included, after a while with only the traders' transaction every "
        "few seconds."
    )
    limit_seconds = 600.0
    #: The command to run; it ends with everything that it started.
    command = ("make", "--no-print-directory", "up")

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure a fresh start in each round."""
        check_installed()
        api_ready, ready, memory = [], [], []
        parts: dict[str, list[float]] = {}
        for _ in range(effort.choose(1, 3)):
            with testing.state_dir() as state:
                environment = {"ZMART_STATE_DIR": str(state), **choose_ports()}
                began = time.monotonic()
                with env.start(
                    "make up", self.command, environment=environment, cwd=ROOT, stop_seconds=STOP_SECONDS
                ) as running:
                    _wait_until(running, lambda state=state: _is_api_ready(state), "The API")
                    api_ready.append(time.monotonic() - began)
                    wait_until_ready(running)
                    ready.append(time.monotonic() - began)
                    time.sleep(effort.choose(3, 20))
                    memory.append(process.memory_bytes(running.pid) / 2**20)
                    for status in state_file.StateFile.read(state / "run.json"):
                        if status.pid is not None:
                            parts.setdefault(status.name, []).append(process.memory_bytes(status.pid) / 2**20)
        return [
            Sample(label="API ready after", unit="s", values=tuple(api_ready)),
            Sample(label="ready after", unit="s", values=tuple(ready)),
            Sample(label="memory of all processes", unit="MiB", values=tuple(memory)),
            *(Sample(label=f"memory of {name}", unit="MiB", values=tuple(values)) for name, values in parts.items()),
        ]


def check_installed() -> None:
    """Raise NotMeasured unless the packages are installed.

    Installing them is not part of the measurement, because its duration depends on the network.
    """
    if shutil.which("make") is None:
        raise NotMeasured("make is not installed.")
    completed = subprocess.run(["make", "--question", "setup"], cwd=ROOT, capture_output=True, check=False)
    if completed.returncode:
        raise NotMeasured("The packages are not those of the locks; run `make setup` first.")


def choose_ports() -> dict[str, str]:
    """Return free ports by variable."""
    return dict(zip(PORTS, map(str, ports.find_free_ports(len(PORTS))), strict=True))


def wait_until_ready(running: RunningProcess) -> None:
    """Wait until the command reports that everything is ready; raise NotMeasured when it does not in time."""
    _wait_until(running, lambda: READY_TEXT in _output(running.log), "make up")


def _wait_until(running: RunningProcess, condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while not condition():
        running.check()
        if time.monotonic() > deadline:
            raise NotMeasured(f"{what} was not ready within {READY_WITHIN_SECONDS:.0f} s: {running.last_line()}")
        time.sleep(0.05)


def _is_api_ready(state: Path) -> bool:
    statuses = state_file.StateFile.read(state / "run.json")
    return any(status.name == "api" and status.state == "ready" for status in statuses)


def _output(log: Path) -> str:
    return log.read_text(errors="replace")


FIGURE = StartupFigure()
