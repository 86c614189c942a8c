"""Reads every group of settings from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args
from urllib.parse import urlsplit, urlunsplit

from zmart.domain.ids import Address

from .addresses import server_url
from .env_file import process_environment
from .environment import Environment
from .groups import (
    ApiSettings,
    ChainSettings,
    DagsterSettings,
    DevchainSettings,
    ExportSettings,
    HostSettings,
    IngestSettings,
    IpfsSettings,
    KeeperSettings,
    MonitorSettings,
    PortSettings,
    PostgresSettings,
    RelaySettings,
    Settings,
    VotingSettings,
)
from .postgres_urls import postgres_uri
from .values import CONSENSUS_CHOICES, Cluster, Eligibility, LogLevel, Role, Secret

#: protocol.md 1.1: the program id of the devnet deployment.
DEFAULT_PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
#: The API that registers webhooks; it is the same for every account and cluster.
DEFAULT_HELIUS_API_URL = "https://api.helius.xyz"
#: Hosts on which the API is a site of its own that wallets can sign in to.
LOOPBACK = ("127.0.0.1", "localhost")
#: Sites of frontends in development, unless CORS_ORIGINS names others.
DEVELOPMENT_ORIGINS = ("http://localhost:3000", "http://localhost:3001", "http://localhost:5173")
#: A key for HMAC-SHA256 shorter than its hash weakens it (RFC 7518 section 3.2).
JWT_SECRET_BYTES = 32
_STREAM_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Nothing slows an attacker's guesses down, so they must be hopeless.
DAGSTER_PASSWORD_CHARACTERS = 16


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ`, or from `.env` overlaid by the process environment.

    Raises ConfigurationError at the first variable that cannot work.
    """
    return read(Environment(process_environment() if environ is None else environ))


def state_dir() -> Path:
    """Return the folder of this service's files, for callers that need no other setting."""
    return _state_dir(Environment(process_environment()))


def read(env: Environment) -> Settings:
    """Read the settings from `env`, which records every requested name."""
    state_dir = _state_dir(env)
    ports = _ports(env)
    hosts = _hosts(env)
    chain = _chain(env, ports, hosts)
    return Settings(
        state_dir=state_dir,
        log_level=_log_level(env),
        postgres=_postgres(env, state_dir),
        chain=chain,
        ingest=_ingest(env),
        api=_api(env, hosts, chain),
        ports=ports,
        hosts=hosts,
        devchain=_devchain(env),
        voting=_voting(env),
        monitor=_monitor(env),
        keepers=_keepers(env, chain.cluster),
        dagster=_dagster(env),
        ipfs=_ipfs(env),
        export=_export(env),
        relay=_relay(env),
        alert_webhook_url=env.secret_url("ALERT_WEBHOOK_URL", ("http", "https")),
        otlp_endpoint=env.url("OTEL_EXPORTER_OTLP_ENDPOINT", ("http", "https")),
        otlp_headers=env.secret("OTEL_EXPORTER_OTLP_HEADERS"),
    )


def _log_level(env: Environment) -> LogLevel:
    word = env.choice("LOG_LEVEL", ("debug", "info", "warn", "warning", "error"), "info")
    return "warning" if word == "warn" else cast("LogLevel", word)


def _state_dir(env: Environment) -> Path:
    return env.path("ZMART_STATE_DIR", Path(".state")).absolute()


def _postgres(env: Environment, state_dir: Path) -> PostgresSettings:
    logins: dict[str, Role] = {
        "DATABASE_URL_INGEST": "zmart_ingest",
        "DATABASE_URL_API": "zmart_api",
        "DATABASE_URL_KEEPER": "zmart_keeper",
        "DATABASE_URL_ANALYST": "analyst",
        "DATABASE_URL_BACKUP": "zmart_backup",
    }
    urls = {role: env.postgres_url(name) for name, role in logins.items()}
    url = env.postgres_url("DATABASE_URL") or _libpq_url(env)
    return PostgresSettings(
        url=url,
        role_urls={role: url for role, url in urls.items() if url is not None},
        read_url=env.postgres_url("DATABASE_URL_READ"),
        embedded_port=env.integer("PGPORT", None, low=1, high=65535),
        embedded_file=state_dir / "postgres" / "server.json",
    )


def _libpq_url(env: Environment) -> Secret | None:
    """Return one URI from libpq's own variables; PGHOST selects the server."""
    host, user, database = env.text("PGHOST"), env.text("PGUSER"), env.text("PGDATABASE")
    password = env.secret("PGPASSWORD")
    if host is None:
        return None
    return Secret(
        postgres_uri(
            host=host,
            port=env.integer("PGPORT", None, low=1, high=65535) or 5432,
            user=user or "postgres",
            password=password.reveal() if password else None,
            database=database or user or "postgres",
        )
    )


def _chain(env: Environment, ports: PortSettings, hosts: HostSettings) -> ChainSettings:
    rpc_url = env.secret_url("SOLANA_RPC_URL", ("http", "https"))
    node_url = rpc_url.reveal() if rpc_url else server_url(hosts.devchain, ports.devchain)
    cluster = env.choice(
        "SOLANA_CLUSTER",
        tuple(cluster.value for cluster in Cluster),
        "devnet" if rpc_url else "localnet",
    )
    if rpc_url is None and cluster != "localnet":
        env.refuse(
            "SOLANA_CLUSTER",
            "localnet while SOLANA_RPC_URL is not set",
            "Set SOLANA_RPC_URL to a node of that cluster, or remove SOLANA_CLUSTER.",
        )
    return ChainSettings(
        rpc_url=Secret(node_url),
        ws_url=env.secret_url("SOLANA_WS_URL", ("ws", "wss")) or Secret(_websocket_url(node_url)),
        cluster=Cluster(cluster),
        is_development=rpc_url is None,
        program_id=env.address("SOLANA_PROGRAM_ID_CORE", DEFAULT_PROGRAM_ID),
        backend_keypair_path=env.optional_path("BACKEND_KEYPAIR_PATH"),
        backend_private_key=env.secret_file("BACKEND_AUTHORITY_PRIVATE_KEY"),
        admin_keypair_path=env.optional_path("ADMIN_KEYPAIR_PATH"),
        helius_api_key=env.secret("HELIUS_API_KEY"),
        helius_rpc_url=env.secret_url("HELIUS_RPC_URL", ("http", "https")),
        grpc_url=env.secret_url("SOLANA_GRPC_URL", ("http", "https")),
        grpc_token=env.secret("SOLANA_GRPC_TOKEN"),
    )


def _websocket_url(rpc_url: str) -> str:
    """Return the node's WebSocket URL by Solana's convention: one port above an explicit port."""
    parts = urlsplit(rpc_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    if parts.port is None:
        return urlunsplit(parts._replace(scheme=scheme))
    host = parts.netloc.rpartition(":")[0]
    return urlunsplit(parts._replace(scheme=scheme, netloc=f"{host}:{parts.port + 1}"))


def _ingest(env: Environment) -> IngestSettings:
    return IngestSettings(
        auth_headers=env.proofs("HELIUS_AUTH_HEADER"),
        webhook_secret=env.proof("HELIUS_WEBHOOK_SECRET"),
        logs_subscribe=env.flag("INGEST_LOGS_SUBSCRIBE", default=False),
        webhook_url=env.url("HELIUS_WEBHOOK_URL", ("http", "https")),
        helius_api_url=env.url("HELIUS_API_URL", ("http", "https")) or DEFAULT_HELIUS_API_URL,
    )


def _api(env: Environment, hosts: HostSettings, chain: ChainSettings) -> ApiSettings:
    return ApiSettings(
        jwt_secrets=_jwt_secrets(env),
        cors_origins=_cors_origins(env, hosts, chain.cluster),
        trusted_proxies=env.networks("TRUSTED_PROXIES"),
        legacy_auth=env.flag("LEGACY_AUTH", default=False),
        rate_limit_per_minute=env.count("RATE_LIMIT_PER_MINUTE", 100, low=0),
        analyst_sql=env.flag("ANALYST_SQL", default=False),
        broadcast_url=env.secret_url("BROADCAST_URL", ("redis", "rediss", "postgres", "postgresql")),
        streams=env.count("STREAMS", 10_000, low=1),
        streams_per_address=env.count("STREAMS_PER_ADDRESS", 1_000, low=1),
        response_cache_mib=env.count("RESPONSE_CACHE_MIB", 64, low=0),
        metrics_token=env.proof("METRICS_TOKEN"),
        operator_wallets=env.addresses("OPERATOR_WALLETS"),
        pro_wallets=env.addresses("PRO_WALLETS"),
        maker_wallets=env.addresses("MAKER_WALLETS"),
        moderator_wallets=env.addresses("MODERATOR_WALLETS"),
    )


def _cors_origins(env: Environment, hosts: HostSettings, cluster: Cluster) -> tuple[str, ...]:
    name = "CORS_ORIGINS" if env.text_list("CORS_ORIGINS") else "CORS_ORIGIN"
    # Browsers send an origin without a slash at its end.
    origins = tuple(origin.rstrip("/") for origin in env.text_list(name))
    if any(not _is_origin(origin) for origin in origins if origin != "*"):
        env.refuse(name, "* or origins such as https://app.example, comma separated")
    if set(origins) == {"*"} and hosts.api not in LOOPBACK:
        # A wallet signs in to a site by its name, and * contains no name: /api/auth/nonce could not return a domain.
        env.refuse(
            name,
            f"* with at least one origin beside it while API_HOST is {hosts.api}: wallets sign in to a named site",
            f"Add yours: {name}=https://app.example,*",
        )
    if not origins and cluster is Cluster.MAINNET and hosts.api not in LOOPBACK and env.secret("JWT_SECRET"):
        env.refuse(
            "CORS_ORIGINS",
            f"at least one origin on mainnet while API_HOST is {hosts.api}: wallets sign in to a named site",
            "Name yours: CORS_ORIGINS=https://app.example",
        )
    # On mainnet a page on a user's own machine is no site of ours unless an operator names it.
    return origins or (() if cluster is Cluster.MAINNET else DEVELOPMENT_ORIGINS)


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and text == f"{parts.scheme}://{parts.netloc}"


def _jwt_secrets(env: Environment) -> tuple[Secret, ...]:
    secrets = env.secrets("JWT_SECRET")
    if any(len(secret.reveal().encode()) < JWT_SECRET_BYTES for secret in secrets):
        env.refuse(
            "JWT_SECRET",
            f"at least {JWT_SECRET_BYTES} bytes each, comma separated while rotating",
            "Make one with: openssl rand -hex 32",
        )
    return secrets


def _ports(env: Environment) -> PortSettings:
    return PortSettings(
        api=env.port("API_PORT", 4000),
        ws=env.port("WS_PORT", 4001),
        ingest=env.port("INGEST_PORT", 4002),
        dagster=env.port("DAGSTER_PORT", 4010),
        dagster_metrics=env.port("DAGSTER_METRICS_PORT", 4011),
        # One below the top: its WebSocket takes the next port.
        devchain=env.port("DEVCHAIN_PORT", 8899, high=65534),
        relay=env.port("RELAY_PORT", 4012),
        nats=env.port("NATS_PORT", 4222),
    )


def _hosts(env: Environment) -> HostSettings:
    return HostSettings(
        api=env.host("API_HOST"),
        ws=env.host("WS_HOST"),
        ingest=env.host("INGEST_HOST"),
        dagster=env.host("DAGSTER_HOST"),
        devchain=env.host("DEVCHAIN_HOST"),
        relay=env.host("RELAY_HOST"),
    )


def _devchain(env: Environment) -> DevchainSettings:
    return DevchainSettings(
        consensus=env.choice("DEVCHAIN_CONSENSUS", CONSENSUS_CHOICES, "alpenglow"),
        slot_ms=env.integer("DEVCHAIN_SLOT_MS", 200, low=20, high=10_000) or 200,
        node_version=env.version("DEVCHAIN_NODE_VERSION", (4, 3, 0)),
        transaction_index=env.flag("DEVCHAIN_TRANSACTION_INDEX", default=True),
        webhook_index=env.choice(
            "DEVCHAIN_WEBHOOK_INDEX", ("within-block", "transaction", "both", "none"), "within-block"
        ),
        rent_lamports_per_byte=env.count("DEVCHAIN_RENT_PER_BYTE", 5_080, low=1),
        grpc_port=env.integer("DEVCHAIN_GRPC_PORT", None, low=1, high=65_535),
        lists_bodies=env.flag("DEVCHAIN_LISTS_BODIES", default=True),
        v1_percent=env.percent("DEVCHAIN_V1_PERCENT", 15),
        vault_percent=env.percent("DEVCHAIN_VAULT_PERCENT", 3),
        unexecuted_percent=env.percent("DEVCHAIN_UNEXECUTED_PERCENT", 0),
        skipped_percent=env.percent("DEVCHAIN_SKIPPED_PERCENT", 0),
    )


def _dagster(env: Environment) -> DagsterSettings:
    password = env.secret_file("DAGSTER_PASSWORD")
    if password is not None and len(password.reveal()) < DAGSTER_PASSWORD_CHARACTERS:
        env.refuse(
            "DAGSTER_PASSWORD_FILE",
            f"a file with at least {DAGSTER_PASSWORD_CHARACTERS} characters",
            "Make one with: openssl rand -hex 32",
        )
    names = (env.text("DAGSTER_ALLOWED_HOSTS") or "").lower().split(",")
    return DagsterSettings(password=password, allowed_hosts=tuple(filter(None, (name.strip() for name in names))))


def _voting(env: Environment) -> VotingSettings:
    return VotingSettings(
        aggregation_interval_ms=env.count("VOTE_AGGREGATION_INTERVAL", 300_000, low=1_000),
        min_proposal_votes=env.count("MIN_PROPOSAL_VOTES", 10, low=1),
        proposal_approval_threshold_bps=env.basis_points("PROPOSAL_APPROVAL_THRESHOLD", 7_000),
        dispute_threshold_bps=env.basis_points("DISPUTE_THRESHOLD", 6_000),
        dispute_voting_window_seconds=env.count("DISPUTE_VOTING_WINDOW", 259_200, low=1),
        ballot_eligibility=cast("Eligibility", env.choice("BALLOT_ELIGIBILITY", get_args(Eligibility), "any")),
    )


def _monitor(env: Environment) -> MonitorSettings:
    return MonitorSettings(
        enabled=env.flag("MARKET_MONITOR_ENABLED", default=False),
        dry_run=env.flag("MARKET_MONITOR_DRY_RUN", default=env.text("SOLANA_CLUSTER") is None),
        batch_size=env.count("MARKET_MONITOR_BATCH_SIZE", 10, low=1),
    )


def _keepers(env: Environment, cluster: Cluster) -> KeeperSettings:
    return KeeperSettings(
        approves=env.flag("KEEPER_APPROVES", default=cluster is not Cluster.MAINNET),
        activates=env.flag("KEEPER_ACTIVATES", default=True),
        fee_percentile=env.integer("KEEPER_FEE_PERCENTILE", 75, low=1, high=100) or 75,
        fee_estimate=env.flag("KEEPER_FEE_ESTIMATE", default=False),
        fee_cap_micro_lamports=env.count("KEEPER_FEE_CAP_MICRO_LAMPORTS", 500_000, low=0),
        daily_budget_lamports=env.count("KEEPER_DAILY_BUDGET_LAMPORTS", 50_000_000, low=0),
        low_balance_lamports=env.count("KEEPER_LOW_BALANCE_LAMPORTS", 100_000_000, low=0),
    )


def _ipfs(env: Environment) -> IpfsSettings:
    return IpfsSettings(
        snapshot_cron=env.text("IPFS_SNAPSHOT_CRON") or "0 0 * * *",
        api_url=env.secret_url("IPFS_API_URL", ("http", "https")),
        pinning_url=env.secret_url("IPFS_PINNING_URL", ("http", "https")),
        pinning_token=env.secret("IPFS_PINNING_TOKEN"),
        gateway_url=env.secret_url("IPFS_GATEWAY_URL", ("http", "https")),
    )


def _export(env: Environment) -> ExportSettings:
    url = env.text("EXPORT_URL")
    if url is not None and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#]*)?|(file:)?/.*|~/.*", url):
        env.refuse("EXPORT_URL", "an absolute path of a folder, or s3://BUCKET/PREFIX")
    return ExportSettings(
        url=url,
        endpoint_url=env.url("AWS_ENDPOINT_URL", ("http", "https")),
        region=env.text("AWS_REGION"),
        access_key_id=env.secret("AWS_ACCESS_KEY_ID"),
        secret_access_key=env.secret("AWS_SECRET_ACCESS_KEY"),
        session_token=env.secret("AWS_SESSION_TOKEN"),
    )


def _relay(env: Environment) -> RelaySettings:
    stream = env.text("NATS_STREAM") or "ZMART"
    if not _STREAM_NAME.fullmatch(stream):
        env.refuse("NATS_STREAM", "up to 64 letters, digits, - and _")
    return RelaySettings(urls=env.secret_urls("NATS_URL", ("nats", "tls")), stream=stream)
