"""Stream tickets: sixty seconds, one use, for what cannot send a header.

A browser's EventSource and WebSocket send no Authorization, and what stands in an address ends up in
logs. So a signed-in wallet asks for a ticket and puts that into the address; by the time a log line
could be read it is used up.
"""

from __future__ import annotations

from typing import Final

from zmart import errors as zmart_errors
from zmart.domain.ids import Address

from .. import errors, writes
from .tokens import Tokens

#: What a ticket is good for.
STREAM: Final = "zmart-stream"
LIFETIME_SECONDS: Final = 60


class Tickets:
    """Hands out tickets and takes them back."""

    def __init__(self, tokens: Tokens, written: writes.Writes) -> None:
        self._tokens = tokens
        self._writes = written

    def issue(self, wallet: str) -> str:
        """A new ticket of this wallet."""
        return self._tokens.issue(wallet)

    async def redeem(self, ticket: str) -> Address:
        """The wallet whose ticket this was.

        NotSignedIn (TokenExpired after its minute) when it is nobody's or was used before, Unavailable
        when the database cannot say so.
        """
        claims = self._tokens.claims_of(ticket)
        try:
            await self._writes.as_wallet(
                claims.wallet,
                writes.statement("redeem_nonce"),
                {"nonce": f"ticket {claims.token_id}", "expires_at": claims.expires_at},
            )
        except zmart_errors.Conflict:
            raise errors.NotSignedIn("This ticket was used before.", help="Ask for a new one.") from None
        return claims.wallet
