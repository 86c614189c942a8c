"""Derives the keys that sign and verify nonces, tokens and tickets, one key for each purpose.

The first secret of JWT_SECRET signs and all of them verify, so a secret can be replaced without signing anyone out:
put the new one first, and remove the old one when everything it signed has expired. Nonces and tokens have separate
derived keys, so that none can be used in place of the other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from zmart.settings import Secret

from .. import errors


class SigningKeys:
    """The keys for one purpose; the repr never shows them."""

    __slots__ = ("_keys",)

    def __init__(self, secrets: Sequence[Secret], purpose: str) -> None:
        self._keys = tuple(
            hmac.digest(secret.reveal().encode(), f"zmart {purpose}".encode(), hashlib.sha256) for secret in secrets
        )

    @property
    def signing_key(self) -> bytes:
        """Return the key that signs; raise SignInDisabled if no secret is set."""
        if not self._keys:
            raise errors.SignInDisabled()
        return self._keys[0]

    @property
    def verification_keys(self) -> tuple[bytes, ...]:
        """Return every key that may have signed; raise SignInDisabled if no secret is set."""
        if not self._keys:
            raise errors.SignInDisabled()
        return self._keys
