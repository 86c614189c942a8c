"""What the program holds, read once an hour and held against the marts: the chain itself as a check of the folds.

The read is at a finalized slot, and it is compared once the log holds everything final up to that slot. A market where
something has happened since is compared with the marts as of that slot, folded again from the history, rather than read
again until it rests: that takes no luck, so a market that is always busy is compared in every run. A node may answer a
scan with its newest root, which can be a little past the slot it names, and so such an account may also be what the
marts were at one of the market's next events. What differs is a row in a table: the account, the field, what we say and
what the chain says; a market that could not be compared is named, and told of once that has lasted for a day.
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
#: The kind of an account that cannot be decoded. Anybody can make one by paying its rent: 100 zero bytes that the
#: system program assigns to ours (0.0016 SOL), or Anchor's account for an IDL. One such account stopped every
#: comparison for good.
UNKNOWN = "unknown"
#: Bytes stored of such an account, which may have ten megabytes; an account of the program has fewer than this.
UNKNOWN_BYTES = 1024
#: A market that a run does not reach is compared in one of the next; for so long it is nothing for a person.
MISSED_FOR_HOURS = 24
#: How long the log may take until it holds what was final when the accounts were read.
COVERED_WITHIN_SECONDS = 60.0
_POLL_SECONDS = 1.0
#: How long folding the markets that moved on may take, in all; those that were not reached are named.
AS_OF_WITHIN_SECONDS = 60.0
#: How far a node's newest root may be past the slot that it names: as far as it is behind the slot it votes on.
LEAD_SLOTS = 32
#: Differences shown; the rest is counted.
ROWS = 50
#: Markets named that were not compared; the rest is counted.
NAMES = 5


def assets() -> Sequence[dg.AssetsDefinition]:
    """The one asset."""

    @dg.asset(
        key=KEY,
        group_name="log",
        kinds={"solana", "postgres"},
        owners=models.OWNERS,
        required_resource_keys={"database"},
        description="Every account of the program, as the node at SOLANA_RPC_URL holds them at its finalized slot. "
        "**Materialize** reads them into `raw.accounts`, where this read and the one before are kept; folds never read "
        f"that table. The check `{CHECK}` compares them with the marts. Accounts that are none of the program's types "
        "are counted and named, and not compared.",
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
    """The program's accounts. ConfigurationError where the node is of another chain than the log."""
    configured = settings.load().chain
    genesis_hash, program_id = connection.execute(sql.log_identity).fetchone() or (None, None)
    async with RpcClient.of(configured) as nodes:
        node = nodes.pin_node()
        if genesis_hash != await client.verify_cluster(node, configured.cluster) or program_id != configured.program_id:
            raise errors.ConfigurationError(
                "The log is of another chain or program than the node's.",
                help="Set SOLANA_RPC_URL and SOLANA_PROGRAM_ID_CORE to those of the log, and let ingest walk once.",
            )
        return await node.program_accounts(configured.program_id, commitment="finalized")


def store_accounts(connection: Connection, found: client.AtSlot[tuple[client.AccountInfo, ...]]) -> dict[str, str]:
    """Store the read. Returns why an account cannot be decoded, by address of each such account."""
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
    """The accounts of a read that could not be decoded, by address; each with how it begins."""
    return dict(connection.execute(sql.unknown_accounts, {"slot": slot}).fetchall())


def _unknown_in_metadata(unknown: Mapping[str, str]) -> dict[str, Any]:
    return {
        "accounts of unknown type": len(unknown),
        **({"accounts of unknown type, first": _first_names(unknown)} if unknown else {}),
    }


class LatestRead(NamedTuple):
    """The newest read: its slot, seconds since, and whether the log has caught up with it."""

    slot: int
    age_seconds: float
    is_covered: bool


def checks() -> Sequence[dg.AssetChecksDefinition]:
    """The one check."""

    @dg.asset_check(
        asset=KEY,
        name=CHECK,
        required_resource_keys={"database"},
        description="Markets, positions, votes and the configuration: the marts say what the program's accounts hold, "
        "field by field. Compared only once the log holds everything final up to the slot of the read; until that it "
        "warns and compares nothing. Where something has happened since, the marts as of that slot are compared. "
        "Accounts of unknown type are counted and named. "
        "Changes nothing.",
    )
    def accounts_equal_folds(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        database: DatabaseResource = context.resources.database
        with database.connect() as connection:
            latest_read = _wait_until_covered(connection)
            if latest_read is None or not latest_read.is_covered:
                return _not_covered_result(latest_read)
            # zmart_keeper may not ask marts as of a slot; this one reads only, too.
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
    """The newest read, waited for until the log has caught up with it, a while."""
    deadline = time.monotonic() + COVERED_WITHIN_SECONDS
    while True:
        row = connection.execute(sql.latest_account_read).fetchone()
        latest_read = None if row is None else LatestRead(*row)
        if latest_read is None or latest_read.is_covered or time.monotonic() >= deadline:
            return latest_read
        time.sleep(_POLL_SECONDS)


def _not_covered_result(latest_read: LatestRead | None) -> dg.AssetCheckResult:
    message = (
        "No account was read yet: materialize account_snapshots."
        if latest_read is None
        else f"The log does not yet hold everything final up to slot {latest_read.slot}; nothing was compared."
    )
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=message)


class ComparisonResult(NamedTuple):
    """What a comparison has found."""

    differences: Sequence[Difference]
    #: Markets compared with the marts of now, for nothing has happened to them since the read.
    unchanged: int
    #: Markets compared with the marts as of the read.
    as_of_read: int
    #: Why, by the address of a market's account, or `config`.
    not_compared: Mapping[str, str]


def compare(connection: Connection, slot: int) -> ComparisonResult:
    """What differs from a read, all on one snapshot of the log. The connection is zmart_owner's."""
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
        # In another order each time: where time runs out, it is not always the same markets that are missed.
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
    """Why something could not be compared."""


def _compare_as_of(
    connection: Connection,
    on_chain: account_reconciliation.ProgramAccounts,
    market_no: int | None,
    slot: int,
    deadline: float,
) -> list[Difference]:
    """What differs in one market, or the configuration, as of the read. _Missed where that cannot be known."""
    one = {"market_no": market_no, "slot": slot, "until": slot + LEAD_SLOTS}
    try:
        # A savepoint: a fold that fails, or takes too long, leaves the others comparable.
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
    text = (
        f"{len(comparison.differences)} differences."
        if comparison.differences
        else "The marts say what the accounts hold."
    )
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
    message = f"At slot {slot} the chain holds something else than the marts: {shown}{more}. See the check {CHECK}."
    alerts.raise_alert(connection, ALERT, "", "critical", message)


def _alert_unknown(connection: Connection, slot: int, unknown: Mapping[str, str]) -> None:
    if not unknown:
        alerts.resolve_alert(connection, UNKNOWN_ALERT, "")
        return
    message = (
        f"At slot {slot} the program owns {len(unknown)} account(s) that cannot be decoded, so they were not compared: "
        f"{_first_names(unknown)}. Anybody can make such an account. See the check {CHECK}."
    )
    alerts.raise_alert(connection, UNKNOWN_ALERT, "", "info", message)


def _store_uncompared(connection: Connection, missed: Mapping[str, str]) -> None:
    """Keep what was not compared, and tell of what has not been for long."""
    connection.execute(sql.save_uncompared, {"accounts": list(missed), "reasons": list(missed.values())})
    long: dict[str, str] = dict(connection.execute(sql.long_uncompared, {"hours": MISSED_FOR_HOURS}).fetchall())
    if not long:
        alerts.resolve_alert(connection, MISSED_ALERT, "")
        return
    message = (
        f"For {MISSED_FOR_HOURS} hours no check has compared these with what the chain holds: {_first_names(long)}. "
        f"See the check {CHECK}."
    )
    alerts.raise_alert(connection, MISSED_ALERT, "", "warning", message)


def _describe(each: Difference) -> str:
    of = f" of {each.subject}" if each.subject else ""
    return f"{each.field}{of} in {each.market} is {each.theirs}, we say {each.ours}"


def table(found: Sequence[Difference]) -> str:
    """The differences as Markdown, at most ROWS of them."""
    lines = ["| account of the market | of | field | marts | chain |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(map(str, each))} |" for each in found[:ROWS]]
    more = len(found) - ROWS
    return "\n".join([*lines, f"\n… and {more} more." if more > 0 else ""]).rstrip()


def jobs() -> Sequence[Job]:
    """The read and its check, one after the other."""
    return [
        dg.define_asset_job(
            JOB,
            selection=dg.AssetSelection.assets(KEY),
            description="Reads the program's accounts from the node and compares the marts with them. Writes nothing "
            "but the read.",
        )
    ]


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """The one schedule."""
    return [
        dg.ScheduleDefinition(
            name="accounts_hourly",
            job_name=JOB,
            cron_schedule="45 * * * *",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Every hour: the program's accounts against the marts.",
        )
    ]
