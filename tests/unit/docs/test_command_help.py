"""Help texts of the commands fit in 45 characters, so that every list of commands shows them whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import click
import pytest

from ingest.commands import backfill, dead_letters, gaps
from ingest.sync import webhook_registration
from orchestration.keepers import __main__ as keepers
from orchestration.snapshots import __main__ as snapshots
from zmart import cli

#: Click cuts the short help of a command at this length.
LONGEST = 45

PARSERS = {
    "ingest backfill": backfill.parser,
    "ingest dead-letters": dead_letters.parser,
    "ingest gap": gaps.parser,
    "ingest webhook": webhook_registration.parser,
    "orchestration.keepers": keepers.parser,
    "orchestration.snapshots": snapshots.parser,
}


def command_texts(name: str, command: click.Command) -> Iterator[tuple[str, str]]:
    """Yield the first paragraph of each command and the help of each option."""
    yield name, " ".join((command.help or "").split("\n\n")[0].split())
    for option in command.params:
        if isinstance(option, click.Option):
            yield f"{name} {option.opts[-1]}", option.help or ""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from command_texts(f"{name} {each.name}", each)


def parser_texts(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield the description of a parser and the help of each command and argument below it."""
    if parser.description:
        yield name, parser.description
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from ((f"{name} {choice.dest}", choice.help or "") for choice in action._choices_actions)
            for child, child_parser in action.choices.items():
                yield from parser_texts(f"{name} {child}", child_parser)
        else:
            yield f"{name} {action.dest}", action.help or ""


def find_faults(texts: Iterator[tuple[str, str]]) -> list[str]:
    """Return the texts that are missing or too long."""
    return [f"{place}: {text!r} ({len(text)})" for place, text in texts if not 0 < len(text) <= LONGEST]


def test_commands_of_zmart_have_short_help() -> None:
    """Every command and option of `zmart` has a help text of at most 45 characters."""
    assert not find_faults(command_texts("zmart", cli.main))


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_have_short_help(name: str) -> None:
    """Every command and argument of the modules behind `zmart` has one, too."""
    assert not find_faults(parser_texts(name, PARSERS[name]()))


def test_a_list_of_commands_cuts_nothing() -> None:
    """Click shows the first sentence of each command whole."""

    def groups(command: click.Command) -> Iterator[click.Group]:
        if isinstance(command, click.Group):
            yield command
            for each in command.commands.values():
                yield from groups(each)

    for group in groups(cli.main):
        for command in group.commands.values():
            assert not command.get_short_help_str(LONGEST).endswith("..."), command.name
