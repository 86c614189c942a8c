"""The `zmart` command: starts the services as processes, and answers questions about them.

It imports none of the services. What goes wrong is one sentence and the next step, with status 1
(2 for a command that was mistyped); `--debug` adds the traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import click
import psycopg

from zmart import errors
from zmart import settings as configuration
from zmart.db import migrate as migrations
from zmart.run import binaries, board, services
from zmart.run.output import Importance
from zmart.run.service import Service
from zmart.run.supervisor import Supervisor
from zmart.settings import ROLES, Role, Settings

#: Colours to tell services apart by; errors and warnings have their own.
_COLOURS = ("cyan", "green", "magenta", "blue", "bright_black")
_FOLLOW_EVERY_SECONDS = 0.2
#: Services that are of no use without a database, and how long it may take to answer.
_ON_POSTGRES = frozenset({"ingest", "api", "ws", "dagster-code"})
_DATABASE_SECONDS = 5
Teller: TypeAlias = Callable[[str, str, Importance], None]


class _Commands(click.Group):
    """A group that turns what we raise on purpose into a sentence."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:
            # Whoever read us has seen enough (`| head`); click ends without a word.
            raise
        except (errors.ZmartError, psycopg.Error, OSError) as error:
            if context.params.get("debug"):
                raise
            message = f"{click.style('zmart:', fg='red', bold=True)} {error}"
            raise SystemExit(_fail(message)) from None


@click.group(cls=_Commands)
@click.option("--debug", is_flag=True, help="Show the traceback of what goes wrong.")
def main(debug: bool) -> None:
    """The ZMART backend: an append-only log of a prediction market, folded by SQL, served live."""


# --- the processes ----------------------------------------------------------------------------


@main.command()
@click.option("--no-traders", is_flag=True, help="Leave the development chain quiet.")
@click.option("--keepers", is_flag=True, help="On the development chain, leave the backend's part to keepers.")
@click.option("--only", metavar="A,B", default="", help=f"Of {', '.join(services.NAMES)}.")
def up(no_traders: bool, keepers: bool, only: str) -> None:
    """Start everything and stay; Ctrl-C stops it all.

    Without DATABASE_URL or PGHOST an embedded Postgres is started, without SOLANA_RPC_URL a
    development chain with traders on it.
    """
    environ = configuration.process_environment()
    if keepers:
        environ = {**services.KEPT, **environ}
    settings = configuration.load(environ)
    chosen = [name.strip() for name in only.split(",") if name.strip()]
    plan = services.plan(settings, environ, only=chosen, traders=not no_traders, keepers=keepers)
    _require_database(settings, {service.name for service in plan})
    asyncio.run(_up(settings, plan))


def _require_database(settings: Settings, names: set[str]) -> None:
    """See at once that Postgres answers where services stand on one that is not started with them."""
    if "migrate" in names or not names & _ON_POSTGRES:
        return
    try:
        psycopg.connect(settings.postgres.dsn(), connect_timeout=_DATABASE_SECONDS).close()
    except (psycopg.OperationalError, errors.ConfigurationError) as error:
        chosen = ",".join(sorted({"postgres", *(name.partition("-")[0] for name in names & _ON_POSTGRES)}))
        raise errors.Unavailable(
            f"{', '.join(sorted(names & _ON_POSTGRES))}: Postgres does not answer, and --only leaves it out.",
            help=f"Start it with them: zmart up --only {chosen}",
        ) from error


async def _up(settings: Settings, plan: Sequence[Service]) -> None:
    started = time.monotonic()
    supervisor = Supervisor(plan, state_dir=settings.state_dir, say=_teller(plan))

    def when_ready() -> None:
        click.echo(_overview(settings, plan, time.monotonic() - started))

    await supervisor.run(when_ready)
    click.echo("Everything is stopped.")


@main.command()
def ps() -> None:
    """Show what runs, since when, and how much memory it takes."""
    settings = configuration.load()
    pid = board.running_pid(settings.state_dir)
    if pid is None:
        raise errors.NotFound("zmart is not running.", help="Start it with `zmart up`.")
    click.echo(f"zmart up, pid {pid}, state in {settings.state_dir}")
    for line in _table(_rows(board.Board.read(settings.state_dir / "run.json"))):
        click.echo(line)


@main.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Stay and print what comes.")
@click.option("-n", "--lines", default=100, show_default=True, help="How many to begin with.")
def logs(name: str, follow: bool, lines: int) -> None:
    """Print the log of the service NAME."""
    state = configuration.load().state_dir
    folder = state / "logs"
    path = folder / f"{name}.log"
    if not path.is_file():
        if name in {status.name for status in board.Board.read(state / "run.json")}:
            raise errors.NotFound(f"{name} has said nothing yet.", help="See what it is doing: zmart ps")
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none yet"
        raise errors.NotFound(f"There is no log of {name!r}.", help=f"There are: {known}.")
    click.echo("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))
    if follow:
        for text in _following(path):
            click.echo(text, nl=False)


@main.command()
@click.argument("name")
def restart(name: str) -> None:
    """Restart the service NAME of a running `zmart up`, and wait until it is ready."""
    started = time.monotonic()
    status = board.restart(configuration.load().state_dir, name)
    click.echo(f"{name} is {status.state} after {time.monotonic() - started:.1f} s, pid {status.pid or '-'}")


# --- the database -----------------------------------------------------------------------------


@main.command()
@click.argument("role", type=click.Choice(ROLES), default="zmart_owner")
def dsn(role: Role) -> None:
    """Print one URI that logs in as ROLE, and nothing else."""
    click.echo(configuration.load().postgres.dsn(role))


@main.command()
def migrate() -> None:
    """Bring roles, schema and models of the database up to date."""
    settings = configuration.load()
    for missing in _prepare(settings):
        click.echo(f"note: {missing}", err=True)
    owner = settings.postgres.dsn()
    for name in migrations.migrate(owner):
        click.echo(f"applied {name}")
    from zmart.run import rebuild as models

    window = settings.voting.dispute_voting_window_seconds
    if models.deploy(owner, voting_window_seconds=window):
        click.echo("deployed the models")


def _prepare(settings: Settings) -> list[str]:
    if settings.postgres.url is not None:
        return migrations.prepare(settings.postgres.url.reveal())
    from zmart.run.postgres import EmbeddedPostgres

    EmbeddedPostgres(settings.state_dir).provision()
    return []


@main.command()
@click.option("--verify", is_flag=True, help="Change nothing; compare the live marts with a rebuild.")
@click.argument("models", nargs=-1)
def rebuild(verify: bool, models: tuple[str, ...]) -> None:
    """Fold MODELS (all, when none is named) again from the whole log."""
    from zmart.run import rebuild as marts

    owner = configuration.load().postgres.dsn()
    if not verify:
        marts.rebuild(owner, models, tell=click.echo)
        return
    verdicts = list(marts.verify(owner, models))
    for verdict in verdicts:
        click.echo(_verdict_in_words(verdict))
    if remedies := [verdict.remedy for verdict in verdicts if not verdict.holds]:
        raise errors.Conflict("Not all marts say what the log says.", help=" ".join(remedies))


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def replay(file: Path) -> None:
    """Read webhook bodies from FILE, one JSON array a line, through the pipeline without HTTP."""
    _ingest("replay", str(file))


@main.command()
@click.option("--from-slot", type=int, required=True, help="The first slot.")
@click.option("--to-slot", type=int, required=True, help="The last slot.")
@click.option("--per-second", type=float, help="Requests a second; 8 suits a public node.")
@click.option("--requests", type=int, help="Stop after so many requests; the same command goes on from there.")
def backfill(from_slot: int, to_slot: int, per_second: float | None, requests: int | None) -> None:
    """Bring what the chain lists between two slots and the log does not hold."""
    arguments = ["--from-slot", str(from_slot), "--to-slot", str(to_slot)]
    arguments += [] if per_second is None else ["--per-second", str(per_second)]
    arguments += [] if requests is None else ["--requests", str(requests)]
    _ingest("backfill", *arguments)


@main.group()
def dead_letters() -> None:
    """What could not be used, and why; try it again."""


@dead_letters.command("list")
@click.option("--limit", default=50, show_default=True, help="How many, the newest first.")
def list_dead_letters(limit: int) -> None:
    """List those nobody has resolved."""
    _ingest("dead-letters", "list", "--limit", str(limit))


@dead_letters.command("show")
@click.argument("number", type=int)
def show_dead_letter(number: int) -> None:
    """Show one with its bytes."""
    _ingest("dead-letters", "show", str(number))


@dead_letters.command("retry")
@click.argument("numbers", type=int, nargs=-1)
def retry_dead_letters(numbers: tuple[int, ...]) -> None:
    """Try NUMBERS again, or all that are open when none is named."""
    _ingest("dead-letters", "retry", *map(str, numbers))


@main.group()
def webhook() -> None:
    """What Helius has registered for this log."""


@webhook.command("check")
def check_webhook() -> None:
    """Compare it with the configuration; status 1 where deliveries cannot come."""
    _ingest("webhook", "check")


@webhook.command("create")
def create_webhook() -> None:
    """Register it, or mend the one there is (100 credits a call)."""
    _ingest("webhook", "create")


def _ingest(*arguments: str) -> None:
    """Run one of ingest's commands as the role that may."""
    settings = configuration.load()
    _run("ingest", *arguments, env={**os.environ, "DATABASE_URL_INGEST": settings.postgres.dsn("zmart_ingest")})


def _run(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> NoReturn:
    """Run a module of ours; its exit status is ours.

    What it says goes through here where it goes into a pipe: a reader that leaves (`| head`) ends neither its work,
    which may be sending a transaction, nor us with a traceback.
    """
    command = [sys.executable, "-m", module, *arguments]
    if sys.stdout.isatty():
        raise SystemExit(subprocess.run(command, env=env, check=False).returncode)  # noqa: S603 - our own module
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as child:  # noqa: S603 - our own module
        assert child.stdout is not None
        while piece := os.read(child.stdout.fileno(), 1 << 16):
            try:
                click.echo(piece, nl=False)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(child.returncode)


@main.group()
def keeper() -> None:
    """Plan what is due on chain, do it, and look after what was signed."""


_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
_EVERYTHING = click.option("--all", "shows_all", is_flag=True, help="Show what only waits, too.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a keeper.")


@keeper.command("plan")
@_NAMES
@_EVERYTHING
@_JSON
def plan_keepers(names: tuple[str, ...], shows_all: bool, as_json: bool) -> None:
    """Plan, prove and simulate, and sign nothing: the keepers NAME, or all five."""
    _keepers("plan", *names, *_flags(all=shows_all, json=as_json))


@keeper.command("run")
@_NAMES
@click.option("--dry-run", is_flag=True, help="The same as plan.")
@_EVERYTHING
@_JSON
def run_keepers(names: tuple[str, ...], dry_run: bool, shows_all: bool, as_json: bool) -> None:
    """Plan, and sign and send what is due: the keepers NAME, or all five.

    Status 0 when nothing is wrong, 1 when node or database do not answer, 2 when the configuration is refused, 3 when a
    person has to look, 4 when another keeper is at work.
    """
    _keepers("run", *names, *_flags(dry_run=dry_run, all=shows_all, json=as_json))


@keeper.command("sweep")
def sweep_keepers() -> None:
    """Look after what was signed: send it again, close it, end it. Signs nothing."""
    _keepers("sweep")


@keeper.command("intents")
@click.option("--all", "shows_all", is_flag=True, help="Those that are over, too.")
@click.option("--limit", default=50, show_default=True, help="How many, the newest first.")
def list_intents(shows_all: bool, limit: int) -> None:
    """List what was intended, and what became of it."""
    _keepers("intents", *_flags(all=shows_all), "--limit", str(limit))


@keeper.command("release")
@click.argument("number", type=int)
def release_intent(number: int) -> None:
    """Let the quarantined intent NUMBER be planned anew."""
    _keepers("release", str(number))


def _flags(**chosen: bool) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name, is_on in chosen.items() if is_on]


def _keepers(*arguments: str) -> None:
    """Run one of the keepers' commands as the role and with the keys that may."""
    environ = configuration.process_environment()
    settings = configuration.load(environ)
    keys = services.keeper_keys(settings)
    dsn = settings.postgres.dsn("zmart_keeper")
    _run("orchestration.keepers", *arguments, env={**environ, **keys, "DATABASE_URL_KEEPER": dsn})


@main.group("alerts")
def alert_group() -> None:
    """What a person should look at, and saying that one does."""


@alert_group.command("list")
@click.option("--all", "shows_all", is_flag=True, help="Those that are over, too.")
@click.option("--limit", default=50, show_default=True, help="How many, the gravest first.")
def list_alerts(shows_all: bool, limit: int) -> None:
    """List open alerts; docs/runbook.md says what to do about each kind."""
    from zmart.run import alerts

    dsn = configuration.load().postgres.dsn("zmart_keeper")
    found = alerts.standing(dsn, shows_all=shows_all, limit=limit)
    if not found:
        click.echo("Nothing waits for a person.")
        return
    rows = [("NO", "SEVERITY", "STATE", "FOR", "TIMES", "ALERT", "")]
    for each in found:
        age = _duration(time.time() - each.raised_at.timestamp())
        name = " ".join(filter(None, (each.kind, each.subject)))
        rows.append((str(each.number), each.severity, each.state, age, str(each.occurrences), name, each.message))
    for line in _table(iter(rows)):
        click.echo(line)


@alert_group.command("ack")
@click.argument("numbers", nargs=-1, type=int, required=True)
@click.option("--by", default=getpass.getuser, show_default="you", help="Who looks after them.")
def acknowledge_alerts(numbers: tuple[int, ...], by: str) -> None:
    """Say that you look after the alerts NUMBERS: they stay open until their trouble is gone, and quiet."""
    from zmart.run import alerts

    for number in alerts.acknowledge(configuration.load().postgres.dsn("zmart_keeper"), numbers, by):
        click.echo(f"alert {number} is with {by}")


@alert_group.command("close")
@click.argument("numbers", nargs=-1, type=int, required=True)
def close_alerts(numbers: tuple[int, ...]) -> None:
    """Close the alerts NUMBERS, for what cannot close by itself; trouble that is still there is raised again."""
    from zmart.run import alerts

    for number in alerts.close(configuration.load().postgres.dsn("zmart_keeper"), numbers):
        click.echo(f"alert {number} is closed")


@main.group()
def snapshot() -> None:
    """Discussions anchored in IPFS, a document for each market and day."""


@snapshot.command("list")
@click.option("--limit", default=20, show_default=True, help="How many, the newest first.")
def list_snapshots(limit: int) -> None:
    """List what is anchored."""
    _snapshots("list", "--limit", str(limit))


@snapshot.command("verify")
@click.argument("cid")
@click.option("--show", is_flag=True, help="Print the document.")
def verify_snapshot(cid: str, show: bool) -> None:
    """Make the document anchored as CID (v0 or v1) again from the log, and compare.

    Status 0 when they are equal, 1 when they differ, 2 when nothing is anchored under that name.
    """
    _snapshots("verify", cid, *_flags(show=show))


def _snapshots(*arguments: str) -> None:
    """Run one of the snapshots' commands as the role that may."""
    dsn = configuration.load().postgres.dsn("zmart_keeper")
    _run("orchestration.snapshots", *arguments, env={**os.environ, "DATABASE_URL_KEEPER": dsn})


@main.group()
def key() -> None:
    """Keys of one's own, in files that only their owner can read."""


@key.command("new")
@click.argument("file", type=click.Path(path_type=Path))
def new_key(file: Path) -> None:
    """Make a key into the new FILE (mode 0600) and print its address; a file that is there is left alone."""
    from zmart.run import wallets

    click.echo(wallets.new(file))


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path))
def show_key(file: Path) -> None:
    """Print the address of the key in FILE, and nothing else of it."""
    from zmart.run import wallets

    click.echo(wallets.show(file))


_SOL = click.option("--sol", default=Decimal(10), show_default=True, type=Decimal, help="How much, in SOL.")


@key.command("airdrop")
@click.argument("name", metavar="ADDRESS|FILE")
@_SOL
def airdrop_key(name: str, sol: Decimal) -> None:
    """Give an address, or the key in a file, lamports out of nothing; only where the genesis hash says localnet."""
    from zmart.run import wallets

    address = wallets.named(name)
    held = asyncio.run(wallets.airdrop(configuration.load().chain, address, _lamports(sol)))
    click.echo(f"{address} holds {_in_sol(held)} SOL")


@main.command()
@click.option("--count", default=3, show_default=True, type=click.IntRange(1, 50), help="How many.")
@_SOL
def demo_wallets(count: int, sol: Decimal) -> None:
    """Make wallets to try things with, filled up; only where the genesis hash says localnet.

    Their key files stay in the state directory: a second time shows the same.
    """
    settings = configuration.load()
    asyncio.run(_demo_wallets(settings, count, _lamports(sol)))


async def _demo_wallets(settings: Settings, count: int, lamports: int) -> None:
    from zmart.run import wallets

    async for each in wallets.demo_wallets(settings.chain, settings.state_dir / "wallets", count, lamports):
        click.echo(f"{each.address}  {_in_sol(each.lamports)} SOL  {each.path}")


def _lamports(sol: Decimal) -> int:
    """An amount of SOL in lamports, exactly."""
    lamports = sol * 1_000_000_000 if sol.is_finite() else Decimal(0)
    if not 0 < lamports < 2**63 or lamports != int(lamports):
        raise errors.InvalidInput(f"{sol} SOL is no amount.", help="Give more than zero, with at most nine decimals.")
    return int(lamports)


def _in_sol(lamports: int) -> str:
    return f"{Decimal(lamports) / 1_000_000_000:f}"


@main.command()
@click.option("--json", "as_json", is_flag=True, help="The API's answer as it is.")
def status(as_json: bool) -> None:
    """Say how far the log is, what is proven of it, and whether everything follows."""
    said = _status(configuration.load())
    if as_json:
        click.echo(json.dumps(said, indent=2))
        return
    for line in _status_in_words(said):
        click.echo(line)


def _status(settings: Settings) -> dict[str, Any]:
    """The API's own account of itself. Raises Unavailable where it does not answer."""
    host, port = settings.hosts.api, settings.ports.api
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/api/status", timeout=5) as answer:
            said: dict[str, Any] = json.load(answer)
            return said | {"ingest": _ingest_status(settings)}
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise errors.Unavailable(
            f"The API on {host}:{port} does not answer: {reason}.",
            help="See `zmart ps`; start it with `zmart up`.",
        ) from error


def _ingest_status(settings: Settings) -> dict[str, Any] | None:
    """What ingest says of itself, rates and size among it; None where it does not answer."""
    url = f"http://{settings.hosts.ingest}:{settings.ports.ingest}/ready"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            said: dict[str, Any] = json.load(answer)
            return said
    except urllib.error.HTTPError as refusal:
        # Not ready is an answer, too: 503, with reasons.
        with contextlib.suppress(ValueError):
            unready: dict[str, Any] = json.load(refusal)
            return unready
    except (urllib.error.URLError, TimeoutError, ValueError):
        pass
    return None


@main.command()
@click.argument("document", type=click.Choice(["openapi", "asyncapi"]), default="openapi")
def openapi(document: str) -> None:
    """Print what the API promises: of its requests, or (asyncapi) of its streams."""
    _run("api.contract", document)


@main.command()
def doctor() -> None:
    """Look at everything a start stands on, and say what to do where it would not hold.

    Changes nothing. Status 1 if anything is a no.
    """
    from zmart.run import diagnosis
    from zmart.run import doctor as examination

    findings = []
    for finding in examination.examine():
        click.echo(_finding_in_words(finding))
        findings.append(finding)
    raise SystemExit(0 if diagnosis.is_well(findings) else 1)


# --- words ------------------------------------------------------------------------------------


def _overview(settings: Settings, plan: Sequence[Service], seconds: float) -> str:
    rows = [(service.name, service.url) for service in plan if service.url]
    api = next((url for name, url in rows if name == "api"), None)
    if api is not None:
        rows = [("console", f"{api}/"), ("docs", f"{api}/docs"), *rows]
    rows.append(("psql", f'{_psql()} "$({_command()} dsn analyst)"'))
    rows.append(("logs", f"{_command()} logs NAME   ({settings.state_dir / 'logs'})"))
    lines = "\n".join(f"  {name:<10} {text}" for name, text in rows)
    return f"\nReady after {seconds:.1f} s; Ctrl-C stops everything.\n\n{lines}\n"


def _command() -> str:
    """How this command is called from here."""
    path = Path(sys.executable).with_name("zmart")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else "zmart"


def _psql() -> str:
    """The system's psql, else the one beside the embedded server."""
    if shutil.which("psql"):
        return "psql"
    beside = [found.folder / "psql" for found in binaries.installations()]
    return next((str(path) for path in beside if path.exists()), "psql")


def _teller(plan: Sequence[Service]) -> Teller:
    names = [service.name for service in plan]
    width = max((len(name) for name in names), default=0)

    def tell(name: str, text: str, weight: Importance) -> None:
        colour = {"error": "red", "warning": "yellow", "detail": None}[weight]
        own = _COLOURS[names.index(name) % len(_COLOURS)] if name in names else None
        click.echo(f"{click.style(name.ljust(width), fg=own)} | {click.style(text, fg=colour)}")

    return tell


def _rows(statuses: Sequence[board.Status]) -> Iterator[tuple[str, ...]]:
    yield ("NAME", "STATE", "PID", "FOR", "MEMORY", "RESTARTS", "")
    for each in statuses:
        yield (
            each.name,
            each.state,
            str(each.pid or "-"),
            _duration(time.time() - each.since),
            f"{each.memory_bytes / 1024 / 1024:.0f} MB" if each.memory_bytes else "-",
            str(each.restarts),
            each.url or each.message,
        )


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    everything = list(rows)
    widths = [max(len(row[column]) for row in everything) for column in range(len(everything[0]))]
    for row in everything:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _status_in_words(said: Mapping[str, Any]) -> Iterator[str]:
    """A page for a person: whether all is well or what to do, then the log, what is proven and open, models, alerts."""
    lag, proven = said.get("lag") or {}, said.get("completeness") or {}
    yield from _story_in_words(list(_needs(said)))
    yield ""
    rows = [
        ("log", f"seq {said['seq']:,} at slot {said['slot']}, {said['commitment']}, epoch {said['epoch']}"),
        ("lag", f"last entry {_ago(lag.get('last_entry_age_seconds'))}"),
        ("", f"last event {_ago(lag.get('last_event_age_seconds'))}"),
        ("complete", f"{proven.get('state', 'unknown')}. {proven.get('reason', '')}".strip()),
        ("verified", _through(said.get("verified_through"))),
        ("final", _through(said.get("finalized_through"))),
        ("open", f"{said['wanted']} signatures wanted, {said['dead_letters']} dead letters"),
    ]
    rows += _ingest_in_words(said.get("ingest"))
    yield from (f"{name:<10}{text}" for name, text in rows)
    yield ""
    for model in said.get("models", ()):
        state = f"stopped at seq {model['applied_seq']}: {model['reason']}" if model["is_stale"] else "follows the log"
        yield f"{'model':<10}{model['name']:<18}{state}"
    for alert in said.get("alerts", ()):
        name = " ".join(filter(None, (alert["kind"], alert["subject"])))
        yield f"{alert['severity']:<10}{name} ({alert['occurrences']} x): {alert['message']}"


def _story_in_words(needs: Sequence[str]) -> Iterator[str]:
    if not needs:
        yield "All is well: the chain lists nothing that is missing, every mart follows, nothing waits for a person."
        return
    yield "One thing to look at:" if len(needs) == 1 else f"{len(needs)} things to look at:"
    yield from (f"  - {need}" for need in needs)


def _needs(said: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it should be, each with the next step; the gravest first."""
    if said.get("ingest") is None:
        yield "Ingest does not answer, so nothing arrives. See: zmart ps, zmart logs ingest"
    for alert in said.get("alerts", ()):
        if alert["severity"] == "critical":
            yield f"{alert['kind']}: {alert['message']}"
    stale = [model["name"] for model in said.get("models", ()) if model["is_stale"]]
    if stale:
        yield f"Marts that stopped following the log: {', '.join(stale)}. See: zmart rebuild --verify"
    proven = said.get("completeness") or {}
    if proven.get("state") != "verified":
        yield f"Completeness is {proven.get('state', 'unknown')}: {proven.get('reason', 'nothing is known of it.')}"
    if said["dead_letters"]:
        count = said["dead_letters"]
        yield f"{count} dead letter{'s' if count > 1 else ''} nobody has looked at. See: zmart dead-letters list"


def _ingest_in_words(said: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """What came in the last minute, what is against more of it, and what a log of this kind weighs."""
    if said is None:
        return [("ingest", "does not answer")]
    rows = [("ingest", reason) for reason in said.get("reasons", ())]
    for place, (what, by_source) in enumerate((said.get("per_minute") or {}).items()):
        sources = ", ".join(f"{source} {count:,}" for source, count in sorted(by_source.items()))
        text = f"{sum(by_source.values()):,} {what}" + (f" ({sources})" if sources else "")
        rows.append(("" if place else "a minute", text))
    size = said.get("size") or {}
    if (total := size.get("bytes")) is not None and total >= 0:
        each = size.get("bytes_per_million_events")
        told = f"{each / 1e6:,.0f} MB per million events" if each else "too few events to tell what a million take"
        rows.append(("size", f"{total / 1e6:,.0f} MB, {told}"))
    return rows


def _through(slot: int | None) -> str:
    return "nothing yet" if slot is None else f"through slot {slot}"


def _ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{_duration(max(0.0, float(seconds)))} ago"


def _verdict_in_words(verdict: Any) -> str:
    if verdict.broken_because:
        return f"{verdict.name}: cannot fold the log: {verdict.broken_because}"
    if verdict.stale_because:
        return f"{verdict.name}: stopped following the log: {verdict.stale_because}"
    if verdict.differing_rows:
        return f"{verdict.name}: {verdict.differing_rows:,} of {verdict.rows:,} rows differ"
    return f"{verdict.name}: {verdict.rows:,} rows, equal"


def _finding_in_words(finding: Any) -> str:
    colour = {"yes": "green", "warn": "yellow", "no": "red"}.get(finding.answer)
    answer = click.style(f"{finding.answer:<4}", fg=colour, bold=finding.answer == "no")
    step = f"\n{'':<18} -> {finding.step}" if finding.step else ""
    return f"{answer}  {finding.check:<12} {finding.said}{step}"


def _following(path: Path) -> Iterator[str]:
    """What is appended to `path` from now on, across rotations."""
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


def _fail(message: str) -> int:
    click.echo(message, err=True)
    return 1


if __name__ == "__main__":
    main()
