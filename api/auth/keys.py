"""The secrets that sign and check what we hand out, one key for each purpose.

The first of JWT_SECRET signs, all of them check, so a secret is replaced without signing anyone out:
put the new one first, and remove the old one when everything it signed has expired. Nonces and tokens
have keys of their own, derived, so that none can be passed off as the other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from zmart.settings import Secret

from .. import errors


class SigningKeys:
    """Keys for one purpose; prints as nothing."""

    __slots__ = ("_keys",)

    def __init__(self, secrets: Sequence[Secret], purpose: str) -> None:
        self._keys = tuple(
            hmac.digest(secret.reveal().encode(), f"zmart {purpose}".encode(), hashlib.sha256) for secret in secrets
        )

    @property
    def signing_key(self) -> bytes:
        """The key that signs; SignInOff where no secret is set."""
        if not self._keys:
            raise errors.SignInDisabled()
        return self._keys[0]

    @property
    def verification_keys(self) -> tuple[bytes, ...]:
        """Every key that may have signed; SignInOff where no secret is set."""
        if not self._keys:
            raise errors.SignInDisabled()
        return self._keys
