"""Runs a development chain on DEVCHAIN_PORT until SIGTERM or SIGINT (`python -m devchain`).

It serves JSON-RPC on that port and WebSocket on the port above, sends webhooks to the ingest port, and runs actors
that trade. The state is stored under ZMART_STATE_DIR/devchain; removing that folder makes a new chain.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import socket
import sys
from pathlib import Path
from typing import cast

import structlog
import uvicorn

from zmart import errors, settings
from zmart import log as logs
from zmart.http.server import GracefulServer, bind_listener
from zmart.settings import DevchainSettings, server_url

from .accounts import Rent
from .app import DevchainServer, create_app
from .cluster import ClusterProfile, Consensus
from .delivery import Destination
from .faults import WebhookFaults
from .market_plans import Tempo
from .metadata_bot import MetadataBot
from .service import DevelopmentChain, Options, RpcSender

log = structlog.get_logger()

#: The share of requests and sockets in the five seconds that a stop may take.
REQUEST_SECONDS = 2


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped and return the exit status.

    It is 0 after a stop, 1 where the chain stopped by itself, 2 where the configuration is invalid.
    """
    options = parser().parse_args(arguments)
    try:
        configured = settings.load()
        logs.configure(configured, service="devchain")
        # httpx logs one line per request, which adds nothing to the chain's own log.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        host, ports = configured.hosts.devchain, configured.ports
        listeners = [
            bind_listener(
                host,
                port,
                server="The development chain",
                help="Stop the process that listens there, or set DEVCHAIN_PORT and DEVCHAIN_HOST.",
            )
            for port in (ports.devchain, ports.devchain_ws)
        ]
        server = build_server(configured, options)
    except errors.ConfigurationError as exc:
        print(f"devchain: {exc}", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(contextlib.closing(listener))
        return serve(server, listeners)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with its help."""
    argument_parser = argparse.ArgumentParser(prog="devchain", description="A chain for development.")
    add = argument_parser.add_argument
    add("--no-traders", action="store_true", help="do not run demo traders")
    add("--leave-to-keepers", action="store_true", help="leave backend transactions to keepers")
    add("--pace", type=float, default=1.0, help="speed of the clock (1 = real time)")
    add("--seed", type=int, default=1, help="seed of the random generator")
    add("--past-hours", type=float, default=1.0, help="hours of history of a new chain")
    add("--markets", type=int, default=Tempo.markets, help="number of live markets")
    add("--wallets", type=int, default=Tempo.wallets, help="number of trader wallets")
    add("--trades-per-second", type=float, default=Tempo.trades_per_second)
    add("--faulty-sells", action="store_true", help="sells fail as on the deployed program")
    add("--program", type=Path, metavar="FILE.so", help="run this program instead of the model")
    add("--publish-metadata", action="store_true", help="creators publish metadata to the API")
    add("--no-webhooks", action="store_true", help="send no webhooks")
    add("--helius-retries", action="store_true", help="give up a delivery after three retries")
    for name in ("duplicates", "delays", "shuffles", "drops", "missing-index"):
        add(f"--{name}", type=parse_probability, default=0.0, help="probability per webhook, 0 to 1")
    add("--delay-seconds", type=float, default=WebhookFaults.delay_seconds)
    return argument_parser


def parse_probability(text: str) -> float:
    """Return a number from 0 to 1; raise ArgumentTypeError for another number."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def cluster_profile(configured: DevchainSettings) -> ClusterProfile:
    """Return the cluster that the settings describe."""
    return ClusterProfile(
        consensus=cast("Consensus", configured.consensus),
        slot_seconds=configured.slot_ms / 1_000,
        node_version=configured.node_version,
        has_transaction_index=configured.transaction_index,
        rent=Rent(configured.rent_lamports_per_byte),
        lists_bodies=configured.lists_bodies,
        relaxes_fee_payer=configured.unexecuted_percent > 0,
    )


def chain_options(options: argparse.Namespace, configured: DevchainSettings) -> Options:
    """Return the chain's options from the command line and the settings."""
    return Options(
        traders=not options.no_traders,
        pace=options.pace,
        seed=options.seed,
        # Keepers cannot act in a past that was played before they started.
        past_hours=0.0 if options.leave_to_keepers else options.past_hours,
        tempo=Tempo(
            markets=options.markets,
            wallets=options.wallets,
            trades_per_second=options.trades_per_second,
            plays_backend=not options.leave_to_keepers,
            v1_percent=configured.v1_percent,
            # A compiled program runs without the vault program.
            vault_percent=0 if options.program else configured.vault_percent,
            unexecuted_percent=configured.unexecuted_percent,
        ),
        cluster=cluster_profile(configured),
        webhook_index=configured.webhook_index,
        skipped_percent=configured.skipped_percent,
        faulty_sells=options.faulty_sells,
        program_file=options.program,
        helius_retries=options.helius_retries,
        faults=WebhookFaults(
            duplicates=options.duplicates,
            delays=options.delays,
            delay_seconds=options.delay_seconds,
            shuffles=options.shuffles,
            drops=options.drops,
            missing_index=options.missing_index,
            seed=options.seed,
        ),
    )


def build_server(configured: settings.Settings, options: argparse.Namespace) -> DevchainServer:
    """Return the server for a configuration."""
    directory = configured.state_dir / "devchain"
    chain = DevelopmentChain(
        directory,
        None if options.no_webhooks else webhook_destination(configured),
        chain_options(options, configured.devchain),
        program_id=configured.chain.program_id,
    )
    chain.sender = RpcSender(server_url(configured.hosts.devchain, configured.ports.devchain))
    if options.publish_metadata and chain.traders is not None:
        api_url = server_url(configured.hosts.api, configured.ports.api)
        chain.metadata_bot = MetadataBot(api_url, chain.traders)
    port = configured.devchain.grpc_port
    return DevchainServer(
        chain,
        metrics_token=configured.api.metrics_token,
        grpc_address=None if port is None else (configured.hosts.devchain, port),
        grpc_token=configured.chain.grpc_token,
    )


def webhook_destination(configured: settings.Settings) -> Destination:
    """Return the destination of webhooks: the ingest port, with the secrets that it is configured to accept."""
    headers = configured.ingest.auth_headers
    ingest_url = server_url(configured.hosts.ingest, configured.ports.ingest)
    return Destination(
        url=f"{ingest_url}/helius/webhook",
        authorization=headers[0] if headers else None,
        signing_key=configured.ingest.webhook_secret,
    )


def serve(server: DevchainServer, listeners: list[socket.socket]) -> int:
    """Serve on sockets until a signal; return 1 where the chain stopped by itself."""
    config = uvicorn.Config(
        create_app(server),
        lifespan="on",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=REQUEST_SECONDS,
        server_header=False,
        ws="websockets-sansio",
    )
    log.info("devchain_listening", port=listeners[0].getsockname()[1])
    GracefulServer(config).run(sockets=listeners)
    return 0 if server.failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
