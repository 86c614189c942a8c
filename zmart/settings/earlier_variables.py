"""Lists the variables of the earlier backend, each with its replacement."""

from __future__ import annotations

from collections.abc import Mapping

#: Names of the earlier backend that nothing reads any more, and what to set instead.
REPLACED_VARIABLES: dict[str, str] = {
    "SUPABASE_URL": "set DATABASE_URL to the project's direct or session-mode Postgres address",
    "SUPABASE_ANON_KEY": "remove it; browsers talk to the API, not to the database",
    "SUPABASE_SERVICE_ROLE_KEY": "remove it; each service has a database role of its own",
    "SUPABASE_SERVICE_KEY": "remove it; each service has a database role of its own",
    "REDIS_URL": "remove it, or set BROADCAST_URL=redis://... to send change notifications over Redis",
    "PINATA_API_KEY": "set IPFS_PINNING_URL to a Pinning Service API address",
    "PINATA_API_SECRET": "set IPFS_PINNING_TOKEN",
    "PINATA_SECRET_KEY": "set IPFS_PINNING_TOKEN",
    "PINATA_GATEWAY_URL": "set IPFS_GATEWAY_URL",
    "IPFS_PROJECT_ID": "set IPFS_API_URL to a Kubo node of yours",
    "IPFS_PROJECT_SECRET": "set IPFS_API_URL to a Kubo node of yours",
    "NODE_ENV": "remove it; SOLANA_CLUSTER names the cluster, and no mode bypasses a check",
    "SOLANA_PROGRAM_ID_PROPOSAL": "remove it; one program does it all: SOLANA_PROGRAM_ID_CORE",
    "ZMART_PROGRAM_ID": "set SOLANA_PROGRAM_ID_CORE",
    "BACKEND_AUTHORITY_PRIVATE_KEY": "put it in a file named by BACKEND_AUTHORITY_PRIVATE_KEY_FILE",
    "WEBHOOK_DEV_MODE": "remove it; the development chain sends HELIUS_AUTH_HEADER, as Helius does",
    "WEBHOOK_URL": "set HELIUS_WEBHOOK_URL to the address Helius delivers to",
    "VOTE_AGGREGATOR_PORT": "remove it; tallies are made by Dagster (DAGSTER_PORT)",
    "MARKET_MONITOR_PORT": "remove it; the monitor runs in Dagster (DAGSTER_PORT)",
    "MARKET_MONITOR_CRON_SCHEDULE": "set VOTE_AGGREGATION_INTERVAL (milliseconds)",
}


def replaced_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the names set in `environ` that nothing reads any more, each with what replaces it."""
    return {name: REPLACED_VARIABLES[name] for name in sorted(REPLACED_VARIABLES) if environ.get(name, "").strip()}
