"""Subscribes to `logsSubscribe`: receives signatures within a second where no webhook can reach this machine.

A notification holds a signature, an error and the log lines. It holds no instructions, no balances, no fee and no index
in the block. Events made from it would lack data that keepers and fees need, and a WebSocket may lose notifications
without any error. So a notification is treated like an enhanced webhook item: its signature is noted as wanted,
`getTransaction` fetches the rest, and the walk finds the notifications that were lost. Failed transactions have no
events and are skipped here.

The queue of the socket is bounded and drops the oldest notification when ingest is slow; the walk finds those too.
Every way in which a connection can end is one of two errors: `NodeError`, after which `sources.Backoff` decides when to
connect again, and `ApiKeyRejected`, after which an operator has to check SOLANA_WS_URL.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import structlog
from solana.exceptions import SolanaRpcException
from solana.rpc.commitment import Confirmed
from solana.rpc.jsonrpc import SolanaJsonRpcError
from solana.rpc.websocket_api import OverflowPolicy, SolanaWsClient
from solders.errors import SerdeJSONError
from solders.pubkey import Pubkey
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.rpc.responses import LogsNotification
from websockets.exceptions import InvalidStatus, WebSocketException

from zmart.chain import rpc_errors

from .sources import Intake

log = structlog.get_logger()

#: Maximum number of queued notifications; a node sends at most some thousand per second.
QUEUE_SIZE: Final = 10_000
#: Maximum number of signatures noted in one commit, and how long the first of them waits for others.
BATCH: Final = 500
WAIT_SECONDS: Final = 0.05
_REFUSED_STATUSES: Final = frozenset({401, 403})


class LogsSubscription:
    """A `sources.Source`: one WebSocket to one node, for one program."""

    name = "logs"

    def __init__(self, url: str, program_id: str, *, queue_size: int = QUEUE_SIZE) -> None:
        """Subscribe at `url`, which may contain a key and is never shown."""
        self._url = url
        self._node = urlsplit(url).hostname or "the node"
        self._filter = RpcTransactionLogsFilterMentions(Pubkey.from_string(program_id))
        self._queue_size = queue_size
        #: Notifications that were dropped because the queue was full.
        self.dropped = 0
        #: Set while the node has confirmed the subscription.
        self.is_subscribed = asyncio.Event()

    async def run(self, intake: Intake) -> None:
        """Submit the signature of every successful transaction.

        Raises NodeError or ApiKeyRejected when the stream ends.
        """
        try:
            with self._translate_errors():
                async with self._client() as client:
                    await client.logs_subscribe(filter_=self._filter, commitment=Confirmed)
                    self.is_subscribed.set()
                    log.info("logs_subscribed", node=self._node)
                    while True:
                        signatures = await self._next_batch(client)
                        if signatures:
                            await intake.submit_signatures(signatures, source=self.name)
        finally:
            self.is_subscribed.clear()

    def _client(self) -> SolanaWsClient:
        return SolanaWsClient(self._url, notification_queue_size=self._queue_size, overflow=OverflowPolicy.DROP_OLDEST)

    async def _next_batch(self, client: SolanaWsClient) -> list[str]:
        """Return the signatures of the next notification and of those that follow it at once."""
        notifications = [await client.recv()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while len(notifications) < BATCH:
                    notifications.append(await client.recv())
        self._record_dropped(client.dropped_notifications)
        values = [one.result.value for one in notifications if isinstance(one, LogsNotification)]
        return list(dict.fromkeys(str(value.signature) for value in values if value.err is None))

    def _record_dropped(self, dropped: int) -> None:
        if dropped > self.dropped:
            log.warning("notifications_dropped", count=dropped - self.dropped)
        self.dropped = max(self.dropped, dropped)

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except InvalidStatus as refused:
            status = refused.response.status_code
            if status in _REFUSED_STATUSES:
                raise rpc_errors.ApiKeyRejected(
                    f"{self._node} refuses the subscription with status {status}.", help="Check SOLANA_WS_URL."
                ) from None
            raise rpc_errors.NodeFailed(f"{self._node} answers the handshake with status {status}.") from None
        except SolanaJsonRpcError as refused:
            raise rpc_errors.NodeFailed(f"{self._node} refuses the subscription: {refused}.") from None
        except (WebSocketException, SolanaRpcException, OSError) as broken:
            raise rpc_errors.Unreachable(f"The WebSocket of {self._node} ended: {_error_text(broken)}.") from None
        except (ValueError, SerdeJSONError) as garbled:
            raise rpc_errors.InvalidResponse(
                f"{self._node} sends messages that are not JSON-RPC: {type(garbled).__name__}."
            ) from None


def _error_text(broken: BaseException) -> str:
    """Return the text of an error; its type name if the text contains an address."""
    return type(broken).__name__ if "://" in str(broken) or not str(broken) else str(broken).rstrip(".")
