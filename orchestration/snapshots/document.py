"""What a discussion said when a UTC day was over, as one document that comes out the same whoever writes it, whenever.

It holds every comment that was written, edited or taken back that day, as it stood at midnight; one that was taken back
keeps its place without its words. So all of a market's documents together tell how every day ended. Each names the one
before it, which makes them a chain. When and by whom the document was made is not in it.

The form is canonical JSON: names in order, nothing between them, UTF-8. Of texts, whole numbers and nothing else, as
here, RFC 8785 makes the same bytes.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from zmart.domain import cids

#: The earlier backend's documents called themselves 1.0 (protocol.md 10).
VERSION: Final = "2.0"


class Comment(NamedTuple):
    """A comment as a day left it."""

    comment_no: int
    parent_no: int | None
    user_wallet: str
    #: None where it was taken back by then.
    content: str | None
    created_at: datetime.datetime
    edited_at: datetime.datetime | None
    deleted_at: datetime.datetime | None


@dataclass(frozen=True)
class Document:
    """A market's day."""

    market_id: str
    day: datetime.date
    #: The CIDv0 of the market's anchored day before this one.
    previous_cid: str | None
    comments: Sequence[Comment]

    @cached_property
    def content(self) -> bytes:
        """The document."""
        fields = {
            "discussions": [_comment_fields(comment) for comment in sorted(self.comments)],
            "discussions_count": len(self.comments),
            "market_id": self.market_id,
            "previous_cid": self.previous_cid,
            "snapshot_date": self.day.isoformat(),
            "snapshot_version": VERSION,
        }
        return canonical_json(fields)

    @cached_property
    def cid(self) -> str:
        """Its name, as CIDv0."""
        return cids.compute_cid(self.content)

    @property
    def cid_v1(self) -> str:
        """The same name as CIDv1."""
        return cids.to_v1(self.cid)


def canonical_json(value: Any) -> bytes:
    """The one way to write texts, whole numbers, nulls, lists and objects of these."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _comment_fields(comment: Comment) -> dict[str, Any]:
    return {
        "content": comment.content,
        "created_at": _instant(comment.created_at),
        "deleted_at": _instant(comment.deleted_at),
        "edited_at": _instant(comment.edited_at),
        # As the API writes it.
        "id": str(comment.comment_no),
        "parent_id": None if comment.parent_no is None else str(comment.parent_no),
        "user_wallet": comment.user_wallet,
    }


def _instant(at: datetime.datetime | None) -> str | None:
    """Microseconds and UTC, always: an instant has one spelling."""
    return None if at is None else at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
