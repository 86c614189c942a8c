"""Generates plausible questions for demo markets, and the content id that their creators anchor.

The chain stores 46 characters of a CIDv0 and nothing else about a market's meaning (protocol.md 1.4.2). A question
here is a function of the seed and the market's number, so the text can always be generated again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from zmart.domain import cids, questions
from zmart.domain.ids import Address, MarketId

_TEMPLATES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("crypto", "Will {} close above ${} before {}?", ("SOL", "BTC", "ETH", "JUP", "BONK")),
    (
        "crypto",
        "Will {} process more than {} million transactions a day in {}?",
        ("Solana", "Base"),
    ),
    ("sports", "Will {} win by {} points or more in {}?", ("Lakers", "Celtics", "Bayern", "Ajax")),
    (
        "politics",
        "Will {} pass its budget with {} votes before {}?",
        ("the Senate", "the Bundestag"),
    ),
    ("other", "Will {} record a day above {} degrees in {}?", ("Phoenix", "Madrid", "Delhi")),
    ("science", "Will {} announce at least {} new results in {}?", ("CERN", "NASA", "DeepMind")),
    ("entertainment", "Will {} sell more than {} thousand tickets in {}?", ("Coldplay", "Rosalía")),
    ("science", "Will {} ship version {} before {}?", ("Firedancer", "Python", "PostgreSQL")),
)
_MONTHS = ("January", "March", "May", "July", "September", "November", "the end of the year")


@dataclass(frozen=True, kw_only=True)
class QuestionText:
    """The question, category and description of a market."""

    question: str
    category: str
    description: str

    def for_market(self, market_id: bytes, creator: Address) -> questions.MarketQuestion:
        """Return this text as the question of a market, which its creator anchors."""
        return questions.MarketQuestion(
            market_id=MarketId(market_id.hex()),
            creator=creator,
            question=self.question,
            description=self.description,
            category=self.category,
        )


def generate_question(seed: int, number: int) -> QuestionText:
    """Return the text of the market with that number."""
    draw = random.Random(f"question {seed} {number}")  # noqa: S311 - a demo, not a secret
    category, template, subjects = draw.choice(_TEMPLATES)
    text = template.format(draw.choice(subjects), draw.randrange(2, 400), draw.choice(_MONTHS))
    described = f"Resolves YES if the statement holds by the source named first (no. {number})."
    return QuestionText(question=text, category=category, description=described)


def content_id(document: bytes) -> bytes:
    """Return the content id of a document, in the form that the program stores."""
    return cids.compute_cid(document).encode()
