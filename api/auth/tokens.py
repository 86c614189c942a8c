"""Issues and verifies access tokens, which are valid for fifteen minutes and one wallet, without a database lookup.

A token is a JWT with HS256 only: the server chooses the algorithm, never the token. Its issuer is this API and its
audience is its purpose, so a ticket is not accepted as an access token, nor the reverse.
"""

from __future__ import annotations

import datetime
import secrets
from typing import Any, Final, NamedTuple

import jwt

from zmart import errors as zmart_errors
from zmart.domain import ids
from zmart.domain.ids import Address

from .. import errors
from .keys import SigningKeys

ISSUER: Final = "zmart"
#: The audience of an access token.
ACCESS: Final = "zmart-api"
LIFETIME_SECONDS: Final = 15 * 60
_ALGORITHM: Final = "HS256"
_REQUIRED: Final = ("iss", "aud", "sub", "iat", "exp", "jti")
#: Tokens of this API have about 350 characters; longer ones are rejected unread.
_LONGEST: Final = 2_000
#: The number of verified tokens that are cached.
_MOST_REMEMBERED: Final = 10_000


class Claims(NamedTuple):
    """The claims of a valid token."""

    wallet: Address
    #: The token's own id, for tokens that may be used once.
    token_id: str
    expires_at: datetime.datetime
    #: How long a stream opened with it may stay open; for an access token until its own expiry.
    until: datetime.datetime


class Tokens:
    """Issues and verifies tokens of one audience."""

    def __init__(self, keys: SigningKeys, *, audience: str = ACCESS, lifetime_seconds: int = LIFETIME_SECONDS) -> None:
        self._keys = keys
        self._audience = audience
        self.lifetime_seconds = lifetime_seconds
        self._verified: dict[str, Claims] = {}

    def issue(self, wallet: str, *, until: datetime.datetime | None = None) -> str:
        """Return a new token; raise SignInDisabled without a secret. Its streams end when it expires or at `until`."""
        now = _now()
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": wallet,
            "iat": now,
            "exp": now + datetime.timedelta(seconds=self.lifetime_seconds),
            "jti": secrets.token_hex(16),
        }
        if until is not None:
            claims["until"] = until.timestamp()
        return jwt.encode(claims, self._keys.signing_key, algorithm=_ALGORITHM)

    def wallet_of(self, token: str) -> Address:
        """Return the wallet of a token; raise NotSignedIn or TokenExpired if the token is not valid."""
        return self.claims_of(token).wallet

    def claims_of(self, token: str) -> Claims:
        """Return the claims of a valid token; raise NotSignedIn or TokenExpired otherwise."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._verified) >= _MOST_REMEMBERED:
                self._verified.clear()
            self._verified[token] = claims
        if claims.expires_at <= _now():
            self._verified.pop(token, None)
            raise errors.TokenExpired("The token has expired.", help="Refresh it, or sign in again.")
        return claims

    def _verify(self, token: str) -> Claims:
        last_error: jwt.PyJWTError = jwt.InvalidTokenError()
        for key in self._keys.verification_keys:
            try:
                return _claims(self._decode(token, key))
            except jwt.ExpiredSignatureError as error:
                raise errors.TokenExpired("The token has expired.", help="Refresh it, or sign in again.") from error
            except (jwt.PyJWTError, zmart_errors.InvalidInput) as error:
                last_error = error if isinstance(error, jwt.PyJWTError) else last_error
        raise errors.NotSignedIn("This token is not valid here.", help="Sign in again.") from last_error

    def _decode(self, token: str, key: bytes) -> dict[str, Any]:
        if len(token) > _LONGEST:
            raise jwt.InvalidTokenError()
        return jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=self._audience,
            issuer=ISSUER,
            options={"require": list(_REQUIRED), "strict_aud": True},
        )


def _claims(decoded: dict[str, Any]) -> Claims:
    expires_at = datetime.datetime.fromtimestamp(decoded["exp"], datetime.UTC)
    until = decoded.get("until")
    return Claims(
        ids.parse_address(decoded["sub"]),
        str(decoded["jti"]),
        expires_at,
        expires_at if until is None else datetime.datetime.fromtimestamp(until, datetime.UTC),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
