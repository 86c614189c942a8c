"""Provides handlers with the objects that a process has one of, such as settings, database and hub."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import Dependency
from litestar.types import Message, Scope

from zmart.chain.client import ChainClient
from zmart.settings import Settings
from zmart.tasks import SharedResult

from .acting.preparing import Preparer
from .acting.relaying import TransactionRelay
from .auth import signed_in
from .auth.service import AuthService
from .live.hub import Hub
from .metrics import ApiMetrics
from .reads.database import ReadDatabase
from .reads.readiness import DatabaseReadiness
from .reads.standby import ReadChoice
from .writes import WalletWrites


@dataclass(frozen=True, kw_only=True)
class AppServices:
    """All objects that a process has one of."""

    settings: Settings
    #: The primary.
    database: ReadDatabase
    #: A standby that answers GETs, and what decides when it does; both are None without DATABASE_URL_READ.
    standby: ReadDatabase | None
    read_choice: ReadChoice | None
    #: Whether the database answers, read at most once a second.
    readiness: SharedResult[DatabaseReadiness]
    hub: Hub
    #: Writes as a wallet.
    writes: WalletWrites
    #: Authenticates callers.
    auth: AuthService
    #: Connects to a node of the cluster.
    chain: ChainClient
    #: Counts what this process does.
    metrics: ApiMetrics
    #: time.monotonic() when the process started to serve.
    started_at: float

    async def database_for(self, scope: Scope) -> ReadDatabase:
        """Return the database that answers a request."""
        if self.standby is None or self.read_choice is None or not await self.read_choice.is_for_standby(scope):
            return self.database
        return self.standby


FromServices = Annotated[AppServices, Dependency(skip_validation=True)]
FromDatabase = Annotated[ReadDatabase, Dependency(skip_validation=True)]
FromHub = Annotated[Hub, Dependency(skip_validation=True)]
FromPreparer = Annotated[Preparer, Dependency(skip_validation=True)]
FromRelay = Annotated[TransactionRelay, Dependency(skip_validation=True)]
FromAuth = Annotated[AuthService, Dependency(skip_validation=True)]


def uptime_seconds(services: AppServices) -> float:
    """Return how long the process has been serving, in seconds."""
    return time.monotonic() - services.started_at


class Dependencies:
    """Process-wide singletons, injected without per-request lookup."""

    #: Set while the process serves.
    services: AppServices

    def providers(self) -> dict[str, Provide]:
        """Return the providers by the parameter names that handlers use."""
        return {
            "services": Provide(lambda: self.services, sync_to_thread=False),
            "database": Provide(self._database),
            "hub": Provide(lambda: self.services.hub, sync_to_thread=False),
            "auth": Provide(lambda: self.services.auth, sync_to_thread=False),
            "preparer": Provide(self._preparer, sync_to_thread=False),
            "relay": Provide(self._relay, sync_to_thread=False),
            "signed_in": Provide(self._signed_in),
        }

    async def record_write(self, message: Message, scope: Scope) -> None:
        """Let the session that has written read its own write; a `before_send` hook."""
        if self.services.read_choice is not None:
            await self.services.read_choice.record_write(message, scope)

    async def _database(self, request: Request[Any, Any, State]) -> ReadDatabase:
        return await self.services.database_for(request.scope)

    def _preparer(self) -> Preparer:
        return Preparer(self.services.chain, self.services.settings.chain.program_id)

    def _relay(self) -> TransactionRelay:
        return TransactionRelay(self.services.chain, self.services.settings.chain.program_id)

    async def _signed_in(self, request: Request[Any, Any, State]) -> signed_in.SignedInWallet:
        return await signed_in.authenticate_request(request, self.services.auth, self.services.writes)
