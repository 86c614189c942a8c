"""Implements `zmart doctor`: examines everything that a start depends on, and reports the next step for each fault.

This module collects facts, `doctor_checks` judges them. The examination changes nothing and waits seconds at most; a
check that cannot run is reported as skipped. No finding contains the value of a secret.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib.metadata
import json
import os
import stat
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from zmart import errors
from zmart import settings as configuration
from zmart.chain import addresses, codec, helius, rpc, signer
from zmart.db import migrate, poolers, queries
from zmart.db.connection import connect_sync, translate_errors
from zmart.settings import ROLES, Role, Settings, server_url

from ..deploy import rebuild
from ..supervisor import state_file
from ..supervisor.service import Port
from . import doctor_checks, package_checks
from .doctor_checks import Finding, PortFacts, PrivilegeFacts, RoleFacts, SecretFile, ServerFacts

_SQL = queries.load("zmart.run.doctor", "doctor.sql")

TIMEOUT_SECONDS = 5

#: Privileges that must be granted, or must not (design of the roles: the API reads and calls functions, nothing else).
_EXPECTED_PRIVILEGES: tuple[tuple[Role, str, str, bool], ...] = (
    ("zmart_ingest", "INSERT", "raw.events", True),
    ("zmart_ingest", "DELETE", "raw.events", False),
    ("zmart_api", "SELECT", "marts.markets", True),
    ("zmart_api", "INSERT", "raw.events", False),
    ("zmart_api", "UPDATE", "marts.markets", False),
    ("zmart_keeper", "INSERT", "ops.intents", True),
    ("zmart_keeper", "INSERT", "raw.events", False),
    ("analyst", "SELECT", "marts.markets", True),
    ("analyst", "INSERT", "raw.events", False),
)


def examine() -> Iterator[Finding]:
    """Examine everything, in the order in which a start needs it, and yield findings as they are made."""
    file = Path(".env")
    written = configuration.dotenv(file.read_text()) if file.is_file() else {}
    yield from _python()
    yield from examine_settings(configuration.process_environment(), written)


def examine_settings(environ: Mapping[str, str], written: Mapping[str, str]) -> Iterator[Finding]:
    """Examine everything but Python; `environ` contains all variables, `written` only those of `.env`."""
    env = configuration.Environment(environ)
    try:
        settings = configuration.read(env)
    except errors.ConfigurationError as error:
        yield Finding(check="environment", answer="no", message=str(error))
        return
    yield from doctor_checks.check_environment(environ, written, env.requested_names)
    yield from _SettingsExamination(settings, environ).findings()


def _python() -> list[Finding]:
    lock = rebuild.PROJECT / "requirements.lock"
    pins = package_checks.parse_pins(lock.read_text()) if lock.is_file() else None
    installed = {
        package_checks.canonical_name(found.metadata["Name"]): found.version
        for found in importlib.metadata.distributions()
        if found.metadata["Name"]
    }
    return package_checks.check_python(sys.version_info[:2], pins, installed)


@dataclass(frozen=True)
class _SettingsExamination:
    """Examines one configuration."""

    settings: Settings
    environ: Mapping[str, str]

    def findings(self) -> Iterator[Finding]:
        """Yield the findings of the checks that need settings."""
        yield from self._state()
        yield from doctor_checks.check_ports(list(self._ports()))
        yield from self._database()
        chain = self.settings.chain
        has_grpc = chain.grpc_url is not None
        yield from doctor_checks.check_webhook(self.settings.ingest, chain.cluster, has_grpc=has_grpc)
        yield from doctor_checks.check_keepers(
            self.settings.keepers, chain.cluster, has_admin=chain.admin_keypair_path is not None
        )
        yield from asyncio.run(self._registration())
        yield from asyncio.run(self._grpc())
        yield from asyncio.run(self._chain())

    @property
    def _is_up(self) -> bool:
        return state_file.running_pid(self.settings.state_dir) is not None

    # The machine

    def _state(self) -> list[Finding]:
        folder = self.settings.state_dir
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        is_writable = os.access(nearest, os.W_OK | os.X_OK) and nearest.is_dir()
        return doctor_checks.check_state_dir(folder, is_writable=is_writable, secrets=list(self._secret_files()))

    def _secret_files(self) -> Iterator[SecretFile]:
        folder, chain = self.settings.state_dir, self.settings.chain
        paths = [folder / "secrets.json", folder / "postgres" / "server.json", *folder.glob("devchain/keys/*.json")]
        yield from (SecretFile(path=path, mode=_mode(path)) for path in paths)
        for path in (chain.backend_keypair_path, chain.admin_keypair_path):
            if path is not None:
                yield SecretFile(path=path, mode=_mode(path))
        for name, text in self.environ.items():
            if name.endswith("_FILE") and name.removesuffix("_FILE") in _FILE_SECRETS and text.strip():
                path = Path(text.strip()).expanduser()
                yield SecretFile(path=path, mode=_mode(path), is_foreign=True)

    def _ports(self) -> Iterator[PortFacts]:
        ours = self._running()
        for variable, host, number, service in self._expected_ports():
            is_free = Port(variable=variable, host=host, number=number).is_free()
            holder = None if is_free else service if service in ours else _service_name_at(host, number)
            yield PortFacts(variable=variable, number=number, holder=holder)

    def _expected_ports(self) -> list[tuple[str, str, int, str]]:
        """Return each port that `zmart up` needs: variable, host, number and service."""
        ports, hosts = self.settings.ports, self.settings.hosts
        expected = [
            ("API_PORT", hosts.api, ports.api, "api"),
            ("WS_PORT", hosts.ws, ports.ws, "ws"),
            ("INGEST_PORT", hosts.ingest, ports.ingest, "ingest"),
            ("DAGSTER_PORT", hosts.dagster, ports.dagster, "dagster"),
            ("DAGSTER_METRICS_PORT", hosts.dagster, ports.dagster_metrics, "dagster-code"),
        ]
        if self.settings.chain.is_development:
            expected.append(("DEVCHAIN_PORT", hosts.devchain, ports.devchain, "devchain"))
            expected.append(("DEVCHAIN_PORT + 1", hosts.devchain, ports.devchain_ws, "devchain"))
        if self.settings.relay.urls:
            expected.append(("RELAY_PORT", hosts.relay, ports.relay, "relay"))
        return expected

    def _running(self) -> set[str]:
        if not self._is_up:
            return set()
        statuses = state_file.StateFile.read(self.settings.state_dir / "run.json")
        return {status.name for status in statuses if status.pid is not None}

    # The database

    def _database(self) -> Iterator[Finding]:
        try:
            with translate_errors(), _connect(self.settings.postgres.dsn("zmart_ingest")) as connection:
                facts = self._read_server_facts(connection)
        except (errors.ZmartError, psycopg.Error) as error:
            yield from self._findings_without_server(error)
            return
        yield from doctor_checks.check_postgres(facts)
        yield from self._run_check("roles", self._roles)
        yield from self._run_check("migrations", self._migrations)
        yield from self._run_check("models", self._models)

    def _findings_without_server(self, error: Exception) -> Iterator[Finding]:
        """Yield findings when the services' roles cannot connect.

        Before the first `zmart migrate` these roles are missing although the server may work.
        """
        try:
            with translate_errors(), _connect(self._admin_dsn()) as connection:
                yield from doctor_checks.check_postgres(self._read_server_facts(connection))
                yield from self._run_check("roles", self._roles)
        except (errors.ZmartError, psycopg.Error):
            starts = self.settings.postgres.is_embedded and not self._is_up
            yield from doctor_checks.report_unreachable("postgres", str(error).splitlines()[0], starts_with_up=starts)
            yield from doctor_checks.report_skipped("roles", "Postgres failed; see the check above.")
        for check in ("migrations", "models"):
            yield from doctor_checks.report_skipped(check, "Postgres or its roles failed; see the checks above.")

    def _run_check(self, check: str, check_function: Any) -> list[Finding]:
        try:
            with translate_errors():
                found: list[Finding] = check_function()
        except (errors.ZmartError, psycopg.Error) as error:
            return [Finding(check=check, answer="no", message=str(error).splitlines()[0])]
        return found

    def _admin_dsn(self) -> str:
        url = self.settings.postgres.url
        return self.settings.postgres.dsn() if url is None else url.reveal()

    def _read_server_facts(self, connection: psycopg.Connection[Any]) -> ServerFacts:
        row = connection.execute(_SQL.parameters).fetchone()
        assert row is not None
        url = self.settings.postgres.url
        is_proven = any(poolers.is_transaction_pooler(dsn) for dsn in self.settings.postgres.foreign_dsns())
        kind = None if url is None else doctor_checks.detect_pooler(url.reveal(), is_transaction_mode=is_proven)
        names = ("fsync", "full_page_writes", "synchronous_commit")
        return ServerFacts(version=row[0], parameters=dict(zip(names, row[1:], strict=True)), pooler=kind)

    def _roles(self) -> list[Finding]:
        with _connect(self._admin_dsn()) as connection:
            rows = connection.execute(_SQL.roles, {"names": list(ROLES)}).fetchall()
            rights = [_read_privilege(connection, *expected) for expected in _EXPECTED_PRIVILEGES]
        facts = [RoleFacts(name=name, is_superuser=is_super, bypasses_rls=above) for name, is_super, above in rows]
        return doctor_checks.check_roles(facts, {role: self._login_error(role) for role in ROLES}, rights)

    def _login_error(self, role: Role) -> str:
        try:
            with translate_errors(), _connect(self.settings.postgres.dsn(role)) as connection:
                (actual,) = connection.execute("select current_user").fetchone() or ("nobody",)
        except (errors.ZmartError, psycopg.Error) as error:
            return str(error).splitlines()[0]
        return "" if actual == role else f"the connection acts as {actual}."

    def _migrations(self) -> list[Finding]:
        try:
            return doctor_checks.check_migrations(migrate.pending_migrations(self.settings.postgres.dsn()), None)
        except errors.ConfigurationError as error:
            return doctor_checks.check_migrations([], str(error))

    def _models(self) -> list[Finding]:
        with _connect(self.settings.postgres.dsn()) as connection:
            if connection.execute(_SQL.has_models_table).fetchone() != (True,):
                return doctor_checks.report_skipped("models", "The migrations failed; see the check above.")
            deployed = connection.execute(rebuild.sql.deployed_digest).fetchone()
            rows = connection.execute(rebuild.sql.models).fetchall()
        return doctor_checks.check_models(
            doctor_checks.ModelFacts(
                is_current=None if deployed is None else deployed == (rebuild.sources_digest(),),
                names=[row[0] for row in rows],
                stale={row[0]: row[4] for row in rows if row[1]},
                behind={row[0]: row[4] for row in rows if row[3] and not row[1]},
            )
        )

    # gRPC

    async def _grpc(self) -> list[Finding]:
        url, token = self.settings.chain.grpc_url, self.settings.chain.grpc_token
        if url is None:
            return doctor_checks.report_skipped("grpc", "SOLANA_GRPC_URL is not set; transactions come by webhook.")
        # The import takes a third of a second.
        from zmart.chain.geyser.stream import GeyserClient

        try:
            async with GeyserClient(url.reveal(), token.reveal() if token else None) as client:
                await client.connect()
                version, first = await client.version(), await client.first_replayable_slot()
        except errors.ZmartError as error:
            return [Finding(check="grpc", answer="no", message=str(error))]
        return doctor_checks.check_grpc(url.reveal(), version, first, has_token=token is not None)

    # Helius

    async def _registration(self) -> list[Finding]:
        if self.settings.chain.helius_api_key is None:
            return doctor_checks.report_skipped(
                "registration", "HELIUS_API_KEY is not set, so the webhook cannot be checked."
            )
        try:
            wish = helius.DesiredWebhook.of(self.settings)
            async with helius.HeliusClient.of(self.settings) as api:
                return doctor_checks.check_registration(helius.check_registration(await api.webhooks(), wish))
        except errors.Transient as transient:
            return doctor_checks.report_skipped("registration", str(transient))
        except errors.ZmartError as error:
            return [Finding(check="registration", answer="no", message=str(error))]

    # The chain

    async def _chain(self) -> list[Finding]:
        configured = self.settings.chain
        async with rpc.RpcClient.of(configured, timeout_seconds=TIMEOUT_SECONDS) as node:
            try:
                facts = await self._read_chain_facts(node)
                clock = await node.clock(commitment=await node.read_commitment())
            except errors.ZmartError as error:
                return [
                    *self._findings_without_chain(error),
                    *doctor_checks.report_skipped("clock", "The chain failed; see the check above."),
                ]
        ahead_seconds = time.time() - clock.unix_timestamp
        found = doctor_checks.check_chain(facts, configured.cluster, configured.program_id)
        if configured.is_development:
            return [*found, *doctor_checks.report_skipped("clock", "The development chain has its own clock.")]
        return [*found, *doctor_checks.check_clock(ahead_seconds)]

    def _findings_without_chain(self, error: errors.ZmartError) -> list[Finding]:
        if not isinstance(error, errors.Transient):
            return [Finding(check="chain", answer="no", message=str(error))]
        starts = self.settings.chain.is_development and not self._is_up
        return doctor_checks.report_unreachable("chain", str(error), starts_with_up=starts)

    async def _read_chain_facts(self, node: rpc.RpcClient) -> doctor_checks.ChainFacts:
        genesis_hash = await node.genesis_hash()
        address = addresses.config_address(self.settings.chain.program_id)
        found = (await node.account(address, commitment=await node.read_commitment())).value
        keys, unusable = self._keys()
        config, undecodable = (None, "") if found is None else _config(found.data)
        return doctor_checks.ChainFacts(
            genesis_hash=genesis_hash, config=config, undecodable=undecodable, keys=keys, unusable_keys=unusable
        )

    def _keys(self) -> tuple[dict[str, str], list[str]]:
        keys: dict[str, str] = {}
        unusable: list[str] = []
        for role, load in (("backend_authority", signer.backend), ("admin", signer.admin)):
            try:
                key = load(self.settings.chain)
            except errors.ConfigurationError as error:
                unusable.append(str(error))
                continue
            if key is not None:
                keys[role] = key.address
        return keys, unusable


#: Secrets that may be provided in a file.
_FILE_SECRETS = frozenset(
    {
        *("DATABASE_URL", "DATABASE_URL_INGEST", "DATABASE_URL_API", "DATABASE_URL_KEEPER", "DATABASE_URL_ANALYST"),
        *("PGPASSWORD", "BACKEND_AUTHORITY_PRIVATE_KEY", "HELIUS_AUTH_HEADER", "HELIUS_WEBHOOK_SECRET"),
        *("SOLANA_GRPC_URL", "SOLANA_GRPC_TOKEN"),
        *("HELIUS_API_KEY", "HELIUS_RPC_URL", "JWT_SECRET", "BROADCAST_URL", "METRICS_TOKEN"),
        *("IPFS_API_URL", "IPFS_PINNING_URL", "IPFS_PINNING_TOKEN", "IPFS_GATEWAY_URL", "ALERT_WEBHOOK_URL"),
    }
)


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def _connect(dsn: str) -> psycopg.Connection[Any]:
    return connect_sync(
        dsn,
        application_name="zmart doctor",
        autocommit=True,
        connect_timeout_seconds=TIMEOUT_SECONDS,
        prepare_threshold=None,
    )


def _read_privilege(
    connection: psycopg.Connection[Any], role: Role, privilege: str, relation: str, should: bool
) -> PrivilegeFacts:
    named = {"role": role, "privilege": privilege, "relation": relation}
    row = connection.execute(_SQL.has_privilege, named).fetchone()
    has = None if row is None else bool(row[0])
    return PrivilegeFacts(role=role, privilege=privilege, relation=relation, has=has, should=should)


def _config(data: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        name, fields = codec.default().decode_account(data)
    except errors.DecodeError as error:
        return None, f"The program's configuration cannot be read: {error}"
    return (fields, "") if name == "GlobalConfig" else (None, f"The configuration account contains a {name}.")


def _service_name_at(host: str, port: int) -> str:
    """Return the name of our service that answers there, or "" for another program."""
    url = f"{server_url(host, port)}/health"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http only
            health = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return ""
    return str(health.get("service", "")) if isinstance(health, dict) and "status" in health else ""
