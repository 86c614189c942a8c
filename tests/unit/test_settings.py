"""Settings: defaults, valid values of each variable, and errors for invalid ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from zmart import errors, settings
from zmart.settings import Secret

ROOT = Path(__file__).parents[2]
#: Secrets that cannot be given as a variable.
FILES_ONLY = {"BACKEND_AUTHORITY_PRIVATE_KEY_FILE", "DAGSTER_PASSWORD_FILE"}


def test_nothing_set_means_this_machine() -> None:
    """Without any variable everything is local: embedded Postgres, development chain, loopback."""
    loaded = settings.load({})

    assert loaded.postgres.is_embedded
    assert loaded.chain.is_development
    assert loaded.chain.cluster is settings.Cluster.LOCALNET
    assert loaded.chain.rpc_url.reveal() == "http://127.0.0.1:8899"
    assert loaded.chain.ws_url.reveal() == "ws://127.0.0.1:8900"
    assert (loaded.ports.api, loaded.ports.ws, loaded.ports.ingest) == (4000, 4001, 4002)
    assert loaded.hosts.api == "127.0.0.1"
    assert loaded.voting.dispute_voting_window_seconds == 259_200


def test_a_custom_node_is_devnet_by_default() -> None:
    """SOLANA_RPC_URL alone never means mainnet."""
    loaded = settings.load({"SOLANA_RPC_URL": "https://node.example.org/?api-key=k"})

    assert loaded.chain.cluster is settings.Cluster.DEVNET
    assert loaded.chain.ws_url.reveal() == "wss://node.example.org/?api-key=k"
    assert not loaded.chain.is_development
    assert "api-key" not in repr(loaded)
    assert loaded.chain.rpc_url in loaded.secrets()


def test_an_empty_variable_is_an_absent_one() -> None:
    """A line `API_PORT=` in a file means the default."""
    assert settings.load({"API_PORT": " ", "JWT_SECRET": ""}) == settings.load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "http"),
        ("API_PORT", "0"),
        ("API_PORT", "65536"),
        ("DEVCHAIN_PORT", "65535"),
        ("PGPORT", "-1"),
        ("LOG_LEVEL", "loud"),
        ("LEGACY_AUTH", "perhaps"),
        ("SOLANA_CLUSTER", "testnet"),
        ("SOLANA_CLUSTER", "mainnet"),
        ("SOLANA_RPC_URL", "api.devnet.solana.com"),
        ("SOLANA_RPC_URL", "http://[::1"),
        ("SOLANA_PROGRAM_ID_CORE", "6s8bbb"),
        ("SOLANA_PROGRAM_ID_CORE", "0OIl" * 11),
        ("DATABASE_URL", "mysql://db/zmart"),
        ("DATABASE_URL", "host=db dbname=zmart"),
        ("JWT_SECRET", "short"),
        ("JWT_SECRET", "a" * 32 + ",short"),
        ("HELIUS_AUTH_HEADER", "x"),
        ("HELIUS_AUTH_HEADER", "fifteen-letters"),
        ("HELIUS_AUTH_HEADER", '["a-long-enough-proof", "x"]'),
        ("HELIUS_AUTH_HEADER", '["a-long-enough-proof"'),
        ("HELIUS_AUTH_HEADER", '["a-long-enough-proof", 12345678901234567890]'),
        ("HELIUS_AUTH_HEADER", "[]"),
        ("HELIUS_WEBHOOK_SECRET", "short"),
        ("METRICS_TOKEN", "x"),
        ("OPERATOR_WALLETS", "6s8bbb"),
        ("PRO_WALLETS", "6s8bbb"),
        ("MAKER_WALLETS", "6s8bbb"),
        ("MODERATOR_WALLETS", "6s8bbb"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("PROPOSAL_APPROVAL_THRESHOLD", "70"),
        ("PROPOSAL_APPROVAL_THRESHOLD", "0.70001"),
        ("DISPUTE_THRESHOLD", "NaN"),
        ("MIN_PROPOSAL_VOTES", "0"),
        ("DISPUTE_VOTING_WINDOW", "3 days"),
        ("BROADCAST_URL", "kafka://x"),
        ("BALLOT_ELIGIBILITY", "friends"),
        ("CORS_ORIGINS", "app.example"),
        ("CORS_ORIGINS", "https://app.example/markets"),
        ("CORS_ORIGINS", "http://[::1"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGIN", "https://"),
    ],
)
def test_an_invalid_value_is_refused_by_name(name: str, value: str) -> None:
    """The error has the variable's name, and never a value that may be secret."""
    with pytest.raises(errors.ConfigurationError, match=name) as refusal:
        settings.load({name: value})

    assert refusal.value.help
    if name in {"JWT_SECRET", "DATABASE_URL", "BROADCAST_URL"}:
        assert value not in str(refusal.value)


def test_thresholds_are_exact_basis_points() -> None:
    """0.7 is 7000 basis points, not the nearest float."""
    loaded = settings.load({"PROPOSAL_APPROVAL_THRESHOLD": "0.7001", "DISPUTE_THRESHOLD": "1"})

    assert loaded.voting.proposal_approval_threshold_bps == 7_001
    assert loaded.voting.dispute_threshold_bps == 10_000


def test_lists_are_comma_separated() -> None:
    """Rotating secrets and origins are lists in order."""
    loaded = settings.load(
        {"JWT_SECRET": "n" * 32 + ", " + "o" * 32, "CORS_ORIGIN": "https://a.example, https://b.example,"}
    )

    assert [secret.reveal() for secret in loaded.api.jwt_secrets] == ["n" * 32, "o" * 32]
    assert loaded.api.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "api.example"])
def test_any_origin_needs_a_named_one_beside_it_on_a_public_host(host: str) -> None:
    """Wallets sign in to a named site: * alone leaves none if the API is not one itself."""
    with pytest.raises(errors.ConfigurationError, match=r"CORS_ORIGINS must be \* with at least one .*https://app"):
        settings.load({"CORS_ORIGINS": "*", "API_HOST": host})

    both = settings.load({"CORS_ORIGINS": "*, https://a.example/", "API_HOST": host})
    assert both.api.cors_origins == ("*", "https://a.example")
    assert settings.load({"CORS_ORIGINS": "*"}).api.cors_origins == ("*",)


def test_no_site_on_this_machine_is_a_default_on_mainnet() -> None:
    """A page on a user's own machine is trusted only where an operator names it; a public host needs a named site."""
    mainnet = {"SOLANA_RPC_URL": "https://node.example.org", "SOLANA_CLUSTER": "mainnet", "JWT_SECRET": "s" * 32}
    assert settings.load(mainnet).api.cors_origins == ()
    assert settings.load({**mainnet, "SOLANA_CLUSTER": "devnet"}).api.cors_origins[0] == "http://localhost:3000"
    named = {**mainnet, "API_HOST": "0.0.0.0", "CORS_ORIGINS": "http://localhost:3000"}
    assert settings.load(named).api.cors_origins == ("http://localhost:3000",)
    with pytest.raises(errors.ConfigurationError, match="CORS_ORIGINS must be at least one origin on mainnet"):
        settings.load({**mainnet, "API_HOST": "0.0.0.0"})


def test_headers_that_rotate_are_a_json_array() -> None:
    """One value is one header, whatever it contains; several are an array, in order."""
    one = settings.load({"HELIUS_AUTH_HEADER": "Basic aaaaaaaaaaaaaaaa,bbbbbbbbbbbbbbbb"})
    two = settings.load({"HELIUS_AUTH_HEADER": '["the-newer-header", "the-earlier-header"]'})
    assert [secret.reveal() for secret in one.ingest.auth_headers] == ["Basic aaaaaaaaaaaaaaaa,bbbbbbbbbbbbbbbb"]
    assert [secret.reveal() for secret in two.ingest.auth_headers] == ["the-newer-header", "the-earlier-header"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
@pytest.mark.parametrize("name", ["JWT_SECRET", "BACKEND_AUTHORITY_PRIVATE_KEY", "HELIUS_AUTH_HEADER", "PGPASSWORD"])
def test_a_secret_file_that_others_can_open_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    """With the command that corrects it, and without the secret."""
    file = tmp_path / "secret"
    file.write_text("0123456789abcdef" * 2)
    file.chmod(mode)
    with pytest.raises(errors.ConfigurationError, match=f"{name}_FILE .*mode {mode:04o}") as refusal:
        settings.load({f"{name}_FILE": str(file), "PGHOST": "db"})
    assert f"chmod 600 {file}" in str(refusal.value)
    assert "0123456789" not in str(refusal.value)


def test_a_secret_may_be_a_file(tmp_path: Path) -> None:
    """NAME_FILE is read instead of NAME, without the line end that an editor adds."""
    file = tmp_path / "secret"
    file.write_text("the secret in a file\n")
    file.chmod(0o600)

    loaded = settings.load({"HELIUS_WEBHOOK_SECRET_FILE": str(file)})

    assert loaded.ingest.webhook_secret == Secret("the secret in a file")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_secret_file_must_hold_a_secret(tmp_path: Path, content: bytes | None) -> None:
    """A missing, empty or binary file stops the start, and the message has the variable."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)

    with pytest.raises(errors.ConfigurationError, match="JWT_SECRET_FILE"):
        settings.load({"JWT_SECRET_FILE": str(file)})


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    """With two sources for one secret, the used one would be unclear."""
    file = tmp_path / "secret"
    file.write_text("one")
    file.chmod(0o600)

    with pytest.raises(errors.ConfigurationError, match="METRICS_TOKEN"):
        settings.load({"METRICS_TOKEN": "other", "METRICS_TOKEN_FILE": str(file)})


def test_no_secret_shows_in_repr() -> None:
    """Neither a log line nor a traceback of the settings shows a secret."""
    secret = "s3cr3t" * 8
    loaded = settings.load(
        {
            "JWT_SECRET": secret,
            "HELIUS_AUTH_HEADER": secret,
            "HELIUS_API_KEY": secret,
            "DATABASE_URL": f"postgresql://u:{secret}@h/d",
            "SOLANA_RPC_URL": f"https://node.example.org/?api-key={secret}",
            "ALERT_WEBHOOK_URL": f"https://hooks.example.org/{secret}",
            "IPFS_API_URL": f"https://id:{secret}@ipfs.example.org",
            "IPFS_PINNING_URL": f"https://pins.example.org/{secret}",
            "IPFS_GATEWAY_URL": f"https://gateway.example.org/{secret}",
        }
    )

    assert secret not in repr(loaded)
    assert secret not in str(loaded.api.jwt_secrets[0])
    assert sum(secret in found.reveal() for found in loaded.secrets()) == 10


def test_libpq_variables_select_a_server() -> None:
    """PGHOST and its companions work as they do for psql."""
    loaded = settings.load({"PGHOST": "db", "PGPORT": "6543", "PGUSER": "u@x", "PGPASSWORD": "p/w", "PGDATABASE": "z"})

    assert not loaded.postgres.is_embedded
    assert loaded.postgres.dsn("zmart_owner").startswith("postgresql://u%40x:p%2Fw@db:6543/z?")


def test_pgport_alone_is_the_embedded_port() -> None:
    """PGPORT without PGHOST moves the embedded server and selects no other."""
    loaded = settings.load({"PGPORT": "6543"})

    assert loaded.postgres.is_embedded
    assert loaded.postgres.embedded_port == 6543


def test_one_url_serves_every_role() -> None:
    """Without separate logins, a connection changes to the role when it starts."""
    loaded = settings.load(
        {
            "DATABASE_URL": "postgres://u:p@db:5432/z?sslmode=require",
            "DATABASE_URL_API": "postgresql://api:p@db/z",
        }
    )

    ingest = loaded.postgres.dsn("zmart_ingest")
    assert ingest == "postgresql://u:p@db:5432/z?sslmode=require&options=-c%20role%3Dzmart_ingest"
    assert loaded.postgres.dsn("zmart_api") == "postgresql://api:p@db/z"
    assert not loaded.postgres.has_own_login("zmart_ingest")
    assert loaded.postgres.has_own_login("zmart_api")


def test_embedded_logins_come_from_the_state_directory(tmp_path: Path) -> None:
    """The embedded server's file is enough; without it the message has the next step."""
    loaded = settings.load({"ZMART_STATE_DIR": str(tmp_path)})
    with pytest.raises(errors.ConfigurationError, match="zmart up"):
        loaded.postgres.dsn()

    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "server.json").write_text(
        json.dumps({"port": 5433, "database": "zmart", "data": "", "passwords": {"analyst": "pw"}})
    )

    assert loaded.postgres.dsn("analyst") == "postgresql://analyst:pw@127.0.0.1:5433/zmart"
    # A role that is newer than the running server gets its password at the next start.
    with pytest.raises(errors.ConfigurationError, match="no password for zmart_backup yet"):
        loaded.postgres.dsn("zmart_backup")


def test_dotenv_understands_what_people_write() -> None:
    """Comments, quotes, blanks and `export` are all common in such files."""
    text = """
# comment
A=1
export B = two words  # why
C="quoted # not a comment"
D='single'
E=
F=a#b
"""
    assert settings.dotenv(text) == {
        "A": "1",
        "B": "two words",
        "C": "quoted # not a comment",
        "D": "single",
        "E": "",
        "F": "a#b",
    }


def test_dotenv_names_the_line_it_cannot_read() -> None:
    """A line that is not an assignment is rejected with its number, without its content."""
    with pytest.raises(errors.ConfigurationError, match="line 2") as refusal:
        settings.dotenv("A=1\nsecret words\n")

    assert "secret words" not in str(refusal.value)


def test_environment_wins_over_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """.env supplies variables that the environment does not have."""
    (tmp_path / ".env").write_text("API_PORT=5000\nWS_PORT=5001\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_PORT", "6000")

    loaded = settings.load()

    assert (loaded.ports.api, loaded.ports.ws) == (6000, 5001)


def test_children_of_the_supervisor_leave_dotenv_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's settings come from its own environment, not from its neighbours'."""
    (tmp_path / ".env").write_text("JWT_SECRET=" + "x" * 40)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JWT_SECRET", raising=False)
    monkeypatch.setenv(settings.RUN_VARIABLE, "1")

    assert settings.load().api.jwt_secrets == ()


def test_removed_names_point_to_their_replacement() -> None:
    """Each variable of the earlier backend has a message with its replacement."""
    found = settings.replaced_variables({"REDIS_URL": "redis://x", "SUPABASE_URL": "y", "PINATA_API_KEY": ""})

    assert set(found) == {"REDIS_URL", "SUPABASE_URL"}
    assert "DATABASE_URL" in found["SUPABASE_URL"]


def test_env_example_lists_exactly_what_is_read() -> None:
    """.env.example and the code have the same settings."""
    env = settings.Environment({})
    settings.read(env)
    listed = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
    asked = {name for name in env.requested_names if not name.endswith("_FILE")}
    asked |= {name for name in env.requested_names if name in FILES_ONLY}

    # PGHOST decides whether the other PG variables are read at all.
    assert listed - {"PGUSER", "PGPASSWORD", "PGDATABASE"} == asked - {
        "PGUSER",
        "PGPASSWORD",
        "PGDATABASE",
    }


def test_the_development_chain_plays_mainnet_by_default() -> None:
    """Alpenglow, slots of 0.2 s, a node of 4.3, the present rent, and a share of version 1."""
    chain = settings.load({}).devchain

    assert (chain.consensus, chain.slot_ms, chain.node_version) == ("alpenglow", 200, (4, 3, 0))
    assert (chain.transaction_index, chain.webhook_index, chain.rent_lamports_per_byte) == (True, "within-block", 5_080)
    assert (chain.v1_percent, chain.vault_percent, chain.unexecuted_percent, chain.skipped_percent) == (15, 3, 0, 0)


def test_the_development_chain_plays_an_earlier_cluster() -> None:
    """Each switch is a variable; the third number of a version may be absent."""
    chain = settings.load(
        {
            "DEVCHAIN_CONSENSUS": "Tower",
            "DEVCHAIN_SLOT_MS": "400",
            "DEVCHAIN_NODE_VERSION": "3.1",
            "DEVCHAIN_TRANSACTION_INDEX": "false",
            "DEVCHAIN_WEBHOOK_INDEX": "both",
            "DEVCHAIN_RENT_PER_BYTE": "6960",
            "DEVCHAIN_V1_PERCENT": "0",
        }
    ).devchain

    assert (chain.consensus, chain.slot_ms, chain.node_version) == ("tower", 400, (3, 1, 0))
    assert (chain.transaction_index, chain.webhook_index, chain.rent_lamports_per_byte) == (False, "both", 6_960)
    assert chain.v1_percent == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVCHAIN_CONSENSUS", "raft"),
        ("DEVCHAIN_SLOT_MS", "19"),
        ("DEVCHAIN_NODE_VERSION", "4"),
        ("DEVCHAIN_NODE_VERSION", "4.3.0-beta"),
        ("DEVCHAIN_WEBHOOK_INDEX", "sometimes"),
        ("DEVCHAIN_RENT_PER_BYTE", "0"),
        ("DEVCHAIN_V1_PERCENT", "101"),
    ],
)
def test_a_switch_of_the_development_chain_is_refused_by_name(name: str, value: str) -> None:
    """The message names the variable."""
    with pytest.raises(errors.ConfigurationError, match=name):
        settings.load({name: value})


def test_an_address_of_postgres_may_name_several_hosts() -> None:
    """Each with its port; a port that is none is refused all the same."""
    both = "postgresql://zmart_api:p@127.0.0.1:5001,127.0.0.1:5002/zmart"
    found = settings.load({"DATABASE_URL_READ": both}).postgres.read_url
    assert found is not None
    assert found.reveal() == both
    with pytest.raises(errors.ConfigurationError, match="DATABASE_URL_READ"):
        settings.load({"DATABASE_URL_READ": "postgresql://zmart_api:p@127.0.0.1:5001,127.0.0.1:no/zmart"})
