"""What the supervisor is told about one service: how to run it, and how to tell that it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .. import ports
from . import process, restarts
from .probes import Probe

MEMORY_CEILING_BYTES = 500 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port that a service will listen on, and the variable that moves it."""

    variable: str
    host: str
    number: int

    def is_free(self) -> bool:
        """Whether the port can be bound now."""
        return ports.is_free(self.number, self.host)


@dataclass(frozen=True, kw_only=True)
class Service:
    """What to run and how to tell that it works."""

    name: str
    #: Asked at every start, for what it says may depend on services started before.
    launch: Callable[[], process.Launch]
    #: Whether it answers; None is ready at once.
    probe: Probe | None = None
    ready_within_seconds: float = 60.0
    #: Services to wait for, of those that run; None: all that stand before it.
    after: tuple[str, ...] | None = None
    #: It has to end by itself, successfully, before the next one starts.
    is_task: bool = False
    #: Others stand on it, so it stops after them.
    is_foundation: bool = False
    ports: tuple[Port, ...] = ()
    #: Shown when everything is ready.
    url: str | None = None
    memory_ceiling_bytes: int | None = MEMORY_CEILING_BYTES
    #: From the wish to stop until it is killed.
    grace_seconds: float = 10.0
    policy: restarts.RestartPolicy = field(default_factory=restarts.RestartPolicy)
