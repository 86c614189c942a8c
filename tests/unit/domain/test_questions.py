"""The document a market's creator anchors."""

from __future__ import annotations

import dataclasses
import datetime

from devchain import questions as demo
from zmart.domain import cids
from zmart.domain.ids import Address, MarketId
from zmart.domain.questions import CATEGORIES, MarketQuestion

ASKED = MarketQuestion(
    market_id=MarketId("ab" * 32),
    creator=Address("11111111111111111111111111111111"),
    question="Will Rosalía sell out in März?",
    category="entertainment",
    tags=("music",),
    ends_at=datetime.datetime(2026, 12, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
)


def test_there_is_one_way_of_writing_it() -> None:
    """Names in order, no blanks, plain UTF-8, instants in UTC."""
    assert ASKED.document().decode() == (
        '{"category":"entertainment","creator":"11111111111111111111111111111111","description":null,'
        f'"ends_at":"2026-12-01T00:00:00Z","market_id":"{"ab" * 32}",'
        '"question":"Will Rosalía sell out in März?","tags":["music"]}'
    )


def test_every_word_is_in_its_name() -> None:
    """Any change gives another content id."""
    changes: list[dict[str, object]] = [
        {"market_id": MarketId("ac" * 32)},
        {"creator": Address("So11111111111111111111111111111111111111112")},
        {"question": "Will Rosalía sell out in April?"},
        {"description": "By her own word."},
        {"category": "other"},
        {"tags": ()},
        {"ends_at": None},
    ]
    names = {dataclasses.replace(ASKED, **change).cid for change in changes}  # type: ignore[arg-type]
    assert len(names | {ASKED.cid}) == len(changes) + 1
    assert {len(name) for name in names} == {cids.LENGTH}


def test_demo_questions_fit_what_users_may_write() -> None:
    """Ten to two hundred characters in an existing category."""
    for number in range(500):
        words = demo.generate_question(1, number)
        assert 10 <= len(words.question) <= 200
        assert words.category in CATEGORIES
