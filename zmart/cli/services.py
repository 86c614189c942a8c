"""Provides the commands that start the services, list them, print their logs and restart one of them.

`up` stays in the foreground of the services that it started. The other commands reach it through the state directory
(`zmart.run.supervisor.state_file`), so they work from every directory.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import click
import psycopg

from zmart import errors
from zmart import settings as configuration
from zmart.db import poolers
from zmart.db.connection import connect_sync
from zmart.run.supervisor import services, state_file
from zmart.run.supervisor.alerts import ServiceAlerts
from zmart.run.supervisor.log_files import Severity
from zmart.run.supervisor.service import Service
from zmart.run.supervisor.supervisor import Supervisor
from zmart.settings import CONSENSUS_CHOICES, Settings

from . import formatting

#: Colours that distinguish services; errors and warnings have their own.
_COLOURS = ("cyan", "green", "magenta", "blue", "bright_black")
_FOLLOW_EVERY_SECONDS = 0.2
#: Services that do not work without a database, and how long it may take to answer.
_ON_POSTGRES = frozenset({"ingest", "api", "ws", "dagster-code", "relay"})
_DATABASE_SECONDS = 5
LinePrinter: TypeAlias = Callable[[str, str, Severity], None]


@click.command(epilog=f"The services are {', '.join(services.NAMES)}.")
@click.option("--no-traders", is_flag=True, help="Do not run demo traders.")
@click.option("--keepers", is_flag=True, help="Run keepers on the development chain.")
@click.option("--consensus", type=click.Choice(CONSENSUS_CHOICES), help="Consensus of the development chain.")
@click.option("--only", metavar="A,B", default="", help="Start only these services.")
def up(no_traders: bool, keepers: bool, consensus: str | None, only: str) -> None:
    """Start all services; Ctrl-C stops them.

    The command stays in the foreground. It starts an embedded Postgres unless DATABASE_URL or PGHOST is set, and a
    development chain with traders on it unless SOLANA_RPC_URL is set.
    """
    environ = _read_environment(keepers=keepers, consensus=consensus)
    settings = configuration.load(environ)
    chosen = [name.strip() for name in only.split(",") if name.strip()]

    def make_plan() -> list[Service]:
        now = _read_environment(keepers=keepers, consensus=consensus)
        return services.plan(configuration.load(now), now, only=chosen, traders=not no_traders, keepers=keepers)

    plan = services.plan(settings, environ, only=chosen, traders=not no_traders, keepers=keepers)
    require_database(settings, {service.name for service in plan})
    asyncio.run(_up(settings, plan, make_plan))


def _read_environment(*, keepers: bool, consensus: str | None) -> dict[str, str]:
    """Return the environment with `.env` as it is now; options of the command line are stronger."""
    environ = configuration.process_environment()
    defaults = services.KEEPER_DEMO_ENVIRONMENT if keepers else {}
    chosen = {} if consensus is None else {"DEVCHAIN_CONSENSUS": consensus}
    return {**defaults, **environ, **chosen}


def require_database(settings: Settings, names: set[str]) -> None:
    """Raise at once: Unavailable for a needed Postgres that does not answer, ConfigurationError for a wrong pooler."""
    poolers.require_session_mode(settings.postgres.foreign_dsns())
    if "migrate" in names or not names & _ON_POSTGRES:
        return
    try:
        connect_sync(settings.postgres.dsn(), connect_timeout_seconds=_DATABASE_SECONDS).close()
    except (psycopg.OperationalError, errors.ConfigurationError) as error:
        chosen = ",".join(sorted({"postgres", *(name.partition("-")[0] for name in names & _ON_POSTGRES)}))
        raise errors.Unavailable(
            f"{', '.join(sorted(names & _ON_POSTGRES))}: Postgres does not answer, and --only does not include it.",
            help=f"Start it together with them: zmart up --only {chosen}",
        ) from error


async def _up(settings: Settings, plan: Sequence[Service], make_plan: Callable[[], Sequence[Service]]) -> None:
    started = time.monotonic()
    supervisor = Supervisor(
        plan,
        state_dir=settings.state_dir,
        report=_make_line_printer(plan),
        reload=make_plan,
        alerts=ServiceAlerts(lambda: settings.postgres.dsn("zmart_keeper")),
    )

    def when_ready() -> None:
        click.echo(format_overview(settings, plan, time.monotonic() - started))

    await supervisor.run(when_ready)
    click.echo("All services have stopped.")


@click.command()
def ps() -> None:
    """List services with state and memory."""
    settings = configuration.load()
    pid = state_file.running_pid(settings.state_dir)
    if pid is None:
        raise errors.Unavailable("zmart is not running.", help="Start it with `zmart up`.")
    click.echo(f"zmart up, pid {pid}, state in {settings.state_dir}")
    for line in formatting.format_table(_status_rows(state_file.StateFile.read(settings.state_dir / "run.json"))):
        click.echo(line)


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Follow the log.")
@click.option("-n", "--lines", default=100, show_default=True, help="Lines to print first.")
def logs(name: str, follow: bool, lines: int) -> None:
    """Print the log of the service NAME."""
    state = configuration.load().state_dir
    folder = state / "logs"
    path = folder / f"{name}.log"
    if not path.is_file():
        if name in {status.name for status in state_file.StateFile.read(state / "run.json")}:
            raise errors.NotFound(
                f"{name} has not logged anything yet.", help="List the services and their states: zmart ps"
            )
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none yet"
        raise errors.NotFound(f"There is no log of {name!r}.", help=f"Use one of: {known}.")
    click.echo("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))
    if follow:
        for text in _follow(path):
            click.echo(text, nl=False)


@click.command()
@click.argument("name")
def restart(name: str) -> None:
    """Restart the service NAME.

    The service belongs to a running `zmart up` and gets the settings of its `.env` as they are now. The command waits
    until the service is ready.
    """
    started = time.monotonic()
    status = state_file.restart(configuration.load().state_dir, name)
    click.echo(f"{name} is {status.state} after {time.monotonic() - started:.1f} s, pid {status.pid or '-'}")


def format_overview(settings: Settings, plan: Sequence[Service], seconds: float) -> str:
    """Return the text for the user when everything is ready: addresses to open, how to query the database, and logs."""
    rows = [(service.name, service.url) for service in plan if service.url]
    api = next((url for name, url in rows if name == "api"), None)
    if api is not None:
        rows = [("console", f"{api}/"), ("docs", f"{api}/docs"), *rows]
    rows.append(("psql", f"{_zmart_command()} psql analyst"))
    rows.append(("logs", f"{_zmart_command()} logs NAME   ({settings.state_dir / 'logs'})"))
    lines = "\n".join(f"  {name:<10} {text}" for name, text in rows)
    return f"\nReady after {seconds:.1f} s; Ctrl-C stops everything.\n\n{lines}\n"


def _zmart_command() -> str:
    """Return how this command is called from the working directory."""
    path = Path(sys.executable).with_name("zmart")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else "zmart"


def _make_line_printer(plan: Sequence[Service]) -> LinePrinter:
    names = [service.name for service in plan]
    width = max((len(name) for name in names), default=0)

    def print_line(name: str, text: str, severity: Severity) -> None:
        colour = {"error": "red", "warning": "yellow", "detail": None}[severity]
        service_colour = _COLOURS[names.index(name) % len(_COLOURS)] if name in names else None
        click.echo(f"{click.style(name.ljust(width), fg=service_colour)} | {click.style(text, fg=colour)}")

    return print_line


def _status_rows(statuses: Sequence[state_file.ServiceStatus]) -> Iterator[tuple[str, ...]]:
    yield ("NAME", "STATE", "PID", "FOR", "MEMORY", "RESTARTS", "")
    for each in statuses:
        yield (
            each.name,
            each.state,
            str(each.pid or "-"),
            formatting.format_duration(time.time() - each.since),
            f"{each.memory_bytes / 1024 / 1024:.0f} MB" if each.memory_bytes else "-",
            str(each.restarts),
            each.message or each.url or "",
        )


def _follow(path: Path) -> Iterator[str]:
    """Yield the text that is appended to `path` from now on, across rotations."""
    file = path.open(errors="replace")
    file.seek(0, os.SEEK_END)
    while True:
        text = file.read()
        if text:
            yield text
        elif path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            file.close()
            file = path.open(errors="replace")
        else:
            time.sleep(_FOLLOW_EVERY_SECONDS)
