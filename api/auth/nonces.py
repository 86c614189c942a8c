"""Issues and checks nonces; a nonce is stored only when it is used.

A nonce consists of its creation time, eight random bytes and a code over both that only this API can compute, as 48
hexadecimal digits (a nonce must be letters and digits). So issuing a nonce stores no row, and the row of a used nonce
can be deleted when the nonce has expired. app.redeem_nonce rejects a second use.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets
from typing import Final, NamedTuple

from .. import errors
from .keys import SigningKeys

LIFETIME_SECONDS: Final = 5 * 60
_TIME_BYTES: Final = 4
_RANDOM_BYTES: Final = 8
_CODE_BYTES: Final = 12


class Nonce(NamedTuple):
    """A nonce with its creation and expiry time."""

    text: str
    issued_at: datetime.datetime
    expires_at: datetime.datetime


class Nonces:
    """Issues and checks nonces."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def issue(self) -> Nonce:
        """Return a new nonce; raise SignInDisabled if no secret is set."""
        now = int(datetime.datetime.now(datetime.UTC).timestamp())
        body = now.to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
        return _nonce(body, _code(self._keys.signing_key, body))

    def check(self, text: str) -> Nonce:
        """Return a nonce of this API that has not expired, else raise NotSignedIn. Only the database knows its use."""
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        body, code = raw[:-_CODE_BYTES], raw[-_CODE_BYTES:]
        is_well_formed = len(raw) == _TIME_BYTES + _RANDOM_BYTES + _CODE_BYTES and text == raw.hex()
        if not is_well_formed or not any(
            hmac.compare_digest(code, _code(key, body)) for key in self._keys.verification_keys
        ):
            raise errors.NotSignedIn(
                "This nonce was not issued by this server.", help="Get one from GET /api/auth/nonce."
            )
        nonce = _nonce(body, code)
        if nonce.expires_at <= datetime.datetime.now(datetime.UTC):
            raise errors.NotSignedIn("This nonce has expired.", help="Get a new one from GET /api/auth/nonce.")
        return nonce


def _code(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_CODE_BYTES]


def _nonce(body: bytes, code: bytes) -> Nonce:
    issued = datetime.datetime.fromtimestamp(int.from_bytes(body[:_TIME_BYTES], "big"), datetime.UTC)
    return Nonce((body + code).hex(), issued, issued + datetime.timedelta(seconds=LIFETIME_SECONDS))
