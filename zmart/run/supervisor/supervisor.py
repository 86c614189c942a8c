"""Starts the services as processes in order, keeps them running, and stops all of them.

Each service is a process in its own process group (`child`). It starts when the services it depends on are ready: all
earlier ones, unless `Service.after` names them. During start-up the first service that ends stops everything, because a
configuration that cannot work should not be retried. Background tasks start when everything else is ready. Afterwards,
a service that stops, does not answer or exceeds its memory ceiling is started again, for ever, with growing pauses
(`restarts`) and an alert (`alerts`). Foundations (Postgres) stop last.

No child process outlives the supervisor. It ends its children when it ends, the kernel signals them when it is killed,
and the reaper ends the processes that those two miss.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zmart import errors

from . import process, state_file
from .alerts import ServiceAlerts
from .child import ManagedService, Reporter
from .log_files import RotatedLog, Severity, WriteFailures
from .reaper_process import ReaperProcess
from .service import Service

#: Reading the memory of a process makes the kernel walk all of its pages.
MEMORY_EVERY_SECONDS = 5.0
#: While it stops, the supervisor names at this interval what it still waits for.
STOP_REPORT_SECONDS = 3.0


class Supervisor:
    """Runs `services` from start to stop; `report` receives the lines to show to the operator at the terminal.

    Construct it inside the event loop, in the main thread.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        state_dir: Path,
        report: Reporter,
        reload: Callable[[], Sequence[Service]] | None = None,
        alerts: ServiceAlerts | None = None,
    ) -> None:
        #: Returns the services of the configuration as it is now; a requested restart uses them.
        self._reload = reload
        self._alerts = alerts
        self._folder = state_dir
        self._run_id = secrets.token_hex(8)
        self._report = _unfailing(report)
        self._failures = WriteFailures(lambda text, weight: self._report("zmart", text, weight))
        self._state_file = state_file.StateFile(state_dir / "run.json", self._failures)
        self._reaper = ReaperProcess(self._run_id)
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
                        self._start_background()
                        await self._supervise()
                finally:
                    await self._stop_all()
                    self._threads.shutdown(wait=False, cancel_futures=True)
                    self._state_file.close()

    def stop(self) -> None:
        """Request the end of `run`, and report at once what it will wait for."""
        if not self._stop.is_set():
            self._report(
                "zmart", describe_stop([each.service for each in self._children if each.has_process]), "detail"
            )
        self._stop.set()

    # --- private ------------------------------------------------------------------------------

    def _make_child(self, service: Service) -> ManagedService:
        status = self._state_file.add(service.name, url=service.url)
        log = RotatedLog(self._folder / "logs" / f"{service.name}.log", failures=self._failures)
        return ManagedService(
            service,
            status,
            log,
            run_id=self._run_id,
            threads=self._threads,
            reaper=self._reaper,
            report=self._report,
            save=self._state_file.write,
        )

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
        waited_for = [child for child in self._children if not child.service.is_background]
        starts = asyncio.gather(*(self._start_one(child) for child in waited_for))
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

    def _start_background(self) -> None:
        for child in self._children:
            if child.service.is_background:
                child.start()

    async def _start_one(self, child: ManagedService) -> None:
        for earlier in self._dependencies(child):
            # Shielded: cancelling the waiting task must not cancel the future that others wait for.
            await asyncio.shield(earlier.first_ready)
        child.start()
        await asyncio.shield(child.first_ready)

    def _dependencies(self, child: ManagedService) -> list[ManagedService]:
        """Return the services that must be ready before `child` starts."""
        earlier = self._children[: self._children.index(child)]
        before, after = [each for each in earlier if not each.service.is_background], child.service.after
        return before if after is None else [earlier for earlier in before if earlier.service.name in after]

    async def _supervise(self) -> None:
        while not self._stop.is_set():
            self._measure()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), MEMORY_EVERY_SECONDS)

    def _measure(self) -> None:
        relations = process.list_processes()
        for child in self._children:
            child.measure(relations)
        self._state_file.write()
        if self._alerts is not None:
            failing = {each.service.name: each.status.message for each in self._children if each.is_failing}
            self._alerts.update({name: f"{name}: {message}." for name, message in failing.items()})

    async def _stop_all(self) -> None:
        for stage in stop_stages([child.service for child in self._children]):
            children = [child for child in self._children if child.service in stage]
            await self._stop_stage(asyncio.gather(*(child.stop() for child in children)), children)

    async def _stop_stage(self, stops: asyncio.Future[Any], children: Sequence[ManagedService]) -> None:
        """Wait for services to end, and report at intervals which ones still run."""
        while True:
            done, _ = await asyncio.wait([stops], timeout=STOP_REPORT_SECONDS)
            if done:
                stops.result()
                return
            self._report("zmart", describe_stop([each.service for each in children if each.has_process]), "detail")

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
                    self._restart(child)

    def _restart(self, child: ManagedService) -> None:
        """Restart a service with the configuration as it is now, `.env` included."""
        if self._reload is None:
            child.request_restart()
            return
        try:
            services = {service.name: service for service in self._reload()}
            child.request_restart(services[child.service.name])
        except errors.ZmartError as error:
            child.refuse_restart(str(error))
        except KeyError:
            child.refuse_restart("It is not part of the configuration any more. Start all again: zmart up")


def stop_stages(services: Sequence[Service]) -> list[list[Service]]:
    """Return the services that stop together: first all but the foundations, then each foundation, latest first."""
    above = [service for service in services if not service.is_foundation]
    foundations = [[service] for service in reversed(services) if service.is_foundation]
    return [stage for stage in (above, *foundations) if stage]


def describe_stop(services: Sequence[Service]) -> str:
    """Return what a stop waits for, and for how long at most."""
    if not services:
        return "Stopping."
    names = ", ".join(service.name for service in services)
    return f"Stopping. Waiting for {names}; each is killed after at most {_longest_grace(services):.0f} s."


def _longest_grace(services: Sequence[Service]) -> float:
    return max(service.grace_seconds for service in services)


def _unfailing(say: Reporter) -> Reporter:
    """Return `say` with its OSErrors suppressed: the terminal may be gone, or a file on a full disk."""

    def say_or_skip(name: str, text: str, weight: Severity) -> None:
        with contextlib.suppress(OSError):
            say(name, text, weight)

    return say_or_skip
