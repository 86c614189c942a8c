"""`python -m api`: serve REST and streams on API_HOST:API_PORT until SIGTERM.

Under uvicorn, because it holds a sender back when its peer stops reading (a stalled stream costs a
buffer, not memory without end), and because it lets streams end: at the first signal the hub tells
every stream to close, each client gets what was queued and a `close` event, and what has not ended
after three seconds is cut off.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from types import FrameType

import uvicorn
from litestar import Litestar

from zmart import errors, log, settings

from . import app
from .deps import Services

GRACEFUL_SECONDS = 3


class Server(uvicorn.Server):
    """uvicorn, with a word to the streams before connections are closed."""

    def __init__(self, application: Litestar, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._application = application
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Remember the loop that signals must be handed to."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Close the streams, then let uvicorn stop."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._close_streams)
        super().handle_exit(sig, frame)

    def _close_streams(self) -> None:
        services: Services | None = self._application.state.get("services")
        if services is not None:
            services.hub.close()


def main() -> int:
    """Serve until told to stop; 2 when the configuration cannot work."""
    try:
        configuration = settings.load()
        log.configure(configuration, service="api")
        application = app.create(configuration)
    except errors.ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    config = uvicorn.Config(
        application,
        host=configuration.hosts.api,
        port=configuration.ports.api,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        access_log=False,
        log_config=None,
        server_header=False,
        # X-Forwarded-For is read by us, over TRUSTED_PROXIES.
        proxy_headers=False,
    )
    server = Server(application, config)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
