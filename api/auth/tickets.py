"""Stream tickets: sixty seconds, one use, for what cannot send a header.

A browser's EventSource and WebSocket send no Authorization, and what stands in an address ends up in
logs. So a signed-in wallet asks for a ticket and puts that into the address; by the time a log line
could be read it is used up. What a ticket opens stays open as long as the access token would have that it
was asked for with, and no longer: a ticket makes no session last.
"""

from __future__ import annotations

import datetime
from typing import Final, NamedTuple

from zmart import errors as zmart_errors
from zmart.domain.ids import Address

from .. import errors, writes
from .tokens import LIFETIME_SECONDS as ACCESS_SECONDS
from .tokens import Tokens

#: What a ticket is good for.
STREAM: Final = "zmart-stream"
LIFETIME_SECONDS: Final = 60


class RedeemedTicket(NamedTuple):
    """What a ticket was good for."""

    wallet: Address
    #: When what it opened is to be closed.
    until: datetime.datetime


class Tickets:
    """Hands out tickets and takes them back."""

    def __init__(self, tokens: Tokens, wallet_writes: writes.WalletWrites) -> None:
        self._tokens = tokens
        self._writes = wallet_writes

    def issue(self, wallet: str, until: datetime.datetime | None = None) -> str:
        """A new ticket of this wallet; what it opens is closed at `until`, or after an access token's lifetime."""
        closes = until or datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ACCESS_SECONDS)
        return self._tokens.issue(wallet, until=closes)

    async def redeem(self, ticket: str) -> RedeemedTicket:
        """The wallet whose ticket this was, and until when it is good.

        NotSignedIn (TokenExpired after its minute) when it is nobody's or was used before, Unavailable
        when the database cannot say so.
        """
        claims = self._tokens.claims_of(ticket)
        try:
            await self._writes.run_as_wallet(
                claims.wallet,
                writes.statement("redeem_nonce"),
                {"nonce": f"ticket {claims.token_id}", "expires_at": claims.expires_at},
            )
        except zmart_errors.Conflict:
            raise errors.NotSignedIn("This ticket was used before.", help="Ask for a new one.") from None
        return RedeemedTicket(claims.wallet, claims.until)
