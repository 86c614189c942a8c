"""Access tokens: fifteen minutes as one wallet, believed without asking the database.

A JWT of HS256 and nothing else: the algorithm is ours to say, never the token's. It names us as its
issuer and what it is good for as its audience, so that a ticket is no access token nor the reverse.
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
#: What an access token is good for.
ACCESS: Final = "zmart-api"
LIFETIME_SECONDS: Final = 15 * 60
_ALGORITHM: Final = "HS256"
_REQUIRED: Final = ("iss", "aud", "sub", "iat", "exp", "jti")
#: A token of ours has some 350 characters; longer ones are not worth the work.
_LONGEST: Final = 2_000
#: The wallets whose tokens are remembered as checked.
_MOST_REMEMBERED: Final = 10_000


class Claims(NamedTuple):
    """What a valid token says."""

    wallet: Address
    #: The token's own name, for what may be used once.
    token_id: str
    expires_at: datetime.datetime
    #: How long what it opens may stay open; for an access token as long as itself.
    until: datetime.datetime


class Tokens:
    """Makes and checks tokens of one audience."""

    def __init__(self, keys: SigningKeys, *, audience: str = ACCESS, lifetime_seconds: int = LIFETIME_SECONDS) -> None:
        self._keys = keys
        self._audience = audience
        self.lifetime_seconds = lifetime_seconds
        self._verified: dict[str, Claims] = {}

    def issue(self, wallet: str, *, until: datetime.datetime | None = None) -> str:
        """A new token of this wallet; SignInOff where no secret is set. What it opens ends with it, or at `until`."""
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
        """The wallet whose token this is; NotSignedIn or TokenExpired where it is nobody's."""
        return self.claims_of(token).wallet

    def claims_of(self, token: str) -> Claims:
        """What a token says, once it is believed; NotSignedIn or TokenExpired otherwise."""
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
