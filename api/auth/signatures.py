"""Verifies Ed25519 signatures of wallets."""

from __future__ import annotations

import base64
import binascii

from solders.pubkey import Pubkey
from solders.signature import Signature

from zmart import errors as zmart_errors
from zmart.domain import base58

from .. import errors

SIGNATURE_BYTES = 64
#: The base58 and the base64 form of 64 bytes are both shorter.
_LONGEST = 100


def require(wallet: str, message: bytes, signature: str) -> None:
    """Raise NotSignedIn unless `signature` (base58, or base64) is the wallet's over exactly these bytes."""
    raw = _raw(signature)
    try:
        signed = raw is not None and Signature.from_bytes(raw).verify(Pubkey.from_string(wallet), message)
    except ValueError:
        signed = False
    if not signed:
        # protocol.md 6.1, step 3: the message that older clients know.
        raise errors.NotSignedIn("Invalid wallet signature", help="Sign exactly this text with this wallet.")


def canonical(signature: str) -> str:
    """Return an accepted signature in base58."""
    return base58.encode(_raw(signature) or b"")


def _raw(text: str) -> bytes | None:
    if len(text) > _LONGEST:
        return None
    for decode in (base58.decode, _base64):
        try:
            raw = decode(text)
        except (zmart_errors.InvalidInput, binascii.Error, ValueError):
            continue
        if len(raw) == SIGNATURE_BYTES:
            return raw
    return None


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
