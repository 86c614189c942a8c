"""Renders a round as tables: plan, submissions and simulations, as markdown for the UI and for a terminal."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.table import Table

from .plans import PlanRow
from .reasons import PlanVerdict
from .round_report import RoundReport

#: Maximum rows of a table in the UI. Rows that act or need review come first; the rest is only counted.
MAX_ROWS: Final = 100
#: Maximum lines shown of a simulation's log.
MAX_LINES: Final = 40
PLAN: Final = ("market", "state", "verdict", "why", "arguments", "due from", "ballots", "details")
SUBMISSIONS: Final = ("market", "intent", "signature", "state", "fee, lamports", "details")
_COLOURS: Final = {
    PlanVerdict.DUE: "green",
    PlanVerdict.EXPORT: "cyan",
    PlanVerdict.MANUAL_REVIEW: "red",
    PlanVerdict.REFUSED: "yellow",
    PlanVerdict.WAIT: "bright_black",
}


def plan_rows(rows: Sequence[PlanRow]) -> list[tuple[str, ...]]:
    """Return the cells of a plan; a market is shown by the start of its id, so that a whole row fits on a page."""
    return [
        (
            f"{row.market.market_id[:12]}…",
            row.market.state.name,
            row.verdict.value,
            row.reason.label,
            ", ".join(f"{name} {_argument(value)}" for name, value in row.arguments.items()),
            _instant(row.deadline),
            _ballots(row),
            row.detail,
        )
        for row in rows
    ]


def plan_markdown(rows: Sequence[PlanRow], *, market_url: str = "") -> str:
    """Return a plan as a markdown table; each market is a link if the address of markets' pages is given."""
    cells = plan_rows(rows)
    if market_url:
        links = (
            f"[{market}]({market_url}{row.market.market_id})" for row, (market, *_) in zip(rows, cells, strict=True)
        )
        cells = [(link, *rest) for link, (_, *rest) in zip(links, cells, strict=True)]
    return markdown(PLAN, cells)


def submission_rows(report: RoundReport) -> list[tuple[str, ...]]:
    """Return the cells of the signed transactions."""
    return [
        (
            one.row.market.market_id,
            str(one.intent_no),
            one.signature,
            one.state,
            f"{one.fee_lamports:,}",
            one.message,
        )
        for one in report.sent
    ]


def summary(report: RoundReport) -> str:
    """Return a round in one line."""
    if report.skipped:
        return f"{report.task.name}: nothing done. {report.skipped}"
    counts = ", ".join(
        f"{count} {verdict.value}{_waiting_reasons(report) if verdict is PlanVerdict.WAIT else ''}"
        for verdict in PlanVerdict
        if (count := report.count(verdict))
    )
    text = f"{report.task.name}{' (dry run)' if report.is_dry else ''}: {counts or 'no markets'}"
    sent = f"; {len(report.sent)} sent, {report.swept.summary()}" if not report.is_dry else ""
    stopped = f"; STOPPED: {report.stopped.message}" if report.stopped else ""
    return f"{text}{sent}{stopped}; {report.seconds:.1f} s"


def _waiting_reasons(report: RoundReport) -> str:
    """Return why markets wait, with their numbers, because their rows are shown with --all only."""
    labels = collections.Counter(row.reason.label for row in report.rows if row.verdict is PlanVerdict.WAIT)
    return f" ({', '.join(f'{count} {label}' for label, count in labels.most_common())})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table of at most MAX_ROWS rows, followed by the number of the other rows."""
    lines = [_line(header), _line(["---"] * len(header)), *(_line(map(_cell, row)) for row in rows[:MAX_ROWS])]
    if len(rows) > MAX_ROWS:
        lines.append(f"\n... and {len(rows) - MAX_ROWS:,} more.")
    return "\n".join(lines)


def simulations(rows: Iterable[PlanRow]) -> str:
    """Return the simulations' logs of the rows that have one, one block for each market."""
    blocks = [
        f"**{row.market.market_id}** ({row.reason.label})\n\n```\n" + "\n".join(row.logs[:MAX_LINES]) + "\n```"
        for row in rows
        if row.logs
    ]
    return "\n\n".join(blocks[:MAX_ROWS]) or "Nothing was simulated."


def unsigned_transactions(rows: Iterable[PlanRow]) -> str:
    """Return the transactions that wait for the admin's signature, in base64."""
    return markdown(
        ("market", "transaction"), [(row.market.market_id, row.unsigned) for row in rows if row.unsigned is not None]
    )


def terminal(report: RoundReport, *, shows_all: bool) -> Table:
    """Return the plan as a table for a terminal; rows that only wait are omitted unless `shows_all`."""
    table = Table(title=report.task.name, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in ("market", "verdict", "why", "arguments", "due from", "ballots", "details"):
        table.add_column(name, overflow="fold")
    shown = [row for row in report.rows if shows_all or row.verdict is not PlanVerdict.WAIT]
    for row, cells in zip(shown, plan_rows(shown), strict=True):
        market, _, *rest = cells
        table.add_row(market, *rest, style=_COLOURS[row.verdict])
    return table


def _argument(value: int | None) -> str:
    return "none" if value is None else str(value)


def _ballots(row: PlanRow) -> str:
    """Return the ballots by class: on chain, off chain by known wallets, off chain by unseen wallets."""
    tally = row.market.tally
    if not any(tally):
        return ""
    return (
        f"chain {tally.on_chain_agree}:{tally.on_chain_disagree}, known "
        f"{tally.known_agree}:{tally.known_disagree}, unseen {tally.unseen_agree}:{tally.unseen_disagree}"
    )


def _instant(seconds: int | None) -> str:
    if seconds is None:
        return ""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S}Z"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
