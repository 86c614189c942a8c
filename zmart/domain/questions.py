"""What a market is about, as one document with one name.

The chain keeps 46 characters about a market's question (protocol.md 1.4.2). The content id of this
document stands there: market, creator and every word are in it, so a creator can tell exactly the
question the market was created with, and nobody can change it afterwards.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

from . import cids
from .ids import Address, MarketId

#: What a market can be filed under.
CATEGORIES = ("politics", "sports", "crypto", "science", "entertainment", "other")


@dataclass(frozen=True, kw_only=True)
class MarketQuestion:
    """A market's question and what goes with it."""

    market_id: MarketId
    creator: Address
    question: str
    description: str | None = None
    category: str = "other"
    tags: tuple[str, ...] = ()
    ends_at: datetime.datetime | None = None

    def document(self) -> bytes:
        """The one way of writing it: JSON, names in order, nothing between them, UTF-8, instants in UTC."""
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
        """What the create instruction anchors: the document's CIDv0."""
        return cids.compute_cid(self.document())
