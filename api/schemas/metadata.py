"""Defines the schemas of market metadata, which creators publish."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .answer import Category, Instant


class NewMetadata(Struct, kw_only=True):
    """A market's question and metadata; a market created with a content id accepts only exactly its document's text."""

    question: Annotated[str, Meta(min_length=10, max_length=200, examples=["Will it rain in Lisbon on 1 May?"])]
    description: Annotated[str, Meta(max_length=2_000)] | None = None
    category: Category = "other"
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=50)]], Meta(max_length=10)] = []
    end_date: Instant | None = None


class MetadataResult(Struct, kw_only=True):
    """The stored metadata."""

    message: str
    market_id: str
    question_cid: Annotated[str, Meta(description="The content id that a create instruction may anchor.")]
    seq: Annotated[int | None, Meta(description="Its log entry; null while the market does not exist.")]
