"""Reads the configuration once, checks it at start, and provides it as frozen values.

Every setting is an environment variable; a `.env` file in the working directory supplies variables that the environment
does not set. A secret may instead be given as a file: `JWT_SECRET_FILE` names a file that contains `JWT_SECRET`. An
empty variable counts as absent.

Without any variable, everything runs on this machine: the embedded Postgres and the development chain. `DATABASE_URL`
(or libpq's own `PGHOST` ...) selects another Postgres server, `SOLANA_RPC_URL` another cluster. A value that cannot
work raises `ConfigurationError` with the variable's name, the expected value and the next step; the value itself is
never repeated when it is a secret.
"""

from .addresses import connect_host, is_loopback, server_url
from .earlier_variables import REPLACED_VARIABLES, replaced_variables
from .env_file import RUN_VARIABLE, dotenv, process_environment
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
from .loading import DEFAULT_HELIUS_API_URL, DEFAULT_PROGRAM_ID, JWT_SECRET_BYTES, LOOPBACK, load, read, state_dir
from .postgres_urls import dsn_with_role, postgres_uri
from .values import CONSENSUS_CHOICES, ROLES, Cluster, Eligibility, LogLevel, Network, Role, Secret

__all__ = [
    "CONSENSUS_CHOICES",
    "DEFAULT_HELIUS_API_URL",
    "DEFAULT_PROGRAM_ID",
    "JWT_SECRET_BYTES",
    "LOOPBACK",
    "REPLACED_VARIABLES",
    "ROLES",
    "RUN_VARIABLE",
    "ApiSettings",
    "ChainSettings",
    "Cluster",
    "DagsterSettings",
    "DevchainSettings",
    "Eligibility",
    "Environment",
    "ExportSettings",
    "HostSettings",
    "IngestSettings",
    "IpfsSettings",
    "KeeperSettings",
    "LogLevel",
    "MonitorSettings",
    "Network",
    "PortSettings",
    "PostgresSettings",
    "RelaySettings",
    "Role",
    "Secret",
    "Settings",
    "VotingSettings",
    "connect_host",
    "dotenv",
    "dsn_with_role",
    "is_loopback",
    "load",
    "postgres_uri",
    "process_environment",
    "read",
    "replaced_variables",
    "server_url",
    "state_dir",
]
