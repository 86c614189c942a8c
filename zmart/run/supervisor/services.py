"""Which services `zmart up` runs, in which order, and what each of them may know.

Order is the order of need: Postgres, then the schema and the models, then the development chain,
which ingest reads to learn where it is, then ingest, then the API. Streams and Dagster need the schema alone and
start beside them. Every service gets all settings,
and of the secrets only those that its work takes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zmart import errors
from zmart.settings import Cluster, Role, Settings

from .. import dev_secrets
from ..postgres import embedded
from . import dagster_services, probes, process
from .service import MEMORY_CEILING_BYTES, Port, Service

#: What `--only` understands, in starting order. `postgres` brings migrations and models with it.
NAMES = ("postgres", "devchain", "traders", "ingest", "api", "ws", "dagster")

#: Dagster imports for ten seconds on a machine that has time, longer while everything starts at once.
DAGSTER_READY_WITHIN_SECONDS = 120.0

#: What keepers are told where a demonstration is theirs: markets there live for minutes.
KEPT: Mapping[str, str] = {
    "SOLANA_CLUSTER": "localnet",
    "MARKET_MONITOR_ENABLED": "true",
    "MARKET_MONITOR_BATCH_SIZE": "50",
    "VOTE_AGGREGATION_INTERVAL": "60000",
    "MIN_PROPOSAL_VOTES": "3",
    "DISPUTE_VOTING_WINDOW": "60",
}

#: Variables that are secret, or lead to something that is; everything else is passed to everybody.
_GUARDED = (
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
    "DAGSTER_STORAGE_URL",
    "ZMART_TEST_DSN",
)
_LOGIN_VARIABLES: Mapping[Role, str] = {
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

    `environ` is the environment the settings were read from. With `keepers`, traders leave the backend's part on the
    development chain to them. Raises ConfigurationError for an
    unknown name in `only`, and for a secret that a real cluster needs and nobody set.
    """
    if keepers and not settings.chain.is_development:
        raise errors.ConfigurationError(
            "Keepers take over the development chain, and there is none: SOLANA_RPC_URL is set.",
            help="Leave --keepers out; keepers act on your cluster as MARKET_MONITOR_DRY_RUN allows.",
        )
    wanted = _wanted(settings, only, traders=traders)
    if wanted & {"api", "ws"}:
        settings.require_analyst_login()
    house = _House(settings, {**_eased(settings), **environ, **_made_up(settings, wanted)})
    makers: dict[str, Callable[[], list[Service]]] = {
        "postgres": house.postgres,
        "devchain": lambda: [house.devchain(wanted, keepers=keepers)],
        "ingest": lambda: [house.ingest()],
        "api": lambda: [house.api()],
        "ws": lambda: [house.ws()],
        "dagster": house.dagster,
    }
    return [service for name, make in makers.items() if name in wanted for service in make()]


def _wanted(settings: Settings, only: Sequence[str], *, traders: bool) -> set[str]:
    for name in only:
        if name not in NAMES:
            raise errors.ConfigurationError(f"There is no service {name!r}.", help=f"--only takes {', '.join(NAMES)}.")
    wanted = set(only or NAMES)
    if not traders:
        wanted.discard("traders")
    if "traders" in wanted:
        wanted.add("devchain")
    if not settings.chain.is_development:
        wanted -= {"devchain", "traders"}
    return wanted


class _House:
    """Makes the services of one configuration."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._open = {name: value for name, value in environ.items() if not name.startswith(_GUARDED)}

    def postgres(self) -> list[Service]:
        """The embedded server unless there is one of yours, then what must be in it."""
        server = [self._embedded()] if self._settings.postgres.is_embedded else []
        return [*server, self._migrate()]

    def ingest(self) -> Service:
        """The way in."""
        host, port = self._settings.hosts.ingest, self._settings.ports.ingest
        return Service(
            name="ingest",
            launch=lambda: self._python(["ingest"], passing=("HELIUS_",), roles=("zmart_ingest",)),
            probe=probes.answers(_callable(host), port, "/ready"),
            ports=(Port(variable="INGEST_PORT", host=host, number=port),),
            url=f"http://{_callable(host)}:{port}/helius/webhook",
        )

    def devchain(self, wanted: set[str], *, keepers: bool) -> Service:
        """The development chain, with or without people on it."""
        host, ports = self._settings.hosts.devchain, self._settings.ports
        flags = {
            "--no-traders": "traders" not in wanted,
            "--tell-api": {"traders", "api"} <= wanted,
            "--leave-to-keepers": keepers,
        }
        arguments = ["devchain", *(flag for flag, is_set in flags.items() if is_set)]
        return Service(
            name="devchain",
            launch=lambda: self._python(arguments, passing=("HELIUS_",)),
            # Validators answer there, too.
            probe=probes.answers(_callable(host), ports.devchain, "/health"),
            ports=tuple(
                Port(variable="DEVCHAIN_PORT", host=host, number=number)
                for number in (ports.devchain, ports.devchain_ws)
            ),
            url=f"http://{_callable(host)}:{ports.devchain}",
        )

    def api(self) -> Service:
        """The way out."""
        host, port = self._settings.hosts.api, self._settings.ports.api
        return Service(
            name="api",
            launch=lambda: self._python(
                ["api"],
                passing=("JWT_", "METRICS_TOKEN", "IPFS_GATEWAY_URL"),
                roles=self._api_roles(),
            ),
            probe=probes.answers(_callable(host), port, "/ready"),
            ports=(Port(variable="API_PORT", host=host, number=port),),
            url=f"http://{_callable(host)}:{port}",
        )

    def ws(self) -> Service:
        """The way out for streams, in a process of their own: no burst of requests delays them."""
        host, port = self._settings.hosts.ws, self._settings.ports.ws
        return Service(
            name="ws",
            launch=lambda: self._python(
                ["api", "ws"],
                passing=("JWT_", "METRICS_TOKEN", "IPFS_GATEWAY_URL"),
                roles=self._api_roles(),
            ),
            after=("migrate",),
            probe=probes.answers(_callable(host), port, "/ready"),
            ports=(Port(variable="WS_PORT", host=host, number=port),),
            url=f"ws://{_callable(host)}:{port}",
        )

    def dagster(self) -> list[Service]:
        """The code server, and the two that ask it."""
        return [self._dagster_code(), self._dagster_webserver(), self._dagster_daemon()]

    # --- private ------------------------------------------------------------------------------

    def _embedded(self) -> Service:
        settings = self._settings
        server = embedded.EmbeddedPostgres(settings.state_dir, port=settings.postgres.embedded_port)

        def launch() -> process.Launch:
            server.initialise()
            return server.launch()

        return Service(
            name="postgres",
            launch=launch,
            probe=probes.in_thread(server.is_ready),
            is_foundation=True,
            # Its shared memory alone is above the services' ceiling, by design.
            memory_ceiling_bytes=None,
            grace_seconds=embedded.STOP_WITHIN_SECONDS,
        )

    def _migrate(self) -> Service:
        return Service(
            name="migrate",
            launch=lambda: self._python(["zmart.cli", "migrate"], passing=("DATABASE_URL", "PG")),
            is_task=True,
        )

    def _dagster_code(self) -> Service:
        state_dir = self._settings.state_dir

        def launch() -> process.Launch:
            dagster_services.prepare(state_dir)
            dagster_services.socket(state_dir).unlink(missing_ok=True)
            # It rebuilds marts and runs dbt, as the owner, and keepers sign in it and its runs; the other two see
            # Dagster's own schema alone.
            launch = self._dagster(
                dagster_services.code_server(state_dir),
                passing=("DATABASE_URL", "PG", "ALERT_WEBHOOK_URL", "BACKEND_", "ADMIN_", "IPFS_"),
            )
            return replace(launch, environment={**launch.environment, **keeper_keys(self._settings)})

        return Service(
            name="dagster-code",
            launch=launch,
            after=("migrate",),
            probe=probes.listens(dagster_services.socket(state_dir)),
            ready_within_seconds=DAGSTER_READY_WITHIN_SECONDS,
            # Its runs are its children, and dbt is among them.
            memory_ceiling_bytes=3 * MEMORY_CEILING_BYTES,
        )

    def _dagster_webserver(self) -> Service:
        host, port = self._settings.hosts.dagster, self._settings.ports.dagster
        return Service(
            name="dagster",
            launch=lambda: self._dagster(dagster_services.webserver(host, port)),
            after=("dagster-code",),
            probe=probes.answers(_callable(host), port, "/server_info"),
            ready_within_seconds=DAGSTER_READY_WITHIN_SECONDS,
            ports=(Port(variable="DAGSTER_PORT", host=host, number=port),),
            url=f"http://{_callable(host)}:{port}",
        )

    def _dagster_daemon(self) -> Service:
        beat = dagster_services.Heartbeat(lambda: self._settings.postgres.dsn("zmart_keeper"))

        def launch() -> process.Launch:
            beat.expect()
            return self._dagster(dagster_services.daemon())

        return Service(
            name="dagster-daemon",
            launch=launch,
            after=("dagster-code",),
            probe=probes.in_thread(beat),
            ready_within_seconds=DAGSTER_READY_WITHIN_SECONDS,
        )

    def _dagster(self, arguments: Sequence[str], *, passing: tuple[str, ...] = ()) -> process.Launch:
        launch = self._python(arguments, passing=passing, roles=("zmart_keeper",))
        variables = dagster_services.environment(self._settings.state_dir, self._settings.postgres.dsn("zmart_keeper"))
        return replace(launch, environment={**launch.environment, **variables})

    def _api_roles(self) -> Sequence[Role]:
        """The analyst's login only where it is one: stepped down to, it would pass for one in the service."""
        has_login = self._settings.postgres.has_own_login("analyst")
        return ("zmart_api", "analyst") if has_login else ("zmart_api",)

    def _python(
        self,
        arguments: Sequence[str],
        *,
        passing: tuple[str, ...] = (),
        roles: Sequence[Role] = (),
    ) -> process.Launch:
        """Say how to run a module, with what it may know in its environment."""
        let_through = {name: value for name, value in self._environ.items() if passing and name.startswith(passing)}
        logins = {_LOGIN_VARIABLES[role]: self._settings.postgres.dsn(role) for role in roles}
        return process.Launch(
            command=(sys.executable, "-m", *arguments),
            environment={
                **self._open,
                **let_through,
                **logins,
                "PATH": f"{Path(sys.executable).parent}:{self._open.get('PATH', os.defpath)}",
                "PYTHONUNBUFFERED": "1",
                "ZMART_STATE_DIR": str(self._settings.state_dir),
            },
            cwd=str(Path.cwd()),
        )


def keeper_keys(settings: Settings) -> dict[str, str]:
    """Where keepers find keys that nobody configured: on our own development chain its actors', else nowhere.

    The development chain makes them for itself when it begins; no other chain has heard of them.
    """
    chain = settings.chain
    if not chain.is_development:
        return {}
    made = settings.state_dir / "devchain" / "keys"
    keys = {}
    if chain.backend_keypair_path is None and chain.backend_private_key is None:
        keys["BACKEND_KEYPAIR_PATH"] = str(made / "backend.json")
    if chain.admin_keypair_path is None:
        keys["ADMIN_KEYPAIR_PATH"] = str(made / "admin.json")
    return keys


def _eased(settings: Settings) -> dict[str, str]:
    """What is set for you where everybody is this machine: traders, consoles and you share one address."""
    return {"RATE_LIMIT_PER_MINUTE": "6000"} if settings.chain.is_development else {}


def _made_up(settings: Settings, wanted: set[str]) -> dict[str, str]:
    """The secrets that nobody set and somebody needs: made up on localnet, refused elsewhere."""
    missing = []
    no_proof = not settings.ingest.auth_headers and settings.ingest.webhook_secret is None
    if no_proof and wanted & {"ingest", "devchain"}:
        missing.append("HELIUS_AUTH_HEADER")
    if not settings.api.jwt_secrets and wanted & {"api", "ws"}:
        missing.append("JWT_SECRET")
    if missing and settings.chain.cluster is not Cluster.LOCALNET:
        raise errors.ConfigurationError(
            f"{missing[0]} is not set.",
            help=f"Set it, or {missing[0]}_FILE; only on localnet one is made up.",
        )
    made = dev_secrets.secrets_of(settings.state_dir) if missing else {}
    return {name: made[name] for name in missing}


def _callable(host: str) -> str:
    """The address at which a server that binds `host` can be called from here."""
    return "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
