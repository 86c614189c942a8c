"""The supervisor with small real processes: no process outlives it, and a service that stops is restarted."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zmart import errors
from zmart.run.supervisor import state_file

#: More than 40 s in all: it starts and stops many processes.
pytestmark = [
    pytest.mark.drill,
    pytest.mark.acceptance,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

LINE_WITHIN_SECONDS = 30.0

DRIVER = """
import asyncio, json, sys
from pathlib import Path
from zmart import errors
from zmart.run.supervisor import probes, process, restarts
from zmart.run.supervisor.service import Port, Service
from zmart.run.supervisor.supervisor import Supervisor

state = Path(sys.argv[1])

def service(name, code, *, within=20, ceiling=None, alert_after=5, port=None, silent=None, dark=False, **more):
    ready = state / f"{name}.ready"
    async def probe():
        return ready.exists()
    async def is_answering():
        return not ready.with_suffix(".silent").exists()
    if dark:
        probe = probes.http_probe("127.0.0.1", port, "/ready")
        port = None
    def launch():
        ready.unlink(missing_ok=True)
        return process.Launch(
            command=(sys.executable, "-S", "-c", code, str(ready)), environment={})
    return Service(
        name=name, launch=launch, probe=probe, ready_within_seconds=within, grace_seconds=1,
        memory_ceiling_bytes=ceiling,
        ports=(Port(variable="ITS_PORT", host="127.0.0.1", number=port),) if port else (),
        liveness=is_answering if silent else None,
        **({"unresponsive_seconds": silent} if silent else {}),
        policy=restarts.RestartPolicy(first_delay_seconds=0.01, alert_after=alert_after, longest_delay_seconds=0.3),
        **more)

async def main():
    services = [service(**each) for each in json.loads(sys.argv[2])]
    say = lambda *words: print(*words, flush=True)
    def reload():
        return [service(**each) for each in json.loads((state / "services.json").read_text())]
    await Supervisor(
        services, state_dir=state, report=say, reload=reload if (state / "services.json").exists() else None
    ).run(lambda: say("READY"))

try:
    asyncio.run(main())
except errors.ZmartError as error:
    sys.exit(f"{error}")
"""

#: Reports that it is ready, and runs on.
STAYS = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).touch(); time.sleep(3600)"

#: Ignores SIGTERM, and has a child outside the process group that ignores it as well.
STUBBORN = """
import os, signal, sys, time, pathlib
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    pathlib.Path(sys.argv[1]).touch()
time.sleep(3600)
"""

#: Stops by itself the first time, and runs on from the second start.
ONCE = """
import sys, time, pathlib
ready = pathlib.Path(sys.argv[1])
seen = ready.with_suffix(".seen")
again = seen.exists()
seen.touch()
ready.touch()
if not again:
    while not ready.with_suffix(".go").exists():
        time.sleep(0.01)
    {}
time.sleep(3600)
"""

#: Runs the first time, and cannot be started again.
NEVER_AGAIN = """
import sys, time, pathlib
ready = pathlib.Path(sys.argv[1])
seen = ready.with_suffix(".seen")
if seen.exists():
    sys.exit(3)
seen.touch()
ready.touch()
time.sleep(3600)
"""


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Poll `condition` until it is true; fail after the time limit."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    pytest.fail(f"the condition did not become true in {seconds:.0f} s")


def live_pids(state: Path) -> list[int]:
    """Return the processes with the state directory in their command line, without zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(state).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def reaper_pids(run: subprocess.Popen[str]) -> list[int]:
    """Return the orphan reapers of a supervisor."""
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"reaper" in Path(f"/proc/{pid}/cmdline").read_bytes()]


#: Cannot start while it is broken, and prints why.
UNTIL_REPAIRED = """
import sys, time, pathlib
ready = pathlib.Path(sys.argv[1])
if ready.with_suffix(".broken").exists():
    print("FATAL: no space left", flush=True)
    sys.exit(3)
ready.touch()
time.sleep(3600)
"""

#: Prints lines continuously.
CHATTERS = """
import sys, time, pathlib
pathlib.Path(sys.argv[1]).touch()
while True:
    print("line", flush=True)
    time.sleep(0.01)
"""


class Run:
    """A supervisor in a separate process."""

    def __init__(self, state: Path, services: list[dict[str, Any]]) -> None:
        self.state = state
        #: The lines that `line` has read.
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(state), json.dumps(services)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_until_ready(self) -> Run:
        """Wait until all services are ready."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "READY\n":
                return self
        return pytest.fail("it did not become ready")

    def line(self, *parts: str) -> str:
        """Return the next line of output that contains all of these; end the supervisor when it does not come."""
        assert self.process.stdout is not None
        deadline = threading.Timer(LINE_WITHIN_SECONDS, self.process.terminate)
        deadline.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line)
                if all(part in line for part in parts):
                    return line
        finally:
            deadline.cancel()
        return pytest.fail(f"it ended without printing {parts}")

    def status(self, name: str) -> state_file.ServiceStatus:
        """Return the state of one service from the state file."""
        statuses = state_file.StateFile.read(self.state / "run.json")
        return next(status for status in statuses if status.name == name)

    def wait_for_exit(self) -> tuple[int, str]:
        """Return its exit code and its last output."""
        output, _ = self.process.communicate(timeout=30)
        return self.process.returncode, output


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start a supervisor over services given as dictionaries."""
    runs: list[Run] = []

    def begin(*services: dict[str, Any]) -> Run:
        runs.append(Run(tmp_path, list(services)))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
        run.process.communicate(timeout=30)
    wait_until(lambda: not live_pids(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_stops_every_process(start: Callable[..., Run], number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a closed terminal end every process, stubborn ones too, with status 0."""
    run = start({"name": "a", "code": STAYS}, {"name": "b", "code": STUBBORN}).wait_until_ready()
    assert len(live_pids(run.state)) == 4

    run.process.send_signal(number)

    assert run.wait_for_exit()[0] == 0
    assert live_pids(run.state) == []
    assert not (run.state / "run.json").exists()


def test_a_killed_supervisor_leaves_no_process_behind(start: Callable[..., Run]) -> None:
    """kill -9 prevents any cleanup; children and their children end nevertheless."""
    run = start({"name": "a", "code": STAYS}, {"name": "b", "code": STUBBORN}).wait_until_ready()

    run.process.kill()
    run.process.wait()

    wait_until(lambda: not live_pids(run.state), seconds=60)
    assert state_file.running_pid(run.state) is None


def test_children_end_when_supervisor_and_reaper_are_killed(start: Callable[..., Run]) -> None:
    """The kernel's signal reaches each child even if the reaper was killed first."""
    run = start({"name": "a", "code": STAYS}, {"name": "b", "code": STAYS}).wait_until_ready()
    for pid in reaper_pids(run.process):
        os.kill(pid, signal.SIGKILL)

    run.process.kill()
    run.process.wait()

    wait_until(lambda: not live_pids(run.state))


def test_a_crashed_service_is_restarted(start: Callable[..., Run]) -> None:
    """A service that stops by itself is restarted, and the state file records it."""
    run = start({"name": "a", "code": ONCE.format("sys.exit(3)")}).wait_until_ready()

    (run.state / "a.go").touch()

    wait_until(lambda: run.status("a").restarts == 1 and run.status("a").state == "ready")
    assert "exit code 3" in run.status("a").message or run.status("a").message == ""


def test_a_full_state_directory_ends_nothing(start: Callable[..., Run]) -> None:
    """Unwritable logs and run.json cause one report; services run on and restart, and writing resumes later."""
    run = start({"name": "a", "code": CHATTERS}, {"name": "b", "code": CHATTERS}).wait_until_ready()
    before = run.status("a").pid
    assert before is not None
    unlimited = resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE)

    # No file of the supervisor can grow, as on a full disk; pipes can.
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
    run.line("zmart", "cannot be written: File too large. The services continue", "error")
    os.kill(before, signal.SIGKILL)
    run.line("a is ready again")
    # The signal that requests a restart finds run.json unchanged, and the restart happens.
    state_file.request_restart(run.state, "b")
    run.line("b is ready again")
    assert run.status("a").pid == before
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, unlimited)

    run.line("The state directory is writable again;", "log lines were lost", "warning")
    assert sum("cannot be written" in line for line in run.lines) == 1
    wait_until(lambda: run.status("a").pid not in {before, None} and run.status("a").restarts == 1)
    for name in "ab":
        assert "lines were lost here" in (run.state / "logs" / f"{name}.log").read_text()


def test_a_state_directory_that_cannot_be_written_is_refused_at_start(
    start: Callable[..., Run], tmp_path: Path
) -> None:
    """An unwritable folder is reported with the reason and the next step before any service starts."""
    (tmp_path / "run.lock").mkdir()

    code, output = start({"name": "a", "code": STAYS}).wait_for_exit()

    assert code == 1
    assert output.startswith(f"The state directory {tmp_path} cannot be written: Is a directory. Free disk space")


def test_a_launch_that_fails_is_tried_until_it_works(start: Callable[..., Run]) -> None:
    """A launch that cannot write its files is reported once, and the service returns when there is space."""
    run = start({"name": "a", "code": STAYS}).wait_until_ready()
    ready, pid = run.state / "a.ready", run.status("a").pid
    assert pid is not None
    ready.unlink()
    ready.mkdir()

    os.kill(pid, signal.SIGKILL)
    run.line("a a cannot be started: Is a directory.", "error")
    wait_until(lambda: run.status("a").restarts >= 3)
    ready.rmdir()

    wait_until(lambda: run.status("a").state == "ready")
    run.process.terminate()
    assert "cannot be started" not in run.wait_for_exit()[1]


def test_a_terminal_that_is_gone_ends_nothing(start: Callable[..., Run]) -> None:
    """Services are restarted as before when the reader of the output is gone."""
    run = start({"name": "a", "code": STAYS}).wait_until_ready()
    before = run.status("a").pid
    assert before is not None
    assert run.process.stdout is not None
    run.process.stdout.close()

    os.kill(before, signal.SIGKILL)

    wait_until(lambda: run.status("a").state == "ready" and run.status("a").pid not in {before, None})


def test_a_service_that_keeps_failing_is_started_for_ever(start: Callable[..., Run]) -> None:
    """Pauses grow, the reason is what it printed last, the others run on, and it recovers when the cause is gone."""
    run = start({"name": "a", "code": UNTIL_REPAIRED}, {"name": "b", "code": STAYS}).wait_until_ready()
    (run.state / "a.broken").touch()
    pid = run.status("a").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    run.line("exit code 3: FATAL: no space left", "failed 5 times in a row, next start in", "error")
    wait_until(lambda: run.status("a").failures > 7)
    assert run.status("a").state in {"restarting", "starting"}
    assert run.status("b").state == "ready"
    (run.state / "a.broken").unlink()

    wait_until(lambda: run.status("a").state == "ready")


def test_a_process_that_stops_answering_is_restarted(start: Callable[..., Run]) -> None:
    """A stopped process is ended and started again; its signal to stop reaches it."""
    run = start({"name": "a", "code": STAYS, "silent": 0.5}).wait_until_ready()
    before = run.status("a").pid
    assert before is not None
    (run.state / "a.silent").touch()
    os.kill(before, signal.SIGSTOP)

    run.line("no answer for", "restarting", "warning")
    (run.state / "a.silent").unlink()

    run.line("a is ready again")
    assert run.status("a").pid not in {before, None}


def test_a_stopped_process_is_restarted_without_a_probe(start: Callable[..., Run]) -> None:
    """Where nothing can be asked, the state of the process shows that a signal stopped it."""
    run = start({"name": "a", "code": STAYS, "unresponsive_seconds": 0.5}).wait_until_ready()
    before = run.status("a").pid
    assert before is not None
    os.kill(before, signal.SIGSTOP)

    run.line("no answer for", "restarting", "warning")

    run.line("a is ready again")
    assert run.status("a").pid not in {before, None}


def test_a_slow_start_stops_nothing(start: Callable[..., Run]) -> None:
    """The reason that the service gives is shown, the others run, and all is ready when it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        run = start(
            {"name": "a", "code": STAYS},
            {"name": "b", "code": STAYS, "dark": True, "port": port, "within": 1.5, "after": []},
        )
        threading.Thread(target=_serve_not_ready, args=(listener, run.state / "mended"), daemon=True).start()
        run.line("b not ready after 2 s (The mart trades is missing); what depends on it waits", "warning")
        assert run.status("a").state == "ready"
        assert "The mart trades is missing" in run.status("b").message

        (run.state / "mended").touch()

        run.line("READY")


def _serve_not_ready(listener: socket.socket, mended: Path) -> None:
    body = json.dumps({"status": "unready", "reasons": ["The mart trades is missing."]})
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                line = "200 OK" if mended.exists() else "503 Service Unavailable"
                client.sendall(f"HTTP/1.1 {line}\r\nConnection: close\r\n\r\n{body}".encode())


def test_a_stop_names_at_once_what_it_waits_for(start: Callable[..., Run]) -> None:
    """An operator who presses Ctrl-C sees which services end, and how long it can take."""
    run = start({"name": "a", "code": STAYS}, {"name": "b", "code": STUBBORN}).wait_until_ready()
    began = time.monotonic()

    run.process.send_signal(signal.SIGINT)

    run.line("zmart Stopping. Waiting for a, b; each is killed after at most 1 s.")
    assert time.monotonic() - began < 1
    assert run.wait_for_exit()[0] == 0


def test_a_requested_restart_uses_the_configuration_of_now(start: Callable[..., Run], tmp_path: Path) -> None:
    """The new process is started as the configuration says now; one that cannot work changes nothing."""
    configuration = tmp_path / "services.json"
    configuration.write_text("[]")
    run = start({"name": "a", "code": STAYS}).wait_until_ready()
    before = run.status("a").pid
    with pytest.raises(errors.ConfigurationError, match="not part of the configuration"):
        state_file.restart(run.state, "a", within_seconds=20)
    assert run.status("a").pid == before
    configuration.write_text(
        json.dumps([{"name": "a", "code": f"import sys, pathlib\nprint('new', flush=True)\n{STAYS}"}])
    )

    assert state_file.restart(run.state, "a", within_seconds=20).pid not in {before, None}

    log = run.state / "logs" / "a.log"
    wait_until(lambda: log.is_file() and "new" in log.read_text())


def test_a_running_service_restarts_when_asked(start: Callable[..., Run]) -> None:
    """`zmart restart` gives the service a new process."""
    run = start({"name": "a", "code": STAYS}).wait_until_ready()
    before = run.status("a").pid

    status = state_file.restart(run.state, "a")

    assert status.state == "ready"
    assert status.pid not in {before, None}
    assert run.status("a").pid == status.pid


def test_a_failed_restart_raises_an_error(start: Callable[..., Run]) -> None:
    """`zmart restart` of a service that fails again reports the failure."""
    run = start({"name": "a", "code": NEVER_AGAIN}).wait_until_ready()

    with pytest.raises(errors.Unavailable, match="zmart logs a"):
        state_file.restart(run.state, "a")


def test_memory_has_a_ceiling(start: Callable[..., Run]) -> None:
    """A service above its memory ceiling is restarted, and the terminal shows the reason."""
    grow = "block = bytearray(b'x' * 80_000_000); time.sleep(3600)"
    run = start({"name": "a", "code": ONCE.format(grow), "ceiling": 40_000_000}).wait_until_ready()

    (run.state / "a.go").touch()

    wait_until(lambda: run.status("a").restarts == 1 and run.status("a").state == "ready")
    run.process.terminate()
    assert "above the ceiling of 38 MB; restarting" in run.wait_for_exit()[1]


def test_a_failed_first_start_stops_all_services(start: Callable[..., Run]) -> None:
    """A failed first start stops all services and quotes the service's last output."""
    run = start({"name": "a", "code": STAYS}, {"name": "b", "code": "import sys; sys.exit('no such key')"})

    code, output = run.wait_for_exit()

    assert code == 1
    assert "b did not become ready: exit code 1." in output
    assert "no such key" in output
    assert "zmart logs b" in output
    assert live_pids(run.state) == []


def test_a_start_that_takes_far_too_long_is_begun_again(start: Callable[..., Run]) -> None:
    """A first start, too: its process may be stuck, and what depends on it goes on waiting."""
    stuck = "import sys, time, pathlib\nseen = pathlib.Path(sys.argv[1]).with_suffix('.seen')\n"
    stuck += "if not seen.exists():\n    seen.touch()\n    time.sleep(3600)\n"
    run = start({"name": "a", "code": stuck + STAYS, "within": 1}, {"name": "b", "code": STAYS})

    run.line("a not ready within 3 s; restarting", "warning")

    run.line("READY")


def test_a_task_has_to_succeed_before_the_next_starts(start: Callable[..., Run]) -> None:
    """A service that depends on a task starts after the task has ended."""
    work = "import sys, pathlib; pathlib.Path(sys.argv[1]).with_name('done').touch()"
    check = "import sys, pathlib; pathlib.Path(sys.argv[1]).with_name('done').stat();" + STAYS
    run = start({"name": "t", "code": work, "is_task": True}, {"name": "a", "code": check}).wait_until_ready()

    assert run.status("t").state == "done"


def test_a_background_task_starts_when_all_is_ready(start: Callable[..., Run]) -> None:
    """Nothing waits for it, also of what is started after it; it runs once."""
    waits = """
import sys, time, pathlib
ready = pathlib.Path(sys.argv[1])
assert ready.with_name("a.ready").exists()
with ready.with_name("runs").open("a") as file:
    file.write("one ")
while not ready.with_name("go").exists():
    time.sleep(0.01)
"""
    run = start(
        {"name": "t", "code": waits, "is_task": True, "is_background": True}, {"name": "a", "code": STAYS}
    ).wait_until_ready()
    wait_until((run.state / "runs").exists)
    assert run.status("t").state == "starting"
    (run.state / "go").touch()
    wait_until(lambda: run.status("t").state == "done")

    assert (run.state / "runs").read_text() == "one "
    assert run.status("a").state == "ready"


def test_a_background_task_that_fails_is_reported_and_not_repeated(start: Callable[..., Run]) -> None:
    """The services go on, and the line names the command that prints all of its output."""
    fails = """
import sys, pathlib
with pathlib.Path(sys.argv[1]).with_name("runs").open("a") as file:
    file.write("one ")
print("ERROR: no space left", flush=True)
sys.exit(1)
"""
    run = start(
        {"name": "a", "code": STAYS}, {"name": "t", "code": fails, "is_task": True, "is_background": True}
    ).wait_until_ready()
    line = run.line("t exit code 1", "warning")
    pid = run.status("a").pid

    assert "no space left; see all of it with: zmart logs t" in line
    assert run.status("t").state == "failed"
    assert (run.state / "runs").read_text() == "one "
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(20) == 0
    assert pid not in live_pids(run.state)


def test_foundations_stop_last(start: Callable[..., Run]) -> None:
    """A service ends after all services that depend on it."""
    code = """
import pathlib, signal, sys, time
ready = pathlib.Path(sys.argv[1])
def end(*_):
    with ready.with_name("order").open("a") as file:
        file.write(ready.stem + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
ready.touch()
time.sleep(3600)
"""
    run = start(
        {"name": "ground", "code": code, "is_foundation": True}, {"name": "upper", "code": code}
    ).wait_until_ready()

    run.process.terminate()

    assert run.wait_for_exit()[0] == 0
    assert (run.state / "order").read_text() == "upper ground "


def test_a_port_in_use_is_reported_before_any_start(start: Callable[..., Run]) -> None:
    """A port in use is reported with the port, the service and the variable that changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start({"name": "a", "code": STAYS, "port": port})
        code, output = run.wait_for_exit()

    assert code == 1
    assert output.strip() == (
        f"Port {port} on 127.0.0.1 (a) is in use. Stop the process that listens there, or set ITS_PORT to another port."
    )


def test_one_state_directory_has_one_supervisor(start: Callable[..., Run]) -> None:
    """A second instance is refused with the first one's pid, and the first one is not affected."""
    run = start({"name": "a", "code": STAYS}).wait_until_ready()

    code, output = start({"name": "a", "code": STAYS}).wait_for_exit()

    assert code == 1
    assert f"already running here (pid {run.process.pid})" in output
    assert run.status("a").state == "ready"


def test_service_output_is_logged(start: Callable[..., Run]) -> None:
    """A service's output is in its log; warnings and errors are on the terminal, too."""
    code = (
        "import sys, time, pathlib; pathlib.Path(sys.argv[1]).touch(); print('quiet', flush=True)\n"
        "while not pathlib.Path(sys.argv[1]).with_name('go').exists(): time.sleep(0.01)\n"
        "print('ERROR: loud', flush=True); time.sleep(3600)"
    )
    run = start({"name": "a", "code": code}).wait_until_ready()
    (run.state / "go").touch()
    log = run.state / "logs" / "a.log"
    wait_until(lambda: "loud" in log.read_text())

    run.process.terminate()

    assert run.wait_for_exit()[1].startswith("a ERROR: loud error\n")
    assert log.read_text() == "quiet\nERROR: loud\n"
