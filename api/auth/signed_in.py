"""What a handler that acts for a wallet is given."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from litestar import Request
from litestar.datastructures import State
from litestar.params import Dependency

from zmart.domain.ids import Address

from .. import writes
from .service import Gate

#: For `security=` of a handler that takes FromSignedIn.
SECURITY: list[dict[str, list[str]]] = [{"access_token": []}]


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A wallet that has proven itself, and what can be written as it."""

    wallet: Address
    #: `token`, or one of the older signature forms, which are bound to nothing (protocol.md 6).
    by: Literal["token", "header", "body"]
    writes: writes.Writes
    #: When the access token runs out; the older proofs have none.
    expires_at: datetime.datetime | None = None

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...] | None:
        """Run one statement as this wallet, in a transaction of its own; its first row.

        Raises Forbidden, NotFound, Conflict or Unprocessable when the function called refuses.
        """
        return await self.writes.as_wallet(self.wallet, statement, parameters)


FromSignedIn = Annotated[SignedIn, Dependency(skip_validation=True)]


async def of_request(request: Request[Any, Any, State], gate: Gate, written: writes.Writes) -> SignedIn:
    """Who a request comes from; NotSignedIn where it does not say, or proves nothing."""
    authorization = request.headers.get("authorization")
    if authorization:
        if (claims := gate.claims_of_header(authorization)) is not None:
            return SignedIn(wallet=claims.wallet, by="token", writes=written, expires_at=claims.expires_at)
        return SignedIn(wallet=gate.wallet_of_header(authorization), by="header", writes=written)
    return SignedIn(wallet=gate.wallet_of_body(await request.body()), by="body", writes=written)
