"""Runs Dagster's web interface behind `web_guard`: `python -m orchestration.webserver`, on DAGSTER_HOST:DAGSTER_PORT.

The application is the one that `dagster-webserver` serves, built in this process so that it can be wrapped. It loads
no definitions: the code server holds them.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from zmart import errors, settings
from zmart import log as logs
from zmart.http.server import GracefulServer, bind_listener
from zmart.run.supervisor import dagster_services
from zmart.settings import Settings, is_loopback

from . import documents
from .web_guard import Policy, WebGuard

#: As `dagster-webserver` has them.
STATEMENT_TIMEOUT_MILLISECONDS = 15_000
POOL_RECYCLE_SECONDS = 3_600
POOL_OVERFLOW = 20
LIVE_DATA_POLL_MILLISECONDS = 2_000
GRACEFUL_SECONDS = 3


def main() -> int:
    """Serve until a signal; return 2 if the configuration cannot work."""
    try:
        configured = settings.load()
        configured.require_dagster_password()
        logs.configure(configured, service="dagster")
        logging.getLogger("dagster").setLevel(logging.WARNING)
        listener = bind_listener(
            configured.hosts.dagster,
            configured.ports.dagster,
            server="Dagster",
            help="Stop what holds it, or set DAGSTER_PORT and DAGSTER_HOST.",
        )
    except errors.ConfigurationError as error:
        print(f"dagster: {error}", file=sys.stderr)
        return 2
    with contextlib.closing(listener), DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_TIMEOUT_MILLISECONDS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW)
        target = WorkspaceFileTarget(paths=[str(dagster_services.WORKSPACE)])
        with WorkspaceProcessContext(instance, version=__version__, workspace_load_target=target) as workspace:
            app = create_app_from_workspace_process_context(
                workspace, live_data_poll_rate=LIVE_DATA_POLL_MILLISECONDS, lifespan=_lifespan
            )
            app.router.routes.insert(0, documents.route())
            _serve(WebGuard(app, policy_of(configured)), listener)
    return 0


def policy_of(configured: Settings) -> Policy:
    """Return who may use the web interface in a configuration."""
    host = configured.hosts.dagster
    password = configured.dagster.password
    return Policy(
        hosts=frozenset(
            {
                "localhost",
                "127.0.0.1",
                "::1",
                host.lower(),
                socket.gethostname().lower(),
                *configured.dagster.allowed_hosts,
            }
        ),
        # An address of this machine is not known by name here; a page of another site cannot have it as its own.
        allows_addresses=not is_loopback(host),
        password=None if password is None else password.reveal(),
    )


@contextlib.asynccontextmanager
async def _lifespan(_: object) -> AsyncIterator[None]:
    yield


def _serve(app: WebGuard, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    GracefulServer(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
