"""Judges the facts that `zmart doctor` collected: facts in, findings out, without side effects.

Each function judges one check. It takes the facts as plain values and returns at least one finding: a single `yes`, or
each fault with its next step. `no` means that it cannot work or is not safe, `warn` that the operator should look, and
`skip` that nothing could be judged because a prerequisite is missing.
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
from zmart.db.poolers import NEXT_STEP
from zmart.settings import ROLES, Cluster, Role

Answer: TypeAlias = Literal["yes", "warn", "no", "skip"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    check: str
    answer: Answer
    message: str
    #: The next step; empty where nothing has to be done.
    step: str = ""


class Check:
    """Collects the findings of one check; the answer is `yes` only when no other finding was added."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[Finding] = []

    def fail(self, message: str, step: str) -> None:
        """Add a finding that it cannot work."""
        self._add("no", message, step)

    def warn(self, message: str, step: str) -> None:
        """Add a finding that the operator should look at."""
        self._add("warn", message, step)

    def skip(self, message: str) -> list[Finding]:
        """Return a finding that nothing could be judged."""
        self._add("skip", message, "")
        return self._found

    def finish(self, message: str) -> list[Finding]:
        """Return the findings, or `yes` with `message` if there are none."""
        if not self._found:
            self._add("yes", message, "")
        return self._found

    def _add(self, answer: Answer, message: str, step: str) -> None:
        self._found.append(Finding(check=self._name, answer=answer, message=message, step=step))


def has_no_failure(findings: Iterable[Finding]) -> bool:
    """Return whether no finding is a `no`."""
    return all(finding.answer != "no" for finding in findings)


# --- the state directory ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SecretFile:
    """A file that holds a secret."""

    path: Path
    #: Permission bits; None where the file does not exist or its status may not be read.
    mode: int | None
    #: True for a file that a variable names and others manage, such as a mounted secret; a warning is enough.
    is_foreign: bool = False


def check_state_dir(directory: Path, *, is_writable: bool, secrets: Sequence[SecretFile]) -> list[Finding]:
    """Check that the state directory is writable, and that only the owner can read its secrets."""
    check = Check("state")
    if not is_writable:
        check.fail(f"{directory} is not writable.", "Correct its permissions, or set ZMART_STATE_DIR.")
    for secret in secrets:
        if secret.mode is None and secret.is_foreign:
            check.fail(f"{secret.path} cannot be read.", "Correct the path or its permissions.")
        elif secret.mode is not None and secret.mode & 0o077:
            report = check.warn if secret.is_foreign else check.fail
            report(f"{secret.path} is accessible to other users (mode {secret.mode:04o}).", f"chmod 600 {secret.path}")
    count = sum(secret.mode is not None for secret in secrets)
    summary = f"only the owner can read the {count} files with secrets" if count else "no file with secrets yet"
    return check.finish(f"{directory} is writable; {summary}.")


# --- ports ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PortFacts:
    """A port that a service needs."""

    variable: str
    number: int
    #: The service that holds the port: None if it is free, "" if it is held by another program.
    holder: str | None


def check_ports(facts: Sequence[PortFacts]) -> list[Finding]:
    """Check that every port is free or held by its own service, and that no two services need the same port."""
    check = Check("ports")
    by_number: dict[int, str] = {}
    for port in facts:
        other = by_number.setdefault(port.number, port.variable)
        if other != port.variable:
            check.fail(f"{other} and {port.variable} are both {port.number}.", f"Set {port.variable} to another port.")
        elif port.holder == "":
            step = f"Stop the process that listens there, or set {port.variable}."
            check.fail(f"{port.variable} {port.number} is in use by another process.", step)
    return check.finish(" ".join(_describe_ports(facts)))


def _describe_ports(facts: Sequence[PortFacts]) -> Iterator[str]:
    ours = [f"{port.number} ({port.holder})" for port in facts if port.holder]
    free = len(facts) - len(ours)
    if free:
        yield f"{free} ports are free." if free != 1 else "1 port is free."
    if ours:
        yield f"Our services listen on {', '.join(ours)}."


# --- Postgres ---------------------------------------------------------------------------------

OLDEST_POSTGRES, NEWEST_POSTGRES = 15, 18
#: Settings that make "committed" mean "on disk"; the stricter values of synchronous_commit include it.
DURABLE: Mapping[str, frozenset[str]] = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": frozenset({"on", "local", "remote_write", "remote_apply"}),
}

Pooler: TypeAlias = Literal["session", "transaction", "unknown"]


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """Facts about a server that answered."""

    #: For example 180006 for 18.6.
    version: int
    #: The values in a session of the writer's role.
    parameters: Mapping[str, str]
    pooler: Pooler | None = None


def detect_pooler(url: str, *, is_transaction_mode: bool = False) -> Pooler | None:
    """Return the kind of connection pooler in front of the server, as far as its address or behaviour shows.

    `is_transaction_mode` is the proof of `zmart.db.poolers`. Supabase's pooler keeps sessions on 5432 and
    transactions on 6543; PgBouncer listens on 6432 in either mode.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if is_transaction_mode or parts.port == 6543 or query.get("pgbouncer") == ["true"]:
        return "transaction"
    if re.search(r"\bpooler\b", parts.hostname or ""):
        return "session" if parts.port in (None, 5432) else "unknown"
    return "unknown" if parts.port == 6432 else None


def check_postgres(facts: ServerFacts) -> list[Finding]:
    """Check that the version is supported, that every commit is on disk, and that sessions persist."""
    check = Check("postgres")
    major = facts.version // 10_000
    if major < OLDEST_POSTGRES:
        check.fail(f"The server is Postgres {major}.", f"Use {OLDEST_POSTGRES} to {NEWEST_POSTGRES}: MERGE needs it.")
    if major > NEWEST_POSTGRES:
        check.warn(f"Postgres {major} is newer than the newest tested version.", f"Prefer {NEWEST_POSTGRES}.")
    for name, accepted in DURABLE.items():
        if facts.parameters.get(name) not in accepted:
            message = f"{name} is {facts.parameters.get(name)}: an acknowledged delivery could be lost."
            check.fail(message, f"alter system set {name} = on; select pg_reload_conf();")
    _check_pooler(check, facts.pooler)
    return check.finish(f"Postgres {major}.{facts.version % 10_000}; every commit is flushed to disk.")


def _check_pooler(check: Check, kind: Pooler | None) -> None:
    """Add a finding for a pooler: LISTEN, temporary tables and prepared statements need a persistent session."""
    if kind == "transaction":
        check.fail("DATABASE_URL leads to a pooler in transaction mode, which does not preserve sessions.", NEXT_STEP)
    if kind == "unknown":
        step = "Check that it is in session mode, or use the direct address."
        check.warn("DATABASE_URL seems to lead to a pooler.", step)


def report_unreachable(check: str, reason: str, *, starts_with_up: bool) -> list[Finding]:
    """Return the finding for an unreachable server: a warning if `zmart up` is not running and would start it."""
    found = Check(check)
    if starts_with_up:
        found.warn(reason, "Start it: zmart up")
    else:
        found.fail(reason, "Check that the server runs and can be reached from this machine.")
    return found.finish("")


def report_skipped(check: str, reason: str) -> list[Finding]:
    """Return the finding of a check that could not run."""
    return Check(check).skip(reason)


# --- roles ------------------------------------------------------------------------------------


#: The owner may be a superuser's login; the backup role has to read the rows of every wallet.
MAY_BYPASS_RLS = frozenset({"zmart_owner", "zmart_backup"})


@dataclass(frozen=True, kw_only=True)
class RoleFacts:
    """Facts about a role of the database."""

    name: str
    is_superuser: bool
    bypasses_rls: bool


@dataclass(frozen=True, kw_only=True)
class PrivilegeFacts:
    """A privilege that a role must have, or must not have."""

    role: str
    privilege: str
    relation: str
    #: None where the relation does not exist (yet).
    has: bool | None
    should: bool


def check_roles(
    facts: Sequence[RoleFacts], logins: Mapping[Role, str], privileges: Sequence[PrivilegeFacts]
) -> list[Finding]:
    """Check that the roles exist, can be used, and have the required privileges and no others.

    `logins` contains for each role why acting as it failed, or "" where it succeeded.
    """
    check = Check("roles")
    by_name = {role.name: role for role in facts}
    for name in ROLES:
        role = by_name.get(name)
        if role is None:
            check.fail(f"The role {name} is missing.", "zmart migrate")
        elif logins.get(name):
            check.fail(f"No login can act as {name}: {logins[name]}", f"grant {name} to the user of DATABASE_URL;")
        elif name == "zmart_backup" and not (role.is_superuser or role.bypasses_rls):
            check.warn(f"{name} cannot read the rows of every wallet.", f"alter role {name} bypassrls;")
        elif name == "zmart_backup" and role.is_superuser:
            check.fail(f"{name} is a superuser.", f"alter role {name} nosuperuser;")
        elif name not in MAY_BYPASS_RLS and (role.is_superuser or role.bypasses_rls):
            check.fail(f"{name} bypasses row-level security.", f"alter role {name} nosuperuser nobypassrls;")
    for privilege in privileges:
        if privilege.has is not None and privilege.has != privilege.should:
            can = "can" if privilege.has else "cannot"
            verb, preposition = ("revoke", "from") if privilege.has else ("grant", "to")
            step = f"{verb} {privilege.privilege} on {privilege.relation} {preposition} {privilege.role};"
            check.fail(f"{privilege.role} {can} {privilege.privilege} {privilege.relation}.", step)
    return check.finish(f"{len(ROLES)} roles, each with exactly its privileges.")


# --- schema and models ------------------------------------------------------------------------


def check_migrations(pending: Sequence[str], conflict: str | None) -> list[Finding]:
    """Check that every migration is applied and unedited; `conflict` is how the history contradicts the files."""
    check = Check("migrations")
    if conflict is not None:
        check.fail(conflict, "Find out why before you run `zmart migrate`.")
    if pending:
        check.fail(f"Not applied yet: {', '.join(pending)}.", "zmart migrate")
    return check.finish("All are applied; none was edited since.")


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Facts about the folded models of a database."""

    #: Whether the deployed models equal the sources; None where nothing was deployed.
    is_current: bool | None
    #: The names of all models; `stale` contains those that stopped, with the reason.
    names: Sequence[str] = ()
    stale: Mapping[str, str] = field(default_factory=dict)
    #: The models that are retried, with the reason.
    behind: Mapping[str, str] = field(default_factory=dict)


def check_models(facts: ModelFacts) -> list[Finding]:
    """Check that the deployed models equal the sources, and that all models follow the log."""
    check = Check("models")
    if facts.is_current is None:
        check.fail("No models are deployed.", "zmart migrate")
    elif not facts.is_current:
        check.warn("The sources of the models have changed since they were deployed.", "zmart migrate")
    for name, reason in facts.stale.items():
        check.fail(f"{name} stopped following the log: {reason}", f"zmart rebuild {name}")
    for name, reason in facts.behind.items():
        check.warn(f"{name} is behind the log and retried automatically: {reason}", "zmart status")
    return check.finish(f"{len(facts.names)} models follow the log.")


# --- the environment --------------------------------------------------------------------------

#: Prefixes of our variables: a variable with such a prefix that nothing reads is a mistake.
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
#: Variables that are ours but are not settings of a service.
_OTHER_KNOWN_NAMES = frozenset({"ZMART_TEST_DSN", settings.RUN_VARIABLE})
#: `DATABASE_ULR` is this similar to a variable of ours, `APP_PORT` is not.
_SIMILARITY_CUTOFF = 0.9


def check_environment(environ: Mapping[str, str], written: Iterable[str], known: Iterable[str]) -> list[Finding]:
    """Check for variables that nothing reads: those of the earlier backend, and those that look like typing errors.

    `written` are the names in `.env`, which are all meant for us; `known` are the names that are read. Values are never
    repeated.
    """
    check = Check("environment")
    names = frozenset(known) | _OTHER_KNOWN_NAMES
    for name, instead in settings.replaced_variables(environ).items():
        check.warn(f"{name} is no longer used.", f"{instead[0].upper()}{instead[1:]}.")
    for name, alike in _misspelled_names(environ, frozenset(written), names):
        check.warn(
            f"No setting is named {name}.", f"Did you mean {alike}?" if alike else "Remove it, or correct the name."
        )
    used = sum(bool(environ.get(name, "").strip()) for name in names)
    return check.finish(f"{used} settings are set, all of them known.")


def _misspelled_names(
    environ: Mapping[str, str], written: frozenset[str], known: frozenset[str]
) -> Iterator[tuple[str, str]]:
    for name in sorted(environ.keys() - known - settings.REPLACED_VARIABLES.keys()):
        alike = _most_similar(name, sorted(known))
        if environ[name].strip() and (alike or name in written or name.startswith(_OWN_PREFIXES)):
            yield name, alike


def _most_similar(name: str, known: Sequence[str]) -> str:
    """Return the known name that differs by a swap of two letters, or by little of its length; "" without one."""
    swapped = {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)}
    similar = [*sorted(swapped.intersection(known)), *difflib.get_close_matches(name, known, 1, _SIMILARITY_CUTOFF)]
    return similar[0] if similar else ""


# --- the chain --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ChainFacts:
    """Facts about a cluster that answered."""

    genesis_hash: str
    #: The fields of the program's configuration; None where its account does not exist.
    config: Mapping[str, Any] | None
    #: Why the account could not be read as a configuration.
    undecodable: str = ""
    #: Addresses of the configured keys, by the field of the program's configuration that they must equal.
    keys: Mapping[str, str] = field(default_factory=dict)
    #: Why a configured key cannot be used.
    unusable_keys: Sequence[str] = ()


def check_chain(facts: ChainFacts, cluster: Cluster, program_id: str) -> list[Finding]:
    """Check that the cluster is the configured one, has the program, and that the configured keys have their roles."""
    check = Check("chain")
    actual = client.cluster_by_genesis_hash(facts.genesis_hash)
    if actual != cluster.value:
        message = f"SOLANA_CLUSTER is {cluster.value}, but the node is on {actual} (genesis hash {facts.genesis_hash})."
        check.fail(
            message,
            f"Set SOLANA_RPC_URL to a node of {cluster.value}, or set SOLANA_CLUSTER to the cluster of the node.",
        )
    if facts.undecodable:
        check.fail(facts.undecodable, "Check SOLANA_PROGRAM_ID_CORE.")
    elif facts.config is None:
        message = f"The program {program_id} has no configuration on this chain."
        step = "Check SOLANA_PROGRAM_ID_CORE and SOLANA_RPC_URL; a new program needs initialize_global_config first."
        check.fail(message, step)
    for why in facts.unusable_keys:
        check.fail(why, "")
    for role, address in facts.keys.items():
        if facts.config is not None and facts.config.get(role) != address:
            message = f"The key {address} is not the program's {role}, which is {facts.config.get(role)}."
            check.fail(message, "Configure the key of that role, or remove this one.")
    return check.finish(f"On {actual}, and the program is configured there.")


#: The chain's clock is an estimate of its validators; a difference of half a minute is ordinary.
SKEW_WARN_SECONDS, SKEW_NO_SECONDS = 60, 600


def check_clock(ahead_seconds: float) -> list[Finding]:
    """Check that this machine and the chain agree on the time; `ahead_seconds` is ours minus the chain's."""
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


def check_registration(check_result: helius.RegistrationCheck) -> list[Finding]:
    """Check that Helius delivers the required transactions to the configured URL."""
    check = Check("registration")
    for fault in check_result.faults:
        check.fail(fault, "Run: zmart webhook create")
    for remark in check_result.remarks:
        check.warn(remark, "Run: zmart webhook create")
    return check.finish("Helius delivers the program's transactions to HELIUS_WEBHOOK_URL.")


def check_keepers(keepers: settings.KeeperSettings, cluster: Cluster, *, has_admin: bool) -> list[Finding]:
    """Check that no approval is sent on mainnet without an operator; `has_admin` is whether the admin's key is set."""
    check = Check("keepers")
    if cluster is Cluster.MAINNET and keepers.approves:
        key = "the admin's key is configured" if has_admin else "they would once ADMIN_KEYPAIR_PATH is set"
        check.warn(
            f"KEEPER_APPROVES is on: keepers send approvals on mainnet without an operator; {key}.",
            "Remove KEEPER_APPROVES, and send approvals with: zmart keeper approve MARKET --reason TEXT",
        )
    who = "keepers" if keepers.approves else "an operator"
    return check.finish(f"Approvals are sent by {who}.")


def check_grpc(url: str, version: str, first_slot: int | None, *, has_token: bool) -> list[Finding]:
    """Check a gRPC server that has answered with its version and the first slot that it replays."""
    check = Check("grpc")
    parts = urlsplit(url)
    if has_token and parts.scheme == "http" and not settings.is_loopback(parts.hostname or ""):
        check.warn("SOLANA_GRPC_TOKEN is sent without encryption.", "Use an https:// address in SOLANA_GRPC_URL.")
    if first_slot is None:
        check.warn(
            "The server does not say that it replays slots: what happens between two connections is left to the walk.",
            "Use a server with replay (LaserStream, or replay_stored_slots of the plugin).",
        )
    return check.finish(f"The server answers ({version[:60]}) and replays from slot {first_slot}.")


def check_webhook(ingest: settings.IngestSettings, cluster: Cluster, *, has_grpc: bool = False) -> list[Finding]:
    """Check that deliveries have to prove their origin; `has_grpc` is whether transactions come by gRPC, too."""
    check = Check("webhook")
    proofs = [*ingest.auth_headers, *([ingest.webhook_secret] if ingest.webhook_secret else [])]
    if not proofs and cluster is Cluster.LOCALNET:
        return check.finish("No proof is configured; on localnet `zmart up` generates one.")
    if not proofs and has_grpc:
        return check.finish("No proof is configured: every delivery is refused, and transactions come by gRPC.")
    if not proofs:
        step = "Set HELIUS_AUTH_HEADER to the header of the webhook at Helius, or set HELIUS_WEBHOOK_SECRET."
        check.fail("No proof of deliveries is configured, so ingest would reject all of them.", step)
    rotating = f", {len(ingest.auth_headers)} values while rotating" if len(ingest.auth_headers) > 1 else ""
    return check.finish(f"Deliveries must carry a proof{rotating}.")
