"""A market's question on its way into the database."""

from __future__ import annotations

from dataclasses import dataclass

from zmart.domain import questions


@dataclass(frozen=True, kw_only=True)
class MarketMetadata(questions.MarketQuestion):
    """A market's question and what goes with it."""

    def parameters(self) -> dict[str, object]:
        """For the statement set_market_metadata."""
        return {
            "market_id": self.market_id,
            "question": self.question,
            "description": self.description,
            "category": self.category,
            "tags": list(self.tags),
            "ends_at": self.ends_at,
            "question_cid": self.cid,
        }
