"""Reads the program's accounts every hour and compares them with the marts: the chain itself checks the folds.

The accounts are read at a finalized slot and compared once the log holds everything final up to that slot. A market
that changed since is compared with the marts as of that slot, folded again from the history. Reading such a market
again until it does not change would depend on luck; this way a market that is always busy is compared in every run. A
node may answer a scan with its newest root, which can be slightly past the slot it reports. Therefore such an account
may also equal the marts as of one of the market's next events. Each difference is a row in a table: the account, the
field, our value and the chain's value. A market that could not be compared is listed, and an alert is raised when
this has lasted for a day.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import dagster as dg
import psycopg

from zmart import errors, settings
from zmart.chain import client, codec
from zmart.chain.rpc import RpcClient
from zmart.db import alerts, queries

from .. import account_reconciliation
from .. import dbt_manifest as models
from ..account_reconciliation import Difference
from ..resources import Connection, DatabaseResource

sql = queries.load("orchestration")

Job: TypeAlias = Any

KEY = dg.AssetKey(["account_snapshots"])
CHECK = "accounts_equal_folds"
JOB = "reconcile_accounts"
ALERT = "accounts_differ"
MISSED_ALERT = "accounts_uncompared"
UNKNOWN_ALERT = "accounts_unknown"
#: The kind of an account that cannot be decoded. Anybody can create one by paying its rent: 100 zero bytes that the
#: system program assigns to our program (0.0016 SOL), or Anchor's account for an IDL. One such account once stopped
#: every comparison permanently.
UNKNOWN = "unknown"
#: Bytes stored of such an account, which may have ten megabytes; every account type of the program has fewer than
#: this.
UNKNOWN_BYTES = 1024
#: A market that one run does not reach is compared in a later one; no alert is raised before this time has passed.
MISSED_FOR_HOURS = 24
#: Maximum time to wait until the log holds everything that was final when the accounts were read.
COVERED_WITHIN_SECONDS = 60.0
_POLL_SECONDS = 1.0
#: Time limit for folding all markets that changed since; those that were not reached are listed.
AS_OF_WITHIN_SECONDS = 60.0
#: Maximum slots that a node's newest root may be past the slot it reports: its distance behind the slot it votes on.
LEAD_SLOTS = 32
#: Maximum differences shown; the rest is counted.
ROWS = 50
#: Maximum markets listed as not compared; the rest is counted.
NAMES = 5


def assets() -> Sequence[dg.AssetsDefinition]:
    """Return the one asset."""

    @dg.asset(
        key=KEY,
        group_name="log",
        kinds={"solana", "postgres"},
        owners=models.OWNERS,
        required_resource_keys={"database"},
        description="All accounts of the program, as the node at SOLANA_RPC_URL returns them at its finalized "
        "slot. **Materialize** reads them into `raw.accounts`, which stores this read and the previous "
        f"one; folds never read that table. The check `{CHECK}` compares them with the marts. Accounts "
        "of unknown types are counted and listed, but not compared.",
    )
    def account_snapshots(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        database: DatabaseResource = context.resources.database
        with database.connect() as connection:
            found = asyncio.run(read_accounts(connection))
            unknown = store_accounts(connection, found)
        return dg.MaterializeResult(
            metadata={"slot": found.slot, "accounts": len(found.value), **_unknown_in_metadata(unknown)}
        )

    return [account_snapshots]


async def read_accounts(connection: Connection) -> client.AtSlot[tuple[client.AccountInfo, ...]]:
    """Return the program's accounts. Raises ConfigurationError if the node's chain or program is not the log's."""
    configured = settings.load().chain
    genesis_hash, program_id = connection.execute(sql.log_identity).fetchone() or (None, None)
    async with RpcClient.of(configured) as nodes:
        node = nodes.pin_node()
        if genesis_hash != await client.verify_cluster(node, configured.cluster) or program_id != configured.program_id:
            raise errors.ConfigurationError(
                "The log belongs to another chain or program than the node.",
                help="Set SOLANA_RPC_URL and SOLANA_PROGRAM_ID_CORE to those of the log, and let ingest walk once.",
            )
        return await node.program_accounts(configured.program_id, commitment="finalized")


def store_accounts(connection: Connection, found: client.AtSlot[tuple[client.AccountInfo, ...]]) -> dict[str, str]:
    """Store the accounts. Return, by address, the reason why an account cannot be decoded."""
    unknown: dict[str, str] = {}
    rows = []
    for account in found.value:
        try:
            kind, data = codec.default().decode_account(account.data)[0], account.data
        except errors.DecodeError as why:
            kind, data = UNKNOWN, account.data[:UNKNOWN_BYTES]
            unknown[account.address] = str(why)
        row = {"account": account.address, "slot": found.slot, "kind": kind, "lamports": account.lamports}
        rows.append({**row, "data": data})
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(sql.insert_account, rows)
        cursor.execute(sql.delete_old_accounts, {"slot": found.slot})
    return unknown


def _unknown(connection: Connection, slot: int) -> dict[str, str]:
    """Return the accounts of a read that could not be decoded, by address, each with its first bytes."""
    return dict(connection.execute(sql.unknown_accounts, {"slot": slot}).fetchall())


def _unknown_in_metadata(unknown: Mapping[str, str]) -> dict[str, Any]:
    return {
        "accounts of unknown type": len(unknown),
        **({"accounts of unknown type, first": _first_names(unknown)} if unknown else {}),
    }


class LatestRead(NamedTuple):
    """The newest read: its slot, its age in seconds, and whether the log has caught up with it."""

    slot: int
    age_seconds: float
    is_covered: bool


def checks() -> Sequence[dg.AssetChecksDefinition]:
    """Return the one check."""

    @dg.asset_check(
        asset=KEY,
        name=CHECK,
        required_resource_keys={"database"},
        description="Guards against a log that differs from the chain: compares markets, positions, votes and the "
        "configuration in the marts with the program's accounts, field by field. Compares only once the log contains "
        "everything final up to the slot of the read, and warns until then. Accounts with later events are compared "
        "with the marts as of that slot. Accounts of unknown types are counted and listed. Changes nothing.",
    )
    def accounts_equal_folds(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        database: DatabaseResource = context.resources.database
        with database.connect() as connection:
            latest_read = _wait_until_covered(connection)
            if latest_read is None or not latest_read.is_covered:
                return _not_covered_result(latest_read)
            # zmart_keeper may not read marts as of a slot; this connection only reads, too.
            with database.connect("zmart_owner") as reader:
                comparison = compare(reader, latest_read.slot)
            _update_alert(connection, latest_read.slot, comparison.differences)
            unknown = _unknown(connection, latest_read.slot)
            _alert_unknown(connection, latest_read.slot, unknown)
            _store_uncompared(connection, comparison.not_compared)
        return dg.AssetCheckResult(
            passed=not comparison.differences,
            description=_summary(comparison, len(unknown)),
            metadata={
                "slot": latest_read.slot,
                "seconds since the read": round(latest_read.age_seconds, 1),
                "markets compared": comparison.unchanged + comparison.as_of_read,
                "markets compared as of the read": comparison.as_of_read,
                "not compared": len(comparison.not_compared),
                **({"not compared, first": _first_names(comparison.not_compared)} if comparison.not_compared else {}),
                **_unknown_in_metadata(unknown),
                **(
                    {"differences": dg.MetadataValue.md(table(comparison.differences))}
                    if comparison.differences
                    else {}
                ),
            },
        )

    return [accounts_equal_folds]


def _wait_until_covered(connection: Connection) -> LatestRead | None:
    """Return the newest read; wait up to COVERED_WITHIN_SECONDS until the log has caught up with it."""
    deadline = time.monotonic() + COVERED_WITHIN_SECONDS
    while True:
        row = connection.execute(sql.latest_account_read).fetchone()
        latest_read = None if row is None else LatestRead(*row)
        if latest_read is None or latest_read.is_covered or time.monotonic() >= deadline:
            return latest_read
        time.sleep(_POLL_SECONDS)


def _not_covered_result(latest_read: LatestRead | None) -> dg.AssetCheckResult:
    message = (
        "No accounts have been read yet: materialize account_snapshots."
        if latest_read is None
        else f"The log does not yet contain everything final up to slot {latest_read.slot}; nothing was compared."
    )
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=message)


class ComparisonResult(NamedTuple):
    """The result of a comparison."""

    differences: Sequence[Difference]
    #: Number of markets that have not changed since the read and are compared with the current marts.
    unchanged: int
    #: Number of markets compared with the marts as of the read.
    as_of_read: int
    #: The reason, by the address of a market's account, or `config`.
    not_compared: Mapping[str, str]


def compare(connection: Connection, slot: int) -> ComparisonResult:
    """Compare the marts with a read, all on one snapshot of the log. The connection must be zmart_owner's."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        on_chain = account_reconciliation.decode_accounts(connection.execute(sql.accounts_at, {"slot": slot}))
        moved: dict[str | None, int | None] = dict(connection.execute(sql.changed_since, {"slot": slot}).fetchall())
        changed = account_reconciliation.ChangedMarkets(
            markets=[one for one in moved if one is not None], is_config_changed=None in moved
        )
        found = account_reconciliation.differences(connection, on_chain, changed)
        parts, no_accounts = (
            account_reconciliation.split_by_market(on_chain),
            account_reconciliation.decode_accounts(()),
        )
        missed: dict[str, str] = {}
        deadline = time.monotonic() + AS_OF_WITHIN_SECONDS
        # The order differs from run to run, so that not always the same markets are missed when time runs out.
        for account in random.Random(slot).sample(sorted(moved, key=str), len(moved)):  # noqa: S311 - no secret
            try:
                part = parts.get(account, no_accounts)
                found += _compare_as_of(connection, part, moved[account], slot, deadline)
            except _NotCompared as why:
                missed[account or "config"] = str(why)
    unchanged = len(on_chain["markets"].keys() - moved.keys())
    as_of_read = len((on_chain["markets"].keys() & moved.keys()) - missed.keys())
    return ComparisonResult(found, unchanged, as_of_read, missed)


class _NotCompared(Exception):
    """A market, or the configuration, could not be compared."""


def _compare_as_of(
    connection: Connection,
    on_chain: account_reconciliation.ProgramAccounts,
    market_no: int | None,
    slot: int,
    deadline: float,
) -> list[Difference]:
    """Compare one market, or the configuration, as of the read. Raises _NotCompared if that is impossible."""
    one = {"market_no": market_no, "slot": slot, "until": slot + LEAD_SLOTS}
    try:
        # In a savepoint: if one fold fails or takes too long, the others can still be compared.
        with connection.transaction():
            found = _compare_within_deadline(connection, on_chain, market_no, slot, deadline)
            if not found:
                return found
            ((is_unsettled,),) = connection.execute(sql.has_provisional_order, one)
            if is_unsettled:
                raise _NotCompared("the order of its transactions is not settled")
            for (later,) in connection.execute(sql.slots_after, one).fetchall():
                if not _compare_within_deadline(connection, on_chain, market_no, later, deadline):
                    return []
            return found
    except psycopg.errors.QueryCanceled as exc:
        raise _NotCompared("time ran out") from exc
    except psycopg.DatabaseError as exc:
        if connection.broken:
            raise
        raise _NotCompared(f"folding it failed: {exc.diag.message_primary}") from exc


def _compare_within_deadline(
    connection: Connection,
    on_chain: account_reconciliation.ProgramAccounts,
    market_no: int | None,
    slot: int,
    deadline: float,
) -> list[Difference]:
    milliseconds = int((deadline - time.monotonic()) * 1000)
    if milliseconds <= 0:
        raise _NotCompared("time ran out")
    connection.execute("select set_config('statement_timeout', %s, true)", (str(milliseconds),))
    return account_reconciliation.differences_as_of(connection, on_chain, market_no, slot)


def _summary(comparison: ComparisonResult, unknown: int) -> str:
    text = f"{len(comparison.differences)} differences." if comparison.differences else "The marts equal the accounts."
    missed = len(comparison.not_compared)
    text += f" Not compared: {missed} of those that have changed since the read." if missed else ""
    return f"{text} Accounts of unknown type: {unknown}." if unknown else text


def _first_names(missed: Mapping[str, str]) -> str:
    names = [f"{account} ({why})" for account, why in list(missed.items())[:NAMES]]
    more = len(missed) - NAMES
    return "; ".join([*names, *([f"and {more} more"] if more > 0 else [])])


def _update_alert(connection: Connection, slot: int, found: Sequence[Difference]) -> None:
    if not found:
        alerts.resolve_alert(connection, ALERT, "")
        return
    shown = "; ".join(_describe(each) for each in found[:3])
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    message = f"At slot {slot} accounts and marts differ: {shown}{more}. See the check {CHECK}."
    alerts.raise_alert(connection, ALERT, "", "critical", message)


def _alert_unknown(connection: Connection, slot: int, unknown: Mapping[str, str]) -> None:
    if not unknown:
        alerts.resolve_alert(connection, UNKNOWN_ALERT, "")
        return
    message = (
        f"At slot {slot} the program owns {len(unknown)} account(s) that cannot be decoded, so they were not "
        f"compared: {_first_names(unknown)}. Anyone can create such an account. See the check {CHECK}."
    )
    alerts.raise_alert(connection, UNKNOWN_ALERT, "", "info", message)


def _store_uncompared(connection: Connection, missed: Mapping[str, str]) -> None:
    """Store the markets that were not compared, and raise an alert about those that have not been for long."""
    connection.execute(sql.save_uncompared, {"accounts": list(missed), "reasons": list(missed.values())})
    long: dict[str, str] = dict(connection.execute(sql.long_uncompared, {"hours": MISSED_FOR_HOURS}).fetchall())
    if not long:
        alerts.resolve_alert(connection, MISSED_ALERT, "")
        return
    message = (
        f"For {MISSED_FOR_HOURS} hours no check has compared these with their accounts: {_first_names(long)}. See "
        f"the check {CHECK}."
    )
    alerts.raise_alert(connection, MISSED_ALERT, "", "warning", message)


def _describe(each: Difference) -> str:
    of = f" of {each.subject}" if each.subject else ""
    return f"{each.field}{of} in {each.market} is {each.theirs} on chain, {each.ours} in the mart"


def table(found: Sequence[Difference]) -> str:
    """Return the differences as a Markdown table of at most ROWS rows."""
    lines = ["| account of the market | of | field | marts | chain |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(map(str, each))} |" for each in found[:ROWS]]
    more = len(found) - ROWS
    return "\n".join([*lines, f"\n… and {more} more." if more > 0 else ""]).rstrip()


def jobs() -> Sequence[Job]:
    """Return the job that reads the accounts and then checks them."""
    return [
        dg.define_asset_job(
            JOB,
            selection=dg.AssetSelection.assets(KEY),
            description="Reads the program's accounts from the node and compares the marts with them. Writes only "
            "the read.",
        )
    ]


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """Return the one schedule."""
    return [
        dg.ScheduleDefinition(
            name="accounts_hourly",
            job_name=JOB,
            cron_schedule="45 * * * *",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Every hour: compares the marts with the program's accounts.",
        )
    ]
