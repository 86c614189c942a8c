"""Lints every SQL file with sqlfluff, and skips files that were clean when they had the same content and configuration.

sqlfluff needs 45 seconds of a processor for all files, so the digests of clean files are stored in `.sqlfluff_cache`.

    python deploy/lint_sql.py            # exit 1 if a file breaks a rule
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".sqlfluff_cache" / "clean"
STATEMENTS = "deploy/statements.sqlfluff"
#: Every file that can change what sqlfluff finds in another one.
CONFIGURATION = (".sqlfluff", ".sqlfluffignore", STATEMENTS, "sql_macros/*.sql", "deploy/lint_sql.py")


class Group(NamedTuple):
    """Files that sqlfluff reads with one dialect, one templater and one set of rules."""

    #: Files, and folders with everything below them.
    paths: Sequence[str]
    options: Sequence[str] = ()

    def files(self) -> list[Path]:
        """Return the SQL files, sorted."""
        found = [path for pattern in self.paths for path in ROOT.glob(pattern)]
        return sorted({file for path in found for file in ([path] if path.is_file() else path.rglob("*.sql"))})


GROUPS = (
    Group(paths=("sql_models", "tests/data")),
    Group(paths=("api",), options=("--config", STATEMENTS)),
    Group(
        paths=(
            "zmart/db/functions",
            "zmart/db/*.sql",
            "zmart/run",
            "ingest",
            "orchestration",
            "relay",
            "analytics",
            "bench",
        ),
        options=("--config", STATEMENTS),
    ),
    Group(paths=("devchain",), options=("--config", STATEMENTS, "--dialect", "sqlite")),
    # Migrations are never edited, so newer rules of layout must not fail them.
    Group(paths=("zmart/db/migrations",), options=("--templater", "raw", "--rules", "CP01,CP03,CP04,CP05")),
)


def ignored_paths() -> list[Path]:
    """Return the entries of .sqlfluffignore."""
    lines = (ROOT / ".sqlfluffignore").read_text(encoding="utf-8").splitlines()
    return [ROOT / line for line in lines if line and not line.startswith("#")]


def lint(groups: Sequence[Group] = GROUPS, *, cache: Path = CACHE) -> bool:
    """Lint the files that are not known to be clean, the groups beside each other; return whether all are clean."""
    known = set(cache.read_text(encoding="utf-8").split()) if cache.is_file() else set()
    clean: set[str] = set()
    runs = []
    configuration, ignored = _digest_configuration(), set(ignored_paths())
    for group in groups:
        files = [file for file in group.files() if ignored.isdisjoint((file, *file.parents))]
        digests = {file: _digest(configuration, group, file) for file in files}
        clean |= known & set(digests.values())
        if changed := {file: digest for file, digest in digests.items() if digest not in known}:
            runs.append((start(group, changed), set(changed.values())))
    is_clean = True
    for process, digests_of_run in runs:
        output, _ = process.communicate()
        if process.returncode == 0:
            clean |= digests_of_run
        else:
            is_clean = False
            print(output, end="")
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("".join(f"{digest}\n" for digest in sorted(clean)), encoding="utf-8")
    return is_clean


def start(group: Group, files: Iterable[Path]) -> subprocess.Popen[str]:
    """Start sqlfluff for these files."""
    names = [str(file.relative_to(ROOT)) for file in files]
    return subprocess.Popen(  # noqa: S603 - the options above and files of the repository
        [str(Path(sys.executable).with_name("sqlfluff")), "lint", *group.options, *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _digest_configuration() -> bytes:
    paths = sorted(path for pattern in CONFIGURATION for path in ROOT.glob(pattern))
    texts = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    return metadata.version("sqlfluff").encode() + b"".join(texts)


def _digest(configuration: bytes, group: Group, file: Path) -> str:
    """Return a digest of all that decides whether a file is clean, its name included."""
    parts = (configuration, " ".join(group.options).encode(), str(file.relative_to(ROOT)).encode(), file.read_bytes())
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


if __name__ == "__main__":
    sys.exit(0 if lint() else 1)
