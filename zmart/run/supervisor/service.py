"""Describes one service for the supervisor: how to run it, and how to check that it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .. import ports
from . import process, restarts
from .probes import Probe

MEMORY_CEILING_BYTES = 500 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port that a service listens on, and the variable that changes it."""

    variable: str
    host: str
    number: int

    def is_free(self) -> bool:
        """Return whether the port can be bound now."""
        return ports.is_free(self.number, self.host)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program to run, and how to check that it works."""

    name: str
    #: Called at every start, because its result may depend on services started before.
    launch: Callable[[], process.Launch]
    #: Returns whether the service is ready; None means ready at once.
    probe: Probe | None = None
    ready_within_seconds: float = 60.0
    #: Returns whether the running process answers. A process that has not for `unresponsive_seconds`, or that a signal
    #: stopped for as long, is restarted.
    liveness: Probe | None = None
    unresponsive_seconds: float = 30.0
    #: Services to wait for, if they run; None means all earlier services.
    after: tuple[str, ...] | None = None
    #: It has to end by itself, successfully, before the next service starts.
    is_task: bool = False
    #: A task that starts when everything else is ready. Nothing waits for it, and its failure is only reported.
    is_background: bool = False
    #: Other services depend on it, so it stops after them.
    is_foundation: bool = False
    ports: tuple[Port, ...] = ()
    #: The port whose listening socket the supervisor holds and passes to the process (`zmart.http.handover`). A
    #: restart then refuses no connection.
    listens: Port | None = None
    #: Shown when everything is ready.
    url: str | None = None
    memory_ceiling_bytes: int | None = MEMORY_CEILING_BYTES
    #: Time from the request to stop until the process is killed.
    grace_seconds: float = 10.0
    policy: restarts.RestartPolicy = field(default_factory=restarts.RestartPolicy)
