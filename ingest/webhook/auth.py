"""Verifies deliveries: by a header that Helius was given at registration, or by a signature over the body.

Helius returns, verbatim, the `authHeader` a webhook was registered with; it signs nothing (protocol.md 8.3). Senders of
our own may sign instead: HMAC-SHA256 of the raw body, in hex, in `x-helius-signature`. Either proof suffices, at least
one has to be configured, and there is no mode that requires neither: without one, where transactions come by gRPC,
every delivery is refused. A comparison takes the same time whichever part is
wrong.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from zmart import errors, settings

SIGNATURE_HEADER = "x-helius-signature"


class Verifier:
    """Verifies deliveries; holds every value that is accepted during a rotation."""

    def __init__(
        self, headers: Sequence[str] = (), secret: str | None = None, *, has_other_source: bool = False
    ) -> None:
        if not headers and not secret and not has_other_source:
            raise errors.ConfigurationError(
                "Ingest cannot verify deliveries: no proof is configured.",
                help="Set HELIUS_AUTH_HEADER to the authHeader of the webhook, or HELIUS_WEBHOOK_SECRET to the key "
                "that signs deliveries.",
            )
        self._headers = [header.encode() for header in headers]
        self._secret = secret.encode() if secret else None

    @classmethod
    def of(cls, configured: settings.IngestSettings, *, has_other_source: bool = False) -> Verifier:
        """Return the verifier for a configuration.

        Raises ConfigurationError if the configuration accepts nothing, unless transactions come from another source:
        then every delivery is refused.
        """
        secret = configured.webhook_secret
        headers = [header.reveal() for header in configured.auth_headers]
        return cls(headers, secret.reveal() if secret else None, has_other_source=has_other_source)

    def is_authorized(self, authorization: str | None) -> bool:
        """Return whether an `Authorization` header is one of ours; the body does not matter then."""
        presented = _header_bytes(authorization)
        # Every value is compared, so that the time does not reveal which one was close.
        matches = [hmac.compare_digest(presented, header) for header in self._headers]
        return authorization is not None and any(matches)

    def can_verify(self, signature: str | None) -> bool:
        """Return whether it is worth reading the body to check a signature."""
        return self._secret is not None and signature is not None

    def is_signed(self, signature: str | None, body: bytes) -> bool:
        """Return whether the signature is that of the body."""
        if self._secret is None or signature is None:
            return False
        expected = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(_header_bytes(signature.strip().lower()), expected.encode())


def signature(body: bytes, secret: str) -> str:
    """Return the value that a sender puts into `x-helius-signature`."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _header_bytes(header: str | None) -> bytes:
    """Return a header as the sender wrote it; servers pass bytes beyond ASCII on as latin-1."""
    return (header or "").encode("latin-1", "replace")
