"""Defines the document of a market's question, whose content id is unique.

The chain stores 46 characters about a market's question (protocol.md 1.4.2): the content id of this document. Market,
creator and every word are part of it, so a creator can prove the exact question with which the market was created, and
the question cannot be changed afterwards.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

from . import cids
from .ids import Address, MarketId

#: The categories of markets.
CATEGORIES = ("politics", "sports", "crypto", "science", "entertainment", "other")


@dataclass(frozen=True, kw_only=True)
class MarketQuestion:
    """A market's question and its metadata."""

    market_id: MarketId
    creator: Address
    question: str
    description: str | None = None
    category: str = "other"
    tags: tuple[str, ...] = ()
    ends_at: datetime.datetime | None = None

    def document(self) -> bytes:
        """Return the canonical form: JSON, sorted names, no spaces, UTF-8, instants in UTC."""
        ends_at = self.ends_at.astimezone(datetime.UTC) if self.ends_at else None
        fields = {
            "category": self.category,
            "creator": self.creator,
            "description": self.description,
            "ends_at": ends_at.strftime("%Y-%m-%dT%H:%M:%SZ") if ends_at else None,
            "market_id": self.market_id,
            "question": self.question,
            "tags": list(self.tags),
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def cid(self) -> str:
        """Return the CIDv0 of the document, which the create instruction stores on chain."""
        return cids.compute_cid(self.document())
