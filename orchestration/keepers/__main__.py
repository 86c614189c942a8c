"""`python -m orchestration.keepers` is the process that `zmart keeper` starts.

The exit status is 0 if everything succeeds, 1 if node or database do not answer, 2 if the configuration is refused, 3
if an operator has to review something, and 4 if another keeper is running.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from zmart import errors, exit_status, settings
from zmart import log as logs

from . import report as rendering
from . import runner, submit
from .actions import NAMES, select_tasks
from .intent_store import IntentStore
from .reasons import PlanVerdict
from .round_report import RoundReport


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status."""
    options = parser().parse_args(arguments)
    try:
        configured = settings.load()
        logs.configure(configured, service="keepers")
        return asyncio.run(_COMMANDS[options.command](configured, options))
    except errors.ZmartError as error:
        print(f"zmart keeper: {error}", file=sys.stderr)
        # Nothing is left to an operator, or not any more: the same command cannot succeed later.
        is_refused = options.command == "approve" and isinstance(error, errors.Conflict)
        return exit_status.REFUSED if is_refused else exit_status.of_error(error)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the commands and their options."""
    top = argparse.ArgumentParser(
        prog="zmart keeper",
        description="Plan and send keeper transactions.",
        epilog=f"The keepers are {', '.join(NAMES)}.",
    )
    commands = top.add_subparsers(dest="command", required=True)
    for name, help_ in (("plan", "plan and simulate; sign nothing"), ("run", "plan, sign and send")):
        command = commands.add_parser(name, help=help_)
        command.add_argument("names", nargs="*", metavar="NAME", help="keepers to run (default: all)")
        command.add_argument("--all", action="store_true", help="include rows that only wait")
        command.add_argument("--json", action="store_true", help="print one JSON object per keeper")
        if name == "run":
            command.add_argument("--dry-run", action="store_true", help="same as plan: sign nothing")
    commands.add_parser("sweep", help="resend or close signed transactions")
    intents = commands.add_parser("intents", help="list intents and their outcomes")
    intents.add_argument("--all", action="store_true", help="include closed intents")
    intents.add_argument("--limit", type=int, default=50, help="maximum, newest first")
    release = commands.add_parser("release", help="release a quarantined intent")
    release.add_argument("number", type=int, help="number of the intent")
    release.add_argument("--reason", default="It was inspected.", help="why, for ops.audit")
    approve = commands.add_parser("approve", help="send what a plan left to an operator")
    approve.add_argument("market", help="id or address of the market")
    approve.add_argument("--reason", required=True, help="why, for ops.audit")
    decisions = commands.add_parser("decisions", help="list decisions of operators")
    decisions.add_argument("--limit", type=int, default=50, help="maximum, newest first")
    return top


async def _plan(configured: settings.Settings, options: argparse.Namespace) -> int:
    return await _run_rounds(configured, options, is_dry=True)


async def _run(configured: settings.Settings, options: argparse.Namespace) -> int:
    is_dry = options.dry_run or configured.monitor.dry_run
    if is_dry and not options.dry_run:
        print("Dry run: MARKET_MONITOR_DRY_RUN is on, the default until SOLANA_CLUSTER is set.", file=sys.stderr)
    return await _run_rounds(configured, options, is_dry=is_dry)


async def _run_rounds(configured: settings.Settings, options: argparse.Namespace, *, is_dry: bool) -> int:
    selected = select_tasks(options.names)
    reports = []
    async with runner.open_runner(configured, updates_alerts=False) as keepers:
        for task in selected:
            report = await keepers.run_round(task, is_dry=is_dry)
            reports.append(report)
            _show(report, options)
    return status(reports)


def status(reports: Sequence[RoundReport]) -> int:
    """Return the exit status for some rounds."""
    if any(report.skipped for report in reports):
        return exit_status.BUSY
    return exit_status.MANUAL_REVIEW if any(report.is_review_needed for report in reports) else exit_status.OK


def _show(report: RoundReport, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(report_as_json(report)))
        return
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(rendering.summary(report), highlight=False)
    shown = [row for row in report.rows if options.all or row.verdict is not PlanVerdict.WAIT]
    if shown:
        console.print(rendering.terminal(report, shows_all=options.all))
    for row in report.rows:
        if row.unsigned is not None:
            console.print(f"{row.market.market_id} {row.unsigned}", soft_wrap=True, highlight=False)
    for one in report.sent:
        console.print(f"{one.signature} {one.state} {one.message}".rstrip(), soft_wrap=True, highlight=False)


def report_as_json(report: RoundReport) -> dict[str, Any]:
    """Return a report as a JSON object."""
    return {
        "keeper": report.task.name,
        "is_dry": report.is_dry,
        "skipped": report.skipped or None,
        "stopped": report.stopped.json() if report.stopped else None,
        "rows": [
            {
                **submit.row_as_json(row),
                "verdict": row.verdict.value,
                "reason": row.reason.name.lower(),
                "arguments": dict(row.arguments),
                "unsigned": row.unsigned,
            }
            for row in report.rows
        ],
        "sent": [
            {"intent": one.intent_no, "signature": one.signature, "state": one.state, "words": one.message}
            for one in report.sent
        ],
    }


async def _sweep(configured: settings.Settings, options: argparse.Namespace) -> int:
    async with runner.open_runner(configured, updates_alerts=False) as keepers:
        swept = await keepers.sweep()
        print(await keepers.describe_lease_holder() if swept is None else swept.summary())
    return exit_status.BUSY if swept is None else exit_status.OK


async def _intents(configured: settings.Settings, options: argparse.Namespace) -> int:
    async with IntentStore(configured.postgres.dsn("zmart_keeper")) as intent_store:
        rows = await intent_store.intents(is_open=not options.all, limit=options.limit)
    table = Table(box=None, pad_edge=False)
    for name in ("intent", "market", "keeper", "state", "attempts", "since", "closed", "words", "signature", "ending"):
        table.add_column(name, overflow="fold")
    for number, market, task, state, attempts, created, closed, message, signature, ending in rows:
        cells = (
            number,
            f"{market[:12]}…",
            task,
            state,
            attempts,
            _minute(created),
            _minute(closed),
            message,
            signature,
        )
        table.add_row(*("" if cell is None else str(cell) for cell in (*cells, ending)))
    Console(width=None if sys.stdout.isatty() else 240).print(table)
    return exit_status.OK


def _minute(at: Any) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


async def _release(configured: settings.Settings, options: argparse.Namespace) -> int:
    async with IntentStore(configured.postgres.dsn("zmart_keeper")) as intent_store:
        released = await intent_store.release_intent(options.number, getpass.getuser(), options.reason)
        if released:
            await intent_store.resolve("intent_quarantined", str(options.number))
    if not released:
        raise errors.NotFound(
            f"Intent {options.number} is not quarantined, or one of its transactions may still land.",
            help="See: zmart keeper intents",
        )
    print(f"Intent {options.number} is released; the next plan starts from the beginning.")
    return exit_status.OK


async def _approve(configured: settings.Settings, options: argparse.Namespace) -> int:
    if configured.monitor.dry_run:
        raise errors.ConfigurationError(
            "MARKET_MONITOR_DRY_RUN is on, so nothing may be signed.",
            help="Set SOLANA_CLUSTER, or MARKET_MONITOR_DRY_RUN=false.",
        )
    async with runner.open_runner(configured) as keepers:
        report = await keepers.approve(options.market, who=getpass.getuser(), reason=options.reason)
        if report is None:
            print(await keepers.describe_lease_holder())
            return exit_status.BUSY
    _show(report, argparse.Namespace(all=True, json=False))
    return exit_status.OK if report.sent else exit_status.MANUAL_REVIEW


async def _decisions(configured: settings.Settings, options: argparse.Namespace) -> int:
    async with IntentStore(configured.postgres.dsn("zmart_keeper")) as intent_store:
        rows = await intent_store.audited_decisions(limit=options.limit)
    table = Table(box=None, pad_edge=False)
    for name in ("decision", "at", "who", "login", "action", "subject", "reason", "details"):
        table.add_column(name, overflow="fold")
    for number, at, who, login, action, subject, reason, details in rows:
        table.add_row(str(number), _minute(at), who, login, action, subject, reason, json.dumps(details))
    Console(width=None if sys.stdout.isatty() else 240).print(table)
    return exit_status.OK


_COMMANDS = {
    "plan": _plan,
    "run": _run,
    "sweep": _sweep,
    "intents": _intents,
    "release": _release,
    "approve": _approve,
    "decisions": _decisions,
}


if __name__ == "__main__":
    sys.exit(main())
