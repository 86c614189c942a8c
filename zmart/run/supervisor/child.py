"""Runs the process of one service: starts it, watches it, starts it again and stops it.

A first start that ends fails the whole start-up, because a configuration that cannot work should not be retried. A
first start that is slow does not: its reason is shown, and what depends on it waits.

A service with a listening socket keeps it here, so that connections wait while its process is started again. At a
requested restart, the next process starts beside the one that runs, and takes over when it serves
(`zmart.http.handover`); one that does not get so far is ended, and nothing has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import IO, TypeAlias

from zmart import errors
from zmart.http import handover
from zmart.settings import RUN_VARIABLE

from . import probes, process, restarts, state_file
from .log_files import RotatedLog, Severity, severity
from .reaper_process import ReaperProcess
from .running import HeldListener, RunningProcess, describe_status, read_byte, read_line
from .service import Service

#: Writes a line for the operator: the service, the text, its severity.
Reporter: TypeAlias = Callable[[str, str, Severity], None]

PROBE_EVERY_SECONDS = 0.1
LIVENESS_EVERY_SECONDS = 5.0
LAST_OUTPUT_WITHIN_SECONDS = 2.0
#: A start that takes this many times as long as it should is begun again.
SLOWEST_STARTS = 3
#: A process that takes over and needs this many times as long as it should is ended.
SLOWEST_HANDOVERS = 2
#: In a longer pause, connections are refused instead of kept waiting.
LISTENER_HELD_SECONDS = 5.0


class ManagedService:
    """Manages one service: starts, monitors, restarts and stops its process."""

    def __init__(
        self,
        service: Service,
        status: state_file.ServiceStatus,
        log: RotatedLog,
        *,
        run_id: str,
        threads: ThreadPoolExecutor,
        reaper: ReaperProcess,
        report: Reporter,
        save: Callable[[], None],
    ) -> None:
        self.service = service
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = status
        self._log = log
        self._run_id = run_id
        self._threads = threads
        self._reaper = reaper
        self._reporter = report
        self._save = save
        self._running: RunningProcess | None = None
        #: The process that serves already, in place of the one that is asked to end.
        self._successor: RunningProcess | None = None
        self._handover: asyncio.Task[None] | None = None
        self._listener = HeldListener(service.name)
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._is_restart_requested = False
        self._reason: str | None = None
        self._ready_at: float | None = None

    @property
    def is_failing(self) -> bool:
        """Return whether the service has failed so often in a row that an operator should know."""
        return self.status.failures >= self.service.policy.alert_after

    @property
    def has_process(self) -> bool:
        """Return whether a process of the service runs."""
        return self._running is not None

    def start(self) -> None:
        """Start the service."""
        self._task = asyncio.create_task(self._run(), name=self.service.name)

    async def stop(self) -> None:
        """Stop the process, first with its stop signal, and wait until the process group is gone."""
        self._is_stopping = True
        self._wake.set()
        if self._handover is not None:
            self._handover.cancel()
        self._terminate()
        if self._task is not None:
            await self._task
        if not self.first_ready.done():
            self.first_ready.cancel()

    def request_restart(self, service: Service | None = None) -> None:
        """Replace the process by one of `service`, if given, or of the same service; start it if it is down.

        The process hands over where it can; any other is stopped first.
        """
        service = service or self.service
        if self._can_hand_over_to(service):
            if self._handover is None:
                self._handover = asyncio.create_task(self._hand_over(service), name=f"{service.name} handover")
            return
        self.service = service
        self._is_restart_requested = True
        self._wake.set()
        self._terminate()

    def refuse_restart(self, reason: str) -> None:
        """Record why a requested restart is not made."""
        self.status.refused_restarts += 1
        self._set_state(self.status.state, message=reason)
        self._report(f"not restarted: {reason}", "error")

    def measure(self, relations: Sequence[process.ProcessRelation]) -> None:
        """Measure the memory in use, and restart the process when it is above its ceiling."""
        self._log.retry()
        ceiling = self.service.memory_ceiling_bytes
        if self._running is None or self.status.state != "ready":
            return
        used = self.status.memory_bytes = process.memory_bytes(self._running.child.pid, relations)
        if ceiling is not None and used > ceiling:
            self._end(f"memory {_megabytes(used)} above the ceiling of {_megabytes(ceiling)}")
        if self._has_been_stable() and self.status.failures:
            self.status.failures = 0

    # --- private ------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while not self._is_stopping or self._successor is not None:
                await self._run_once()
                if self.status.state == "done":
                    break
                if not self._is_stopping and self._successor is None:
                    await self._wait_before_restart()
        except Exception as error:
            self._fail_startup(error)
        finally:
            self._listener.close()
            if self.status.state not in {"done", "failed"}:
                self._set_state("stopped")

    async def _run_once(self) -> None:
        """Run the process from start to end."""
        self._ready_at = None
        running = self._take_successor()
        if running is None:
            self._set_state("starting", message="")
            try:
                running = await self._spawn(self.service)
            except errors.ZmartError as error:
                self._fail_launch(error)
                return
            except OSError as error:
                refused = f"{self.service.name} cannot be started: {error.strerror}."
                self._fail_launch(errors.ConfigurationError(refused))
                return
        self._running = running
        self._set_state(self.status.state, pid=running.child.pid)
        if self._is_stopping:
            self._terminate()
        ended = asyncio.get_running_loop().run_in_executor(self._threads, running.child.wait)
        watch = asyncio.create_task(self._watch(ended))
        status = await ended
        watch.cancel()
        self._running = None
        await self._forget(running)
        if self._handover is not None:
            # The process ended before its successor served.
            await asyncio.wait({self._handover})
        if self._successor is None:
            self._on_exit(status)
        else:
            self._on_handed_over(self._successor)

    def _take_successor(self) -> RunningProcess | None:
        successor, self._successor = self._successor, None
        return successor

    async def _forget(self, running: RunningProcess) -> None:
        """Clean up after a process that has ended."""
        # Processes that the service left in its group have no parent any more.
        process.signal_group(running.child.pid, signal.SIGKILL)
        self._reaper.forget(running.child.pid)
        await self._read_to_the_end(running)

    # --- handing over -------------------------------------------------------------------------

    def _can_hand_over_to(self, service: Service) -> bool:
        """Return whether a process serves now whose listening socket the next one can use."""
        is_same_address = service.listens is not None and service.listens == self._listener.port
        return is_same_address and self._running is not None and self.status.state == "ready" and not self._is_stopping

    async def _hand_over(self, service: Service) -> None:
        """Start the next process, and ask the one that runs to end when the next one serves."""
        try:
            self._successor = await self._start_successor(service)
        except errors.ZmartError as error:
            self.refuse_restart(str(error))
        except OSError as error:
            self.refuse_restart(f"{service.name} cannot be started: {error.strerror}.")
        else:
            self.service = service
            self._terminate(handover.HANDOVER_SIGNAL)
        finally:
            self._handover = None

    async def _start_successor(self, service: Service) -> RunningProcess:
        """Return the next process when it serves; raise Unavailable, with no process left, when it does not."""
        reader, writer = os.pipe()
        try:
            try:
                successor = await self._spawn(service, serving_file=writer)
            finally:
                os.close(writer)
            try:
                async with asyncio.timeout(within := SLOWEST_HANDOVERS * service.ready_within_seconds):
                    is_serving = await read_byte(reader)
                reason = "it ended"
            except TimeoutError:
                is_serving, reason = False, f"not ready within {within:.0f} s"
            except asyncio.CancelledError:
                await successor.kill()
                await self._forget(successor)
                raise
        finally:
            os.close(reader)
        if is_serving:
            return successor
        status = await successor.kill()
        await self._forget(successor)
        reason = reason if status == -signal.SIGKILL else self._describe_exit(status)
        raise errors.Unavailable(
            f"The next process does not serve ({reason}); the one that runs goes on.",
            help=f"See the reason: zmart logs {service.name}",
        )

    def _on_handed_over(self, successor: RunningProcess) -> None:
        self.status.failures = 0
        self.status.restarts += 1
        self._reason = None
        self._is_restart_requested = False
        self._set_state("ready", message="", pid=successor.child.pid)
        self._report("restart requested; the next process has taken over", "warning")

    # --- one process --------------------------------------------------------------------------

    def _fail_launch(self, error: errors.ZmartError) -> None:
        """Fail the start-up; after it, report the error and let `_wait_before_restart` retry.

        Such an error can pass: the disk may be full or the port in use.
        """
        if self.service.is_background:
            self._fail_background(str(error))
            return
        self._fail_startup(error)
        self.status.failures += 1
        if not self._is_stopping:
            self._set_state("restarting", message=str(error))
        if self.status.failures == 1:
            self._report(str(error), "error")

    async def _spawn(self, service: Service, *, serving_file: int | None = None) -> RunningProcess:
        """Start a process; with `serving_file`, it writes there when it serves."""
        launch = await asyncio.to_thread(service.launch)
        files = {handover.SERVING_VARIABLE: serving_file}
        if (listener := self._listener.open(service.listens)) is not None:
            files[handover.LISTENER_VARIABLE] = listener.fileno()
        passed = {name: number for name, number in files.items() if number is not None}
        numbers = {name: str(number) for name, number in passed.items()}
        environment = {**launch.environment, **numbers, RUN_VARIABLE: self._run_id}
        reader, writer = os.pipe()
        try:
            child = process.start(
                replace(launch, environment=environment), output=writer, passed_files=tuple(passed.values())
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._reaper.remember(child.pid, launch.stop_signal, service.grace_seconds)
        reading = asyncio.create_task(self._read(os.fdopen(reader, "rb", buffering=0)))
        return RunningProcess(child=child, launch=launch, grace_seconds=service.grace_seconds, reading=reading)

    async def _read(self, pipe: IO[bytes]) -> None:
        """Copy the output to the log file, and lines of level warning and above to the terminal."""
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=1 << 16)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            while line := await read_line(stream):
                self._log.write(line)
                self._report_line(line.decode(errors="replace").rstrip())
        finally:
            transport.close()

    async def _read_to_the_end(self, running: RunningProcess) -> None:
        """Read the rest of the pipe, with a time limit: a process that left the group may hold the pipe open."""
        _, unfinished = await asyncio.wait({running.reading}, timeout=LAST_OUTPUT_WITHIN_SECONDS)
        for task in unfinished:
            task.cancel()
        self._log.close()

    def _report_line(self, line: str) -> None:
        level = severity(line)
        # A server that is starting or stopping logs errors about clients that connect too early or too late.
        if level != "detail" and not self._is_stopping and self.status.state == "ready":
            self._report(line, level)

    async def _watch(self, ended: asyncio.Future[int]) -> None:
        """Wait until the process is ready, then check that it answers, for as long as it runs."""
        if self.service.is_task or not await self._wait_until_ready() or ended.done() or self._is_stopping:
            return
        self._ready_at = time.monotonic()
        self._set_state("ready", message="")
        if self.first_ready.done():
            self._report("is ready again", "detail")
        else:
            self._report("ready", "detail")
            self.first_ready.set_result(None)
        await self._watch_liveness()

    async def _wait_until_ready(self) -> bool:
        """Return True when the probe succeeds, False after ending a process whose start takes far too long."""
        probe, within = self.service.probe, self.service.ready_within_seconds
        began, reports = time.monotonic(), 0
        while probe is not None and not await probe():
            if time.monotonic() - began > (reports + 1) * within:
                reports += 1
                if reports == SLOWEST_STARTS:
                    self._end(f"not ready within {reports * within:.0f} s{self._describe_delay()}")
                    return False
                text = f"not ready after {reports * within:.0f} s{self._describe_delay()}; what depends on it waits"
                self._set_state("starting", message=text)
                self._report(text, "warning")
            await asyncio.sleep(PROBE_EVERY_SECONDS)
        return True

    def _describe_delay(self) -> str:
        reason = probes.reason_of(self.service.probe) or self._log.last_line()
        return f" ({reason.rstrip('.')})" if reason else ""

    async def _watch_liveness(self) -> None:
        """End the process when it has not answered for `unresponsive_seconds`, in several attempts."""
        silent_since: float | None = None
        while True:
            await asyncio.sleep(min(LIVENESS_EVERY_SECONDS, self.service.unresponsive_seconds / 3))
            began = time.monotonic()
            if await self._is_answering():
                silent_since = None
                continue
            silent_since = began if silent_since is None else silent_since
            silent_seconds = time.monotonic() - silent_since
            # More than one attempt, however long one took: this process may have been stopped itself.
            if silent_seconds >= self.service.unresponsive_seconds and began > silent_since:
                self._end(f"no answer for {silent_seconds:.0f} s")
                return

    async def _is_answering(self) -> bool:
        """Return whether the process is not stopped by a signal, and answers where that can be asked."""
        if self._running is not None and process.is_stopped(self._running.child.pid):
            return False
        return self.service.liveness is None or await self.service.liveness()

    def _on_exit(self, status: int) -> None:
        if self.service.is_task and status == 0:
            self._set_state("done", pid=None)
            self._report("done", "detail")
            self.first_ready.set_result(None)
            return
        if self.service.is_background:
            self._fail_background(self._describe_exit(status))
            return
        self.status.pid = None
        is_ended_by_us = self._reason is not None
        reason, self._reason = self._reason or self._describe_exit(status), None
        if not self._is_restart_requested:
            ready_seconds = 0.0 if self._ready_at is None else time.monotonic() - self._ready_at
            self.status.failures = restarts.count_failures(self.service.policy, self.status.failures, ready_seconds)
        self._set_state(self.status.state, message=reason)
        if not self.first_ready.done() and not self._is_stopping and not is_ended_by_us:
            self._fail_startup(
                errors.Unavailable(
                    f"{self.service.name} did not become ready: {describe_status(status)}.{self._log.tail()}\n",
                    help=f"See the complete log: zmart logs {self.service.name}",
                )
            )

    def _describe_exit(self, status: int) -> str:
        """Return the exit code or signal, with the last error that the process printed."""
        line = self._log.last_error()
        return f"{describe_status(status)}: {line}" if line and status > 0 else describe_status(status)

    def _fail_background(self, reason: str) -> None:
        """Record the failure of a background task, which is not retried."""
        if not self._is_stopping:
            self._set_state("failed", message=reason, pid=None)
            self._report(f"{reason}; see all of it with: zmart logs {self.service.name}", "warning")
        self._is_stopping = True

    def _fail_startup(self, error: Exception) -> None:
        """Record the first failure of a start-up, which ends the start-up of all services."""
        if not self.first_ready.done():
            self._set_state("failed", message=str(error))
            self.first_ready.set_exception(error)
            self._is_stopping = True

    async def _wait_before_restart(self) -> None:
        """Wait for the pause of the restart policy, or until a restart is requested."""
        if not self._is_restart_requested:
            decision = restarts.decide(self.service.policy, self.status.failures)
            why = self.status.message
            self._set_state("restarting", message=self._describe_pause(why, decision))
            if self.status.failures == 1 or decision.is_alarming or self._ready_at is not None:
                self._report(self.status.message, "error" if decision.is_alarming else "warning")
            if decision.after_seconds > LISTENER_HELD_SECONDS:
                self._listener.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), decision.after_seconds)
        if self._is_restart_requested:
            self.status.failures = 0
            self._set_state("restarting", message="restart requested")
            self._report("restart requested; restarting", "warning")
        self.status.restarts += 1
        self._is_restart_requested = False
        self._wake.clear()

    def _describe_pause(self, why: str, decision: restarts.RestartAfterDelay) -> str:
        if self.status.failures <= 1:
            return f"{why}; restarting"
        times = f"failed {self.status.failures} times in a row"
        return (
            f"{why}; {times}, next start in {decision.after_seconds:.0f} s or with: zmart restart {self.service.name}"
        )

    def _has_been_stable(self) -> bool:
        return self._ready_at is not None and time.monotonic() - self._ready_at >= self.service.policy.stable_seconds

    def _end(self, reason: str) -> None:
        """End the process for a reason, unless it is ending already."""
        if self._reason is None:
            self._reason = reason
            self._terminate()

    def _terminate(self, number: signal.Signals | None = None) -> None:
        if self._running is not None:
            self._running.terminate(number)

    def _set_state(self, state: state_file.State, *, message: str | None = None, pid: int | None = -1) -> None:
        if state != self.status.state:
            self.status.since = time.time()
        self.status.state = state
        if pid != -1:
            self.status.pid = pid
        if message is not None:
            self.status.message = message
        self._save()

    def _report(self, text: str, level: Severity) -> None:
        self._reporter(self.service.name, text, level)


def _megabytes(amount: int) -> str:
    return f"{amount / 1024 / 1024:.0f} MB"
