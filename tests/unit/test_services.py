"""The services, their order, and the secrets of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from zmart import errors, settings
from zmart.cli.services import up
from zmart.run.supervisor import dagster_services, services
from zmart.run.supervisor.service import Service
from zmart.settings import Settings

JWT = "j" * 40
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def _plan(environ: dict[str, str], **choice: object) -> list[Service]:
    return services.plan(settings.load(environ), environ, **choice)  # type: ignore[arg-type]


@pytest.fixture
def local(tmp_path: Path) -> dict[str, str]:
    """Only the state directory is set, and an embedded server was started before."""
    (tmp_path / "postgres").mkdir()
    record = {
        "port": 5433,
        "database": "zmart",
        "data": "",
        "passwords": {role: f"pw-{role}" for role in settings.ROLES},
    }
    (tmp_path / "postgres" / "server.json").write_text(json.dumps(record))
    return {"ZMART_STATE_DIR": str(tmp_path)}


@pytest.fixture
def foreign(tmp_path: Path) -> dict[str, str]:
    """A configured server and cluster."""
    return {
        "ZMART_STATE_DIR": str(tmp_path),
        "DATABASE_URL": "postgresql://u:p@db/z",
        "SOLANA_RPC_URL": "https://node.example.org",
        "HELIUS_AUTH_HEADER": "a-header-of-helius",
        "JWT_SECRET": JWT,
        "BACKEND_KEYPAIR_PATH": "key.json",
        "ADMIN_KEYPAIR_PATH": "admin.json",
        "IPFS_API_URL": "https://id:password@ipfs.example.org",
        "IPFS_PINNING_TOKEN": "pin",
        "IPFS_GATEWAY_URL": "https://gateway.example.org/secret",
    }


def _environment(plan: list[Service], name: str) -> dict[str, str]:
    return dict(next(service for service in plan if service.name == name).launch().environment)


def test_the_documents_name_the_services_to_restart_for_each_secret(foreign: dict[str, str]) -> None:
    """Those, and no other, are started with another environment when the secret is another."""
    table = re.findall(r"^\| `(\w+)` \| ([\w, -]+) \|$", OPERATIONS.read_text(), re.MULTILINE)
    names = [name for name, _ in table]
    url = "postgresql://u:p@db/{}"
    environ = foreign | {name: url.format("z") for name in names if name.startswith("DATABASE_URL")}
    environ |= {"NATS_URL": "nats://bus.example.org"}
    environ |= {name: f"https://{name.replace('_', '-')}.example.org" for name in names if name not in environ}
    assert {*names} > {"JWT_SECRET", "METRICS_TOKEN", "ALERT_WEBHOOK_URL"}
    before = {service.name: service.launch().environment for service in _plan(environ)}

    for name, restarted in table:
        other = {**environ, name: url.format("other") if name.startswith("DATABASE_URL") else f"{environ[name]}x"}
        after = {service.name: service.launch().environment for service in _plan(other)}
        tasks = {"migrate", "history", "model-docs"}
        changed = [service for service in before if before[service] != after[service] and service not in tasks]
        assert ", ".join(changed) == restarted, name


def test_by_default_everything_runs_here(local: dict[str, str]) -> None:
    """Each depends on those before it."""
    names = [service.name for service in _plan(local)]

    assert names == [
        "postgres",
        "migrate",
        "devchain",
        "ingest",
        "api",
        "ws",
        "dagster-code",
        "dagster",
        "dagster-daemon",
        "history",
        "model-docs",
    ]


def test_what_is_yours_is_not_started(foreign: dict[str, str]) -> None:
    """A configured server and node replace ours."""
    assert [service.name for service in _plan(foreign)] == [
        "migrate",
        "ingest",
        "api",
        "ws",
        "dagster-code",
        "dagster",
        "dagster-daemon",
        "history",
        "model-docs",
    ]


def test_the_bus_and_the_relay_start_on_request(local: dict[str, str], foreign: dict[str, str]) -> None:
    """The relay also where a bus is configured; only the relay knows the bus's login."""
    bus = {"NATS_URL": "nats://login@bus.example.org"}
    plan = _plan(foreign | bus)
    assert [service.name for service in plan][-3:] == ["relay", "history", "model-docs"]
    assert [service.name for service in plan if "NATS_URL" in service.launch().environment] == ["relay"]

    plan = _plan(local, only=["nats", "relay"])
    assert [service.name for service in plan] == ["nats", "relay"]
    assert _environment(plan, "relay")["NATS_URL"] == plan[0].url == "nats://127.0.0.1:4222"
    with pytest.raises(errors.ConfigurationError, match="NATS_URL, the bus on which the relay publishes, is not set"):
        _plan(local, only=["relay"])


def test_only_what_was_asked_for(local: dict[str, str]) -> None:
    """--only lists services; traders include the chain that they trade on."""
    assert [service.name for service in _plan(local, only=["api"])] == ["api"]
    chain = _plan(local, only=["traders"])
    assert [service.name for service in chain] == ["devchain"]
    assert "--no-traders" not in chain[0].launch().command


@pytest.mark.parametrize("choice", [{"traders": False}, {"only": ["devchain"]}])
def test_the_chain_may_be_quiet(local: dict[str, str], choice: dict[str, object]) -> None:
    """Without traders the development chain acts only on request."""
    chain = next(service for service in _plan(local, **choice) if service.name == "devchain")

    assert chain.launch().command[-1] == "--no-traders"


def test_an_unknown_name_is_refused(local: dict[str, str]) -> None:
    """The error for a mistyped name lists the valid ones."""
    with pytest.raises(errors.ConfigurationError, match=r"'apy'.*postgres, devchain"):
        _plan(local, only=["apy"])


def test_demo_secrets_are_made_once(local: dict[str, str]) -> None:
    """On localnet no secret has to be set, and a generated one stays the same; only its owner may read it."""
    first, second = (_environment(_plan(local), "ingest") for _ in range(2))
    chain = _environment(_plan(local), "devchain")
    file = Path(local["ZMART_STATE_DIR"]) / "secrets.json"

    assert first["HELIUS_AUTH_HEADER"] == second["HELIUS_AUTH_HEADER"] == chain["HELIUS_AUTH_HEADER"]
    assert len(first["HELIUS_AUTH_HEADER"]) == 64
    assert file.stat().st_mode & 0o777 == 0o600


def test_switches_reach_the_development_chain(local: dict[str, str]) -> None:
    """What the environment or `zmart up --consensus` sets is in the chain's environment."""
    environ = _environment(_plan({**local, "DEVCHAIN_CONSENSUS": "tower", "DEVCHAIN_SLOT_MS": "400"}), "devchain")

    assert (environ["DEVCHAIN_CONSENSUS"], environ["DEVCHAIN_SLOT_MS"]) == ("tower", "400")


def test_the_option_is_stronger_than_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`zmart up --consensus tower` wins over DEVCHAIN_CONSENSUS; another word is refused."""
    environs: list[Mapping[str, str]] = []

    def plan(settings: Settings, environ: Mapping[str, str], **_: object) -> list[Service]:
        environs.append(environ)
        raise errors.NotFound("The test needs no services.")

    monkeypatch.setattr(services, "plan", plan)
    monkeypatch.setenv("DEVCHAIN_CONSENSUS", "alpenglow")
    for options in (["--consensus", "tower"], []):
        CliRunner().invoke(up, options)

    assert [environ["DEVCHAIN_CONSENSUS"] for environ in environs] == ["tower", "alpenglow"]
    assert CliRunner().invoke(up, ["--consensus", "raft"]).exit_code == 2


@pytest.mark.parametrize("name", ["HELIUS_AUTH_HEADER", "JWT_SECRET"])
def test_a_real_cluster_needs_real_secrets(foreign: dict[str, str], name: str) -> None:
    """On another cluster nothing is generated: the start fails."""
    del foreign[name]

    with pytest.raises(errors.ConfigurationError, match=f"{name} is not set"):
        _plan(foreign)


@pytest.mark.parametrize("only", ["api", "ws"])
def test_sql_over_http_needs_a_login_of_its_own(foreign: dict[str, str], only: str) -> None:
    """DATABASE_URL's login could change from the analyst's role to another one; a separate login is passed on."""
    foreign["ANALYST_SQL"] = "true"
    with pytest.raises(errors.ConfigurationError, match=r"DATABASE_URL_ANALYST.*alter role analyst password"):
        _plan(foreign, only=[only])
    assert _plan(foreign, only=["ingest"])

    foreign["DATABASE_URL_ANALYST"] = "postgresql://analyst:p@db/z"
    assert _environment(_plan(foreign), only)["DATABASE_URL_ANALYST"] == "postgresql://analyst:p@db/z"


def test_the_embedded_server_has_a_login_for_sql(local: dict[str, str]) -> None:
    """Nothing has to be set for SQL over HTTP there."""
    environment = _environment(_plan({**local, "ANALYST_SQL": "true"}), "api")

    assert environment["DATABASE_URL_ANALYST"] == "postgresql://analyst:pw-analyst@127.0.0.1:5433/zmart"


def test_hmac_alone_is_proof_enough(foreign: dict[str, str]) -> None:
    """One kind of proof for deliveries suffices."""
    del foreign["HELIUS_AUTH_HEADER"]
    foreign["HELIUS_WEBHOOK_SECRET"] = "a-key-for-signing"

    assert _environment(_plan(foreign), "ingest")["HELIUS_WEBHOOK_SECRET"] == "a-key-for-signing"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ingest", {"DATABASE_URL_INGEST", "HELIUS_AUTH_HEADER"}),
        ("api", {"DATABASE_URL_API", "JWT_SECRET", "IPFS_GATEWAY_URL"}),
        ("ws", {"DATABASE_URL_API", "JWT_SECRET", "IPFS_GATEWAY_URL"}),
        ("migrate", {"DATABASE_URL"}),
        (
            "dagster-code",
            {"DATABASE_URL", "DATABASE_URL_KEEPER", "BACKEND_KEYPAIR_PATH", "ADMIN_KEYPAIR_PATH"}
            | {"IPFS_API_URL", "IPFS_PINNING_TOKEN", "IPFS_GATEWAY_URL"},
        ),
        ("dagster", {"DATABASE_URL_KEEPER"}),
        ("dagster-daemon", {"DATABASE_URL_KEEPER"}),
    ],
)
def test_a_service_knows_what_its_work_takes(foreign: dict[str, str], name: str, known: set[str]) -> None:
    """The API cannot leak the webhook's secret, nor ingest the owner's password."""
    environment = _environment(_plan(foreign), name)
    secret = ("DATABASE_URL", "HELIUS_", "JWT_", "BACKEND_", "ADMIN_", "PG", "IPFS_")

    assert {variable for variable in environment if variable.startswith(secret)} == known
    assert environment["SOLANA_RPC_URL"] == "https://node.example.org"


def test_without_traders_no_key_is_promised(local: dict[str, str]) -> None:
    """The development chain creates keys for its traders alone; a path without a file failed every run of keepers."""
    plan = _plan(local, traders=False)
    keys = Path(local["ZMART_STATE_DIR"]) / "devchain" / "keys"
    before = _environment(plan, "dagster-code")
    keys.mkdir(parents=True)
    (keys / "backend.json").write_text("[]")

    assert not any("_KEYPAIR_PATH" in name for name in before)
    assert _environment(plan, "dagster-code")["BACKEND_KEYPAIR_PATH"] == str(keys / "backend.json")


def test_keepers_find_the_development_chains_keys(local: dict[str, str], foreign: dict[str, str]) -> None:
    """Only there, only if no others are set, and only in the process that signs."""
    keys = Path(local["ZMART_STATE_DIR"]) / "devchain" / "keys"
    own = {**local, "BACKEND_KEYPAIR_PATH": "mine.json"}

    assert _environment(_plan(local), "dagster-code")["BACKEND_KEYPAIR_PATH"] == str(keys / "backend.json")
    assert _environment(_plan(local), "dagster-code")["ADMIN_KEYPAIR_PATH"] == str(keys / "admin.json")
    assert _environment(_plan(own), "dagster-code")["BACKEND_KEYPAIR_PATH"] == "mine.json"
    assert not any("_KEYPAIR_PATH" in name for name in _environment(_plan(local), "dagster-daemon"))
    assert services.keeper_keys(settings.load(foreign)) == {}


def test_a_demonstration_can_be_left_to_keepers(local: dict[str, str], foreign: dict[str, str]) -> None:
    """Traders then send no backend transactions; a configured cluster has no traders."""
    environ = {**services.KEEPER_DEMO_ENVIRONMENT, **local}
    chain = next(service for service in _plan(environ, keepers=True) if service.name == "devchain")

    assert "--leave-to-keepers" in chain.launch().command
    assert not settings.load(environ).monitor.dry_run
    with pytest.raises(errors.ConfigurationError, match="works only with the development chain"):
        _plan(foreign, keepers=True)


def test_each_service_logs_in_as_itself(local: dict[str, str]) -> None:
    """On the embedded server every role has its own password."""
    plan = _plan(local)

    assert "zmart_ingest:pw-zmart_ingest@" in _environment(plan, "ingest")["DATABASE_URL_INGEST"]
    assert "zmart_api:pw-zmart_api@" in _environment(plan, "api")["DATABASE_URL_API"]


def test_dagster_starts_beside_the_others(local: dict[str, str]) -> None:
    """It needs only the schema, so its imports run early; its web interface and daemon need its code server."""
    after = {service.name: service.after for service in _plan(local)}

    assert after["dagster-code"] == ("migrate",)
    assert after["dagster"] == after["dagster-daemon"] == ("dagster-code",)
    assert after["api"] is None
    assert after["ws"] == ("migrate",)


def test_dagsters_storage_is_a_schema_of_its_own(local: dict[str, str]) -> None:
    """Dagster logs in as the keeper role, and its tables are in the schema dagster, with any user name."""
    url = _environment(_plan(local), "dagster")["DAGSTER_STORAGE_URL"]

    assert "zmart_keeper:pw-zmart_keeper@" in url
    assert (
        "options=-c%20search_path%3Ddagster%20-c%20jit%3Doff%20-c%20idle_in_transaction_session_timeout%3D30000" in url
    )
    assert url.endswith("lock_timeout%3D90s")


def test_a_deep_state_directory_still_gets_a_socket(tmp_path: Path) -> None:
    """The path of a Unix socket has at most 107 bytes; a longer one moves to the system's temporary folder."""
    deep = tmp_path / ("d" * 120)

    assert len(bytes(dagster_services.code_server_socket(deep))) <= 107
    assert dagster_services.code_server_socket(deep) != dagster_services.code_server_socket(tmp_path / ("e" * 120))
    assert dagster_services.code_server_socket(Path("/srv/zmart")) == Path("/srv/zmart/dagster/code.sock")


def test_dagsters_configuration_is_never_half_a_file(tmp_path: Path) -> None:
    """A full disk neither truncates it nor prevents a start of Dagster with the existing one."""
    dagster_services.prepare_home(tmp_path)
    target = tmp_path / "dagster" / "dagster.yaml"
    (tmp_path / "dagster" / "dagster.new").mkdir()
    dagster_services.prepare_home(tmp_path)

    target.write_text("of another checkout")
    with pytest.raises(OSError, match="directory"):
        dagster_services.prepare_home(tmp_path)

    assert target.read_text() == "of another checkout"
