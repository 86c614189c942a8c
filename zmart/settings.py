"""The configuration: read once, checked at the door, frozen afterwards.

Every setting is an environment variable; a `.env` file in the working directory fills in what the
environment does not say. A secret may instead be given as a file: `JWT_SECRET_FILE` names a file
that holds `JWT_SECRET`. An empty variable counts as absent.

With nothing set at all, everything runs on this machine: the embedded Postgres and the development
chain. `DATABASE_URL` (or libpq's own `PGHOST` ...) selects a server of yours, `SOLANA_RPC_URL` a
cluster of yours. A value that cannot work raises `ConfigurationError` with the variable's name,
what was expected and what to do; the value itself is never repeated when it is a secret.
"""

from __future__ import annotations

import enum
import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias, TypeVar, cast, get_args
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from zmart import errors
from zmart.domain import ids
from zmart.domain.ids import Address

Role: TypeAlias = Literal["zmart_owner", "zmart_ingest", "zmart_api", "zmart_keeper", "analyst"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
Eligibility: TypeAlias = Literal["any", "known"]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

ROLES: tuple[Role, ...] = get_args(Role)

#: protocol.md 1.1: the program id of the devnet deployment.
DEFAULT_PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")

#: Where webhooks are registered; every account's, whatever the cluster.
DEFAULT_HELIUS_API_URL = "https://api.helius.xyz"

#: Hosts on which the API is a site of its own that wallets can sign in to.
LOOPBACK = ("127.0.0.1", "localhost")

#: A key for HMAC-SHA256 shorter than its hash weakens it (RFC 7518 section 3.2).
JWT_SECRET_BYTES = 32

#: Names of the earlier backend that nothing reads any more, and what to set instead.
REPLACED_VARIABLES: dict[str, str] = {
    "SUPABASE_URL": "set DATABASE_URL to the project's direct or session-mode Postgres address",
    "SUPABASE_ANON_KEY": "remove it; browsers talk to the API, not to the database",
    "SUPABASE_SERVICE_ROLE_KEY": "remove it; each service has a database role of its own",
    "SUPABASE_SERVICE_KEY": "remove it; each service has a database role of its own",
    "REDIS_URL": "remove it, or set BROADCAST_URL=redis://... to ring the doorbell over Redis",
    "PINATA_API_KEY": "set IPFS_PINNING_URL to a Pinning Service API address",
    "PINATA_API_SECRET": "set IPFS_PINNING_TOKEN",
    "PINATA_SECRET_KEY": "set IPFS_PINNING_TOKEN",
    "PINATA_GATEWAY_URL": "set IPFS_GATEWAY_URL",
    "IPFS_PROJECT_ID": "set IPFS_API_URL to a Kubo node of yours",
    "IPFS_PROJECT_SECRET": "set IPFS_API_URL to a Kubo node of yours",
    "NODE_ENV": "remove it; SOLANA_CLUSTER says what is real, and no mode bypasses a check",
    "SOLANA_PROGRAM_ID_PROPOSAL": "remove it; one program does it all: SOLANA_PROGRAM_ID_CORE",
    "ZMART_PROGRAM_ID": "set SOLANA_PROGRAM_ID_CORE",
    "BACKEND_AUTHORITY_PRIVATE_KEY": "put it in a file named by BACKEND_AUTHORITY_PRIVATE_KEY_FILE",
    "WEBHOOK_DEV_MODE": "remove it; the development chain signs its deliveries like Helius does",
    "WEBHOOK_URL": "set HELIUS_WEBHOOK_URL to the address Helius delivers to",
    "VOTE_AGGREGATOR_PORT": "remove it; tallies are made by Dagster (DAGSTER_PORT)",
    "MARKET_MONITOR_PORT": "remove it; the monitor runs in Dagster (DAGSTER_PORT)",
    "MARKET_MONITOR_CRON_SCHEDULE": "set VOTE_AGGREGATION_INTERVAL (milliseconds)",
}


class Secret:
    """A value that no log line or traceback shows; `reveal()` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Cluster(enum.Enum):
    """The Solana clusters we know; localnet is the development chain or a test validator."""

    LOCALNET = "localnet"
    DEVNET = "devnet"
    MAINNET = "mainnet"


@dataclass(frozen=True, kw_only=True)
class PostgresSettings:
    """Which server, and as whom."""

    #: The server of yours as one URI; None selects the embedded one.
    url: Secret | None
    #: Logins of single roles, where given (DATABASE_URL_INGEST, _API, _KEEPER, _ANALYST).
    role_urls: Mapping[Role, Secret]
    #: The embedded server's port; None lets it find one and keep it.
    embedded_port: int | None
    #: Where the embedded server leaves its address and passwords.
    embedded_file: Path

    @property
    def is_embedded(self) -> bool:
        """Whether `zmart up` runs the server."""
        return self.url is None

    def has_own_login(self, role: Role) -> bool:
        """Whether `role` logs in as itself, rather than being stepped down to from DATABASE_URL."""
        return role in self.role_urls or self.url is None

    def dsn(self, role: Role = "zmart_owner") -> str:
        """Return one `postgresql://` URI that acts as `role`.

        On a server of yours this is the role's own URL, else DATABASE_URL with `role` set when a
        connection starts. Raises ConfigurationError when no server is configured and the embedded
        one was never started.
        """
        if role in self.role_urls:
            return self.role_urls[role].reveal()
        if self.url is not None:
            return dsn_with_role(self.url.reveal(), role)
        return self._embedded_dsn(role)

    def _embedded_dsn(self, role: Role) -> str:
        try:
            server = json.loads(self.embedded_file.read_text())
            return postgres_uri(
                host="127.0.0.1",
                port=server["port"],
                user=role,
                password=server["passwords"][role],
                database=server["database"],
            )
        except FileNotFoundError:
            raise errors.ConfigurationError(
                "There is no database yet.",
                help="Start one with `zmart up`, or set DATABASE_URL to a server of yours.",
            ) from None
        except PermissionError:
            raise errors.ConfigurationError(
                f"{self.embedded_file} belongs to another user.",
                help="Run as the user that runs `zmart up`, or set ZMART_STATE_DIR.",
            ) from None


@dataclass(frozen=True, kw_only=True)
class ChainSettings:
    """Which cluster, which program, which keys."""

    #: JSON-RPC; often carries a key.
    rpc_url: Secret
    #: WebSocket of the same node.
    ws_url: Secret
    #: What the genesis hash must turn out to be.
    cluster: Cluster
    #: Whether `zmart up` runs the development chain (no SOLANA_RPC_URL).
    is_development: bool
    program_id: Address
    #: JSON key file of the backend authority.
    backend_keypair_path: Path | None
    #: The same key as base58 or JSON text, from BACKEND_AUTHORITY_PRIVATE_KEY_FILE.
    backend_private_key: Secret | None
    #: JSON key file of the admin, only where approvals are to be sent.
    admin_keypair_path: Path | None
    helius_api_key: Secret | None
    helius_rpc_url: Secret | None

    @property
    def is_localnet(self) -> bool:
        """Whether nothing on it is worth anything."""
        return self.cluster is Cluster.LOCALNET


@dataclass(frozen=True, kw_only=True)
class IngestSettings:
    """How deliveries prove where they come from; at least one of the two is needed to serve."""

    #: Values accepted in `Authorization`; several while rotating.
    auth_headers: tuple[Secret, ...]
    #: Key of HMAC-SHA256 in `x-helius-signature`.
    webhook_secret: Secret | None
    #: Whether to subscribe to the node's logs besides (SOLANA_WS_URL).
    logs_subscribe: bool
    #: Where Helius is to deliver, as Helius sees it; for `zmart webhook`.
    webhook_url: str | None
    #: Helius' own API.
    helius_api_url: str


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """Who may call, and what is switched on."""

    #: The first signs, all verify; two while rotating.
    jwt_secrets: tuple[Secret, ...]
    cors_origins: tuple[str, ...]
    #: Proxies whose X-Forwarded-For entry is believed.
    trusted_proxies: tuple[Network, ...]
    #: The two older wallet signature forms.
    legacy_auth: bool
    #: What an address and a wallet may ask in a minute, a read counting 1; 0 sets no limit.
    rate_limit_per_minute: int
    #: The read-only SQL endpoint.
    analyst_sql: bool
    #: redis://... instead of Postgres NOTIFY as the doorbell.
    broadcast_url: Secret | None
    #: Streams (SSE and WebSocket) that one process serves, and of these from one address.
    streams: int
    streams_per_address: int
    #: Memory for answers that are given again while the log has not moved; 0 keeps none.
    response_cache_mib: int
    #: Lets metrics be read from elsewhere than loopback.
    metrics_token: Secret | None


@dataclass(frozen=True, kw_only=True)
class PortSettings:
    """TCP ports, one per service."""

    api: int
    ws: int
    ingest: int
    dagster: int
    devchain: int

    @property
    def devchain_ws(self) -> int:
        """The development chain's WebSocket, one above its RPC as validators have it."""
        return self.devchain + 1


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """Addresses that servers bind; loopback unless said otherwise."""

    api: str
    ws: str
    ingest: str
    dagster: str
    devchain: str


@dataclass(frozen=True, kw_only=True)
class VotingSettings:
    """When a tally is worth sending, and when a dispute's vote is over."""

    #: Milliseconds between aggregation runs.
    aggregation_interval_ms: int
    min_proposal_votes: int
    #: Basis points of likes that approve a proposal (protocol.md 3.2).
    proposal_approval_threshold_bps: int
    #: Basis points of agreement that let a dispute succeed (protocol.md 3.2).
    dispute_threshold_bps: int
    #: Seconds from a dispute's initiation during which ballots count.
    dispute_voting_window_seconds: int
    #: `known` takes off-chain ballots only from wallets the log has seen.
    ballot_eligibility: Eligibility


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """The keeper that finalizes markets."""

    enabled: bool
    #: Plans and simulates, never sends; on until a cluster is named.
    dry_run: bool
    #: Markets per run.
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class KeeperSettings:
    """What keepers may do and spend."""

    #: Whether approved markets are activated with the admin's key, where it is present.
    activates: bool
    #: Of recent slots, the share in percent in which our offer would have been taken.
    fee_percentile: int
    #: Millionths of a lamport for a compute unit that are never exceeded.
    fee_cap_micro_lamports: int
    #: Lamports for the fees of a day (UTC), all keepers together.
    daily_budget_lamports: int
    #: A payer that holds less is told of.
    low_balance_lamports: int


@dataclass(frozen=True, kw_only=True)
class IpfsSettings:
    """Discussion snapshots; off without an API address. Addresses may hold credentials, as those of hosted nodes do."""

    snapshot_cron: str
    api_url: Secret | None
    pinning_url: Secret | None
    pinning_token: Secret | None
    gateway_url: Secret | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be configured."""

    state_dir: Path
    log_level: LogLevel
    postgres: PostgresSettings
    chain: ChainSettings
    ingest: IngestSettings
    api: ApiSettings
    ports: PortSettings
    hosts: HostSettings
    voting: VotingSettings
    monitor: MonitorSettings
    keepers: KeeperSettings
    ipfs: IpfsSettings
    #: Where alerts are posted besides ops.alerts.
    alert_webhook_url: Secret | None

    def require_analyst_login(self) -> None:
        """Raise ConfigurationError where SQL over HTTP would log in as more than an analyst and step down.

        Whoever gets past the list of functions steps up again with `set role`.
        """
        if self.api.analyst_sql and not self.postgres.has_own_login("analyst"):
            raise errors.ConfigurationError(
                "ANALYST_SQL is set, but DATABASE_URL_ANALYST, the login that it needs for itself, is not.",
                help="Set DATABASE_URL_ANALYST to the login of the role analyst (alter role analyst password '...'), "
                "or remove ANALYST_SQL.",
            )

    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that is set, for the log's mask."""
        return tuple(_secrets_in(self))


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ`, or from `.env` overlaid by the process environment.

    Raises ConfigurationError at the first variable that cannot work.
    """
    return read(Environment(process_environment() if environ is None else environ))


def state_dir() -> Path:
    """Where this service keeps its files, asked by what needs no other setting."""
    return _state_dir(Environment(process_environment()))


def read(env: Environment) -> Settings:
    """Read the settings from `env`, which remembers every name it was asked for."""
    state_dir = _state_dir(env)
    ports = _ports(env)
    hosts = _hosts(env)
    return Settings(
        state_dir=state_dir,
        log_level=_log_level(env),
        postgres=_postgres(env, state_dir),
        chain=_chain(env, ports, hosts),
        ingest=_ingest(env),
        api=_api(env, hosts),
        ports=ports,
        hosts=hosts,
        voting=_voting(env),
        monitor=_monitor(env),
        keepers=_keepers(env),
        ipfs=_ipfs(env),
        alert_webhook_url=env.secret_url("ALERT_WEBHOOK_URL", ("http", "https")),
    )


def replaced_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the names set in `environ` that nothing reads any more, each with what replaces it."""
    return {name: REPLACED_VARIABLES[name] for name in sorted(REPLACED_VARIABLES) if environ.get(name, "").strip()}


# --- the groups -------------------------------------------------------------------------------


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
    }
    urls = {role: env.postgres_url(name) for name, role in logins.items()}
    url = env.postgres_url("DATABASE_URL") or _libpq_url(env)
    return PostgresSettings(
        url=url,
        role_urls={role: url for role, url in urls.items() if url is not None},
        embedded_port=env.integer("PGPORT", None, low=1, high=65535),
        embedded_file=state_dir / "postgres" / "server.json",
    )


def _libpq_url(env: Environment) -> Secret | None:
    """One URI from libpq's own variables; PGHOST is what selects a server."""
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
    )


def _ingest(env: Environment) -> IngestSettings:
    return IngestSettings(
        auth_headers=env.secrets("HELIUS_AUTH_HEADER"),
        webhook_secret=env.secret("HELIUS_WEBHOOK_SECRET"),
        logs_subscribe=env.flag("INGEST_LOGS_SUBSCRIBE", default=False),
        webhook_url=env.url("HELIUS_WEBHOOK_URL", ("http", "https")),
        helius_api_url=env.url("HELIUS_API_URL", ("http", "https")) or DEFAULT_HELIUS_API_URL,
    )


def _api(env: Environment, hosts: HostSettings) -> ApiSettings:
    return ApiSettings(
        jwt_secrets=_jwt_secrets(env),
        cors_origins=_cors_origins(env, hosts),
        trusted_proxies=env.networks("TRUSTED_PROXIES"),
        legacy_auth=env.flag("LEGACY_AUTH", default=False),
        rate_limit_per_minute=env.count("RATE_LIMIT_PER_MINUTE", 100, low=0),
        analyst_sql=env.flag("ANALYST_SQL", default=False),
        broadcast_url=env.secret_url("BROADCAST_URL", ("redis", "rediss", "postgres", "postgresql")),
        streams=env.count("STREAMS", 10_000, low=1),
        streams_per_address=env.count("STREAMS_PER_ADDRESS", 1_000, low=1),
        response_cache_mib=env.count("RESPONSE_CACHE_MIB", 64, low=0),
        metrics_token=env.secret("METRICS_TOKEN"),
    )


def _cors_origins(env: Environment, hosts: HostSettings) -> tuple[str, ...]:
    name = "CORS_ORIGINS" if env.text_list("CORS_ORIGINS") else "CORS_ORIGIN"
    # Browsers send an origin without a slash at its end.
    origins = tuple(origin.rstrip("/") for origin in env.text_list(name))
    if any(not _is_origin(origin) for origin in origins if origin != "*"):
        env.refuse(name, "* or origins such as https://app.example, comma separated")
    if set(origins) == {"*"} and hosts.api not in LOOPBACK:
        # A wallet signs in to a site by its name, and * names none: /api/auth/nonce would have nothing to offer.
        env.refuse(
            name,
            f"* with at least one origin beside it while API_HOST is {hosts.api}: wallets sign in to a named site",
            f"Add yours: {name}=https://app.example,*",
        )
    return origins or ("http://localhost:3000", "http://localhost:3001")


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
        # One below the top: its WebSocket takes the next port.
        devchain=env.port("DEVCHAIN_PORT", 8899, high=65534),
    )


def _hosts(env: Environment) -> HostSettings:
    return HostSettings(
        api=env.host("API_HOST"),
        ws=env.host("WS_HOST"),
        ingest=env.host("INGEST_HOST"),
        dagster=env.host("DAGSTER_HOST"),
        devchain=env.host("DEVCHAIN_HOST"),
    )


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


def _keepers(env: Environment) -> KeeperSettings:
    return KeeperSettings(
        activates=env.flag("KEEPER_ACTIVATES", default=True),
        fee_percentile=env.integer("KEEPER_FEE_PERCENTILE", 75, low=1, high=100) or 75,
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


# --- reading one variable ---------------------------------------------------------------------

_T = TypeVar("_T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Environment:
    """A mapping of variables, read by type; refuses in words that name the variable."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        #: Every name that was asked for; documentation is tested against it.
        self.requested_names: set[str] = set()

    def refuse(self, name: str, expected: str, step: str = "") -> NoReturn:
        """Raise ConfigurationError saying that `name` must be `expected`, and the next step."""
        step = step or f"Correct {name} in the environment or in .env."
        raise errors.ConfigurationError(f"{name} must be {expected}.", help=step)

    def text(self, name: str) -> str | None:
        """Return the value without surrounding blanks; None when absent or empty."""
        self.requested_names.add(name)
        return self._values.get(name, "").strip() or None

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return one of `allowed`, case aside."""
        word = (self.text(name) or default).lower()
        if word not in allowed:
            self.refuse(name, f"one of {', '.join(allowed)}, not {word!r}")
        return word

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        word = (self.text(name) or str(default)).lower()
        if word not in _TRUE | _FALSE:
            self.refuse(name, f"true or false, not {word!r}")
        return word in _TRUE

    def integer(self, name: str, default: int | None, *, low: int, high: int | None) -> int | None:
        """Return a whole number from `low` to `high`."""
        word = self.text(name)
        if word is None:
            return default
        value = int(word) if re.fullmatch(r"\d{1,18}", word) else None
        if value is None or value < low or (high is not None and value > high):
            limits = f"from {low} to {high}" if high is not None else f"of at least {low}"
            self.refuse(name, f"a whole number {limits}, not {word!r}")
        return value

    def count(self, name: str, default: int, *, low: int) -> int:
        """Return a whole number of at least `low`."""
        value = self.integer(name, default, low=low, high=None)
        return default if value is None else value

    def port(self, name: str, default: int, *, high: int = 65535) -> int:
        """Return a TCP port."""
        return self.integer(name, default, low=1, high=high) or default

    def basis_points(self, name: str, default: int) -> int:
        """Return a fraction from 0 to 1, written in decimals, as basis points exactly."""
        return self._parse(
            name,
            _basis_points,
            "a fraction from 0 to 1 with at most four decimals, such as 0.7",
            default,
        )

    def address(self, name: str, default: Address) -> Address:
        """Return a base58 account address of 32 bytes."""
        return self._parse(name, ids.parse_address, "a base58 address of 32 bytes", default)

    def host(self, name: str) -> str:
        """Return an address to bind; loopback by default."""
        return self.text(name) or "127.0.0.1"

    def text_list(self, name: str) -> tuple[str, ...]:
        """Return a comma-separated list without its blanks and empty parts."""
        return tuple(part.strip() for part in (self.text(name) or "").split(",") if part.strip())

    def networks(self, name: str) -> tuple[Network, ...]:
        """Return a comma-separated list of addresses or networks."""
        return self._parse(
            name,
            lambda text: tuple(ipaddress.ip_network(part.strip()) for part in text.split(",")),
            "addresses or networks, comma separated, such as 10.0.0.0/8",
            (),
        )

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        """Return a URL with one of `schemes` and a host."""
        text = self.text(name)
        if text is not None:
            self._check_url(name, text, schemes)
        return text

    def secret_url(self, name: str, schemes: tuple[str, ...]) -> Secret | None:
        """Return a URL that carries a credential."""
        secret = self.secret(name)
        if secret is not None:
            self._check_url(name, secret.reveal(), schemes)
        return secret

    def postgres_url(self, name: str) -> Secret | None:
        """Return a Postgres URI, spelled `postgresql://`."""
        secret = self.secret_url(name, ("postgres", "postgresql"))
        if secret is None:
            return None
        return Secret(re.sub(r"^postgres://", "postgresql://", secret.reveal()))

    def path(self, name: str, default: Path) -> Path:
        """Return a path, `~` expanded."""
        return self.optional_path(name) or default

    def optional_path(self, name: str) -> Path | None:
        """Return a path, `~` expanded, or None."""
        text = self.text(name)
        return Path(text).expanduser() if text else None

    def secret(self, name: str) -> Secret | None:
        """Return `name`, or the content of the file that `name`_FILE names; never both."""
        plain, from_file = self.text(name), self.secret_file(name)
        if plain is not None and from_file is not None:
            self.refuse(name, f"given once, but {name}_FILE is set too", "Remove one of the two.")
        return Secret(plain) if plain is not None else from_file

    def secret_file(self, name: str) -> Secret | None:
        """Return the content of the file that `name`_FILE names."""
        path = self.optional_path(f"{name}_FILE")
        if path is None:
            return None
        try:
            content = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            self.refuse(f"{name}_FILE", f"a readable text file; {path}: {reason}")
        if not content:
            self.refuse(f"{name}_FILE", f"a file with the secret in it; {path} is empty")
        return Secret(content)

    def secrets(self, name: str) -> tuple[Secret, ...]:
        """Return a comma-separated list of secrets, in order."""
        secret = self.secret(name)
        parts = secret.reveal().split(",") if secret else []
        return tuple(Secret(part.strip()) for part in parts if part.strip())

    def _parse(self, name: str, parse: Callable[[str], _T], expected: str, default: _T) -> _T:
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except (ValueError, InvalidOperation, errors.InvalidInput):
            self.refuse(name, f"{expected}, not {text!r}")

    def _check_url(self, name: str, text: str, schemes: tuple[str, ...]) -> None:
        try:
            parts = urlsplit(text)
            is_valid = parts.scheme in schemes and (parts.netloc or "host=" in parts.query)
            _ = parts.port
        except ValueError:
            is_valid = False
        if not is_valid:
            self.refuse(name, f"a URL starting with {' or '.join(f'{s}://' for s in schemes)}")


def _basis_points(text: str) -> int:
    value = Decimal(text) * 10_000
    if not value.is_finite() or value != int(value) or not 0 <= value <= 10_000:
        raise ValueError(text)
    return int(value)


# --- addresses --------------------------------------------------------------------------------


def postgres_uri(*, host: str, port: int, user: str, password: str | None, database: str) -> str:
    """Compose one `postgresql://` URI; a host that is a directory (a socket) is quoted into it."""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    name = f"[{host}]" if ":" in host else quote(host, safe="")
    return f"postgresql://{login}@{name}:{port}/{quote(database, safe='')}"


def dsn_with_role(dsn: str, role: str) -> str:
    """Return `dsn` with `role` set when a connection starts, so that tables belong to it."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    query["options"] = f"{query.get('options', '')} -c role={role}".strip()
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def _websocket_url(rpc_url: str) -> str:
    """The node's WebSocket by Solana's convention: one port above a port that is spelled out."""
    parts = urlsplit(rpc_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    if parts.port is None:
        return urlunsplit(parts._replace(scheme=scheme))
    host = parts.netloc.rpartition(":")[0]
    return urlunsplit(parts._replace(scheme=scheme, netloc=f"{host}:{parts.port + 1}"))


def connect_host(host: str) -> str:
    """The address at which a server that binds `host` can be called from here: loopback for an any-address."""
    return "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound


def server_url(host: str, port: int, *, scheme: str = "http") -> str:
    """The URL at which a server that binds `host` and `port` can be called from here."""
    address = connect_host(host)
    return f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"


def _secrets_in(value: object) -> list[Secret]:
    if isinstance(value, Secret):
        return [value]
    if isinstance(value, tuple):
        return [secret for item in value for secret in _secrets_in(item)]
    if isinstance(value, Mapping):
        return [secret for item in value.values() for secret in _secrets_in(item)]
    fields = getattr(value, "__dataclass_fields__", {})
    return [secret for name in fields for secret in _secrets_in(getattr(value, name))]


# --- .env -------------------------------------------------------------------------------------

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")


#: Set by the supervisor for its children, which get what they may know and nothing from `.env`.
RUN_VARIABLE = "ZMART_RUN"


def process_environment() -> dict[str, str]:
    """Return the environment of this process, with what only `.env` says added."""
    file = Path(".env")
    if RUN_VARIABLE in os.environ:
        return dict(os.environ)
    written = dotenv(file.read_text()) if file.is_file() else {}
    return {**written, **os.environ}


def dotenv(text: str) -> dict[str, str]:
    """Parse the lines of a `.env` file: NAME=value, quotes optional, # starts a comment.

    Raises ConfigurationError with the line's number for anything else.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            raise errors.ConfigurationError(
                f".env line {number} is not NAME=value.", help="Correct it or start it with #."
            )
        values[match[1]] = _unquote(match[2])
    return values


def _unquote(value: str) -> str:
    quoted = re.match(r"""(["'])(.*?)\1\s*(?:#.*)?$""", value)
    return quoted[2] if quoted else re.sub(r"\s+#.*$|^#.*$", "", value)
