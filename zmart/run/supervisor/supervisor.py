"""Starts the services as processes in order, restarts them when they stop, and stops all of them.

Each service is a process in its own process group. It starts when the services it depends on are ready: all earlier
ones, unless `Service.after` names them. It is ready when its probe succeeds. During start-up the first failure stops
everything, because a configuration that cannot work should not be retried. Afterwards, a service that stops or exceeds
its memory ceiling is restarted according to `zmart.run.supervisor.restarts`. Foundations (Postgres) stop last.

No child process outlives the supervisor. It ends its children when it ends, the kernel signals them when it is killed,
and the reaper ends the processes that those two miss.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

from zmart import errors
from zmart.settings import RUN_VARIABLE

from . import process, reaper, restarts, state_file
from .log_files import RotatedLog, Severity, WriteFailures, severity
from .service import Service

Reporter: TypeAlias = Callable[[str, str, Severity], None]

MEMORY_EVERY_SECONDS = 2.0
PROBE_EVERY_SECONDS = 0.1
LAST_OUTPUT_WITHIN_SECONDS = 2.0


class Supervisor:
    """Runs `services` from start to stop; `report` receives the lines to show to the operator at the terminal.

    Construct it inside the event loop, in the main thread.
    """

    def __init__(self, services: Sequence[Service], *, state_dir: Path, report: Reporter) -> None:
        self._folder = state_dir
        self._run_id = secrets.token_hex(8)
        self._report = _unfailing(report)
        self._failures = WriteFailures(lambda text, weight: self._report("zmart", text, weight))
        self._state_file = state_file.StateFile(state_dir / "run.json", self._failures)
        self._reaper = _ReaperProcess(self._run_id)
        # One thread per service: each thread blocks until its process ends.
        self._threads = ThreadPoolExecutor(max(len(services), 1), thread_name_prefix="wait")
        self._children = [self._make_child(service) for service in services]
        self._stop = asyncio.Event()

    async def run(self, when_ready: Callable[[], None] = lambda: None) -> None:
        """Start everything, call `when_ready`, and run until SIGINT, SIGTERM, SIGHUP or `stop()`.

        Raise Conflict when another supervisor holds the state directory, ConfigurationError when a port is taken, and
        Unavailable when a service does not become ready. No service runs after this returns.
        """
        with state_file.hold_lock(self._folder):
            self._check_ports()
            self._state_file.open()
            with self._reaper, self._signals():
                try:
                    if await self._start():
                        with contextlib.suppress(OSError):
                            when_ready()
                        await self._supervise()
                finally:
                    await self._stop_all()
                    self._threads.shutdown(wait=False, cancel_futures=True)
                    self._state_file.close()

    def stop(self) -> None:
        """Request the end of `run`."""
        self._stop.set()

    # --- private ------------------------------------------------------------------------------

    def _make_child(self, service: Service) -> _Child:
        status = self._state_file.add(service.name, url=service.url)
        log = RotatedLog(self._folder / "logs" / f"{service.name}.log", failures=self._failures)
        return _Child(service, status, log, supervisor=self)

    def _check_ports(self) -> None:
        for child in self._children:
            for port in child.service.ports:
                if not port.is_free():
                    raise errors.ConfigurationError(
                        f"Port {port.number} on {port.host} ({child.service.name}) is in use.",
                        help=f"Stop the process that listens there, or set {port.variable} to another port.",
                    )

    async def _start(self) -> bool:
        """Start each service when its dependencies are ready; return False when a stop was requested meanwhile."""
        starts = asyncio.gather(*(self._start_one(child) for child in self._children))
        stop = asyncio.create_task(self._stop.wait())
        either: set[asyncio.Future[Any]] = {starts, stop}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set():
                starts.result()
        finally:
            stop.cancel()
            starts.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await starts
        return not self._stop.is_set()

    async def _start_one(self, child: _Child) -> None:
        for earlier in self._dependencies(child):
            # Shielded: cancelling the waiting task must not cancel the future that others wait for.
            await asyncio.shield(earlier.first_ready)
        child.start()
        await asyncio.shield(child.first_ready)

    def _dependencies(self, child: _Child) -> list[_Child]:
        """Return the services that must be ready before `child` starts."""
        before, after = self._children[: self._children.index(child)], child.service.after
        return before if after is None else [earlier for earlier in before if earlier.service.name in after]

    async def _supervise(self) -> None:
        while not self._stop.is_set():
            self._measure()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), MEMORY_EVERY_SECONDS)

    def _measure(self) -> None:
        for child in self._children:
            child.measure()
        self._state_file.write()

    async def _stop_all(self) -> None:
        for stage in stop_stages([child.service for child in self._children]):
            await asyncio.gather(*(child.stop() for child in self._children if child.service in stage))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGUSR1, self._take_requests)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
                loop.remove_signal_handler(number)

    def _take_requests(self) -> None:
        for child in self._children:
            wish = state_file.request_file(self._folder, child.service.name)
            if wish.exists():
                # A request file that cannot be removed would cause a restart at every signal.
                with contextlib.suppress(OSError):
                    wish.unlink()
                    child.request_restart("restart requested")


class _Child:
    """Manages one service: starts, monitors, restarts and stops its process."""

    def __init__(
        self, service: Service, status: state_file.ServiceStatus, log: RotatedLog, *, supervisor: Supervisor
    ) -> None:
        self.service = service
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._status = status
        self._log = log
        self._owner = supervisor
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._reason: str | None = None
        self._stops: list[float] = []
        #: Launches in a row that failed before there was a process.
        self._failed_launches = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self.service.name)

    async def stop(self) -> None:
        """Stop the process, first with its stop signal, and wait until the process group is gone."""
        self._is_stopping = True
        self._wake.set()
        self._terminate()
        if self._task is not None:
            await self._task
        if not self.first_ready.done():
            self.first_ready.cancel()

    def request_restart(self, reason: str) -> None:
        """Stop the process so that it is restarted at once, or start it if it is down."""
        self._reason = reason
        self._stops.clear()
        self._wake.set()
        self._terminate()

    def measure(self) -> None:
        """Measure the memory in use, and restart the process when it is above its ceiling."""
        self._log.retry()
        ceiling = self.service.memory_ceiling_bytes
        if self._process is None or self._status.state != "ready":
            return
        used = self._status.memory_bytes = process.memory_bytes(self._process.pid)
        if ceiling is not None and used > ceiling and self._reason is None:
            self._reason = f"memory {_megabytes(used)} above the ceiling of {_megabytes(ceiling)}"
            self._terminate()

    # --- private ------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while not self._is_stopping:
                await self._run_once()
                if self._is_stopping or self._status.state == "done":
                    break
                await self._wait_before_restart()
        except Exception as error:
            self._fail_startup(error)
        finally:
            if self._status.state not in {"done", "failed"}:
                self._set_state("stopped")

    async def _run_once(self) -> None:
        """Run the process from start to end."""
        self._set_state("starting", message="")
        try:
            running = await self._spawn()
        except errors.ZmartError as error:
            self._fail_launch(error)
            return
        except OSError as error:
            self._fail_launch(errors.ConfigurationError(f"{self.service.name} cannot be started: {error.strerror}."))
            return
        self._failed_launches = 0
        loop = asyncio.get_running_loop()
        ended = loop.run_in_executor(self._owner._threads, running.wait)
        watch = asyncio.create_task(self._watch_readiness(ended))
        status = await ended
        watch.cancel()
        # Processes that the service left in its group have no parent any more.
        process.signal_group(running.pid, signal.SIGKILL)
        self._owner._reaper.forget(running.pid)
        self._process = None
        await self._read_to_the_end()
        self._on_exit(status)

    def _fail_launch(self, error: errors.ZmartError) -> None:
        """Fail the start-up; after it, report the error and let `_wait_before_restart` retry.

        Such an error can pass: the disk may be full or the port in use.
        """
        self._fail_startup(error)
        self._failed_launches += 1
        if not self._is_stopping:
            self._set_state("restarting", message=str(error))
        if self._failed_launches == 1:
            self._report(str(error), "error")

    async def _spawn(self) -> subprocess.Popen[bytes]:
        launch = await asyncio.to_thread(self.service.launch)
        environment = {**launch.environment, RUN_VARIABLE: self._owner._run_id}
        reader, writer = os.pipe()
        try:
            running = process.start(_with_environment(launch, environment), output=writer)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._owner._reaper.remember(running.pid, launch.stop_signal, self.service.grace_seconds)
        self._launch, self._process = launch, running
        self._reading = asyncio.create_task(self._read(os.fdopen(reader, "rb", buffering=0)))
        self._set_state("starting", pid=running.pid)
        if self._is_stopping:
            self._terminate()
        return running

    async def _read(self, pipe: IO[bytes]) -> None:
        """Copy the output to the log file, and lines of level warning and above to the terminal."""
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=1 << 16)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            while line := await _read_line(stream):
                self._log.write(line)
                self._report_line(line.decode(errors="replace").rstrip())
        finally:
            transport.close()

    async def _read_to_the_end(self) -> None:
        """Read the rest of the pipe, with a time limit: a process that left the group may hold the pipe open."""
        _, unfinished = await asyncio.wait({self._reading}, timeout=LAST_OUTPUT_WITHIN_SECONDS)
        for task in unfinished:
            task.cancel()
        self._log.close()

    def _report_line(self, line: str) -> None:
        level = severity(line)
        # A server that is starting or stopping logs errors about clients that connect too early or too late.
        if level != "detail" and not self._is_stopping and self._status.state == "ready":
            self._owner._report(self.service.name, line, level)

    async def _watch_readiness(self, ended: asyncio.Future[int]) -> None:
        if self.service.is_task:
            return
        deadline = time.monotonic() + self.service.ready_within_seconds
        while self.service.probe is not None and not await self.service.probe():
            if time.monotonic() > deadline:
                self._reason = f"not ready within {self.service.ready_within_seconds:.0f} s"
                self._terminate()
                return
            await asyncio.sleep(PROBE_EVERY_SECONDS)
        if ended.done() or self._is_stopping:
            return
        self._set_state("ready")
        if self.first_ready.done():
            self._report("is ready again", "detail")
        else:
            self._report("ready", "detail")
            self.first_ready.set_result(None)

    def _on_exit(self, status: int) -> None:
        if self.service.is_task and status == 0:
            self._set_state("done", pid=None)
            self._report("done", "detail")
            self.first_ready.set_result(None)
            return
        self._status.pid = None
        self._stops.append(time.monotonic())
        reason = self._reason or _describe_exit(status)
        self._set_state(self._status.state, message=reason)
        if not self.first_ready.done() and not self._is_stopping:
            self._fail_startup(
                errors.Unavailable(
                    f"{self.service.name} did not become ready: {reason}.{self._log.tail()}\n",
                    help=f"See the complete log: zmart logs {self.service.name}",
                )
            )

    def _fail_startup(self, error: Exception) -> None:
        """Record the first failure of a start-up, which ends the start-up of all services."""
        if not self.first_ready.done():
            self._set_state("failed", message=str(error))
            self.first_ready.set_exception(error)
            self._is_stopping = True

    async def _wait_before_restart(self) -> None:
        """Wait for the delay of the restart policy, or until a restart is requested."""
        requested, self._reason = self._reason, None
        if requested == "restart requested":
            self._wake.clear()
            self._mark_restarting(requested)
            return
        if self._failed_launches:
            # No process ran, so none stopped: the launch is retried without a limit, and each attempt is only counted.
            self._status.restarts += 1
            delay = self.service.policy.first_delay_seconds * 2 ** min(self._failed_launches, 16)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(delay, self.service.policy.longest_delay_seconds))
            self._wake.clear()
            return
        match restarts.decide(self.service.policy, self._stops, time.monotonic()):
            case restarts.RestartAfterDelay(after_seconds=delay):
                self._mark_restarting(self._status.message)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), delay)
            case restarts.GiveUp(stops=stops):
                self._set_state("failed", message=f"stopped {stops} times: {self._status.message}")
                next_step = f"Start it with: zmart restart {self.service.name}"
                self._report(f"{self._status.message}. {next_step}", "error")
                await self._wake.wait()
        self._reason = None
        self._wake.clear()

    def _mark_restarting(self, why: str) -> None:
        self._status.restarts += 1
        self._set_state("restarting", message=why)
        self._report(f"{why}; restarting", "warning")

    def _terminate(self) -> None:
        running = self._process
        if running is None or running.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            running.send_signal(self._launch.stop_signal)
        loop = asyncio.get_running_loop()
        loop.call_later(self.service.grace_seconds, _kill_if_alive, running)

    def _set_state(self, state: state_file.State, *, message: str | None = None, pid: int | None = -1) -> None:
        if state != self._status.state:
            self._status.since = time.time()
        self._status.state = state
        if pid != -1:
            self._status.pid = pid
        if message is not None:
            self._status.message = message
        self._owner._state_file.write()

    def _report(self, text: str, level: Severity) -> None:
        self._owner._report(self.service.name, text, level)


def stop_stages(services: Sequence[Service]) -> list[list[Service]]:
    """Return the services that stop together: first all but the foundations, then each foundation, latest first."""
    above = [service for service in services if not service.is_foundation]
    foundations = [[service] for service in reversed(services) if service.is_foundation]
    return [stage for stage in (above, *foundations) if stage]


class _ReaperProcess:
    """Runs the reaper process and writes to its standard input."""

    def __init__(self, run_id: str) -> None:
        self._mark = f"{RUN_VARIABLE}={run_id}"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", reaper.__file__, self._mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd="/",
            env={},
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait()

    def remember(self, group: int, stop_signal: signal.Signals, grace_seconds: float) -> None:
        self._write(f"+{group} {int(stop_signal)} {grace_seconds}\n")

    def forget(self, group: int) -> None:
        self._write(f"-{group}\n")

    def _write(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()


# --- small things -----------------------------------------------------------------------------


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line, or the beginning of a line that is too long for the buffer."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as overrun:
        return await stream.readexactly(overrun.consumed)


def _with_environment(launch: process.Launch, environment: dict[str, str]) -> process.Launch:
    return process.Launch(**{**vars(launch), "environment": environment})


def _kill_if_alive(running: subprocess.Popen[bytes]) -> None:
    if running.poll() is None:
        process.signal_group(running.pid, signal.SIGKILL)


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


def _unfailing(say: Reporter) -> Reporter:
    """Return `say` with its OSErrors suppressed: the terminal may be gone, or a file on a full disk."""

    def say_or_skip(name: str, text: str, weight: Severity) -> None:
        with contextlib.suppress(OSError):
            say(name, text, weight)

    return say_or_skip


def _megabytes(amount: int) -> str:
    return f"{amount / 1024 / 1024:.0f} MB"
