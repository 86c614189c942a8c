"""The doctor's findings for given facts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from zmart import settings
from zmart.run.doctor import doctor_checks, package_checks
from zmart.run.doctor.doctor_checks import (
    ChainFacts,
    Finding,
    ModelFacts,
    PortFacts,
    PrivilegeFacts,
    RoleFacts,
    SecretFile,
    ServerFacts,
)
from zmart.settings import ROLES, Cluster, Role

DEVNET = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
PROGRAM = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
WELL: dict[Role, str] = dict.fromkeys(ROLES, "")


def answers(found: Sequence[Finding]) -> list[str]:
    """Return the answers alone."""
    return [finding.answer for finding in found]


def messages(found: Sequence[Finding]) -> str:
    """Return all messages, with the steps."""
    return "\n".join(f"{finding.message} -> {finding.step}" for finding in found)


def test_only_a_no_is_a_failure() -> None:
    """A warning and a skipped check do not fail the command."""
    one = {word: Finding(check="x", answer=word, message="") for word in ("yes", "warn", "no", "skip")}  # type: ignore[arg-type]

    assert doctor_checks.has_no_failure([one["yes"], one["warn"], one["skip"]])
    assert not doctor_checks.has_no_failure([one["yes"], one["no"]])


LOCK = """\
# comment
one==1.0 \\
    --hash=sha256:aa
Two_b==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:bb
three==3.0
"""


def test_a_lock_is_read() -> None:
    """Names, versions, and which of them depend on the machine."""
    found = [(pin.name, pin.version, pin.is_conditional) for pin in package_checks.parse_pins(LOCK)]
    assert found == [("one", "1.0", False), ("Two_b", "2.0", True), ("three", "3.0", False)]


@pytest.mark.parametrize(
    ("version", "installed", "answer", "words"),
    [
        ((3, 11), {"one": "1.0", "three": "3.0"}, "yes", "3 packages as locked"),
        ((3, 11), {"one": "1.0", "three": "3.0", "two-b": "2.1"}, "no", "Two_b 2.1 (locked 2.0)"),
        ((3, 11), {"one": "1.1", "three": "3.0"}, "no", "one 1.1 (locked 1.0)"),
        ((3, 11), {"three": "3.0"}, "no", "one missing (locked 1.0)"),
        ((3, 12), {"one": "1.0", "three": "3.0"}, "yes", "Python 3.12"),
        ((3, 13), {"one": "1.0", "three": "3.0"}, "yes", "Python 3.13"),
        ((3, 10), {"one": "1.0", "three": "3.0"}, "no", "Python 3.10"),
        ((3, 14), {"one": "1.0", "three": "3.0"}, "no", "Python 3.14"),
    ],
)
def test_python(version: tuple[int, int], installed: dict[str, str], answer: str, words: str) -> None:
    """The interpreter is supported and every package is the locked one; one for another machine may be missing."""
    found = package_checks.check_python(version, package_checks.parse_pins(LOCK), installed)
    assert answers(found) == [answer]
    assert words in messages(found)


def test_python_without_a_lock() -> None:
    """Outside a checkout there is nothing to compare with."""
    assert answers(package_checks.check_python((3, 11), None, {})) == ["warn"]


def test_state() -> None:
    """Our secrets are 0600 or it is a no; a configured file is a warning; a missing one of ours is fine."""
    key, mounted = Path("key.json"), Path("mounted")
    good = doctor_checks.check_state_dir(Path("s"), is_writable=True, secrets=[SecretFile(path=key, mode=0o600)])
    new = doctor_checks.check_state_dir(Path("s"), is_writable=True, secrets=[SecretFile(path=key, mode=None)])
    bad = doctor_checks.check_state_dir(
        Path("s"),
        is_writable=False,
        secrets=[
            SecretFile(path=key, mode=0o640),
            SecretFile(path=mounted, mode=0o444, is_foreign=True),
            SecretFile(path=mounted, mode=None, is_foreign=True),
        ],
    )

    assert (answers(good), answers(new), answers(bad)) == (["yes"], ["yes"], ["no", "no", "warn", "no"])
    assert "chmod 600 key.json" in messages(bad)


def test_ports() -> None:
    """Free ports and ours are fine; another program's and a port set twice are not."""
    free = PortFacts(variable="API_PORT", number=4000, holder=None)
    ours = PortFacts(variable="INGEST_PORT", number=4002, holder="ingest")
    taken = PortFacts(variable="WS_PORT", number=4001, holder="")
    twice = PortFacts(variable="WS_PORT", number=4000, holder=None)

    assert messages(doctor_checks.check_ports([free, ours])) == (
        "1 port is free. Our services listen on 4002 (ingest). -> "
    )
    assert messages(doctor_checks.check_ports([ours])) == "Our services listen on 4002 (ingest). -> "
    assert messages(doctor_checks.check_ports([free, taken])).startswith("WS_PORT 4001 is in use")
    assert "API_PORT and WS_PORT are both 4000" in messages(doctor_checks.check_ports([free, twice]))


@pytest.mark.parametrize(
    ("version", "changed", "answer"),
    [
        (150004, {}, "yes"),
        (180006, {"synchronous_commit": "remote_apply"}, "yes"),
        (140011, {}, "no"),
        (190000, {}, "warn"),
        (180006, {"fsync": "off"}, "no"),
        (180006, {"full_page_writes": "off"}, "no"),
        (180006, {"synchronous_commit": "off"}, "no"),
    ],
)
def test_postgres(version: int, changed: dict[str, str], answer: str) -> None:
    """A supported version, and every commit flushed to disk."""
    found = doctor_checks.check_postgres(ServerFacts(version=version, parameters={**DURABLE, **changed}))
    assert answers(found) == [answer]
    for name in changed:
        assert answer == "yes" or f"set {name} = on" in messages(found)


@pytest.mark.parametrize(
    ("url", "is_proven", "kind", "answer"),
    [
        ("postgresql://u:p@db.example.org/z", False, None, "yes"),
        ("postgresql://u:p@db.example.org/z", True, "transaction", "no"),
        ("postgresql://u.x:p@aws-0-eu.pooler.supabase.com:6543/postgres", False, "transaction", "no"),
        ("postgresql://u.x:p@aws-0-eu.pooler.supabase.com:5432/postgres", False, "session", "yes"),
        ("postgresql://u:p@db.x.supabase.co:5432/postgres", False, None, "yes"),
        ("postgresql://u:p@bouncer:6432/z", False, "unknown", "warn"),
        ("postgresql://u:p@h/z?pgbouncer=true", False, "transaction", "no"),
    ],
)
def test_poolers(url: str, is_proven: bool, kind: doctor_checks.Pooler | None, answer: str) -> None:
    """A pooler that does not preserve sessions is rejected, by its address or by its behaviour."""
    assert doctor_checks.detect_pooler(url, is_transaction_mode=is_proven) == kind
    found = doctor_checks.check_postgres(ServerFacts(version=180006, parameters=DURABLE, pooler=kind))
    assert answers(found) == [answer]


def test_what_zmart_up_would_start() -> None:
    """An embedded server that does not run yet is a warning, a configured one that does not answer is a no."""
    assert answers(doctor_checks.report_unreachable("postgres", "gone", starts_with_up=True)) == ["warn"]
    assert answers(doctor_checks.report_unreachable("postgres", "gone", starts_with_up=False)) == ["no"]
    assert answers(doctor_checks.report_skipped("roles", "Postgres failed; see the check above.")) == ["skip"]


def test_roles() -> None:
    """Each role exists, can be acted as, is under row security, and has exactly its rights."""
    seen = [RoleFacts(name=name, is_superuser=False, bypasses_rls=name == "zmart_backup") for name in ROLES]
    above = [*seen[:2], RoleFacts(name=seen[2].name, is_superuser=False, bypasses_rls=True), *seen[3:]]
    more = PrivilegeFacts(role="zmart_api", privilege="INSERT", relation="raw.events", has=True, should=False)
    less = PrivilegeFacts(role="analyst", privilege="SELECT", relation="marts.markets", has=False, should=True)
    none_yet = PrivilegeFacts(role="analyst", privilege="SELECT", relation="marts.markets", has=None, should=True)

    assert answers(doctor_checks.check_roles(seen, WELL, [none_yet])) == ["yes"]
    for is_superuser, answer, step in ((False, "warn", "zmart_backup bypassrls"), (True, "no", "zmart_backup nosuper")):
        other = RoleFacts(name="zmart_backup", is_superuser=is_superuser, bypasses_rls=False)
        found = doctor_checks.check_roles([*seen[:-1], other], WELL, [])
        assert answers(found) == [answer]
        assert step in messages(found)
    assert "zmart_owner is missing" in messages(doctor_checks.check_roles(seen[1:], WELL, []))
    assert "alter role zmart_api nosuperuser nobypassrls" in messages(doctor_checks.check_roles(above, WELL, []))
    assert "act as analyst: no." in messages(doctor_checks.check_roles(seen, {**WELL, "analyst": "no."}, []))
    assert "revoke INSERT on raw.events from zmart_api;" in messages(doctor_checks.check_roles(seen, WELL, [more]))
    assert "grant SELECT on marts.markets to analyst;" in messages(doctor_checks.check_roles(seen, WELL, [less]))


def test_migrations_and_models() -> None:
    """A missing migration is one command away; an edited one needs an operator."""
    assert answers(doctor_checks.check_migrations([], None)) == ["yes"]
    assert "zmart migrate" in messages(doctor_checks.check_migrations(["0009_x.sql"], None))
    assert answers(doctor_checks.check_migrations([], "0001_log.sql was edited.")) == ["no"]
    assert answers(doctor_checks.check_models(ModelFacts(is_current=True, names=["markets"]))) == ["yes"]
    assert answers(doctor_checks.check_models(ModelFacts(is_current=False, names=["markets"]))) == ["warn"]
    assert answers(doctor_checks.check_models(ModelFacts(is_current=None))) == ["no"]
    stale = ModelFacts(is_current=True, names=["markets"], stale={"markets": "division by zero"})
    assert "division by zero -> zmart rebuild markets" in messages(doctor_checks.check_models(stale))
    behind = doctor_checks.check_models(
        ModelFacts(is_current=True, names=["markets"], behind={"markets": "lock timeout"})
    )
    assert [(finding.answer, finding.step) for finding in behind] == [("warn", "zmart status")]


def test_the_environment() -> None:
    """Old names have a replacement, near misses a suggestion; values are never shown, other variables are ignored."""
    environ = {
        "SUPABASE_URL": "https://secret.example.org",
        "DATABASE_ULR": "postgresql://u:secret@h/z",
        "SOLANA_RPC": "https://secret",
        "GRAFANA_URL": "https://secret",
        "PATH": "/bin",
        "APP_PORT": "1",
        "API_PROT": "4040",
        "API_PORT": "4000",
        "JWT_SECERT": "",
    }
    found = doctor_checks.check_environment(
        environ, {"GRAFANA_URL"}, {"DATABASE_URL", "API_PORT", "SOLANA_RPC_URL", "JWT_SECRET"}
    )
    words = messages(found)

    assert set(answers(found)) == {"warn"}
    assert len(found) == 5
    assert "SUPABASE_URL is no longer used. -> Set DATABASE_URL" in words
    assert "No setting is named DATABASE_ULR. -> Did you mean DATABASE_URL?" in words
    assert "No setting is named API_PROT. -> Did you mean API_PORT?" in words
    assert "No setting is named SOLANA_RPC." in words
    assert "No setting is named GRAFANA_URL. -> Remove it" in words
    assert "secret" not in words.lower()


def test_a_plain_environment_is_well() -> None:
    """Every variable of the settings is known, the example file's included."""
    root = Path(__file__).parents[2]
    named = re.findall(r"^#?([A-Z][A-Z_]+)=", (root / ".env.example").read_text(), re.MULTILINE)
    asked = settings.Environment({})
    settings.read(asked)

    assert answers(doctor_checks.check_environment(dict.fromkeys(named, "1"), named, asked.requested_names)) == ["yes"]


CONFIG = {"admin": "A", "backend_authority": "B"}


@pytest.mark.parametrize(
    ("seen", "cluster", "answer", "words"),
    [
        (ChainFacts(genesis_hash=DEVNET, config=CONFIG), Cluster.DEVNET, "yes", "On devnet"),
        (
            ChainFacts(genesis_hash=DEVNET, config=CONFIG),
            Cluster.MAINNET,
            "no",
            "is mainnet, but the node is on devnet",
        ),
        (ChainFacts(genesis_hash="x", config=CONFIG), Cluster.LOCALNET, "yes", "On localnet"),
        (ChainFacts(genesis_hash=DEVNET, config=None), Cluster.DEVNET, "no", "has no configuration"),
        (ChainFacts(genesis_hash=DEVNET, config=None, undecodable="Odd."), Cluster.DEVNET, "no", "Odd."),
        (
            ChainFacts(genesis_hash=DEVNET, config=CONFIG, keys={"admin": "A", "backend_authority": "B"}),
            Cluster.DEVNET,
            "yes",
            "",
        ),
        (
            ChainFacts(genesis_hash=DEVNET, config=CONFIG, keys={"backend_authority": "C"}),
            Cluster.DEVNET,
            "no",
            "The key C is not the program's backend_authority, which is B.",
        ),
        (ChainFacts(genesis_hash=DEVNET, config=CONFIG, unusable_keys=["Open."]), Cluster.DEVNET, "no", "Open."),
    ],
)
def test_the_chain(seen: ChainFacts, cluster: Cluster, answer: str, words: str) -> None:
    """The cluster is the configured one, the program is configured, keys have their roles."""
    found = doctor_checks.check_chain(seen, cluster, PROGRAM)
    assert answers(found) == [answer]
    assert words in messages(found)


@pytest.mark.parametrize(
    ("ahead", "answer"), [(0, "yes"), (-59, "yes"), (61, "warn"), (-61, "warn"), (601, "no"), (-601, "no")]
)
def test_the_clock(ahead: float, answer: str) -> None:
    """Deadlines follow the chain's clock; a minute off is a warning, ten are a no."""
    assert answers(doctor_checks.check_clock(ahead)) == [answer]


@pytest.mark.parametrize(
    ("environ", "cluster", "answer"),
    [
        ({}, Cluster.LOCALNET, "yes"),
        ({}, Cluster.DEVNET, "no"),
        ({"HELIUS_AUTH_HEADER": "a-long-enough-proof"}, Cluster.DEVNET, "yes"),
        ({"HELIUS_WEBHOOK_SECRET": "a-long-enough-proof"}, Cluster.MAINNET, "yes"),
        ({"HELIUS_AUTH_HEADER": '["a-long-enough-proof", "another-long-one"]'}, Cluster.DEVNET, "yes"),
    ],
)
def test_webhooks(environ: dict[str, str], cluster: Cluster, answer: str) -> None:
    """On a real cluster a delivery needs a proof; the proof is never shown."""
    found = doctor_checks.check_webhook(settings.load(environ).ingest, cluster)
    assert answers(found) == [answer]
    assert not any(proof in messages(found) for proof in environ.values())


def test_without_a_webhook_transactions_may_come_by_grpc() -> None:
    """Then no proof of deliveries is needed."""
    ingest = settings.load({}).ingest
    assert answers(doctor_checks.check_webhook(ingest, Cluster.MAINNET)) == ["no"]
    assert answers(doctor_checks.check_webhook(ingest, Cluster.MAINNET, has_grpc=True)) == ["yes"]


@pytest.mark.parametrize(
    ("url", "first_slot", "has_token", "answer", "word"),
    [
        ("https://grpc.example.org", 7, True, "yes", "from slot 7"),
        ("https://grpc.example.org", None, True, "warn", "left to the walk"),
        ("http://grpc.example.org", 7, True, "warn", "without encryption"),
        ("http://grpc.example.org", 7, False, "yes", "from slot 7"),
        ("http://127.0.0.1:8901", 7, True, "yes", "from slot 7"),
    ],
)
def test_a_grpc_server(url: str, first_slot: int | None, has_token: bool, answer: str, word: str) -> None:
    """It should replay, and a key should not travel in the clear."""
    found = doctor_checks.check_grpc(url, "4.3.0", first_slot, has_token=has_token)
    assert answers(found) == [answer]
    assert word in messages(found)


@pytest.mark.parametrize(
    ("environ", "answer", "word"),
    [
        ({"SOLANA_CLUSTER": "mainnet"}, "yes", "an operator"),
        ({"SOLANA_CLUSTER": "mainnet", "KEEPER_APPROVES": "false"}, "yes", "an operator"),
        ({"SOLANA_CLUSTER": "mainnet", "KEEPER_APPROVES": "true"}, "warn", "on mainnet without an operator"),
        ({"SOLANA_CLUSTER": "devnet"}, "yes", "keepers"),
        ({"SOLANA_CLUSTER": "devnet", "KEEPER_APPROVES": "false"}, "yes", "an operator"),
    ],
)
def test_keepers_that_approve_on_mainnet_are_a_warning(environ: dict[str, str], answer: str, word: str) -> None:
    """KEEPER_APPROVES is on by default, and off on mainnet."""
    loaded = settings.load({"SOLANA_RPC_URL": "https://node.example.org", **environ})
    found = doctor_checks.check_keepers(loaded.keepers, loaded.chain.cluster, has_admin=True)
    assert answers(found) == [answer]
    assert word in messages(found)
