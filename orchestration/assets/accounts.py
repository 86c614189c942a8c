"""What the program holds, read once an hour and held against the marts: the chain itself as a check of the folds.

The read is at a finalized slot. It is compared once the log holds everything final up to that slot, and only where
nothing happened since; a market that is always busy is compared when it rests. What differs then is a row in a table:
the account, the field, what we say and what the chain says.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import dagster as dg

from zmart import errors, settings
from zmart.chain import client, codec
from zmart.chain.rpc import RpcClient
from zmart.db import queries

from .. import accounts, alerts
from .. import manifest as models
from ..accounts import Difference
from ..resources import Connection, Database

sql = queries.load("orchestration")

Job: TypeAlias = Any

KEY = dg.AssetKey(["account_snapshots"])
CHECK = "accounts_equal_folds"
JOB = "reconcile_accounts"
ALERT = "accounts_differ"
#: How long the log may take until it holds what was final when the accounts were read.
COVERED_WITHIN_SECONDS = 60.0
_ASK_EVERY_SECONDS = 1.0
#: Differences shown; the rest is counted.
ROWS = 50


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
        f"that table. The check `{CHECK}` compares them with the marts.",
    )
    def account_snapshots(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        database: Database = context.resources.database
        with database.connect() as connection:
            found = asyncio.run(_read(connection))
            _keep(connection, found)
        return dg.MaterializeResult(metadata={"slot": found.slot, "accounts": len(found.value)})

    return [account_snapshots]


async def _read(connection: Connection) -> client.At[tuple[client.Account, ...]]:
    """The program's accounts. ConfigurationError where the node is of another chain than the log."""
    configured = settings.load().chain
    genesis_hash, program_id = connection.execute(sql.log_identity).fetchone() or (None, None)
    async with RpcClient.of(configured) as nodes:
        node = nodes.pinned()
        if genesis_hash != await client.guard(node, configured.cluster) or program_id != configured.program_id:
            raise errors.ConfigurationError(
                "The log is of another chain or program than the node's.",
                help="Set SOLANA_RPC_URL and SOLANA_PROGRAM_ID_CORE to those of the log, and let ingest walk once.",
            )
        return await node.program_accounts(configured.program_id, commitment="finalized")


def _keep(connection: Connection, found: client.At[tuple[client.Account, ...]]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        rows = [
            {
                "account": account.address,
                "slot": found.slot,
                "kind": codec.default().decode_account(account.data)[0],
                "lamports": account.lamports,
                "data": account.data,
            }
            for account in found.value
        ]
        cursor.executemany(sql.keep_account, rows)
        cursor.execute(sql.forget_accounts, {"slot": found.slot})


class Standing(NamedTuple):
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
        "field by field. Compared where nothing happened since the accounts were read, and only once the log holds "
        "everything final up to then; until that it warns and compares nothing. Changes nothing.",
    )
    def accounts_equal_folds(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        database: Database = context.resources.database
        with database.connect() as connection:
            standing = _covered(connection)
            if standing is None or not standing.is_covered:
                return _unproven(standing)
            found, compared = compare(connection, standing.slot)
            _tell(connection, standing.slot, found)
        return dg.AssetCheckResult(
            passed=not found,
            description=f"{len(found)} differences." if found else "The marts say what the accounts hold.",
            metadata={
                "slot": standing.slot,
                "seconds since the read": round(standing.age_seconds, 1),
                **compared,
                **({"differences": dg.MetadataValue.md(table(found))} if found else {}),
            },
        )

    return [accounts_equal_folds]


def _covered(connection: Connection) -> Standing | None:
    """The newest read, waited for until the log has caught up with it, a while."""
    deadline = time.monotonic() + COVERED_WITHIN_SECONDS
    while True:
        row = connection.execute(sql.last_read).fetchone()
        standing = None if row is None else Standing(*row)
        if standing is None or standing.is_covered or time.monotonic() >= deadline:
            return standing
        time.sleep(_ASK_EVERY_SECONDS)


def _unproven(standing: Standing | None) -> dg.AssetCheckResult:
    words = (
        "No account was read yet: materialize account_snapshots."
        if standing is None
        else f"The log does not yet hold everything final up to slot {standing.slot}; nothing was compared."
    )
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description=words)


def compare(connection: Connection, slot: int) -> tuple[list[Difference], dict[str, int]]:
    """What differs from a read, and how much was compared, all on one snapshot of the log."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        held = accounts.of(connection.execute(sql.accounts_at, {"slot": slot}))
        moved = {account for (account,) in connection.execute(sql.moved_since, {"slot": slot})}
        away = accounts.Moved(markets=moved - {None}, is_configured=None in moved)
        found = accounts.differences(connection, held, away)
    resting = len(held["markets"].keys() - moved)
    return found, {"markets compared": resting, "markets that moved on": len(held["markets"]) - resting}


def _tell(connection: Connection, slot: int, found: Sequence[Difference]) -> None:
    if not found:
        alerts.resolve(connection, ALERT, "")
        return
    some = "; ".join(_sentence(each) for each in found[:3])
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    message = f"At slot {slot} the chain holds something else than the marts: {some}{more}. See the check {CHECK}."
    alerts.raise_alert(connection, ALERT, "", "critical", message)


def _sentence(each: Difference) -> str:
    of = f" of {each.of}" if each.of else ""
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
