"""Verifies the two older proofs, a wallet's signature over a time with every request (protocol.md 6.1, 6.3).

These proofs are bound to no request, place or chain. An attacker who sees one can use it until it is too old: five
minutes for the proof in the body, an hour for the proof in the header. They are accepted only while LEGACY_AUTH is on.
Messages are those of the earlier backend; its clients match only the status.
"""

from __future__ import annotations

import re
import time
from typing import Final, NamedTuple
from urllib.parse import unquote

import msgspec

from zmart import errors as zmart_errors
from zmart.domain import ids
from zmart.domain.ids import Address

from .. import errors
from . import signatures

#: The text that a body must contain, and its maximum age (protocol.md 6.1).
BODY_TEXT: Final = "Sign this message to authenticate with ZMART"
BODY_SECONDS: Final = 5 * 60
#: The text in a header, and its maximum age (protocol.md 6.3).
HEADER_TEXT: Final = re.compile(r"Sign in to ZMART\nTimestamp: (\d{13})")
HEADER_SECONDS: Final = 60 * 60
#: How far a client's clock may be in the future, for both (protocol.md 6.4).
FUTURE_SECONDS: Final = 5 * 60
_FIRST_13_DIGITS: Final = re.compile(r"\d{13}")
_LONGEST: Final = 1_000


class LegacyProof(msgspec.Struct, frozen=True):
    """The proof in a request body, beside the request's own fields."""

    signature: str
    wallet: str
    #: The signed text; or its signed bytes in base64, which may be an off-chain envelope.
    message: str = ""
    signed_message: str = ""

    @property
    def has_text(self) -> bool:
        """Return whether exactly one of the text and its bytes is given."""
        return bool(self.message) != bool(self.signed_message)


class VerifiedProof(NamedTuple):
    """A wallet and the text that it signed."""

    wallet: Address
    text: str
    signature: str
    envelope: bytes | None


def proof_of_body(body: bytes) -> LegacyProof | None:
    """Return the proof in a JSON body, or None if the body has none."""
    try:
        proof = msgspec.json.decode(body, type=LegacyProof)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return proof if proof.has_text else None


def proof_of_header(value: str) -> LegacyProof | None:
    """Return the proof in `Authorization: Signature message=...&signature=...&wallet=...`, or None."""
    scheme, _, fields = value.partition(" ")
    if scheme.lower() != "signature":
        return None
    pairs = dict(part.partition("=")[::2] for part in fields.strip().split("&"))
    # encodeURIComponent writes a plus as %2B and a space as %20, so a plus stays a plus here.
    values = {name: unquote(pairs[name]) for name in LegacyProof.__struct_fields__ if name in pairs}
    if not values.keys() >= {"signature", "wallet"}:
        return None
    proof = LegacyProof(**values)
    return proof if proof.has_text else None


def verify_body(proof: LegacyProof, now: float | None = None) -> VerifiedProof:
    """Verify a proof of the text of protocol.md 6.1, at most five minutes old; raise NotSignedIn otherwise."""
    return require_body(_verify(proof), now)


def require_body(verified: VerifiedProof, now: float | None = None) -> VerifiedProof:
    """Return a proof whose text is that of protocol.md 6.1, at most five minutes old; raise NotSignedIn otherwise."""
    if len(verified.text) > _LONGEST or BODY_TEXT not in verified.text:
        raise errors.NotSignedIn("Invalid authentication message format")
    digits = _FIRST_13_DIGITS.search(verified.text)
    if digits is None:
        raise errors.NotSignedIn("Invalid timestamp in authentication message")
    _require_young(int(digits[0]), BODY_SECONDS, now)
    return verified


def verify_header(proof: LegacyProof, now: float | None = None) -> VerifiedProof:
    """Verify a proof of the text of protocol.md 6.3, at most an hour old; raise NotSignedIn otherwise."""
    verified = _verify(proof)
    text = HEADER_TEXT.fullmatch(verified.text)
    if text is None:
        raise errors.NotSignedIn("Invalid authentication message format")
    _require_young(int(text[1]), HEADER_SECONDS, now)
    return verified


def _verify(proof: LegacyProof) -> VerifiedProof:
    if len(proof.message) > _LONGEST or len(proof.signed_message) > 2 * _LONGEST:
        raise errors.NotSignedIn("Invalid authentication message format")
    try:
        wallet = ids.parse_address(proof.wallet)
    except zmart_errors.InvalidInput:
        raise errors.NotSignedIn("Invalid wallet signature") from None
    signed = signatures.require(wallet, signatures.signed_bytes(proof.message, proof.signed_message), proof.signature)
    return VerifiedProof(wallet, signatures.require_text(signed), proof.signature, signed.envelope)


def _require_young(milliseconds: int, most_seconds: int, now: float | None) -> None:
    age = (time.time() if now is None else now) - milliseconds / 1000
    if age > most_seconds or age < -FUTURE_SECONDS:
        raise errors.NotSignedIn("Authentication message expired", help="Sign a new message.")
