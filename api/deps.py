"""What handlers are given: the settings, the database, the hub. One of each per process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import Dependency

from zmart.chain.client import Client
from zmart.settings import Settings

from .acting.preparing import Preparer
from .acting.relaying import Relay
from .auth import signed_in
from .auth.gate import Gate
from .database import Database
from .live.hub import Hub
from .writes import Writes


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a process has one of."""

    settings: Settings
    database: Database
    hub: Hub
    #: Where wallets write.
    writes: Writes
    #: Who is asking.
    gate: Gate
    #: A node of the cluster.
    chain: Client
    #: time.monotonic() when the process began to serve.
    began: float


FromServices = Annotated[Services, Dependency(skip_validation=True)]
FromDatabase = Annotated[Database, Dependency(skip_validation=True)]
FromHub = Annotated[Hub, Dependency(skip_validation=True)]
FromPreparer = Annotated[Preparer, Dependency(skip_validation=True)]
FromRelay = Annotated[Relay, Dependency(skip_validation=True)]
FromGate = Annotated[Gate, Dependency(skip_validation=True)]


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


def _gate(state: State) -> Gate:
    return _services(state).gate


def _preparer(state: State) -> Preparer:
    services = _services(state)
    return Preparer(services.chain, services.settings.chain.program_id)


def _relay(state: State) -> Relay:
    services = _services(state)
    return Relay(services.chain, services.settings.chain.program_id)


async def _signed_in(request: Request[Any, Any, State], state: State) -> signed_in.SignedIn:
    services = _services(state)
    return await signed_in.of_request(request, services.gate, services.writes)


PROVIDERS = {
    "services": Provide(_services, sync_to_thread=False),
    "database": Provide(_database, sync_to_thread=False),
    "hub": Provide(_hub, sync_to_thread=False),
    "gate": Provide(_gate, sync_to_thread=False),
    "preparer": Provide(_preparer, sync_to_thread=False),
    "relay": Provide(_relay, sync_to_thread=False),
    "signed_in": Provide(_signed_in),
}
