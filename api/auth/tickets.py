"""Issues stream tickets for clients that cannot send a header; a ticket lasts sixty seconds and is single use.

A browser's EventSource and WebSocket send no Authorization header, and URLs end up in logs. So a signed-in wallet
requests a ticket and puts it into the URL. By the time the log line could be read, the ticket is used. The
stream that a ticket opens stays open as long as the access token that the ticket was requested with would be valid,
and no longer: a ticket does not extend a session.
"""

from __future__ import annotations

import datetime
from typing import Final, NamedTuple

from zmart import errors as zmart_errors
from zmart.domain.ids import Address

from .. import errors, writes
from .tokens import LIFETIME_SECONDS as ACCESS_SECONDS
from .tokens import Tokens

#: The audience of a ticket.
STREAM: Final = "zmart-stream"
LIFETIME_SECONDS: Final = 60


class RedeemedTicket(NamedTuple):
    """The wallet and the end time that a redeemed ticket grants."""

    wallet: Address
    #: When the stream that the ticket opened must close.
    until: datetime.datetime


class Tickets:
    """Issues and redeems tickets."""

    def __init__(self, tokens: Tokens, wallet_writes: writes.WalletWrites) -> None:
        self._tokens = tokens
        self._writes = wallet_writes

    def issue(self, wallet: str, until: datetime.datetime | None = None) -> str:
        """Return a new ticket; its stream closes at `until`, by default after an access token's lifetime."""
        closes = until or datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ACCESS_SECONDS)
        return self._tokens.issue(wallet, until=closes)

    async def redeem(self, ticket: str) -> RedeemedTicket:
        """Return the ticket's wallet and the end of its validity.

        Raises NotSignedIn (TokenExpired after sixty seconds) if the ticket is unknown or was used before, Unavailable
        if the database cannot be reached.
        """
        claims = self._tokens.claims_of(ticket)
        try:
            await self._writes.run_as_wallet(
                claims.wallet,
                writes.statement("redeem_nonce"),
                {"nonce": f"ticket {claims.token_id}", "expires_at": claims.expires_at},
            )
        except zmart_errors.Conflict:
            raise errors.NotSignedIn("This ticket was used before.", help="Request a new ticket.") from None
        return RedeemedTicket(claims.wallet, claims.until)
