"""The texts that an operator reads when a command fails, each with the next step and its exit status."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import errors as pg

from orchestration import sensors
from orchestration.keepers import lease
from zmart import cli, errors, exit_status, os_errors
from zmart.cli import expected_errors
from zmart.db import connection

NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}


def zmart(*arguments: str, **environ: str) -> Result:
    """Run a command of `zmart` in this process."""
    return CliRunner(env={**NOWHERE, **environ}).invoke(cli.main, list(arguments))


@pytest.mark.parametrize("end", ["", ".", "!", "?", ":"])
def test_the_next_step_is_a_sentence_of_its_own(end: str) -> None:
    """A message without a full stop gets one before the next step."""
    text = str(errors.Unauthorized(f"Authentication required{end}", help="Send Authorization."))
    assert text == f"Authentication required{end or '.'} Send Authorization."


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.EACCES, "Correct its permissions, or run the command as its owner."),
        (errno.ENOENT, "Check the path."),
        (errno.ENOSPC, "Free some disk space."),
        (errno.EIO, "Run it again as `zmart --debug` to see where it failed."),
    ],
)
def test_an_error_of_the_operating_system_names_the_file_and_the_next_step(number: int, step: str) -> None:
    """Never its number alone."""
    text = str(os_errors.translate(OSError(number, os.strerror(number), "/state/ports.json")))
    assert text == f"/state/ports.json: {os.strerror(number)}. {step}"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (pg.InvalidPassword(), "Check user and password in DATABASE_URL."),
        (pg.InvalidCatalogName(), "Check the name of the database in DATABASE_URL."),
        (
            psycopg.OperationalError("connection failed: Connection refused"),
            "Postgres: connection failed: Connection refused. Check that Postgres runs and that DATABASE_URL has its "
            "address.",
        ),
    ],
)
def test_a_refused_connection_to_postgres_names_its_setting(error: psycopg.Error, text: str) -> None:
    """DATABASE_URL, also where the driver's error reaches the command untranslated."""
    translated = connection.translate(error)
    assert translated is not None
    assert str(translated).endswith(text)
    assert str(expected_errors.to_zmart_error(error)) == str(translated)


def test_a_command_without_a_server_ends_with_the_setting() -> None:
    """Exit status 1, because the same command may succeed later."""
    result = zmart("alerts", "list")
    assert result.exit_code == exit_status.FAILED
    assert "Check that Postgres runs and that DATABASE_URL has its address." in result.output


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigurationError("x"), 2),
        (errors.InvalidInput("x"), 2),
        (errors.NotFound("x"), 2),
        (errors.Unauthorized("x"), 2),
        (errors.Unavailable("x"), 1),
        (errors.Overloaded("x"), 1),
        (OSError("x"), 1),
    ],
)
def test_exit_statuses_are_the_same_for_all_commands(error: Exception, status: int) -> None:
    """2 for what has to be changed first, 1 for what may succeed later."""
    assert exit_status.of_error(error) == status


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("keeper", "release", "99999999999999999999"), "99999999999999999999 is not in the range 1<=x<="),
        (("keeper", "release", "0"), "0 is not in the range 1<=x<="),
        (("keeper", "intents", "--limit", "-1"), "-1 is not in the range 1<=x<=1000000."),
        (("backfill", "--from-slot", "-5", "--to-slot", "9"), "-5 is not in the range 0<=x<="),
        (("backfill", "--from-slot", "1", "--to-slot", "9", "--per-second", "nan"), "nan is not a number above 0."),
        (("backfill", "--from-slot", "1", "--to-slot", "9", "--per-second", "inf"), "inf is not a number above 0."),
        (("backfill", "--from-slot", "1", "--to-slot", "9", "--per-second", "0"), "0 is not a number above 0."),
        (("backfill", "--from-slot", "1", "--to-slot", "9", "--per-second", "x"), "'x' is not a number."),
        (("backfill", "--from-slot", "1", "--to-slot", "9", "--requests", "-3"), "-3 is not in the range 1<=x<="),
        (("dead-letters", "list", "--limit", "0"), "0 is not in the range 1<=x<=1000000."),
        (("dead-letters", "show", "99999999999999999999"), "is not in the range 1<=x<="),
        (("alerts", "close", "99999999999999999999"), "is not in the range 1<=x<="),
        (("alerts", "list", "--limit", "0"), "0 is not in the range 1<=x<=1000000."),
        (("snapshot", "list", "--limit", "-1"), "-1 is not in the range 1<=x<=1000000."),
    ],
)
def test_a_wrong_number_is_refused_before_anything_starts(
    arguments: tuple[str, ...], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2 with the accepted range; no service and no database sees the number."""

    def start(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(cli.log.subprocesses, "run_module", start)
    result = zmart(*arguments)
    assert result.exit_code == exit_status.REFUSED, result.output
    assert text in result.output


def test_the_lease_of_an_ended_keeper_is_named_as_such() -> None:
    """A pid of this machine that no longer exists is not another keeper; one that exists, or of another host, is."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    child, here = ended.pid, socket.gethostname()
    assert lease.describe(f"{here} pid {child}", 41.6) == (
        f"The keeper process {child} has ended without giving its lease back. The lease ends in 42 s. "
        "Run the command again then."
    )
    for holder in (f"{here} pid {os.getpid()}", f"elsewhere.example pid {child}", f"{here} pid 1"):
        text = lease.describe(holder, 41.6)
        assert text == f"Another keeper process is running: {holder}, for 42 more seconds."


def test_a_run_that_was_ended_from_outside_is_described_in_plain_words() -> None:
    """The alert does not repeat Dagster's sentence about an execution context."""
    text = sensors.first_line("This run has been marked as failed from outside the execution context.")
    assert text == "It was ended in Dagster, by an operator or because its worker was gone; run it again if needed."
    assert sensors.first_line("Step failed.\nTraceback") == "Step failed."


def test_an_unreadable_file_ends_a_command_with_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the operating system, from the command down to what the operator reads."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(cli.log.configuration, "load", refuse)
    result = zmart("keeper", "sweep")
    assert result.exit_code == exit_status.FAILED
    assert f"{tmp_path}: Permission denied. Correct its permissions, or run the command as its owner." in result.output
