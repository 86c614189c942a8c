"""Measures the processor time of everything that `zmart up` starts while it is not used."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from bench.environment import ROOT, BenchEnvironment
from zmart import testing
from zmart.run.supervisor import process, state_file

from .figure import Effort, Figure, Sample, Target
from .startup import STOP_SECONDS, check_installed, choose_ports, wait_until_ready

#: Rows of the output, and the options of `zmart up` for each.
STATES = {"without traders": ("--no-traders",), "with traders": ()}


class IdleFigure(Figure):
    """Measures the processor time at rest."""

    name = "idle"
    title = "processor time at rest, of all processes of zmart up"
    unit = "% of a core"
    targets = (
        Target(label="without traders", bound="at most", value=8.0),
        Target(label="with traders", bound="at most", value=15.0),
    )
    method = (
        "`zmart up` with everything, without requests. After a while for what starts late, the time in user and kernel "
        "mode of the supervisor and all its descendants is counted over five minutes, so that each schedule has its "
        "turn; processes that began and ended in them are included (Postgres starts one for each connection). The rows "
        "below the two sums divide the first one. Processor time does not depend on how busy the machine is, but work "
        "that is late is left out."
    )
    limit_seconds = 1_200.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one window for each state."""
        check_installed()
        samples: list[Sample] = []
        parts: dict[str, float] = {}
        for label, options in STATES.items():
            with testing.state_dir() as state:
                environment = {"ZMART_STATE_DIR": str(state), **choose_ports()}
                command = (str(ROOT / ".venv/bin/zmart"), "up", *options)
                with env.start(
                    f"zmart up {label}", command, environment=environment, cwd=ROOT, stop_seconds=STOP_SECONDS
                ) as running:
                    wait_until_ready(running)
                    time.sleep(effort.choose(10, 90))
                    roots = {"supervisor": running.pid, **_services(state)}
                    window = effort.choose(10, 300)
                    before = _seconds(roots)
                    time.sleep(window)
                    after = _seconds(roots)
            shares = {name: 100 * (after[name] - before[name]) / window for name in after if name in before}
            parts = parts or shares
            samples.append(Sample(label=label, unit=self.unit, values=(sum(shares.values()),)))
        return [
            *samples,
            *(Sample(label=f"of that {name}", unit=self.unit, values=(share,)) for name, share in parts.items()),
        ]


def _services(state: Path) -> dict[str, int]:
    statuses = state_file.StateFile.read(state / "run.json")
    return {status.name: status.pid for status in statuses if status.pid is not None and status.state == "ready"}


def _seconds(roots: dict[str, int]) -> dict[str, float]:
    """Return the processor time of each service with its descendants, and of the supervisor alone."""
    relations = process.list_processes()
    found = {}
    for name, root in roots.items():
        family = {root} if name == "supervisor" else process.find_family(root, relations)
        found[name] = sum(_process_seconds(pid, with_children=name != "supervisor") for pid in family)
    return found


def _process_seconds(pid: int, *, with_children: bool) -> float:
    """Return the processor time of a process and, of those of its children that have ended, theirs."""
    return sum(_read_times(pid)[: 4 if with_children else 2])


def _read_times(pid: int) -> tuple[float, ...]:
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return tuple(int(field) / process.TICKS_PER_SECOND for field in fields[11:15])
    return (0.0,) * 4


FIGURE = IdleFigure()
