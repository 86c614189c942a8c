"""Provides the authenticated wallet to handlers that act for a wallet."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from litestar import Request
from litestar.datastructures import State
from litestar.params import Dependency

from zmart.domain.ids import Address

from .. import errors, writes
from .api_keys import KeyClaims, Scope
from .service import AuthService

#: The value of `security=` for a handler that takes FromSignedIn.
SECURITY: list[dict[str, list[str]]] = [{"access_token": []}]


@dataclass(frozen=True, kw_only=True)
class SignedInWallet:
    """An authenticated wallet, with the means to write as this wallet."""

    wallet: Address
    #: `token`, `key`, or one of the older signature forms, which are bound to no request (protocol.md 6).
    proof_kind: Literal["token", "key", "header", "body"]
    writes: writes.WalletWrites
    #: Expiry of the access token; the older proofs have none.
    expires_at: datetime.datetime | None = None
    #: Whether MODERATOR_WALLETS names the wallet and the proof is a token: others can use an older proof again.
    is_moderator: bool = False

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...] | None:
        """Run one statement as this wallet, in its own transaction, and return its first row.

        Raises Forbidden, NotFound, Conflict or Unprocessable if the called function rejects the request.
        """
        return await self.writes.run_as_wallet(self.wallet, statement, parameters, is_moderator=self.is_moderator)


FromSignedIn = Annotated[SignedInWallet, Dependency(skip_validation=True)]


async def authenticate_request(
    request: Request[Any, Any, State], auth: AuthService, wallet_writes: writes.WalletWrites
) -> SignedInWallet:
    """Return the wallet of a request; raise NotSignedIn if it has no proof or an invalid one."""
    authorization = request.headers.get("authorization")
    if authorization:
        if (key := await auth.claims_of_key_in_header(authorization)) is not None:
            _require_scope(key, request)
            return SignedInWallet(wallet=key.wallet, proof_kind="key", writes=wallet_writes)
        if (claims := auth.claims_of_header(authorization)) is not None:
            return SignedInWallet(
                wallet=claims.wallet,
                proof_kind="token",
                writes=wallet_writes,
                expires_at=claims.expires_at,
                is_moderator=auth.is_moderator(claims.wallet),
            )
        return SignedInWallet(wallet=auth.wallet_of_header(authorization), proof_kind="header", writes=wallet_writes)
    return SignedInWallet(wallet=auth.wallet_of_body(await request.body()), proof_kind="body", writes=wallet_writes)


async def find_wallet(request: Request[Any, Any, State], auth: AuthService) -> Address | None:
    """Return the wallet of the access token or API key, None without one; raise NotSignedIn if it is invalid."""
    authorization = request.headers.get("authorization")
    if not authorization:
        return None
    if (key := await auth.claims_of_key_in_header(authorization)) is not None:
        _require_scope(key, request)
        return key.wallet
    claims = auth.claims_of_header(authorization)
    return None if claims is None else claims.wallet


def scope_of(handler: Any) -> Scope | None:
    """Return the scope that a handler requires of API keys: `read` for reads, else `write`, unless it declares another.

    None means that the handler accepts no API key.
    """
    is_read = "GET" in handler.http_methods or handler.opt.get("is_read")
    default: Scope = "read" if is_read else "write"
    scope: Scope | None = handler.opt.get("scope", default)
    return scope


def _require_scope(key: KeyClaims, request: Request[Any, Any, State]) -> None:
    scope = scope_of(request.route_handler)
    if scope is None:
        raise errors.Forbidden("An API key cannot do this. Sign in with the wallet.")
    key.require_scope(scope)
