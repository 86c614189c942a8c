"""Authenticates the clients of streams, for `me`, the only private topic."""

from __future__ import annotations

import datetime
from typing import NamedTuple, Protocol

from zmart.domain.ids import Address

from ..auth.api_keys import ApiKeys, KeyClaims, is_api_key


class VerifiedClaims(Protocol):
    """The claims of a valid token."""

    @property
    def wallet(self) -> Address: ...  # noqa: D102
    @property
    def expires_at(self) -> datetime.datetime: ...  # noqa: D102


class TokenVerifier(Protocol):
    """Verifies access tokens."""

    def claims_of(self, token: str) -> VerifiedClaims:
        """Return the token's claims; raise NotSignedIn or TokenExpired if the token is not valid."""
        ...


class TicketGrant(Protocol):
    """The wallet and the expiry time that a redeemed ticket grants."""

    @property
    def wallet(self) -> Address: ...  # noqa: D102
    @property
    def until(self) -> datetime.datetime: ...  # noqa: D102


class TicketRedeemer(Protocol):
    """Redeems tickets; a ticket is single use."""

    async def redeem(self, ticket: str) -> TicketGrant:
        """Return the ticket's wallet and expiry; raise NotSignedIn or TokenExpired if it is unknown or was used."""
        ...


class Identity(NamedTuple):
    """An authenticated wallet and the time at which its authentication expires."""

    wallet: Address
    expires_at: datetime.datetime
    #: The API key that authenticated it; None for tokens and tickets.
    key: KeyClaims | None = None

    @property
    def seconds_left(self) -> float:
        """Return the seconds from now until the authentication expires."""
        return (self.expires_at - datetime.datetime.now(datetime.UTC)).total_seconds()


class StreamAuthenticator:
    """Authenticates a wallet by its token, its API key or its ticket."""

    def __init__(self, tokens: TokenVerifier, tickets: TicketRedeemer, api_keys: ApiKeys) -> None:
        self._tokens = tokens
        self._tickets = tickets
        #: Verifies keys, and closes the streams of those that end.
        self.api_keys = api_keys

    async def authenticate(self, *, token: str | None = None, ticket: str | None = None) -> Identity | None:
        """Return the identity, or None without token and ticket; raise NotSignedIn or TokenExpired if invalid."""
        if token and is_api_key(token):
            key = await self.api_keys.claims_of(token)
            return Identity(key.wallet, key.expires_at, key)
        if token:
            claims = self._tokens.claims_of(token)
            return Identity(claims.wallet, claims.expires_at)
        if ticket:
            found = await self._tickets.redeem(ticket)
            return Identity(found.wallet, found.until)
        return None
