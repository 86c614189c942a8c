"""Log events are constants in snake_case, so that they can be counted and searched."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("analytics", "api", "bench", "devchain", "ingest", "orchestration", "relay", "zmart")

#: The methods of a logger, and the position of the event among their arguments.
METHODS = dict.fromkeys(("debug", "info", "warning", "error", "exception", "critical", "msg"), 0) | {"log": 1}
_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def is_structlog(node: ast.expr) -> bool:
    """Return whether an expression creates a logger of structlog, also with `.bind(...)` after it."""
    return "structlog.get_logger(" in ast.unparse(node)


def loggers(tree: ast.AST) -> set[str]:
    """Return the names that are assigned a logger of structlog."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value) if is_structlog(value):
                names.update(ast.unparse(target) for target in targets)
            case ast.AnnAssign(target=target, value=ast.expr() as value) if is_structlog(value):
                names.add(ast.unparse(target))
    return names


def log_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that write an event."""
    names = loggers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            logger = node.func.value
            if ast.unparse(logger) in names or is_structlog(logger):
                yield node


def is_snake_case_event(call: ast.Call) -> bool:
    """Return whether the event of a call is a constant in snake_case."""
    assert isinstance(call.func, ast.Attribute)
    match call.args[METHODS[call.func.attr] :]:
        case [ast.Constant(value=str(event))]:
            return _SNAKE_CASE.fullmatch(event) is not None
    return False


@pytest.mark.parametrize("folder", FOLDERS)
def test_events_are_snake_case(folder: str) -> None:
    """Every event of a structlog logger is a constant in snake_case."""
    wrong = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for call in log_calls(ast.parse(path.read_text()))
        if not is_snake_case_event(call)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("source", "is_right"),
    [
        ('log.info("batch_written", rows=1)', True),
        ('log.log(level, "request")', True),
        ('log.info("Batch written")', False),
        ('log.info("batch-written")', False),
        ('log.info(f"batch_{number}")', False),
        ("log.info(event)", False),
        ('log.info("batch %s", 1)', False),
        ("log.info()", False),
    ],
)
def test_the_check_finds_other_events(source: str, is_right: bool) -> None:
    """Other texts and events that are computed are found."""
    tree = ast.parse(f"log = structlog.get_logger()\n{source}")
    assert [is_snake_case_event(call) for call in log_calls(tree)] == [is_right]


def test_the_check_sees_the_project() -> None:
    """The check recognizes the loggers of the project."""
    paths = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    assert sum(len(list(log_calls(ast.parse(path.read_text())))) for path in paths) > 40
