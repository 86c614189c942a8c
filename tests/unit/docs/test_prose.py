"""The documents use plain sentences, and the glossary defines the words of the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    ROOT / ".env.example",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "bench" / "README.md",
    ROOT / "clients" / "README.md",
    ROOT / "tests" / "recordings" / "README.md",
]
#: Words that have a literal, standard replacement (user, operator, client; receives; again; error).
AVOIDED = re.compile(r"\b(anew|(?:is|are|was|were) told|a person|troubles?|whoever)\b", re.IGNORECASE)
#: A sentence that opens with a question word, up to its end.
OPENING = re.compile(r"(?:^|[.!?:;] |\| |\*\* )((?:What|Who|Whoever)\b[^.?!|]*[.?!|]?)", re.MULTILINE)
WORDS = [
    "feed",
    "seq",
    "epoch",
    "position",
    "user position",
    "mark",
    "fold",
    "mart",
    "hub",
    "sweep",
    "keeper",
    "intent",
    "submission",
    "lease",
    "dead letter",
    "ledger",
    "gap",
    "cursor",
    "order key",
    "watermark",
]


def prose(path: Path) -> str:
    """Return the text of a document without code blocks and without the measured figures, whose source is elsewhere."""
    text = re.sub(r"<!-- measured: begin.*?measured: end -->", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def problems(text: str) -> list[str]:
    """Return the avoided words and the openings that are no questions."""
    openings = [found for found in OPENING.findall(text) if not found.endswith("?")]
    return [*AVOIDED.findall(text), *openings]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_use_plain_sentences(path: Path) -> None:
    """No sentence opens with What or Who unless it is a question, and none uses an avoided word."""
    assert problems(prose(path)) == []


def test_the_check_finds_such_sentences() -> None:
    """Openings at the start of a line, of a sentence and of a table cell are found; questions are not."""
    assert problems("What is sent is stored.") == ["What is sent is stored."]
    assert problems("It ends. Who waits is told") == ["is told", "Who waits is told"]
    assert problems("| a | What comes |") == ["What comes |"]
    assert problems("What does it cost? Who votes?") == []


def test_the_glossary_defines_each_word_once() -> None:
    """docs/glossary.md has one row for each word of the project."""
    rows = re.findall(r"^\| \*\*([^*]+)\*\* \|", (ROOT / "docs" / "glossary.md").read_text(), flags=re.MULTILINE)

    assert [word for word in WORDS if rows.count(word) != 1] == []
