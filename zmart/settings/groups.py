"""Defines the settings as frozen dataclasses, one for each subject, and `Settings`, which contains them all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zmart import errors
from zmart.domain.ids import Address

from .addresses import is_loopback
from .postgres_urls import dsn_with_role, postgres_uri
from .values import Cluster, Eligibility, LogLevel, Network, Role, Secret


@dataclass(frozen=True, kw_only=True)
class PostgresSettings:
    """The Postgres server and the login of each role."""

    #: Another server than the embedded one, as one URI; None selects the embedded server.
    url: Secret | None
    #: Logins of single roles, where given (DATABASE_URL_INGEST, _API, _KEEPER, _ANALYST, _BACKUP).
    role_urls: Mapping[Role, Secret]
    #: Hot standbys from which the API reads, as one URI that may name several hosts; None reads from the primary.
    read_url: Secret | None
    #: The embedded server's port; None lets it choose a free port once and use it again.
    embedded_port: int | None
    #: The file into which the embedded server writes its address and passwords.
    embedded_file: Path

    @property
    def is_embedded(self) -> bool:
        """Return whether `zmart up` runs the server."""
        return self.url is None

    def foreign_dsns(self) -> list[str]:
        """Return every configured address of another server than the embedded one."""
        urls = [*([] if self.url is None else [self.url]), *self.role_urls.values()]
        return [url.reveal() for url in urls]

    def has_own_login(self, role: Role) -> bool:
        """Return whether `role` has its own login; without one, the login of DATABASE_URL changes to that role."""
        return role in self.role_urls or self.url is None

    def dsn(self, role: Role = "zmart_owner") -> str:
        """Return one `postgresql://` URI that acts as `role`.

        On a server other than the embedded one this is the role's own URL, else DATABASE_URL with `role` set when a
        connection starts. Raise ConfigurationError when no server is configured and the embedded one was never started.
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
        except KeyError:
            raise errors.ConfigurationError(
                f"The database has no password for {role} yet: an earlier release started it.",
                help="Run `zmart migrate`, or stop `zmart up` and start it again.",
            ) from None


@dataclass(frozen=True, kw_only=True)
class ChainSettings:
    """The cluster, the program and the keys."""

    #: JSON-RPC; often carries a key.
    rpc_url: Secret
    #: WebSocket of the same node.
    ws_url: Secret
    #: The cluster that the genesis hash must match.
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
    #: A server of the Yellowstone gRPC protocol; it may contain a key. None without one.
    grpc_url: Secret | None
    #: Its key (`x-token`).
    grpc_token: Secret | None

    @property
    def is_localnet(self) -> bool:
        """Return whether the cluster is a local one, whose tokens are worth nothing."""
        return self.cluster is Cluster.LOCALNET


@dataclass(frozen=True, kw_only=True)
class IngestSettings:
    """How webhook deliveries are authenticated; serving needs at least one of the two secrets."""

    #: Values accepted in `Authorization`; several while rotating.
    auth_headers: tuple[Secret, ...]
    #: Key of HMAC-SHA256 in `x-helius-signature`.
    webhook_secret: Secret | None
    #: Whether to subscribe to the node's logs besides (SOLANA_WS_URL).
    logs_subscribe: bool
    #: The public address to which Helius delivers; for `zmart webhook`.
    webhook_url: str | None
    #: The address of Helius' API.
    helius_api_url: str


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """Access to the API, its limits and its optional parts."""

    #: The first signs, all verify; two while rotating.
    jwt_secrets: tuple[Secret, ...]
    cors_origins: tuple[str, ...]
    #: Proxies whose X-Forwarded-For entry is believed.
    trusted_proxies: tuple[Network, ...]
    #: The two older wallet signature forms.
    legacy_auth: bool
    #: The cost that one address or one wallet may use per minute (a read costs 1); 0 sets no limit.
    rate_limit_per_minute: int
    #: The read-only SQL endpoint.
    analyst_sql: bool
    #: redis://... for change notifications instead of Postgres NOTIFY.
    broadcast_url: Secret | None
    #: The most streams (SSE and WebSocket) of one process, and of one address.
    streams: int
    streams_per_address: int
    #: Memory for responses that are cached until the log advances; 0 disables the cache.
    response_cache_mib: int
    #: The token that allows reading metrics from other addresses than loopback, and the texts of alerts.
    metrics_token: Secret | None
    #: Wallets whose access tokens show what is for operators only.
    operator_wallets: frozenset[Address]
    #: Wallets whose API keys have the limits of the tiers pro and maker.
    pro_wallets: frozenset[Address]
    maker_wallets: frozenset[Address]
    #: Wallets that may hide posts and ban wallets.
    moderator_wallets: frozenset[Address]


@dataclass(frozen=True, kw_only=True)
class PortSettings:
    """TCP ports, one per service."""

    api: int
    ws: int
    ingest: int
    dagster: int
    #: The metrics of Dagster's code server and of the keepers.
    dagster_metrics: int
    devchain: int
    relay: int
    #: The bus that `zmart up --only nats` starts.
    nats: int

    @property
    def devchain_ws(self) -> int:
        """Return the port of the development chain's WebSocket, one above its RPC port as with validators."""
        return self.devchain + 1


@dataclass(frozen=True, kw_only=True)
class DevchainSettings:
    """The cluster that the development chain plays; the defaults are those of mainnet."""

    #: `alpenglow`, `tower`, or `unknown`: Tower whose node does not know the method that names the consensus.
    consensus: str
    slot_ms: int
    #: The version of Agave whose answers the node gives.
    node_version: tuple[int, int, int]
    #: Whether the node returns `transactionIndex`.
    transaction_index: bool
    #: The place in the block in webhook items: `within-block` (`indexWithinBlock`), `transaction` (`transactionIndex`),
    #: `both` or `none`.
    webhook_index: str
    #: The rent exemption of one byte.
    rent_lamports_per_byte: int
    #: The port of gRPC; None serves none.
    grpc_port: int | None
    #: Whether the node serves getTransactionsForAddress.
    lists_bodies: bool
    #: Percent of the demo trades that come from other wallets in transactions of version 1.
    v1_percent: int
    #: Percent of the demo trades that a vault makes by a call from its program.
    vault_percent: int
    #: Percent of the demo trades whose payer cannot pay; they land without running.
    unexecuted_percent: int
    #: Percent of the blocks with transactions that are skipped after they were processed.
    skipped_percent: int


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """Addresses that servers bind; loopback by default."""

    api: str
    ws: str
    ingest: str
    dagster: str
    devchain: str
    relay: str


@dataclass(frozen=True, kw_only=True)
class VotingSettings:
    """The thresholds and times of votes."""

    #: Milliseconds between aggregation runs.
    aggregation_interval_ms: int
    min_proposal_votes: int
    #: Basis points of likes that approve a proposal (protocol.md 3.2).
    proposal_approval_threshold_bps: int
    #: Basis points of agreement that let a dispute succeed (protocol.md 3.2).
    dispute_threshold_bps: int
    #: Seconds from a dispute's initiation during which ballots count.
    dispute_voting_window_seconds: int
    #: `known` accepts off-chain ballots only from wallets that the log contains.
    ballot_eligibility: Eligibility


@dataclass(frozen=True, kw_only=True)
class MonitorSettings:
    """The keeper job that finalizes markets."""

    enabled: bool
    #: Plans and simulates, never sends; the default is true until SOLANA_CLUSTER is set.
    dry_run: bool
    #: Markets per run.
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class KeeperSettings:
    """Permissions and spending limits of keepers."""

    #: Whether approvals are sent with the admin's key, where it is present; otherwise an operator gets them unsigned.
    approves: bool
    #: Whether approved markets are activated with the admin's key, where it is present.
    activates: bool
    #: The priority fee would have been accepted in this percentage of recent slots.
    fee_percentile: int
    #: Whether a node that estimates priority fees is asked for its estimate of that percentile first.
    fee_estimate: bool
    #: Millionths of a lamport for a compute unit that are never exceeded.
    fee_cap_micro_lamports: int
    #: Lamports for the fees of a day (UTC), all keepers together.
    daily_budget_lamports: int
    #: An alert is raised for a payer that holds less.
    low_balance_lamports: int


@dataclass(frozen=True, kw_only=True)
class IpfsSettings:
    """Discussion snapshots; off without an API address.

    Addresses may contain credentials, as those of hosted nodes do.
    """

    snapshot_cron: str
    api_url: Secret | None
    pinning_url: Secret | None
    pinning_token: Secret | None
    gateway_url: Secret | None


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """The place of exported files; the other fields apply to S3 only, under the names of the AWS tools."""

    #: A folder, or `s3://BUCKET/PREFIX`; None without exports.
    url: str | None
    #: Another S3 server than Amazon's.
    endpoint_url: str | None
    region: str | None
    access_key_id: Secret | None
    secret_access_key: Secret | None
    session_token: Secret | None


@dataclass(frozen=True, kw_only=True)
class DagsterSettings:
    """Who may use Dagster's web interface."""

    #: Required to serve it elsewhere than on loopback.
    password: Secret | None
    #: Names besides localhost and DAGSTER_HOST under which it is reached, for example a proxy's.
    allowed_hosts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RelaySettings:
    """The bus on which the relay publishes the log."""

    #: Servers of one NATS cluster; empty switches the relay off.
    urls: tuple[Secret, ...]
    #: The name of the JetStream stream.
    stream: str

    def require_urls(self) -> None:
        """Raise ConfigurationError where no bus is configured."""
        if not self.urls:
            raise errors.ConfigurationError(
                "NATS_URL, the bus on which the relay publishes, is not set.",
                help="Set it to your server, for example nats://127.0.0.1:4222.",
            )


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
    devchain: DevchainSettings
    voting: VotingSettings
    monitor: MonitorSettings
    keepers: KeeperSettings
    ipfs: IpfsSettings
    dagster: DagsterSettings
    export: ExportSettings
    relay: RelaySettings
    #: The address to which alerts are posted; they are always written to ops.alerts.
    alert_webhook_url: Secret | None
    #: The collector of OpenTelemetry traces; None switches tracing off.
    otlp_endpoint: str | None
    #: `name=value` headers for the collector, comma separated.
    otlp_headers: Secret | None

    def require_analyst_login(self) -> None:
        """Raise ConfigurationError where SQL over HTTP would not have a login of its own.

        A login that only changes to the role analyst is not safe: a statement that passes the list of allowed
        functions regains the login's privileges with `set role`.
        """
        if self.api.analyst_sql and not self.postgres.has_own_login("analyst"):
            raise errors.ConfigurationError(
                "ANALYST_SQL is set, but DATABASE_URL_ANALYST, the login that it needs, is not.",
                help="Set DATABASE_URL_ANALYST to the login of the role analyst (alter role analyst password '...'), "
                "or remove ANALYST_SQL.",
            )

    def require_dagster_password(self) -> None:
        """Raise ConfigurationError where other machines could reach Dagster without a password."""
        if not is_loopback(self.hosts.dagster) and self.dagster.password is None:
            raise errors.ConfigurationError(
                f"DAGSTER_HOST is {self.hosts.dagster}, so other machines reach Dagster, and it has no password.",
                help="Set DAGSTER_PASSWORD_FILE to a file with a password, or remove DAGSTER_HOST.",
            )

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret that is set, for the log's mask."""
        return tuple(_secrets_in(self))


def _secrets_in(value: object) -> list[Secret]:
    if isinstance(value, Secret):
        return [value]
    if isinstance(value, tuple):
        return [secret for item in value for secret in _secrets_in(item)]
    if isinstance(value, Mapping):
        return [secret for item in value.values() for secret in _secrets_in(item)]
    fields = getattr(value, "__dataclass_fields__", {})
    return [secret for name in fields for secret in _secrets_in(getattr(value, name))]
