"""Runs the embedded Postgres: a real server, started by zmart and reachable over TCP on loopback only.

It writes these files to `postgres/` in the state directory:

    server.json   port, passwords, and the path of the data (0600: its reader can act as the superuser)
    data/         the data directory, owned by the account as which the server runs

Postgres refuses to run as root. As root, zmart therefore runs it as an account that exists already (`postgres`, else
`nobody`). When that account cannot reach the state directory (for example in root's home), data and binaries are in a
shelter folder instead, which server.json records.

The work has three parts, so that a supervisor can insert its own process handling: `initialize()` creates everything
that a server needs, `launch()` returns how to run it, and `provision()` creates roles and database once it answers.
`start()` and `stop()` do all of it without a supervisor.
"""

from __future__ import annotations

import contextlib
import locale
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from zmart import errors, settings
from zmart.db import migrate
from zmart.db.connection import connect_sync, translate_errors

from .. import ports, private_files
from ..supervisor import process
from . import binaries
from .server_file import ServerFile, wrong_owner_error

HOST = "127.0.0.1"
DATABASE = "zmart"
SUPERUSER = "postgres"
#: Where root stores files that the server's account cannot reach below the state directory.
SHELTERS = Path("/var/lib/zmart")

READY_WITHIN_SECONDS = 60.0
#: A fast shutdown writes a checkpoint; its size is bounded by max_wal_size.
STOP_WITHIN_SECONDS = 60.0
#: Backends notice within a second that their postmaster is gone.
LEFTOVERS_WITHIN_SECONDS = 10.0

#: Measured for folding: wide checkpoints, no compression of full pages, no just-in-time compiler.
TUNING: Mapping[str, str] = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "off",
    "jit": "off",
}
#: For tests only: data written with these settings does not survive a power failure.
NON_DURABLE_TUNING: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "5min",
}


class EmbeddedPostgres:
    """The server of one state directory.

    With `port=None` it finds a free port and uses the same port from then on. `durable=False`, without fsync, is for
    tests. `programs` overrides which binaries are run, and `tuning` overrides single settings of the server.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        programs: binaries.Binaries | None = None,
        tuning: Mapping[str, str] | None = None,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._folder = self._state_dir / "postgres"
        self._file = self._folder / "server.json"
        self._requested_port = port
        self._tuning = {**TUNING, **({} if durable else NON_DURABLE_TUNING), **(tuning or {})}
        self._durable = durable
        self._programs = programs
        self._account: process.SystemAccount | None = None
        self._record: ServerFile | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """Return the log file of a server started by `start()`."""
        return self._folder / "server.log"

    @property
    def port(self) -> int:
        """Return the TCP port, once initialized."""
        return self._require_record().port

    @property
    def version(self) -> str:
        """Return the server's version, such as 18.6."""
        return (self._programs or binaries.find_binaries()).version

    @property
    def pid(self) -> int | None:
        """Return the pid of the server started by `start()`, or None when it does not run."""
        return self._server.pid if self._server and self._server.poll() is None else None

    def dsn(self, role: str = "zmart_owner", *, database: str | None = None) -> str:
        """Return a TCP URI that logs in as `role` (or as the superuser, `postgres`)."""
        record = self._require_record()
        return settings.postgres_uri(
            host=HOST,
            port=record.port,
            user=role,
            password=record.passwords[role],
            database=database or record.database,
        )

    # --- the three parts ----------------------------------------------------------------------

    def initialize(self) -> None:
        """Create the data directory, the passwords and the port; skip what exists already.

        Raise ConfigurationError with the next step when the data is of another major version, in use, or out of reach,
        or when PGPORT is taken.
        """
        self._make_folders()
        known = ServerFile.read(self._file)
        data = Path(known.data) if known else self._folder / "data"
        self._account = _account_for(data)
        if known is None:
            data = self._data_dir_for_account(data)
        self._programs = self._reachable_programs(data)
        record = known or self._new_record(data)
        if (data / "PG_VERSION").exists():
            self._check_data(data)
        else:
            self._initdb(data, record.passwords[SUPERUSER])
        port = self._choose_port(known)
        # A server of an earlier release has no password yet for a role that is new.
        is_changed = record.add_passwords((SUPERUSER, *settings.ROLES)) or port != record.port
        if is_changed:
            # An unchanged record is not written, so that a restart on a full disk needs no space.
            record.port = port
            record.write(self._file)
        self._record = record

    def launch(self) -> process.Launch:
        """Return how to run the server that `initialize` prepared."""
        assert self._programs is not None
        record = self._require_record()
        options = {
            "listen_addresses": HOST,
            "port": str(record.port),
            # TCP only: one address that psql, dbt, Dagster and psycopg all understand.
            "unix_socket_directories": "",
            "log_timezone": "UTC",
            # With the SQLSTATE, which tells a user's refused request from an error (log_files.severity).
            "log_line_prefix": "%m [%p] %e ",
            "timezone": "UTC",
            "lc_messages": "C",
            **self._tuning,
        }
        return process.Launch(
            command=(
                str(self._programs.postgres),
                "-D",
                record.data,
                *(f"--{name}={value}" for name, value in options.items()),
            ),
            # A minimal environment: the server needs none of our secrets.
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            account=self._account,
            # Fast shutdown: open transactions are rolled back, and the data is left clean.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
        )

    def is_ready(self) -> bool:
        """Return whether the server accepts connections."""
        try:
            with self._superuser_connection("postgres"):
                return True
        except psycopg.OperationalError:
            return False

    def provision(self) -> None:
        """Create the database and the roles, and set the password of each role."""
        # A server that an earlier release started has no password of a role that came later.
        if self._require_record().add_passwords(settings.ROLES):
            self._require_record().write(self._file)
        with translate_errors():
            with self._superuser_connection("postgres") as connection:
                _create_database(connection, self._require_record().database)
            migrate.prepare(self.dsn(SUPERUSER))
            with self._superuser_connection(self._require_record().database) as connection:
                set_passwords(connection, self._require_record().passwords)

    # --- without a supervisor -----------------------------------------------------------------

    def start(self) -> None:
        """Start the server, wait until it answers, and create roles and database.

        Call it from a thread that lives as long as the server should: the server stops with that thread.
        """
        self.initialize()
        with private_files.open_append(self.log_file) as log:
            self._server = process.start(self.launch(), output=log.fileno())
        try:
            self._wait_until_ready()
            self.provision()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server with a fast shutdown; send SIGQUIT and then SIGKILL when it takes too long."""
        if self._server is None:
            return
        for wish in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self._server.send_signal(wish)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(STOP_WITHIN_SECONDS)
                break
        self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- private ------------------------------------------------------------------------------

    def _require_record(self) -> ServerFile:
        record = self._record or ServerFile.read(self._file)
        if record is None:
            raise errors.ConfigurationError("There is no embedded Postgres yet.", help="Start it with `zmart up`.")
        self._record = record
        return record

    @contextlib.contextmanager
    def _superuser_connection(self, database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        dsn = self.dsn(SUPERUSER, database=database)
        with connect_sync(dsn, autocommit=True, connect_timeout_seconds=5) as connection:
            yield connection

    def _make_folders(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                # The server's account must reach data/ below; the secret files here have their own mode.
                for folder in (self._state_dir, self._folder):
                    folder.chmod(folder.stat().st_mode | 0o111)
        except PermissionError:
            raise wrong_owner_error(self._state_dir) from None

    def _data_dir_for_account(self, data: Path) -> Path:
        """Return where a new data directory goes: below the state directory if the server's account can reach it."""
        if self._account is None or self._account.can_enter(data.parent):
            return data
        return SHELTERS / secrets.token_hex(8) / "data"

    def _reachable_programs(self, data: Path) -> binaries.Binaries:
        found = self._programs or binaries.find_binaries()
        sheltered = data.parent if SHELTERS in data.parents else SHELTERS / f"pg-{found.version}"
        return found.for_account(self._account, shelter=sheltered)

    def _new_record(self, data: Path) -> ServerFile:
        record = ServerFile(port=0, database=DATABASE, data=str(data), passwords={})
        record.add_passwords((SUPERUSER, *settings.ROLES))
        return record

    def _initdb(self, data: Path, password: str) -> None:
        data.parent.mkdir(parents=True, exist_ok=True)
        # The directory has another name until it is complete: an incomplete one must not be used as data.
        fresh = data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._change_owner(fresh)
        with self._password_file(data.parent, password) as file:
            completed = subprocess.run(  # noqa: S603 - our own programs and arguments
                self._initdb_command(fresh, file),
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
                **process.identity(self._account),
            )
        if completed.returncode != 0:
            message = (completed.stderr.strip().splitlines() or ["no message"])[-1]
            raise errors.ConfigurationError(
                f"initdb failed: {message}.", help="Correct the cause, or set DATABASE_URL to a server of yours."
            )
        fresh.rename(data)

    def _initdb_command(self, data: Path, password_file: Path) -> list[str]:
        assert self._programs is not None
        return [
            str(self._programs.initdb),
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-instructions",
            *_locale_options(self._programs.major),
            *([] if self._durable else ["--no-sync"]),
        ]

    @contextlib.contextmanager
    def _password_file(self, folder: Path, password: str) -> Iterator[Path]:
        path = folder / "password.new"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        self._change_owner(path)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _change_owner(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _check_data(self, data: Path) -> None:
        assert self._programs is not None
        major = int((data / "PG_VERSION").read_text().split(".")[0])
        if major != self._programs.major:
            raise errors.ConfigurationError(
                f"{data} was written by Postgres {major}; the binaries here are {self._programs.version}.",
                help=f"Move {self._folder} away to start with an empty database, or set DATABASE_URL to a Postgres "
                f"{major} that serves it.",
            )
        _wait_for_other_servers(data)
        # No server is left: a remaining pid file is from a server that was killed.
        (data / "postmaster.pid").unlink(missing_ok=True)

    def _choose_port(self, known: ServerFile | None) -> int:
        if self._requested_port is not None:
            if not ports.is_free(self._requested_port):
                raise errors.ConfigurationError(
                    f"Port {self._requested_port} (PGPORT) on {HOST} is in use.",
                    help="Stop the process that listens there, set PGPORT to another port, or unset it.",
                )
            return self._requested_port
        if known is not None and ports.is_free(known.port):
            return known.port
        return ports.find_free_port()

    def _wait_until_ready(self) -> None:
        assert self._server is not None
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not self.is_ready():
            if self._server.poll() is not None:
                raise errors.Unavailable(
                    f"Postgres did not start: {_last_error_line(self.log_file)}",
                    help=f"See {self.log_file}.",
                )
            if time.monotonic() > deadline:
                raise errors.Unavailable(
                    f"Postgres did not answer within {READY_WITHIN_SECONDS:.0f} s.",
                    help=f"See {self.log_file}.",
                )
            time.sleep(0.02)


def set_passwords(connection: psycopg.Connection[Any], passwords: Mapping[str, str]) -> None:
    """Set the password of each of our roles; only its hash is sent, so that no server log can show it."""
    for role in settings.ROLES:
        hashed = connection.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256")
        statement = sql.SQL("alter role {} password {}")
        connection.execute(statement.format(sql.Identifier(role), hashed.decode()))


def _create_database(connection: psycopg.Connection[Any], name: str) -> None:
    known = connection.execute("select from pg_database where datname = %s", (name,)).fetchone()
    if known is None:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def _account_for(data: Path) -> process.SystemAccount | None:
    """Return the account as which the server runs: None for the current user; as root, the owner of existing data."""
    if os.geteuid() != 0:
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise wrong_owner_error(data)
        return None
    owner = data.stat().st_uid if data.exists() else 0
    account = process.account_of(owner) if owner else process.unprivileged_account()
    if account is None:
        raise errors.ConfigurationError(
            "Postgres refuses to run as root, and no other user was found to run it as.",
            help="Run as an ordinary user, or set DATABASE_URL to a server of yours.",
        )
    return account


def _locale_options(major: int) -> list[str]:
    """Return initdb's options: sort by byte order, classify letters by Unicode, whatever the system has installed."""
    ctype = "C.UTF-8" if _has_locale("C.UTF-8") else "C"
    if major >= 17:
        return [f"--locale={ctype}", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [f"--locale={ctype}"]


def _has_locale(name: str) -> bool:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return True


def _wait_for_other_servers(data: Path) -> None:
    """Wait for servers of an earlier run to end: they were killed with their parent and are shutting down."""
    deadline = time.monotonic() + LEFTOVERS_WITHIN_SECONDS
    while servers := _servers_in(data):
        if time.monotonic() > deadline:
            raise errors.ConfigurationError(
                f"Another Postgres (pid {min(servers)}) is using {data}.",
                help=f"Stop it with: kill -INT {min(servers)}",
            )
        time.sleep(0.05)


def _servers_in(data: Path) -> list[int]:
    """Return the processes whose working directory is `data`, as every process of a Postgres has it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if entry.readlink() == data:
                found.append(int(entry.parent.name))
    return found


def _last_error_line(log: Path) -> str:
    """Return the last FATAL, PANIC or ERROR message of a server's log, without its time and pid."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in reversed(lines):
        for level in ("FATAL:", "PANIC:", "ERROR:"):
            if level in line:
                return line.split(level, 1)[1].strip().rstrip(".") + "."
    return (lines or ["it printed no message"])[-1]
