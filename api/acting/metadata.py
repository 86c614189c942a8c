"""What a market is about, as one document with one name.

The chain keeps 46 characters about a market's question (protocol.md 1.4.2). We put the content id of
this document there: market, creator and every word are in it, so a creator can tell exactly the
question the market was created with, and nobody can change it afterwards.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

from zmart.domain import cids
from zmart.domain.ids import Address, MarketId


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """A market's question and what goes with it."""

    market_id: MarketId
    creator: Address
    question: str
    description: str | None
    category: str
    tags: tuple[str, ...]
    ends_at: datetime.datetime | None

    def document(self) -> bytes:
        """The one way of writing it: JSON, names in order, nothing between them, UTF-8, instants in UTC."""
        ends_at = self.ends_at.astimezone(datetime.UTC) if self.ends_at else None
        words = {
            "category": self.category,
            "creator": self.creator,
            "description": self.description,
            "ends_at": ends_at.strftime("%Y-%m-%dT%H:%M:%SZ") if ends_at else None,
            "market_id": self.market_id,
            "question": self.question,
            "tags": list(self.tags),
        }
        return json.dumps(words, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def cid(self) -> str:
        """What the create instruction anchors: the document's CIDv0."""
        return cids.of_file(self.document())

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
