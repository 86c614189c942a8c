"""Implements `zmart gap list|accept`: lists the gaps that finality waits for, and accepts one that no node can fill.

Both ask the nodes of SOLANA_RPC_URL themselves, so that the answer is of now. Ingest may run meanwhile: it moves
finality on with its next walk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final

from zmart import errors, exit_status, settings
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient

from ..decode.decoder import Decoder
from ..store.group_commit import Pipeline
from ..store.writer import Writer
from ..sync import gaps as sync_gaps
from ..sync import task as sync_task
from ..sync.database import SyncDatabase
from ..sync.fetch import Fetcher
from ..sync.reconcile import Reconciler

#: Transactions of a gap that are printed; the others are counted.
SHOWN: Final = 10


def main(arguments: Sequence[str]) -> int:
    """Run a command; return 0 on success, and an exit status after printing the reason otherwise."""
    options = parser().parse_args(arguments)
    try:
        configured = settings.load()
        return asyncio.run(_list(configured, options) if options.command == "list" else _accept(configured, options))
    except errors.ZmartError as error:
        print(f"gap: {error}", file=sys.stderr)
        return exit_status.of_error(error)


@contextlib.asynccontextmanager
async def open_finder(configured: settings.Settings) -> AsyncIterator[sync_gaps.GapFinder]:
    """Open a finder on the configured nodes and log. Raises ConfigurationError for a node of another chain."""
    dsn = configured.postgres.dsn("zmart_ingest")
    database = SyncDatabase(dsn)

    async def connect() -> Writer:
        return await Writer.connect(dsn)

    pacer = RequestPacer(per_second=sync_task.REQUESTS_PER_SECOND, burst=20)
    program_id = configured.chain.program_id
    try:
        async with RpcClient.of(configured.chain, pacer=pacer) as client, Pipeline(connect) as pipeline:
            await sync_task.identify(client, database, cluster=configured.chain.cluster, program_id=program_id)
            yield sync_gaps.GapFinder(
                client,
                Reconciler(
                    client,
                    program_id,
                    pipeline,
                    database,
                    may_jump=configured.chain.cluster is settings.Cluster.LOCALNET,
                ),
                Fetcher(client, Decoder(program_id), pipeline, database),
                database,
            )
    finally:
        await database.close()


async def _list(configured: settings.Settings, options: argparse.Namespace) -> int:
    database = SyncDatabase(configured.postgres.dsn("zmart_ingest"))
    try:
        accepted = await sync_gaps.accepted_gaps(database, shows_all=options.all)
    finally:
        await database.close()
    for gap in accepted:
        _print_accepted(gap)
    async with open_finder(configured) as finder:
        _, found = await finder.find()
    for one in found:
        _print_found(one)
    if not found and not accepted:
        print("No gaps.")
    return 0


async def _accept(configured: settings.Settings, options: argparse.Namespace) -> int:
    sync_gaps.require_request(options.from_slot, options.to_slot, options.reason)
    await sync_gaps.require_operator(configured.postgres.dsn("zmart_ingest"))
    async with open_finder(configured) as finder:
        gap = await finder.accept(options.from_slot, options.to_slot, who=getpass.getuser(), reason=options.reason)
    _print_accepted(gap)
    print(
        "Finality goes on with the next walk of ingest. Keepers of the markets concerned wait until the gap is filled."
    )
    return 0


def _print_accepted(gap: sync_gaps.GapRecord) -> None:
    state = (
        f"{gap.unlisted} stored without proof, {gap.unfetched} missing"
        if gap.closed_at is None
        else f"filled {gap.closed_at:%Y-%m-%d %H:%M}"
    )
    print(f"gap {gap.gap_no}, accepted: slots {gap.from_slot} to {gap.to_slot}, {gap.total} transactions, {state}")
    print(f"    by {gap.who} on {gap.accepted_at:%Y-%m-%d %H:%M}: {gap.reason}")


def _print_found(gap: sync_gaps.OpenGap) -> None:
    print(f"open: slots {gap.from_slot} to {gap.to_slot}, {len(gap.transactions)} transactions; finality waits")
    for one in gap.transactions[:SHOWN]:
        meaning = "stored, and no node lists it" if one.kind == "unlisted" else "listed, and not fetched"
        waiting = f"for {one.age_seconds:.0f} s"
        print(f"    {one.signature} (slot {one.slot}): {meaning}, {waiting}. {one.obstacle}".rstrip())
    if len(gap.transactions) > SHOWN:
        print(f"    and {len(gap.transactions) - SHOWN} more")
    print(f"    If no node can fill it: zmart gap accept {gap.from_slot} {gap.to_slot} --reason TEXT")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the commands of `zmart gap` and their options."""
    top = argparse.ArgumentParser(prog="zmart gap", description="List gaps of the log and accept one.")
    commands = top.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="list open and accepted gaps")
    listing.add_argument("--all", action="store_true", help="include accepted gaps that were filled")
    accept = commands.add_parser("accept", help="accept a gap that no node can fill")
    accept.add_argument("from_slot", type=int, help="the first slot")
    accept.add_argument("to_slot", type=int, help="the last slot")
    accept.add_argument("--reason", required=True, help="why no node can fill it, for ops.audit")
    return top
