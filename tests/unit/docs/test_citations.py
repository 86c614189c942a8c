"""Everything that documents, comments and messages cite exists: sections, anchors, files, commands, settings.

A citation is the name of a page and perhaps numbers: `protocol.md 1.4.5`, `docs/solana.md 3 and 4`, `ADR 13`. It may
continue on the next line of a comment. A number has to be that of a heading of the page, or of an item of a list on a
page without numbered headings.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import click
import pytest

from zmart import cli, settings
from zmart.settings import loading
from zmart.settings.environment import Environment

ROOT = Path(__file__).resolve().parents[3]
#: Folders of the repository; what a build, a cache or a virtual environment adds is not part of it.
FOLDERS = (
    ".ci",
    "analytics",
    "api",
    "bench",
    "clients",
    "deploy",
    "devchain",
    "relay",
    "docs",
    "ingest",
    "orchestration",
    "sql_macros",
    "sql_models",
    "tests",
    "zmart",
)
EXCLUDED = {"node_modules", "__pycache__", ".pytest_cache", "target"}
CITING = (".py", ".sql", ".yml", ".yaml", ".mjs", ".js", ".ts", ".html", ".css", ".md", ".json", ".toml", ".sh")
#: Folders whose pages are cited by name alone.
PAGE_FOLDERS = (Path(), Path("docs"), Path("docs/adr"), Path("docs/operating"))
#: Names of variables in documents that nothing here reads or defines, each with its reason.
FOREIGN_VARIABLES = {
    "NAME_FILE": "NAME stands for the name of a secret",
    "BACKEND_API_URL": "a variable of the earlier frontend",
    "NEXT_PUBLIC_SUPABASE_URL": "a variable of the earlier frontend",
    "DATA_SOURCE_NAME": "a variable of the Postgres exporter of Prometheus",
}
#: Files that are made by a command and not committed.
MADE_FILES = {"uv.lock", "run.json", "postgres/server.json"}
#: Words that stand for any name in the path of a file.
_PLACEHOLDER = re.compile(r"\b(?:SCHEMA|NAME)\b")

_NUMBER = r"\d+(?:\.\d+)*"
_NUMBERS = rf"{_NUMBER}(?:(?:,| and|, and| to) {_NUMBER}(?![\w%]))*"
_CITATION = re.compile(
    rf"(?<![\w@*{{}}:/])((?:[\w.-]+/)*[\w-]+\.md)\b(?!\()(?:#[\w-]+)?(?:`?,? ({_NUMBERS})(?![\w%]))?"
)
_APPENDIX = re.compile(r"\b[Aa]ppendix ([A-Z])\b")
_DECISION = re.compile(r"\bADR (\d+)\b")
#: A number in parentheses without a page, in a file that cites protocol.md.
_BARE = re.compile(rf"\(({_NUMBER}\.\d+\.\d+(?:, {_NUMBER})*)\)")
_LINE_BREAK = re.compile(r"\n[ \t]*(?:#:|#|--|//|\*)?[ \t]*")
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_CODE = re.compile(r"```.*?```|`[^`\n]+`|^    \S[^\n]*$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?:^|[\s`(/])zmart((?: [a-z][\w-]*| --[a-z][a-z-]*| [A-Z\d][\w-]*)+)", re.MULTILINE)
_TARGET = re.compile(r"(?:^|[\s`])make ([a-z][a-z-]*)", re.MULTILINE)
_VARIABLE = re.compile(r"\b(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PG[A-Z]{4,})\b")
_CONSTANT = {
    ".py": re.compile(r"^([A-Z][A-Z0-9_]+)(?:: [^=\n]+)? = ", re.MULTILINE),
    ".sql": re.compile(r"'([A-Z_]+)'"),
}
_FILE = re.compile(r"`((?:[\w.*-]+/)*[\w.*-]+\.(?:py|sql|md|yml|yaml|csv|json|mjs|ts|sh|toml|lock|html))`")


@functools.cache
def repository_files() -> tuple[Path, ...]:
    """Return the repository's own files, relative to its root."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file() and not EXCLUDED & set(path.parts)]
    return tuple(sorted(path.relative_to(ROOT) for path in found))


PAGES = [
    path
    for path in repository_files()
    if path.suffix == ".md" and path.name != "CHANGELOG.md" and path.parts[0] != "tests"
]
#: Files that may cite; those of others and this module, whose examples are wrong on purpose, are left out.
CITING_FILES = [
    path
    for path in repository_files()
    if path.suffix in CITING and "vendor" not in path.parts and path.name != Path(__file__).name
]


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def without_code_blocks(text: str) -> str:
    """Return the text of a page without its code blocks, in which a # begins no heading."""
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def headings(text: str) -> list[str]:
    """Return the headings of a page."""
    return re.findall(r"^#+ (.+)$", without_code_blocks(text), flags=re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page; a repeated heading gets a number."""
    seen: dict[str, int] = {}
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for each in map(slug, headings(text)):
        found.add(f"{each}-{seen[each]}" if each in seen else each)
        seen[each] = seen.get(each, 0) + 1
    return found


def numbers(text: str) -> set[str]:
    """Return the numbers that can be cited of a page."""
    numbered = [re.match(rf"({_NUMBER}|Appendix [A-Z])\b", each) for each in headings(text)]
    return {match[1] for match in numbered if match} or set(
        re.findall(r"^(\d+)\. ", without_code_blocks(text), flags=re.MULTILINE)
    )


@functools.cache
def page_numbers(page: Path) -> set[str]:
    """Return the numbers that can be cited of a page of the repository."""
    return numbers((ROOT / page).read_text())


def find_page(name: str, citing: Path) -> Path | None:
    """Return the page that a name means: beside the citing file, from the root, or in docs; case aside."""
    pages = {str(path).lower(): path for path in repository_files() if path.suffix == ".md"}
    places = (os.path.normpath(folder / name).lower() for folder in (citing.parent, *PAGE_FOLDERS))
    return next((pages[place] for place in places if place in pages), None)


def citation_problems(text: str, citing: Path) -> list[str]:
    """Return the citations in a file that lead nowhere."""
    flat = _LINE_BREAK.sub(" ", re.sub(r"https?://\S+|\\n", " ", text))
    problems = [f"{name} is no page" for name, _ in _CITATION.findall(flat) if find_page(name, citing) is None]
    for name, cited in _CITATION.findall(flat):
        if cited and (page := find_page(name, citing)):
            problems += [
                f"{name} has no {each}" for each in re.findall(_NUMBER, cited) if each not in page_numbers(page)
            ]
    if re.search(r"\bprotocol\.md \d", flat, re.IGNORECASE) or citing == Path("docs/protocol.md"):
        known = page_numbers(Path("docs/protocol.md"))
        bare = [each for group in _BARE.findall(flat) for each in re.findall(_NUMBER, group)]
        bare += [f"Appendix {each}" for each in _APPENDIX.findall(flat)]
        problems += [f"({each}) is no section of protocol.md" for each in bare if each not in known]
    decisions = {path.name[:4] for path in repository_files() if path.parts[:2] == ("docs", "adr")}
    return problems + [
        f"ADR {each} does not exist" for each in _DECISION.findall(flat) if each.zfill(4) not in decisions
    ]


def link_problems(text: str, page: Path) -> list[str]:
    """Return the relative links of a page whose file or anchor does not exist."""
    problems = []
    for target, anchor in _LINK.findall(text):
        path = ROOT / page.parent / target if target else ROOT / page
        if not path.exists():
            problems.append(f"{target} does not exist")
        elif anchor and anchor not in anchors(text if not target else path.read_text()):
            problems.append(f"{target}#{anchor} does not exist")
    return problems


def command_problems(text: str) -> list[str]:
    """Return the commands, options and make targets in the code of a page that do not exist."""
    code = "\n".join(_CODE.findall(text))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    problems = [f"make {each}" for each in _TARGET.findall(code) if each not in targets]
    return problems + [problem for words in _COMMAND.findall(code) if (problem := _command_problem(words.split()))]


def _command_problem(words: list[str]) -> str | None:
    command: click.Command = cli.main
    for place, word in enumerate(words):
        if command.context_settings.get("ignore_unknown_options"):
            # The rest belongs to another program.
            return None
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        if word.startswith("--") and word not in options | {"--help"}:
            return f"zmart {' '.join(words[: place + 1])}"
        if word.startswith("--") or not isinstance(command, click.Group):
            continue
        if word not in command.commands:
            return f"zmart {' '.join(words[: place + 1])}"
        command = command.commands[word]
    return None


@functools.cache
def known_variables() -> frozenset[str]:
    """Return the names that the settings request, those of .env.example and those of the Makefile."""
    environment = Environment({})
    loading.read(environment)
    example = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    secrets = {f"{name}_FILE" for name in example}
    makefile = _VARIABLE.findall((ROOT / "Makefile").read_text())
    return frozenset(environment.requested_names | set(example) | secrets | set(makefile))


@functools.cache
def constants() -> frozenset[str]:
    """Return the names in capitals that are no settings: constants of the Python code, and values in models."""
    found: set[str] = set()
    for path in repository_files():
        if path.suffix in _CONSTANT:
            found |= set(_CONSTANT[path.suffix].findall((ROOT / path).read_text()))
    return frozenset(found)


def variable_problems(text: str) -> list[str]:
    """Return the variables in a page that nothing reads, and those that a newer name replaces."""
    named = set(_VARIABLE.findall(text))
    unknown = named - known_variables() - constants() - set(FOREIGN_VARIABLES)
    return sorted(unknown | (named & set(settings.REPLACED_VARIABLES)))


def file_problems(text: str) -> list[str]:
    """Return the file names in backticks that are no end of a path of the repository."""
    paths = [f"/{path}" for path in repository_files()]
    names = set(_FILE.findall(text)) - MADE_FILES
    return sorted(
        name for name in names if not any(fnmatchcase(path, f"*/{_PLACEHOLDER.sub('*', name)}") for path in paths)
    )


def named(paths: list[Path]) -> Iterator[object]:
    """Yield the paths as parameters of a test."""
    yield from (pytest.param(path, id=str(path)) for path in paths)


def test_citations_lead_somewhere() -> None:
    """Each page that any file cites exists, and has the cited number."""
    found = {
        str(path): problems for path in CITING_FILES if (problems := citation_problems((ROOT / path).read_text(), path))
    }

    assert found == {}


@pytest.mark.parametrize("page", named(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    """The file and the anchor of every relative link exist."""
    assert link_problems((ROOT / page).read_text(), page) == []


@pytest.mark.parametrize("page", named(PAGES))
def test_commands_exist(page: Path) -> None:
    """Every `zmart ...` in code exists with its subcommand and options, every `make ...` is a target."""
    assert command_problems((ROOT / page).read_text()) == []


def test_commands_in_messages_exist() -> None:
    """Every `zmart ...` and `make ...` in backticks in code, mostly the next step of a message, exists."""
    found = {
        str(path): problems
        for path in CITING_FILES
        if path.suffix != ".md"
        and (problems := command_problems("\n".join(re.findall(r"`[^`\n]+`", (ROOT / path).read_text()))))
    }

    assert found == {}


@pytest.mark.parametrize("page", named(PAGES))
def test_variables_are_known(page: Path) -> None:
    """Every environment variable is one that the settings read or .env.example lists, under its present name."""
    text = (ROOT / page).read_text()
    if page == Path("docs", "migrating.md"):
        # Its tables have the earlier names in their first column.
        text = re.sub(r"^\| [^|]+\|", "|", text, flags=re.MULTILINE)
    assert variable_problems(text) == []


@pytest.mark.parametrize("page", named(PAGES))
def test_files_exist(page: Path) -> None:
    """Every file in backticks is a file of the repository."""
    assert file_problems((ROOT / page).read_text()) == []


CODE = Path("zmart/chain/codec.py")
PAGE = Path("docs/ingest.md")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("see protocol.md 1.4.5, 1.4.6 and 3", []),
        ("see protocol.md 1.4.99", ["protocol.md has no 1.4.99"]),
        ("see docs/protocol.md 1.4.5 and 99.", ["docs/protocol.md has no 99"]),
        ("#: Payouts (Protocol.md\n#: 1.4.99).", ["Protocol.md has no 1.4.99"]),
        ("-- protocol.md\n    -- 7.1 to 7.9", ["protocol.md has no 7.9"]),
        ("By protocol.md 2.5, and a rejected one (1.4.99).", ["(1.4.99) is no section of protocol.md"]),
        ("protocol.md 1.7, Appendix A and appendix Z", ["(Appendix Z) is no section of protocol.md"]),
        ("see solana.md 4 and `solana.md` 77", ["solana.md has no 77"]),
        ("see solana_2026.md 9.1", ["solana_2026.md is no page"]),
        ("ADR 13 and ADR 0999", ["ADR 0999 does not exist"]),
    ],
)
def test_a_wrong_citation_is_found(text: str, problems: list[str]) -> None:
    """A page that is missing, a number that is missing, on the same line or the next, with or without the page."""
    assert citation_problems(text, CODE) == problems


def test_items_are_cited_where_a_page_has_no_numbered_headings() -> None:
    """A numbered heading is the citable number; a list counts only without one."""
    assert numbers("# A\n\n1. one\n2. two\n") == {"1", "2"}
    assert numbers("# 3. A\n\n## 3.1 B\n\n1. one\n# Appendix A: C\n```\n# 9 no heading\n```") == {
        "3",
        "3.1",
        "Appendix A",
    }


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[a](protocol.md#145-buy_shares) [b](../README.md) [c](https://x.org/y#z)", []),
        ("# One\n# One\n[a](#one-1)", []),
        ("[a](protocol.md#145-buy-shares)", ["protocol.md#145-buy-shares does not exist"]),
        ("# One\n[a](#two)", ["#two does not exist"]),
        ("[a](nothing.md)", ["nothing.md does not exist"]),
    ],
)
def test_a_wrong_link_is_found(text: str, problems: list[str]) -> None:
    """A file or an anchor that is missing."""
    assert link_problems(text, PAGE) == problems


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("`zmart keeper plan` and `make test`, or zmart nothing", []),
        ("`zmart keeper nothing`", ["zmart keeper nothing"]),
        ("```\nzmart backfill --from-slots 3\n```", ["zmart backfill --from-slots"]),
        ("    make nothing", ["make nothing"]),
    ],
)
def test_a_wrong_command_is_found(text: str, problems: list[str]) -> None:
    """A subcommand, an option or a target that is missing; prose is not searched."""
    assert command_problems(text) == problems


def test_a_wrong_variable_is_found() -> None:
    """One that nothing reads, and one that a newer name replaces."""
    assert variable_problems("SOLANA_RPC_URL, JWT_SECRET_FILE, PGPORT, FUZZ_SECONDS") == []
    assert variable_problems("SOLANA_RPC_URI or PGPORTS or SUPABASE_URL") == [
        "PGPORTS",
        "SOLANA_RPC_URI",
        "SUPABASE_URL",
    ]


def test_a_wrong_file_is_found() -> None:
    """A name that no path ends with; a part of a name is none."""
    assert file_problems(
        "`chain/codec.py`, `codec.py`, `docs/adr/*.md`, `dec.py`, `zmart/codec.py`, `db/NAME.py`, `dc/NAME.py`"
    ) == [
        "dc/NAME.py",
        "dec.py",
        "zmart/codec.py",
    ]
