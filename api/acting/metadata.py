"""Converts a market's question to the parameters of its database statement."""

from __future__ import annotations

from dataclasses import dataclass

from zmart.domain import questions


@dataclass(frozen=True, kw_only=True)
class MarketMetadata(questions.MarketQuestion):
    """A market's question and the metadata that belongs to it."""

    def parameters(self) -> dict[str, object]:
        """Return the parameters of the statement set_market_metadata."""
        return {
            "market_id": self.market_id,
            "question": self.question,
            "description": self.description,
            "category": self.category,
            "tags": list(self.tags),
            "ends_at": self.ends_at,
            "question_cid": self.cid,
        }
