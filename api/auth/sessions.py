"""Manages refresh tokens, which are valid for thirty days, are single use, and reveal theft.

A refresh token is exchanged for an access token and the next refresh token. A second use of the same token, by a thief
or by the owner, ends the whole family. A stolen token therefore allows at most one exchange after its owner returns.
The database stores only its SHA-256. The token begins with its wallet, because row level security needs the wallet to
let the lookup see the row. The hash is over the whole token, so the wallet prefix alone proves nothing.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from typing import Final, NamedTuple

from zmart import errors as zmart_errors
from zmart.domain import ids
from zmart.domain.ids import Address

from .. import errors, writes
from .nonces import Nonce

LIFETIME: Final = datetime.timedelta(days=30)
_RANDOM_BYTES: Final = 32
_LONGEST: Final = 200
_SIGN_IN_AGAIN: Final = "Sign in again."


class IssuedRefreshToken(NamedTuple):
    """A refresh token and the time at which it expires."""

    token: str
    expires_at: datetime.datetime


class Sessions:
    """Opens, rotates and closes sessions."""

    def __init__(self, wallet_writes: writes.WalletWrites) -> None:
        self._writes = wallet_writes

    async def open(self, wallet: Address, nonce: Nonce) -> IssuedRefreshToken:
        """Sign a wallet in; raise NotSignedIn if the nonce was used before."""
        refresh = _new_refresh_token(wallet)
        try:
            await self._writes.run_as_wallet(
                wallet,
                writes.statement("open_session"),
                {
                    "nonce": nonce.text,
                    "nonce_expires_at": nonce.expires_at,
                    "refresh_hash": _hash(refresh.token),
                    "expires_at": refresh.expires_at,
                },
            )
        except zmart_errors.Conflict:
            raise errors.NotSignedIn("This nonce was used before.", help="Get a new nonce and sign it.") from None
        return refresh

    async def rotate(self, token: str) -> tuple[Address, IssuedRefreshToken]:
        """Return the wallet and its next refresh token; raise NotSignedIn if this token is unknown, used or expired."""
        wallet = _wallet_of_token(token)
        next_token = _new_refresh_token(wallet)
        row = await self._writes.run_as_wallet(
            wallet,
            writes.statement("rotate_session"),
            {
                "refresh_hash": _hash(token),
                "next_hash": _hash(next_token.token),
                "expires_at": next_token.expires_at,
            },
        )
        match row[0] if row else None:
            case "rotated":
                return wallet, next_token
            case "expired":
                raise errors.TokenExpired("This refresh token has expired.", help=_SIGN_IN_AGAIN)
            case "reused":
                raise errors.NotSignedIn(
                    "This refresh token was used before; the session has been ended.", help=_SIGN_IN_AGAIN
                )
        raise errors.NotSignedIn("This refresh token is not valid.", help=_SIGN_IN_AGAIN)

    async def close(self, token: str) -> bool:
        """End a session; return False if it did not exist or had already ended."""
        row = await self._writes.run_as_wallet(
            _wallet_of_token(token), writes.statement("close_session"), {"refresh_hash": _hash(token)}
        )
        return bool(row and row[0])


def _new_refresh_token(wallet: Address) -> IssuedRefreshToken:
    return IssuedRefreshToken(
        f"{wallet}.{secrets.token_urlsafe(_RANDOM_BYTES)}",
        datetime.datetime.now(datetime.UTC) + LIFETIME,
    )


def _wallet_of_token(token: str) -> Address:
    wallet, _, random_part = token.partition(".")
    try:
        if random_part and len(token) <= _LONGEST:
            return ids.parse_address(wallet)
    except zmart_errors.InvalidInput:
        pass
    raise errors.NotSignedIn("This is not a refresh token.", help=_SIGN_IN_AGAIN)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
