"""Verifies Ed25519 signatures of wallets over texts and over off-chain envelopes of texts."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from solders.pubkey import Pubkey
from solders.signature import Signature

from zmart import errors as zmart_errors
from zmart.domain import base58
from zmart.domain.ids import Address

from .. import errors
from . import envelopes

SIGNATURE_BYTES = 64
#: The base58 and the base64 form of 64 bytes are both shorter.
_LONGEST = 100


class SignedText(NamedTuple):
    """A text that a wallet signed, and the envelope around it if the signature covers one."""

    text: bytes
    envelope: bytes | None = None


def require(wallet: Address, signed: bytes, signature: str) -> SignedText:
    """Return the text that a wallet signed; raise NotSignedIn unless the signature is the wallet's.

    `signature` is base58 or base64. `signed` is the text or the envelope around it. Adapters of hardware wallets return
    the signature alone: then the envelopes that the wallet may have built are tried.
    """
    if envelopes.is_envelope(signed):
        given = [SignedText(envelopes.unwrap(signed, wallet), signed)]
    else:
        given = [SignedText(signed), *(SignedText(signed, envelope) for envelope in envelopes.wrap(signed, wallet))]
    raw = _raw(signature)
    for candidate in given:
        if raw is not None and _is_signed(wallet, candidate.envelope or candidate.text, raw):
            return candidate
    # protocol.md 6.1, step 3: the message that older clients know.
    raise errors.NotSignedIn("Invalid wallet signature", help="Sign exactly this text with this wallet.")


def signed_bytes(message: object, signed_message: object) -> bytes:
    """Return the signed bytes of a request, given as text or in base64; raise InvalidParameter unless one is given."""
    match message, signed_message:
        case str(text), str(encoded) if text and encoded:
            pass
        case _, str(encoded) if encoded:
            return _signed_message(encoded)
        case str(text), _:
            return text.encode(errors="surrogatepass")
    raise errors.InvalidParameter("message", "expected the signed text here, or its bytes in signed_message, not both")


def _signed_message(encoded: str) -> bytes:
    try:
        return _base64(encoded)
    except ValueError:
        raise errors.InvalidParameter("signed_message", "expected base64") from None


def require_text(signed: SignedText) -> str:
    """Return a signed text as text; raise NotSignedIn if it is not UTF-8."""
    try:
        return signed.text.decode()
    except UnicodeDecodeError:
        raise errors.NotSignedIn("The signed text is not UTF-8.", help="Sign exactly the text of this API.") from None


def canonical(signature: str) -> str:
    """Return an accepted signature in base58."""
    return base58.encode(_raw(signature) or b"")


def _is_signed(wallet: Address, message: bytes, signature: bytes) -> bool:
    try:
        return Signature.from_bytes(signature).verify(Pubkey.from_string(wallet), message)
    except ValueError:
        return False


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
