"""The gate's table: what it counts, and that a skip which nobody allowed fails it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]

REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_one" time="0.5"/>
<testcase classname="tests.unit.test_a" name="test_two" time="31.0"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_a" name="test_three[x]" time="0"><skipped message="no node"/></testcase>
<testcase classname="tests.unit.test_b" name="test_four" time="0"><error message="no"/></testcase>
</testsuite></testsuites>"""


def load(name: str) -> ModuleType:
    """A module of .ci, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


steps = load("steps")


def test_a_junit_report_is_counted(tmp_path: Path) -> None:
    """Passed, failed, and skipped with the reason; long tests by name."""
    (tmp_path / "r.xml").write_text(REPORT)

    result = steps.read_report(tmp_path / "r.xml")

    assert (result.passed, result.ran) == (1, 3)
    assert result.failed == ("tests.unit.test_a::test_two", "tests.unit.test_b::test_four")
    assert result.skips == (steps.Skip("tests.unit.test_a::test_three[x]", "no node"),)
    assert result.long == (("tests.unit.test_a::test_two", 31.0),)


def test_checks_are_counted() -> None:
    """`make check` prints yes or NO for each."""
    result = steps.read_checks("  yes  format\n  NO   types\nerror: yes\n  yes  layers\n")

    assert (result.passed, result.failed) == (2, ("types",))


@pytest.mark.parametrize(
    ("exit_code", "passed", "failed", "outcome"),
    [(0, 3, (), "ok"), (1, 3, (), "FAILED"), (0, 3, ("x",), "FAILED"), (0, 0, (), "FAILED")],
)
def test_a_step_must_run_something_and_pass(exit_code: int, passed: int, failed: tuple[str, ...], outcome: str) -> None:
    """A step without a single test, as after a report that was never written, has failed."""
    result = steps.Result("test", exit_code=exit_code, passed=passed, failed=failed, seconds=1, limit_seconds=60)

    assert result.outcome == outcome
    assert result.is_successful == (outcome == "ok")


def test_a_step_over_its_limit_is_slow_but_passes() -> None:
    """Its seconds depend on the machine, so they are shown and do not fail it."""
    result = steps.Result("test", passed=1, seconds=61, limit_seconds=60)

    assert (result.outcome, result.is_successful) == ("slow", True)


def test_a_missing_report_counts_nothing(tmp_path: Path) -> None:
    """pytest that could not start writes none."""
    assert steps.read_report(tmp_path / "none.xml").ran == 0


def test_a_skip_that_is_not_listed_is_forbidden() -> None:
    """Both the test and the reason must match one line."""
    allowed = steps.read_allowed_skips("# comment\n\na::* | no node* | Node is optional.\n")
    skips = steps.Skip("a::t", "no node here"), steps.Skip("a::t", "no server"), steps.Skip("b::t", "no node")

    assert steps.forbidden_skips([steps.Result("test", skips=skips)], allowed) == [*skips[1:]]


def test_an_allowed_skip_needs_a_reason() -> None:
    """The third column is for whoever asks why."""
    with pytest.raises(ValueError, match="has no reason"):
        steps.read_allowed_skips("a::* | * | \n")


def test_no_test_may_be_skipped_for_want_of_postgres() -> None:
    """The list in force allows none of it: a database test without a server is a failure."""
    allowed = steps.read_allowed_skips(steps.ALLOWED_SKIPS.read_text())
    skips = tuple(
        steps.Skip(test, "No Postgres to test on: no binaries are installed.")
        for test in ("tests.integration.test_migrate::test_x", "tests.integration.folds.test_a::test_b", "x")
    )

    assert allowed
    assert steps.forbidden_skips([steps.Result("test", skips=skips)], allowed) == [*skips]


def test_the_table_names_what_failed_and_what_was_skipped() -> None:
    """Each step has a line; failures, skips with reasons and long tests follow."""
    skip, refused = steps.Skip("a::t", "no node"), steps.Skip("b::t", "because")
    results = [
        steps.Result("check", passed=10, seconds=61.2, limit_seconds=600),
        steps.Result(
            "test",
            exit_code=1,
            passed=5,
            failed=("a::u",),
            skips=(skip, refused),
            long=(("a::v", 40.0),),
            seconds=700,
            limit_seconds=900,
        ),
    ]

    lines = steps.render_table(results, [refused]).splitlines()

    assert lines[1].split() == ["check", "ok", "10", "10", "0", "0", "61", "600"]
    assert lines[2].split() == ["test", "FAILED", "6", "5", "1", "2", "700", "900"]
    assert lines[3:7] == [
        "failed   test: a::u",
        "skipped  test: a::t: no node",
        "SKIPPED  test: b::t: because",
        "long     test: a::v (40 s)",
    ]
    assert "allowed-skips" in lines[7]


def test_a_step_is_run_and_timed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its output is shown while it runs, and its exit code decides too."""
    command = ("sh", "-c", "echo '  yes  one'; echo $PYTEST_ADDOPTS; exit 3")

    result = steps.run_step("check", command, 1, tmp_path)

    assert (result.name, result.exit_code, result.passed, result.is_successful) == ("check", 3, 1, False)
    assert f"--junitxml={tmp_path}/check.xml" in capfd.readouterr().out


def test_the_commands_are_targets_of_the_makefile() -> None:
    """The gate runs what people run."""
    makefile = (ROOT / "Makefile").read_text()

    for _, command, _ in steps.STEPS:
        assert f"\n{command[1]}: setup" in makefile
