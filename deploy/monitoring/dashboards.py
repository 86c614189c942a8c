"""Writes the dashboards of Grafana: `python deploy/monitoring/dashboards.py`.

A dashboard is a list of panels, a panel a title, a unit and its queries. The JSON that Grafana imports repeats the same
frame for each panel, so it is generated; a test compares the files with the output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "dashboards"
#: The version of the dashboards' format; Grafana reads older ones.
SCHEMA_VERSION = 39
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3


class Panel(NamedTuple):
    """One graph: its title, the unit in Grafana's name, and pairs of query and legend."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def quantile(share: float, metric: str, by: str = "") -> str:
    """Return the query of a quantile of a histogram, in total or by a label."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[5m])))"


def rate(counter: str, by: str, selector: str = "") -> str:
    """Return the query of a counter's rate a second, by a label."""
    return f"sum by ({by}) (rate({counter}_total{selector}[5m]))"


DASHBOARDS: dict[str, tuple[str, tuple[Panel, ...]]] = {
    "overview": (
        "ZMART overview",
        (
            Panel("Processes that answer", "short", (('up{job=~"zmart-.*"}', "{{job}}"),)),
            Panel("Ready", "short", (("zmart_api_ready", "{{job}}"), ("zmart_ingest_database_up", "ingest: database"))),
            Panel("Open alerts", "short", (("zmart_dagster_alerts", "{{severity}}"),)),
            Panel(
                "Objectives of the last minutes",
                "percentunit",
                (
                    ("zmart:freshness:ratio_5m", "freshness"),
                    ("zmart:availability:ratio_5m", "availability"),
                    ("zmart:webhook_availability:ratio_5m", "webhook"),
                    ("zmart:completeness:ok", "completeness"),
                    ("zmart:finality:ok", "finality"),
                ),
            ),
            Panel(
                "Objectives of thirty days",
                "percentunit",
                (
                    ("zmart:freshness:ratio_30d", "freshness"),
                    ("zmart:availability:ratio_30d", "availability"),
                    ("zmart:webhook_availability:ratio_30d", "webhook"),
                    ("zmart:completeness:ratio_30d", "completeness"),
                    ("zmart:finality:ratio_30d", "finality"),
                ),
            ),
            Panel("Events a second", "short", ((rate("zmart_ingest_events", "source"), "{{source}}"),)),
            Panel("Requests a second", "reqps", ((rate("zmart_api_requests", "job"), "{{job}}"),)),
            Panel("Streams", "short", (("zmart_push_streams", "{{job}}"),)),
            Panel("CPU", "percentunit", (('rate(process_cpu_seconds_total{job=~"zmart-.*"}[5m])', "{{job}}"),)),
            Panel("Memory", "bytes", (('process_resident_memory_bytes{job=~"zmart-.*"}', "{{job}}"),)),
            Panel("Open files", "short", (('process_open_fds{job=~"zmart-.*"}', "{{job}}"),)),
            Panel("Database", "bytes", (("zmart_ingest_database_bytes", "size"),)),
        ),
    ),
    "ingest": (
        "ZMART ingest",
        (
            Panel("Deliveries a second", "short", ((rate("zmart_ingest_deliveries", "outcome"), "{{outcome}}"),)),
            Panel(
                "Time of a delivery",
                "s",
                (
                    (quantile(0.5, "zmart_ingest_answer_seconds"), "p50"),
                    (quantile(0.99, "zmart_ingest_answer_seconds"), "p99"),
                ),
            ),
            Panel("Transactions a second", "short", ((rate("zmart_ingest_transactions", "source"), "{{source}}"),)),
            Panel("Events a second", "short", ((rate("zmart_ingest_events", "source"), "{{source}}"),)),
            Panel("Known transactions a second", "short", ((rate("zmart_ingest_duplicates", "source"), "{{source}}"),)),
            Panel(
                "Parts of a commit, p99",
                "s",
                (
                    (quantile(0.99, "zmart_ingest_writer_lock_wait_seconds"), "wait for the lock"),
                    (quantile(0.99, "zmart_ingest_writer_lock_held_seconds"), "lock held"),
                    (quantile(0.99, "zmart_ingest_folds_seconds"), "marts"),
                    (quantile(0.99, "zmart_ingest_commit_seconds"), "COMMIT"),
                ),
            ),
            Panel(
                "Transactions in a commit",
                "short",
                (
                    (
                        "sum(rate(zmart_ingest_batch_transactions_sum[5m])) "
                        "/ sum(rate(zmart_ingest_batch_transactions_count[5m]))",
                        "mean",
                    ),
                ),
            ),
            Panel(
                "Bytes not committed",
                "bytes",
                (("zmart_ingest_queue_bytes", "queue"), ("zmart_ingest_unproven_bytes", "unproven")),
            ),
            Panel(
                "Slots behind",
                "short",
                (
                    ("zmart_ingest_lag_slots", "verified"),
                    ("zmart_ingest_finalized_slot - zmart_ingest_finalized_through_slot", "final"),
                ),
            ),
            Panel(
                "Unverified",
                "short",
                (("zmart_ingest_unverified", "unverified"), ("zmart_ingest_coverage_gaps", "gaps")),
            ),
            Panel(
                "To be looked at",
                "short",
                (
                    ("zmart_ingest_wanted_open", "signatures to fetch"),
                    ("zmart_ingest_suspects", "not in the finalized list"),
                    ("zmart_ingest_stale_models", "stopped marts"),
                    ("zmart_ingest_behind_models", "marts behind"),
                ),
            ),
            Panel("Age of the newest event", "s", (("zmart_ingest_last_event_age_seconds", "age"),)),
        ),
    ),
    "api": (
        "ZMART API",
        (
            Panel("Requests a second by status", "reqps", ((rate("zmart_api_requests", "status"), "{{status}}"),)),
            Panel(
                "Time to the response",
                "s",
                (
                    (quantile(0.5, "zmart_api_request_seconds"), "p50"),
                    (quantile(0.95, "zmart_api_request_seconds"), "p95"),
                    (quantile(0.99, "zmart_api_request_seconds"), "p99"),
                ),
            ),
            Panel("Time by route, p99", "s", ((quantile(0.99, "zmart_api_request_seconds", "route"), "{{route}}"),)),
            Panel("Requests a second by route", "reqps", ((rate("zmart_api_requests", "route"), "{{route}}"),)),
            Panel(
                "Cache hits",
                "percentunit",
                (
                    (
                        'sum by (job) (rate(zmart_api_cache_lookups_total{result="hit"}[5m])) '
                        "/ sum by (job) (rate(zmart_api_cache_lookups_total[5m]))",
                        "{{job}}",
                    ),
                ),
            ),
            Panel("Cache", "bytes", (("zmart_api_cache_bytes", "{{job}}"),)),
            Panel(
                "Connections to Postgres", "short", (("zmart_api_database_connections", "{{job}} {{pool}} {{state}}"),)
            ),
            Panel(
                "Requests that wait for a connection",
                "short",
                (("zmart_api_database_waiting_requests", "{{job}} {{pool}}"),),
            ),
            Panel(
                "Requests without a connection a second",
                "reqps",
                ((rate("zmart_api_database_refused_requests", "job, pool"), "{{job}} {{pool}}"),),
            ),
            Panel("Oldest write", "s", (("zmart_api_oldest_write_seconds", "{{job}}"),)),
        ),
    ),
    "push": (
        "ZMART push",
        (
            Panel("Streams", "short", (("zmart_push_streams", "{{job}}"),)),
            Panel("Streams opened a second", "short", ((rate("zmart_push_opened_streams", "job"), "{{job}}"),)),
            Panel(
                "Streams ended a second",
                "short",
                ((rate("zmart_push_closed_streams", "job, reason"), "{{job}} {{reason}}"),),
            ),
            Panel(
                "From the log to the streams",
                "s",
                (
                    (quantile(0.5, "zmart_push_delay_seconds"), "p50"),
                    (quantile(0.99, "zmart_push_delay_seconds"), "p99"),
                ),
            ),
            Panel("Entries a second", "short", ((rate("zmart_push_entries", "job"), "{{job}}"),)),
            Panel("Frames a second", "short", ((rate("zmart_push_frames", "job"), "{{job}}"),)),
            Panel(
                "Entries behind the log",
                "short",
                (("max(zmart_ingest_head_seq) - on () group_right () zmart_push_position_seq", "{{job}}"),),
            ),
            Panel("Stalled", "short", (("zmart_push_stalled", "{{job}}"),)),
            Panel("Silence of Postgres", "s", (("zmart_push_silent_seconds", "{{job}}"),)),
            Panel(
                "Refused streams and resyncs a second",
                "short",
                (
                    (rate("zmart_push_refused_streams", "job"), "{{job}} refused"),
                    (rate("zmart_push_resyncs", "job"), "{{job}} resync"),
                ),
            ),
        ),
    ),
    "keepers": (
        "ZMART keepers and Dagster",
        (
            Panel("Markets that wait", "short", (("zmart_ingest_keeper_waiting_markets", "{{keeper}}"),)),
            Panel("Since the last round", "s", (("zmart_keeper_round_age_seconds >= 0", "{{keeper}} {{mode}}"),)),
            Panel("Failed rounds", "short", (("zmart_keeper_round_failed", "{{keeper}} {{mode}}"),)),
            Panel("Due in the last round", "short", (("zmart_keeper_due_markets", "{{keeper}} {{mode}}"),)),
            Panel("Duration of a round", "s", (("zmart_keeper_round_seconds", "{{keeper}} {{mode}}"),)),
            Panel(
                "Transactions that ended, an hour",
                "short",
                (("sum by (ending) (increase(zmart_keeper_submissions_total[1h]))", "{{ending}}"),),
            ),
            Panel("Open transactions", "short", (("zmart_keeper_open_submissions", "may still land"),)),
            Panel(
                "Fees of today in lamports",
                "short",
                (("zmart_keeper_spent_today_lamports", "spent"), ("zmart_keeper_daily_budget_lamports", "budget")),
            ),
            Panel("Runs", "short", (("zmart_dagster_active_runs", "{{status}}"),)),
            Panel("Since a job last succeeded", "s", (("zmart_dagster_success_age_seconds", "{{job}}"),)),
            Panel("Daemons", "s", (("zmart_dagster_heartbeat_age_seconds", "{{daemon}}"),)),
            Panel("Open alerts", "short", (("zmart_dagster_alerts", "{{severity}}"),)),
        ),
    ),
    "postgres": (
        "ZMART Postgres",
        (
            Panel(
                "Up",
                "short",
                (
                    ("pg_up", "exporter"),
                    ("zmart_ingest_database_up", "ingest"),
                    ("zmart_dagster_database_up", "Dagster"),
                ),
            ),
            Panel(
                "Connections",
                "short",
                (
                    ("sum by (state) (pg_stat_activity_count)", "{{state}}"),
                    ("max(pg_settings_max_connections)", "limit"),
                ),
            ),
            Panel("Size", "bytes", (('pg_database_size_bytes{datname!~"template.*"}', "{{datname}}"),)),
            Panel(
                "Transactions a second",
                "short",
                (
                    (
                        'sum by (datname) (rate(pg_stat_database_xact_commit{datname!~"template.*|"}[5m]))',
                        "{{datname}} commit",
                    ),
                    (
                        'sum by (datname) (rate(pg_stat_database_xact_rollback{datname!~"template.*|"}[5m]))',
                        "{{datname}} rollback",
                    ),
                ),
            ),
            Panel(
                "Blocks found in memory",
                "percentunit",
                (
                    (
                        "sum(rate(pg_stat_database_blks_hit[5m])) "
                        "/ (sum(rate(pg_stat_database_blks_hit[5m])) + sum(rate(pg_stat_database_blks_read[5m])))",
                        "share",
                    ),
                ),
            ),
            Panel("Longest transaction", "s", (("max by (state) (pg_stat_activity_max_tx_duration)", "{{state}}"),)),
            Panel("Locks", "short", (("sum by (mode) (pg_locks_count)", "{{mode}}"),)),
            Panel(
                "Deadlocks and conflicts a second",
                "short",
                (
                    ("sum(rate(pg_stat_database_deadlocks[5m]))", "deadlocks"),
                    ("sum(rate(pg_stat_database_conflicts[5m]))", "conflicts"),
                ),
            ),
            Panel("Temporary files", "Bps", (("sum(rate(pg_stat_database_temp_bytes[5m]))", "written"),)),
        ),
    ),
}


def render(name: str) -> str:
    """Return a dashboard as the JSON that Grafana imports."""
    title, panels = DASHBOARDS[name]
    return json.dumps(_dashboard(name, title, panels), indent=2) + "\n"


def _dashboard(name: str, title: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": f"zmart-{name}",
        "title": title,
        "tags": ["zmart"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "gridPos": {
            "x": number % _COLUMNS * _WIDTH,
            "y": number // _COLUMNS * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }


def main() -> None:
    """Write every dashboard."""
    FOLDER.mkdir(exist_ok=True)
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(render(name))


if __name__ == "__main__":
    main()
