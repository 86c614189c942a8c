"""Measures figures, prints and saves the results (`python -m bench [--only NAME,NAME] [--quick | --full]`).

The exit status is 0 when every requested figure was measured and met its target, 1 when a figure was not measured
or missed its target, 2 when there is no figure of a name.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from bench.environment import BenchEnvironment
from zmart import errors

from . import figures, machine, plot, results
from .figure import Effort, Figure
from .not_measured import NotMeasured


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the requested figures and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        chosen = figures.select_figures(options.only)
    except errors.NotFound as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    effort = Effort.of("quick" if options.quick else "full" if options.full else "usual", options.events)
    _warn_if_busy()
    with BenchEnvironment() as env:
        outcomes = [_measure(figure, env, effort) for figure in chosen]
    if not options.quick:
        _refresh_readme()
    missing = [figure.name for figure, result in zip(chosen, outcomes, strict=True) if result is None]
    missed = [result.name for result in outcomes if result is not None and not result.is_met]
    for problem, names in (("Not measured", missing), ("Target missed", missed)):
        if names:
            print(f"{problem}: {', '.join(names)}.", file=sys.stderr)
    return 1 if missing or missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the figures of bench/README.md.")
    parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(figures.names())}, or several with commas")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--quick", action="store_true", help="smoke run; results are not saved")
    pace.add_argument("--full", action="store_true", help="use the largest logs")
    parser.add_argument("--events", type=int, help="events in the log (folds, rebuild, growth, backup)")
    return parser


def _measure(figure: Figure, env: BenchEnvironment, effort: Effort) -> results.Result | None:
    """Measure, print and save one figure; return None, after printing the reason, where it could not be measured."""
    print(f"{figure.name}: measuring {figure.title} ...", file=sys.stderr, flush=True)
    found, began = machine.describe(), time.monotonic()
    try:
        with _time_limit(figure.limit_seconds):
            samples = figure.measure(env, effort)
    except (errors.ZmartError, OSError) as error:
        print(f"{figure.name} was not measured: {error}", file=sys.stderr)
        return None
    result = results.build(figure, samples, pace=effort.pace, seconds=time.monotonic() - began, machine=found)
    print(results.render_terminal(result), end="\n\n", flush=True)
    if effort.pace != "quick":
        results.save(result, plot.svg(result))
    return result


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise NotMeasured after this many seconds."""

    def give_up(_: int, __: FrameType | None) -> None:
        raise NotMeasured(f"It took longer than {seconds:.0f} s.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _refresh_readme() -> None:
    table = results.render_markdown(figures.ALL, results.load(figures.names()))
    results.README.write_text(results.replace_results(results.README.read_text(), table))


def _warn_if_busy() -> None:
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > cores / 2:
        print(f"The machine is busy (load average {load:.1f} on {cores} cores): expect noise.", file=sys.stderr)


def _exit_on_signal(_: int, __: FrameType | None) -> NoReturn:
    """Exit as after an exception, so that the started processes are stopped."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _exit_on_signal)
    sys.exit(main())
