"""What handlers are given: the settings, the database, the hub. One of each per process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import Dependency

from zmart.settings import Settings

from .database import Database
from .live.hub import Hub


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a process has one of."""

    settings: Settings
    database: Database
    hub: Hub
    #: time.monotonic() when the process began to serve.
    began: float


FromServices = Annotated[Services, Dependency(skip_validation=True)]
FromDatabase = Annotated[Database, Dependency(skip_validation=True)]
FromHub = Annotated[Hub, Dependency(skip_validation=True)]


def uptime_seconds(of: Services) -> float:
    """How long the process has been serving."""
    return time.monotonic() - of.began


def _services(state: State) -> Services:
    found: Services = state.services
    return found


def _database(state: State) -> Database:
    return _services(state).database


def _hub(state: State) -> Hub:
    return _services(state).hub


PROVIDERS = {
    "services": Provide(_services, sync_to_thread=False),
    "database": Provide(_database, sync_to_thread=False),
    "hub": Provide(_hub, sync_to_thread=False),
}
