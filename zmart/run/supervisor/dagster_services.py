"""Configures Dagster's three processes for the supervisor.

    dagster-code     holds the definitions on a Unix socket, evaluates sensors, and starts runs as its children
    dagster          the web interface behind orchestration.web_guard, on loopback unless DAGSTER_HOST is set
    dagster-daemon   starts runs that are due, and takes runs from the queue

One code server serves the other two, so the definitions are loaded once. Dagster's instance is configured by
`dagster.yaml` of the checkout, copied into DAGSTER_HOME below the state directory. Its storage is the schema `dagster`
of the log's own Postgres, used with the keeper's role.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg

from zmart.db.connection import KEEPALIVE, connect_sync, with_session_options

from ..deploy import rebuild

MODULE = "orchestration.definitions"
SCHEMA = "dagster"
INSTANCE = rebuild.PROJECT / "dagster.yaml"
WORKSPACE = rebuild.PROJECT / "workspace.yaml"

#: The kernel accepts 108 bytes for the path of a socket, the last of them zero.
_LONGEST_SOCKET_PATH = 107
#: The daemons whose heartbeats are required; the others (backfills, assets) are Dagster's own affair.
_DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
#: A daemon beats every 30 s; a busy one is late by a minute.
_BEAT_MOST_AGE_SECONDS = 180.0
#: How often the heartbeats are asked for while they are recent.
_ASK_EVERY_SECONDS = 30.0


def dagster_home(state_dir: Path) -> Path:
    """Return DAGSTER_HOME, the folder of the instance's configuration and the output of runs."""
    return state_dir / "dagster"


def code_server_socket(state_dir: Path) -> Path:
    """Return the code server's socket: in DAGSTER_HOME, unless that path is too long for a socket."""
    path = dagster_home(state_dir) / "code.sock"
    if len(bytes(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(bytes(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"zmart-{digest}.sock"


def prepare_home(state_dir: Path) -> None:
    """Create DAGSTER_HOME and copy the checkout's `dagster.yaml` into it."""
    dagster_home(state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    target = dagster_home(state_dir) / "dagster.yaml"
    wanted = INSTANCE.read_bytes()
    if target.is_file() and target.read_bytes() == wanted:
        # An unchanged file is not written, so that a restart needs no disk space.
        return
    # In one step: half a file, as a full disk leaves it, would give Dagster another storage.
    fresh = target.with_suffix(".new")
    fresh.write_bytes(wanted)
    fresh.replace(target)


def environment(state_dir: Path, keeper_dsn: str) -> Mapping[str, str]:
    """Return the variables that dagster.yaml and workspace.yaml use."""
    return {
        "DAGSTER_HOME": str(dagster_home(state_dir)),
        "DAGSTER_STORAGE_URL": storage_url(keeper_dsn),
        "DAGSTER_CODE_SOCKET": str(code_server_socket(state_dir)),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        # With an arena per thread the process would use some 50 MB more.
        "MALLOC_ARENA_MAX": "2",
    }


def storage_url(dsn: str) -> str:
    """Return `dsn` with Dagster's schema as the only search path, and with the options that every connection sets."""
    parts = urlsplit(dsn)
    query = {**KEEPALIVE, "application_name": "zmart dagster storage", **dict(parse_qsl(parts.query))}
    options = f"{query.get('options', '')} -c search_path={SCHEMA}".strip()
    query["options"] = with_session_options(options)
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def code_server_arguments(state_dir: Path) -> list[str]:
    """Return the arguments of the code server."""
    location = ["--socket", str(code_server_socket(state_dir)), "--module-name", MODULE, "--attribute", "definitions"]
    return ["orchestration.code_server", *location, "--location-name", "zmart", "--log-level", "warning"]


def webserver_arguments() -> list[str]:
    """Return the arguments of the web interface."""
    return ["orchestration.webserver"]


def daemon_arguments() -> list[str]:
    """Return the arguments of the daemon."""
    return ["dagster._daemon", "run", "-w", str(WORKSPACE), "--log-level", "warning"]


class DaemonHeartbeat:
    """Checks whether the daemon that was launched last is working."""

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn = dsn
        self._launched = 0.0
        #: Until when a good answer counts, on the monotonic clock: each question opens a connection.
        self._recent_until = 0.0

    def reset(self) -> None:
        """Count only heartbeats from now on."""
        self._launched = time.time()
        self._recent_until = 0.0

    def __call__(self) -> bool:
        """Query the storage for heartbeats since the launch; return False while there is no storage."""
        try:
            return self._count(since=self._launched) == len(_DAEMONS)
        except psycopg.Error:
            return False

    def is_recent(self) -> bool:
        """Return whether each daemon's last heartbeat is recent; True while the storage does not answer.

        A restart of the daemon does not mend the storage.
        """
        if time.monotonic() < self._recent_until:
            return True
        try:
            is_recent = self._count(since=time.time() - _BEAT_MOST_AGE_SECONDS) == len(_DAEMONS)
        except psycopg.Error:
            return True
        if is_recent:
            self._recent_until = time.monotonic() + _ASK_EVERY_SECONDS
        return is_recent

    def _count(self, *, since: float) -> int:
        with connect_sync(storage_url(self._dsn()), connect_timeout_seconds=5) as connection:
            row = connection.execute(_BEATS, {"since": since, "names": list(_DAEMONS)}).fetchone()
        return 0 if row is None else int(row[0])


_BEATS = """
select count(*)
from daemon_heartbeats
where daemon_type = any(%(names)s) and timestamp at time zone 'UTC' >= to_timestamp(%(since)s)
"""
