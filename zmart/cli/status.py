"""Provides the status command, which prints the state that the API and ingest report, as a page or as JSON."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from zmart import errors
from zmart import settings as configuration
from zmart.settings import Settings

from . import formatting

#: Where the API showed no text of a mart's error.
_NO_REASON = "see `zmart logs ingest`"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the API's JSON response.")
def status(as_json: bool) -> None:
    """Show the state of log, marts and alerts.

    The page shows the end of the log, the slots through which it is verified, and whether every mart follows it.
    """
    report = _fetch_status(configuration.load())
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for line in format_page(report):
        click.echo(line)


def _status_request(settings: Settings) -> urllib.request.Request:
    token = settings.api.metrics_token
    return urllib.request.Request(
        f"http://{settings.hosts.api}:{settings.ports.api}/api/status",
        headers={"Authorization": f"Bearer {token.reveal()}"} if token else {},
    )


def _fetch_status(settings: Settings) -> dict[str, Any]:
    """Return the status that the API reports; raise Unavailable where it does not answer."""
    host, port = settings.hosts.api, settings.ports.api
    try:
        with urllib.request.urlopen(_status_request(settings), timeout=5) as answer:  # noqa: S310 - always http
            report: dict[str, Any] = json.load(answer)
            return report | {"ingest": _fetch_ingest_status(settings)}
    except (urllib.error.URLError, TimeoutError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise errors.Unavailable(
            f"The API on {host}:{port} does not answer: {reason}.",
            help="List the services with `zmart ps`; start them with `zmart up`.",
        ) from error


def _fetch_ingest_status(settings: Settings) -> dict[str, Any] | None:
    """Return the status that ingest reports, including rates and size; None where it does not answer."""
    url = f"http://{settings.hosts.ingest}:{settings.ports.ingest}/ready"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            report: dict[str, Any] = json.load(answer)
            return report
    except urllib.error.HTTPError as refusal:
        # The response of a service that is not ready is used, too: 503, with reasons.
        with contextlib.suppress(ValueError):
            unready: dict[str, Any] = json.load(refusal)
            return unready
    except (urllib.error.URLError, TimeoutError, ValueError, http.client.HTTPException):
        pass
    return None


def format_page(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a readable page: open problems with next steps, then the log, what is verified and open, models, alerts."""
    lag, completeness = report.get("lag") or {}, report.get("completeness") or {}
    yield from _format_summary(list(_open_problems(report)))
    yield ""
    rows = [
        ("log", f"seq {report['seq']:,} at slot {report['slot']}, {report['commitment']}, epoch {report['epoch']}"),
        ("lag", f"last entry {_format_age(lag.get('last_entry_age_seconds'))}"),
        ("", f"last event {_format_age(lag.get('last_event_age_seconds'))}"),
        ("complete", f"{completeness.get('state', 'unknown')}. {completeness.get('reason', '')}".strip()),
        ("chain", _format_chain(completeness)),
        ("verified", _format_slot(report.get("verified_through"))),
        ("final", _format_slot(report.get("finalized_through"))),
        ("open", f"{report['wanted']} signatures to fetch, {report['dead_letters']} dead letters"),
    ]
    rows += _format_ingest(report.get("ingest"))
    yield from (f"{name:<10}{text}" for name, text in rows)
    yield ""
    for model in report.get("models", ()):
        state = "follows the log"
        if model["is_stale"]:
            state = f"stopped at seq {model['applied_seq']}: {model['reason'] or _NO_REASON}"
        elif model.get("is_behind"):
            state = f"behind since seq {model['applied_seq']}, retried automatically: {model['reason'] or _NO_REASON}"
        yield f"{'model':<10}{model['name']:<18}{state}"
    for keeper in report.get("keepers", ()):
        if keeper["last_round_at"] is not None or keeper["waiting"]:
            yield f"{'keeper':<10}{keeper['name']:<22}{_format_keeper(keeper)}"
    for alert in report.get("alerts", ()):
        yield from _format_alerts(alert)


def _format_alerts(alert: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each open alert of a kind; one line for all where the API showed no texts."""
    if alert["details"] is None:
        yield f"{alert['severity']:<10}{alert['kind']}: {alert['open']} open. See: zmart alerts list"
        return
    for one in alert["details"]:
        name = " ".join(filter(None, (alert["kind"], one["subject"])))
        yield f"{one['severity']:<10}{name} ({one['occurrences']} x): {one['message']}"


def _format_summary(needs: Sequence[str]) -> Iterator[str]:
    if not needs:
        yield "All is well: no listed transaction is missing, all marts follow the log, no alert is open."
        return
    yield "One problem:" if len(needs) == 1 else f"{len(needs)} problems:"
    yield from (f"  - {need}" for need in needs)


def _open_problems(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield every problem with its next step, the most severe first."""
    if report.get("ingest") is None:
        yield "Ingest does not answer, so no transactions arrive. See: zmart ps, zmart logs ingest"
    for alert in report.get("alerts", ()):
        if alert["details"] is None and alert["severity"] == "critical":
            yield f"{alert['kind']}: {alert['open']} open. See: zmart alerts list"
        critical = [one for one in alert["details"] or () if one["severity"] == "critical"]
        yield from (f"{alert['kind']}: {one['message']}" for one in critical)
    stale = [model["name"] for model in report.get("models", ()) if model["is_stale"]]
    if stale:
        yield f"Marts that stopped following the log: {', '.join(stale)}. See: zmart rebuild --verify"
    behind = [model["name"] for model in report.get("models", ()) if model.get("is_behind")]
    if behind:
        yield f"Marts that are behind the log: {', '.join(behind)}. They are retried automatically."
    overdue = [mart["name"] for mart in report.get("scheduled_marts", ()) if mart["is_overdue"]]
    if overdue:
        yield f"Marts not computed for 15 minutes: {', '.join(overdue)}. See: zmart ps, zmart logs dagster-daemon"
    completeness = report.get("completeness") or {}
    if completeness.get("state") != "verified":
        reason = completeness.get("reason", "its state is unknown.")
        yield f"Completeness is {completeness.get('state', 'unknown')}: {reason}"
    for gap in report.get("gaps", ()):
        slots = f"slots {gap['from_slot']} to {gap['to_slot']}"
        counts = f"{gap['missing']} transactions are missing, {gap['unproven']} unproven"
        yield f"Accepted gap {gap['gap_no']} ({slots}): {counts}. See: zmart gap list"
    if report["dead_letters"]:
        count = report["dead_letters"]
        yield f"{count} open dead letter{'s' if count > 1 else ''}. See: zmart dead-letters list"
    warnings = [alert for alert in report.get("alerts", ()) if alert["severity"] == "warning"]
    if warnings:
        kinds = ", ".join(dict.fromkeys(alert["kind"] for alert in warnings))
        yield f"Open warnings: {kinds}. See: zmart alerts list"


def _format_keeper(keeper: Mapping[str, Any]) -> str:
    """Return the last round of a keeper, and how many markets wait for it."""
    waiting = f"markets that wait for it: {keeper['waiting'] if keeper['waiting'] is not None else 'unknown'}"
    if keeper["last_round_at"] is None:
        return f"has never run; {waiting}"
    kind = "dry round" if keeper["is_dry"] else "round"
    age = _format_age(keeper["last_round_age_seconds"])
    counts = f"{keeper['due']} due, {keeper['sent']} sent"
    return f"{kind} {age} {keeper['outcome']}, {counts}; {waiting}"


def _format_ingest(report: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the deliveries of the last minute, the reasons that prevent more, and the size of the log."""
    if report is None:
        return [("ingest", "does not answer")]
    rows = [("ingest", reason) for reason in report.get("reasons", ())]
    for place, (unit, by_source) in enumerate((report.get("per_minute") or {}).items()):
        sources = ", ".join(f"{source} {count:,}" for source, count in sorted(by_source.items()))
        text = f"{sum(by_source.values()):,} {unit}" + (f" ({sources})" if sources else "")
        rows.append(("" if place else "a minute", text))
    rows += [
        ("" if place else "sources", _format_source(name, one))
        for place, (name, one) in enumerate((report.get("sources") or {}).items())
    ]
    size = report.get("size") or {}
    if (total := size.get("bytes")) is not None and total >= 0:
        bytes_per_million = size.get("bytes_per_million_events")
        growth = (
            f"{bytes_per_million / 1e6:,.0f} MB per million events"
            if bytes_per_million
            else "too few events to estimate the growth"
        )
        rows.append(("size", f"{total / 1e6:,.0f} MB, {growth}"))
    return rows


def _format_source(name: str, standing: Mapping[str, Any]) -> str:
    """Return how a source did in the last five minutes, compared with the others."""
    parts = [f"first for {standing['first']:,}"]
    if standing["later"]:
        parts.append(f"later for {standing['later']:,}, by {1e3 * standing['median_lag_seconds']:,.0f} ms (median)")
    if standing["missed"]:
        parts.append(f"{standing['missed']:,} not reported")
    return f"{name}: {'; '.join(parts)}"


_CONSENSUS = {
    "alpenglow": "Alpenglow: confirmed is final",
    "tower": "Tower BFT: finality follows 32 slots later",
    "unknown": "consensus unknown, treated as Tower BFT",
}


def _format_chain(completeness: Mapping[str, Any]) -> str:
    text = _CONSENSUS.get(completeness.get("consensus", "unknown"), _CONSENSUS["unknown"])
    seconds = completeness.get("slot_seconds")
    return text if seconds is None else f"{text}; a slot takes {seconds:.2f} s"


def _format_slot(slot: int | None) -> str:
    return "nothing yet" if slot is None else f"through slot {slot}"


def _format_age(seconds: float | None) -> str:
    return "never" if seconds is None else f"{formatting.format_duration(max(0.0, float(seconds)))} ago"
