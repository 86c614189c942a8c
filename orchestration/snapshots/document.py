"""Builds the document of a market's discussion at the end of a UTC day, with the same bytes every time.

It holds every comment that was written, edited or deleted that day, in its state at midnight; a deleted comment
remains listed without its text. So all documents of a market together show the state at the end of every day. Each
document names the previous one, which makes them a chain. The time of its creation and its creator are not part of
it, so any process creates the same document at any time.

The form is canonical JSON: sorted keys, no whitespace between tokens, UTF-8. For texts, integers and nulls only, as
here, RFC 8785 produces the same bytes.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from zmart.domain import cids

#: The earlier backend's documents have version 1.0 (protocol.md 10).
VERSION: Final = "2.0"


class Comment(NamedTuple):
    """A comment in its state at the end of a day."""

    comment_no: int
    parent_no: int | None
    user_wallet: str
    #: None if it was deleted by then.
    content: str | None
    created_at: datetime.datetime
    edited_at: datetime.datetime | None
    deleted_at: datetime.datetime | None


@dataclass(frozen=True)
class Document:
    """A market's discussion of one day."""

    market_id: str
    day: datetime.date
    #: The CIDv0 of the market's previous anchored day.
    previous_cid: str | None
    comments: Sequence[Comment]

    @cached_property
    def content(self) -> bytes:
        """Return the bytes of the document."""
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
        """Return its CIDv0."""
        return cids.compute_cid(self.content)

    @property
    def cid_v1(self) -> str:
        """Return the same CID as CIDv1."""
        return cids.to_v1(self.cid)


def canonical_json(value: Any) -> bytes:
    """Serialize texts, integers, nulls, lists and objects of these, with exactly one spelling for each value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _comment_fields(comment: Comment) -> dict[str, Any]:
    return {
        "content": comment.content,
        "created_at": _instant(comment.created_at),
        "deleted_at": _instant(comment.deleted_at),
        "edited_at": _instant(comment.edited_at),
        # As the API formats it.
        "id": str(comment.comment_no),
        "parent_id": None if comment.parent_no is None else str(comment.parent_no),
        "user_wallet": comment.user_wallet,
    }


def _instant(at: datetime.datetime | None) -> str | None:
    """Return an instant in UTC with microseconds, so that it has exactly one spelling."""
    return None if at is None else at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
