"""Runs the module of a service as a process for a command; the module is never imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import NoReturn

import click


def run_module(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> NoReturn:
    """Run one of our modules, and exit with its exit status.

    If standard output is a pipe, the output passes through this process. A reader that closes the pipe (`| head`) then
    ends neither the module's work, which may be sending a transaction, nor this process with a traceback.
    """
    command = [sys.executable, "-m", module, *arguments]
    if sys.stdout.isatty():
        raise SystemExit(subprocess.run(command, env=env, check=False).returncode)  # noqa: S603 - our own module
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as child:  # noqa: S603 - our own module
        assert child.stdout is not None
        while chunk := os.read(child.stdout.fileno(), 1 << 16):
            try:
                click.echo(chunk, nl=False)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(child.returncode)


def format_flags(**chosen: bool) -> list[str]:
    """Return the options that are on, in the form of the command line: `dry_run=True` is `--dry-run`."""
    return [f"--{name.replace('_', '-')}" for name, is_on in chosen.items() if is_on]
