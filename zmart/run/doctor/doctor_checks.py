"""What the doctor thinks of what it saw: facts in, findings out, and nothing touched.

Each function judges one check. It takes what was seen as plain values and returns at least one finding: one `yes`,
or what is wrong, each with the next step. `no` means it cannot work or is not safe; `warn` that a person should
look; `skip` that there was nothing to judge, because something it stands on is missing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from zmart import settings
from zmart.chain import client, helius
from zmart.settings import ROLES, Cluster, Role

Answer: TypeAlias = Literal["yes", "warn", "no", "skip"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's list."""

    check: str
    answer: Answer
    message: str
    #: What to do next; empty where nothing is to be done.
    step: str = ""


class Check:
    """Findings of one check; `yes` holds only where nothing else was said."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[Finding] = []

    def fail(self, message: str, step: str) -> None:
        """It cannot work."""
        self._add("no", message, step)

    def warn(self, message: str, step: str) -> None:
        """A person should look."""
        self._add("warn", message, step)

    def skip(self, message: str) -> list[Finding]:
        """There was nothing to judge."""
        self._add("skip", message, "")
        return self._found

    def finish(self, message: str) -> list[Finding]:
        """What was found, or yes with `said`."""
        if not self._found:
            self._add("yes", message, "")
        return self._found

    def _add(self, answer: Answer, message: str, step: str) -> None:
        self._found.append(Finding(check=self._name, answer=answer, message=message, step=step))


def has_no_failure(findings: Iterable[Finding]) -> bool:
    """Whether nothing is a no."""
    return all(finding.answer != "no" for finding in findings)


# --- Python -----------------------------------------------------------------------------------

PYTHON = (3, 11)
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)\s*(;?)")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One package of a lock."""

    name: str
    version: str
    #: Installed only where its marker holds.
    is_conditional: bool


def parse_pins(lock: str) -> list[Pin]:
    """The packages of a requirements file."""
    found = (_PIN.match(line) for line in lock.splitlines())
    return [Pin(name=match[1], version=match[2], is_conditional=bool(match[3])) for match in found if match]


def check_python(version: tuple[int, int], lock: Sequence[Pin] | None, installed: Mapping[str, str]) -> list[Finding]:
    """The interpreter, and whether what is installed is what the lock says; `installed` by canonical name."""
    check = Check("python")
    if version != PYTHON:
        check.fail(f"This is Python {version[0]}.{version[1]}.", "make setup PYTHON=/path/to/python3.11")
    if lock is None:
        check.warn("There is no requirements.lock to compare with.", "Run from a checkout, with its .venv.")
    differing = [difference for pin in lock or () if (difference := _difference(pin, installed))]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        check.fail(f"Not as locked: {', '.join(differing[:3])}{more}.", "rm -f .venv/.ready && make setup")
    return check.finish(f"Python {version[0]}.{version[1]}, {len(lock or ())} packages as locked.")


def _difference(pin: Pin, installed: Mapping[str, str]) -> str:
    have = installed.get(canonical_name(pin.name))
    if have == pin.version or (have is None and pin.is_conditional):
        return ""
    return f"{pin.name} {have or 'missing'} (locked {pin.version})"


def canonical_name(name: str) -> str:
    """A package's name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the state directory ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SecretFile:
    """A file that holds a secret."""

    path: Path
    #: Permission bits; None where the file does not exist or may not be looked at.
    mode: int | None
    #: Named by a variable and kept by others, such as a mounted secret; a warning is enough.
    is_foreign: bool = False


def check_state_dir(directory: Path, *, is_writable: bool, secrets: Sequence[SecretFile]) -> list[Finding]:
    """The state directory, and who may read the secrets."""
    check = Check("state")
    if not is_writable:
        check.fail(f"{directory} is not writable.", "Correct its rights, or set ZMART_STATE_DIR.")
    for secret in secrets:
        if secret.mode is None and secret.is_foreign:
            check.fail(f"{secret.path} cannot be read.", "Correct the path or its rights.")
        elif secret.mode is not None and secret.mode & 0o077:
            report = check.warn if secret.is_foreign else check.fail
            report(f"{secret.path} can be opened by others (mode {secret.mode:04o}).", f"chmod 600 {secret.path}")
    count = sum(secret.mode is not None for secret in secrets)
    summary = f"the {count} files with secrets are their owner's alone" if count else "no file with secrets yet"
    return check.finish(f"{directory} is writable; {summary}.")


# --- ports ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PortFacts:
    """A port that a service wants."""

    variable: str
    number: int
    #: Who answers there: None nobody, "" a stranger, else the service's name.
    holder: str | None


def check_ports(facts: Sequence[PortFacts]) -> list[Finding]:
    """Every port is free, or held by the service it is for; no two want the same."""
    check = Check("ports")
    by_number: dict[int, str] = {}
    for port in facts:
        other = by_number.setdefault(port.number, port.variable)
        if other != port.variable:
            check.fail(f"{other} and {port.variable} are both {port.number}.", f"Set {port.variable} to another port.")
        elif port.holder == "":
            step = f"Stop what holds it, or set {port.variable}."
            check.fail(f"{port.variable} {port.number} is taken by something else.", step)
    busy = [f"{port.number} {port.holder}" for port in facts if port.holder]
    return check.finish(f"{len(facts) - len(busy)} free" + (f", ours: {', '.join(busy)}." if busy else "."))


# --- Postgres ---------------------------------------------------------------------------------

OLDEST_POSTGRES, NEWEST_POSTGRES = 15, 18
#: What makes "committed" mean "on disk"; the stricter values of synchronous_commit include it.
DURABLE: Mapping[str, frozenset[str]] = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": frozenset({"on", "local", "remote_write", "remote_apply"}),
}

Pooler: TypeAlias = Literal["session", "transaction", "unknown"]


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """A server that answered."""

    #: 180006 for 18.6.
    version: int
    #: As the writer's role has them.
    parameters: Mapping[str, str]
    pooler: Pooler | None = None


def detect_pooler(url: str, backend_pids: Sequence[int] = ()) -> Pooler | None:
    """Whether something pools connections in front of the server, as far as its address or behaviour tells.

    Statements of one connection that ran in several backends are proof. Supabase's pooler keeps sessions on 5432
    and transactions on 6543; PgBouncer listens on 6432 in either mode.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if len(set(backend_pids)) > 1 or parts.port == 6543 or query.get("pgbouncer") == ["true"]:
        return "transaction"
    if re.search(r"\bpooler\b", parts.hostname or ""):
        return "session" if parts.port in (None, 5432) else "unknown"
    return "unknown" if parts.port == 6432 else None


def check_postgres(facts: ServerFacts) -> list[Finding]:
    """A version we know, every commit on disk, and sessions that last."""
    check = Check("postgres")
    major = facts.version // 10_000
    if major < OLDEST_POSTGRES:
        check.fail(f"The server is Postgres {major}.", f"Use {OLDEST_POSTGRES} to {NEWEST_POSTGRES}: MERGE needs it.")
    if major > NEWEST_POSTGRES:
        check.warn(f"Postgres {major} is newer than what this was tried with.", f"Prefer {NEWEST_POSTGRES}.")
    for name, accepted in DURABLE.items():
        if facts.parameters.get(name) not in accepted:
            message = f"{name} is {facts.parameters.get(name)}: a delivery that was acknowledged could be lost."
            check.fail(message, f"alter system set {name} = on; select pg_reload_conf();")
    _check_pooler(check, facts.pooler)
    return check.finish(f"Postgres {major}.{facts.version % 10_000}, every commit is on disk.")


def _check_pooler(check: Check, kind: Pooler | None) -> None:
    """LISTEN, temporary tables and prepared statements live in a session."""
    if kind == "transaction":
        step = "Use the direct or session-mode address (Supabase: port 5432)."
        check.fail("DATABASE_URL leads to a transaction pooler, which does not keep sessions.", step)
    if kind == "unknown":
        step = "Make sure that it is in session mode, or use the direct address."
        check.warn("DATABASE_URL seems to lead to a pooler.", step)


def report_unreachable(check: str, reason: str, *, starts_with_up: bool) -> list[Finding]:
    """Something does not answer; where `zmart up` would start it and does not run, that is no fault."""
    found = Check(check)
    if starts_with_up:
        found.warn(reason, "Start it: zmart up")
    else:
        found.fail(reason, "See that it runs and can be reached from here.")
    return found.finish("")


def report_skipped(check: str, reason: str) -> list[Finding]:
    """A check that has nothing to look at."""
    return Check(check).skip(reason)


# --- roles ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RoleFacts:
    """A role of the database."""

    name: str
    is_superuser: bool
    bypasses_rls: bool


@dataclass(frozen=True, kw_only=True)
class PrivilegeFacts:
    """Something a role must be able to do, or must not."""

    role: str
    privilege: str
    relation: str
    #: None where the relation does not exist (yet).
    has: bool | None
    should: bool


def check_roles(
    facts: Sequence[RoleFacts], logins: Mapping[Role, str], privileges: Sequence[PrivilegeFacts]
) -> list[Finding]:
    """The roles exist, can be acted as, and may do what they must and nothing else.

    `logins` says for each role why acting as it failed, "" where it did not.
    """
    check = Check("roles")
    by_name = {role.name: role for role in facts}
    for name in ROLES:
        role = by_name.get(name)
        if role is None:
            check.fail(f"The role {name} is missing.", "zmart migrate")
        elif logins.get(name):
            check.fail(f"Nothing can act as {name}: {logins[name]}", f"grant {name} to the user of DATABASE_URL;")
        elif name != "zmart_owner" and (role.is_superuser or role.bypasses_rls):
            check.fail(f"{name} is above row security.", f"alter role {name} nosuperuser nobypassrls;")
    for privilege in privileges:
        if privilege.has is not None and privilege.has != privilege.should:
            can = "can" if privilege.has else "cannot"
            verb, preposition = ("revoke", "from") if privilege.has else ("grant", "to")
            step = f"{verb} {privilege.privilege} on {privilege.relation} {preposition} {privilege.role};"
            check.fail(f"{privilege.role} {can} {privilege.privilege} {privilege.relation}.", step)
    return check.finish(f"{len(ROLES)} roles, each with its rights and no more.")


# --- schema and models ------------------------------------------------------------------------


def check_migrations(pending: Sequence[str], conflict: str | None) -> list[Finding]:
    """Every file is applied and none was edited; `refused` is what the history says against the files."""
    check = Check("migrations")
    if conflict is not None:
        check.fail(conflict, "Do not migrate before that is understood.")
    if pending:
        check.fail(f"Not applied yet: {', '.join(pending)}.", "zmart migrate")
    return check.finish("All applied, none edited since.")


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """The folded models of a database."""

    #: Whether what is deployed is what the sources say; None where nothing was deployed.
    is_current: bool | None
    #: All of them; the stale ones with why they stopped.
    names: Sequence[str] = ()
    stale: Mapping[str, str] = field(default_factory=dict)
    #: Those that are retried, with why.
    behind: Mapping[str, str] = field(default_factory=dict)


def check_models(facts: ModelFacts) -> list[Finding]:
    """The models are deployed as the sources have them, and all follow the log."""
    check = Check("models")
    if facts.is_current is None:
        check.fail("No models are deployed.", "zmart migrate")
    elif not facts.is_current:
        check.warn("The sources of the models changed since they were deployed.", "zmart migrate")
    for name, reason in facts.stale.items():
        check.fail(f"{name} stopped following the log: {reason}", f"zmart rebuild {name}")
    for name, reason in facts.behind.items():
        check.warn(f"{name} is behind the log and retried: {reason}", "zmart status")
    return check.finish(f"{len(facts.names)} models follow the log.")


# --- the environment --------------------------------------------------------------------------

#: Prefixes that are ours: what begins so and is not read is a mistake.
_OWN_PREFIXES = (
    "ZMART_",
    "SOLANA_",
    "HELIUS_",
    "MARKET_MONITOR_",
    "DISPUTE_",
    "DATABASE_URL",
    "BACKEND_AUTHORITY_",
    "DEVCHAIN_",
)
#: Not settings of a service, and still ours.
_OTHER_KNOWN_NAMES = frozenset({"ZMART_TEST_DSN", settings.RUN_VARIABLE})
#: `DATABASE_ULR` is that close to a name of ours, `APP_PORT` is not.
_SIMILARITY_CUTOFF = 0.9


def check_environment(environ: Mapping[str, str], written: Iterable[str], known: Iterable[str]) -> list[Finding]:
    """Names that nothing reads: those of the earlier backend, and those that look like slips of the pen.

    `written` are the names in `.env`, which are all meant for us; `known` are the names that are read. Values are
    never repeated.
    """
    check = Check("environment")
    names = frozenset(known) | _OTHER_KNOWN_NAMES
    for name, instead in settings.replaced_variables(environ).items():
        check.warn(f"{name} is not read any more.", f"{instead[0].upper()}{instead[1:]}.")
    for name, alike in _misspelled_names(environ, frozenset(written), names):
        check.warn(f"Nothing reads {name}.", f"Did you mean {alike}?" if alike else "Remove it, or correct the name.")
    used = sum(bool(environ.get(name, "").strip()) for name in names)
    return check.finish(f"{used} of our variables are set, all of them read.")


def _misspelled_names(
    environ: Mapping[str, str], written: frozenset[str], known: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for name in sorted(environ.keys() - known - settings.REPLACED_VARIABLES.keys()):
        (alike,) = difflib.get_close_matches(name, sorted(known), 1, _SIMILARITY_CUTOFF) or ("",)
        if environ[name].strip() and (alike or name in written or name.startswith(_OWN_PREFIXES)):
            yield name, alike


# --- the chain --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ChainFacts:
    """A cluster that answered."""

    genesis_hash: str
    #: The fields of the program's configuration; None where its account does not exist.
    config: Mapping[str, Any] | None
    #: Why the account could not be read as a configuration.
    undecodable: str = ""
    #: Addresses of the keys that are configured, by the field of the configuration they must be.
    keys: Mapping[str, str] = field(default_factory=dict)
    #: Why a configured key cannot be used.
    unusable_keys: Sequence[str] = ()


def check_chain(facts: ChainFacts, cluster: Cluster, program_id: str) -> list[Finding]:
    """The right cluster, the program on it, and keys that have the roles they are for."""
    check = Check("chain")
    actual = client.cluster_by_genesis_hash(facts.genesis_hash)
    if actual != cluster.value:
        message = f"SOLANA_CLUSTER says {cluster.value}, the node is on {actual} (genesis hash {facts.genesis_hash})."
        check.fail(message, f"Set SOLANA_RPC_URL to a node of {cluster.value}, or SOLANA_CLUSTER to what you mean.")
    if facts.undecodable:
        check.fail(facts.undecodable, "Check SOLANA_PROGRAM_ID_CORE.")
    elif facts.config is None:
        message = f"The program {program_id} has no configuration there."
        step = "Check SOLANA_PROGRAM_ID_CORE and SOLANA_RPC_URL; a new program waits for initialize_global_config."
        check.fail(message, step)
    for why in facts.unusable_keys:
        check.fail(why, "")
    for role, address in facts.keys.items():
        if facts.config is not None and facts.config.get(role) != address:
            message = f"The key {address} is not the program's {role}, {facts.config.get(role)} is."
            check.fail(message, "Configure the key of that role, or remove this one.")
    return check.finish(f"On {actual}, and the program is configured there.")


#: The chain's clock is an estimate of its validators; half a minute is ordinary.
SKEW_WARN_SECONDS, SKEW_NO_SECONDS = 60, 600


def check_clock(ahead_seconds: float) -> list[Finding]:
    """Whether this machine and the chain agree on the time; `ahead_seconds` is ours minus the chain's."""
    check = Check("clock")
    off = abs(ahead_seconds)
    message = f"This clock is {off:.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} the chain's."
    step = "Check the time service of this machine (timedatectl), then whether the node lags."
    if off > SKEW_NO_SECONDS:
        check.fail(message, step)
    elif off > SKEW_WARN_SECONDS:
        check.warn(message, step)
    return check.finish(f"Within {max(1.0, off):.0f} s of the chain's.")


# --- webhooks ---------------------------------------------------------------------------------

#: Shorter ones can be guessed.
SHORTEST_PROOF = 16


def check_registration(check_result: helius.RegistrationCheck) -> list[Finding]:
    """Whether Helius delivers what is wanted to where it is wanted."""
    check = Check("registration")
    for fault in check_result.faults:
        check.fail(fault, "Run: zmart webhook create")
    for remark in check_result.remarks:
        check.warn(remark, "Run: zmart webhook create")
    return check.finish("Helius delivers the program's transactions to HELIUS_WEBHOOK_URL.")


def check_webhook(ingest: settings.IngestSettings, cluster: Cluster) -> list[Finding]:
    """Whether deliveries have to prove where they come from."""
    check = Check("webhook")
    proofs = [*ingest.auth_headers, *([ingest.webhook_secret] if ingest.webhook_secret else [])]
    if not proofs and cluster is Cluster.LOCALNET:
        return check.finish("Nothing is configured; on localnet `zmart up` makes a proof up.")
    if not proofs:
        step = "Set HELIUS_AUTH_HEADER to what the webhook at Helius sends, or HELIUS_WEBHOOK_SECRET."
        check.fail("Deliveries need no proof, so none would be accepted.", step)
    if any(len(proof.reveal()) < SHORTEST_PROOF for proof in proofs):
        check.warn(f"A proof is shorter than {SHORTEST_PROOF} characters.", "Make one with: openssl rand -hex 32")
    rotating = f", {len(ingest.auth_headers)} values while rotating" if len(ingest.auth_headers) > 1 else ""
    return check.finish(f"Deliveries have to prove themselves{rotating}.")
