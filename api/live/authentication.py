"""Who is listening, for the one topic that is private."""

from __future__ import annotations

import datetime
from typing import NamedTuple, Protocol

from zmart.domain.ids import Address


class VerifiedClaims(Protocol):
    """What a valid token says."""

    @property
    def wallet(self) -> Address: ...  # noqa: D102
    @property
    def expires_at(self) -> datetime.datetime: ...  # noqa: D102


class TokenVerifier(Protocol):
    """Believes tokens."""

    def claims_of(self, token: str) -> VerifiedClaims:
        """What it says; NotSignedIn or TokenExpired when it is not to be believed."""
        ...


class TicketGrant(Protocol):
    """What a ticket was good for."""

    @property
    def wallet(self) -> Address: ...  # noqa: D102
    @property
    def until(self) -> datetime.datetime: ...  # noqa: D102


class TicketRedeemer(Protocol):
    """Takes tickets back."""

    async def redeem(self, ticket: str) -> TicketGrant:
        """Whose it was, and until when; NotSignedIn or TokenExpired when it is nobody's or was used before."""
        ...


class Identity(NamedTuple):
    """A wallet, and until when it is believed to be there."""

    wallet: Address
    expires_at: datetime.datetime

    @property
    def seconds_left(self) -> float:
        """How long that is from now."""
        return (self.expires_at - datetime.datetime.now(datetime.UTC)).total_seconds()


class StreamAuthenticator:
    """Lets a wallet in by its token or its ticket."""

    def __init__(self, tokens: TokenVerifier, tickets: TicketRedeemer) -> None:
        self._tokens = tokens
        self._tickets = tickets

    async def authenticate(self, *, token: str | None = None, ticket: str | None = None) -> Identity | None:
        """Who that is; None where neither is given. NotSignedIn or TokenExpired when it is not believed."""
        if token:
            claims = self._tokens.claims_of(token)
            return Identity(claims.wallet, claims.expires_at)
        if ticket:
            found = await self._tickets.redeem(ticket)
            return Identity(found.wallet, found.until)
        return None
