"""Defines the schemas of API keys and limits."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType

from .answer import Instant
from .auth import WalletAddress

KeyScope = Literal["read", "trade", "write"]
AccountTier = Literal["basic", "pro", "maker"]
KeyName = Annotated[str, Meta(min_length=1, max_length=100, description="What the key is for; only you see it.")]
KeyScopes = Annotated[
    list[KeyScope],
    Meta(
        min_length=1,
        max_length=3,
        description="`read`: what only the wallet sees, such as the topic me. `trade`: transactions to sign. `write`: "
        "ballots, comments, metadata.",
    ),
]


class NewApiKey(Struct, kw_only=True):
    """An API key to create."""

    name: KeyName
    scopes: KeyScopes
    expires_in_days: (
        Annotated[int, Meta(ge=1, le=3650, description="Without it, the key is valid until it is revoked.")] | UnsetType
    ) = msgspec.UNSET


class ApiKey(Struct, kw_only=True):
    """An API key of the wallet, without the key itself."""

    id: str
    name: KeyName
    scopes: list[KeyScope]
    created_at: Instant
    expires_at: Annotated[Instant | None, Meta(description="Null if it is valid until it is revoked.")]
    revoked_at: Instant | None


class CreatedApiKey(Struct, kw_only=True):
    """A new API key. It is shown only here."""

    key: Annotated[str, Meta(description="For Authorization: Bearer. Store it now: only its hash is stored here.")]
    api_key: ApiKey


class ApiKeys(Struct, kw_only=True):
    """The API keys of the wallet, newest first."""

    keys: list[ApiKey]


class RevokedApiKey(Struct, kw_only=True):
    """The key is revoked."""

    id: str
    revoked_at: Instant


class AccountLimits(Struct, kw_only=True):
    """The limits of the caller, and what is left of them."""

    wallet: Annotated[WalletAddress | None, Meta(description="Null for a caller that is not signed in.")]
    tier: Annotated[AccountTier, Meta(description="That of an API key; basic for all other callers.")]
    scopes: Annotated[list[KeyScope] | None, Meta(description="Those of the API key; null without one.")]
    per_minute: Annotated[int | None, Meta(description="The cost of requests a minute; null if it is not limited.")]
    remaining: Annotated[int | None, Meta(description="What is left of per_minute.")]
    resets_in_seconds: Annotated[float | None, Meta(description="Seconds until the minute ends.")]
    per_second: Annotated[
        int | None, Meta(description="The cost of requests a second with an API key; null without one.")
    ]
    streams_per_address: Annotated[int, Meta(description="Streams that may be open from one address.")]
    topics_per_stream: int
    body_bytes: Annotated[int, Meta(description="The largest body of a request.")]
    api_keys: Annotated[int, Meta(description="Valid API keys that a wallet may have.")]
