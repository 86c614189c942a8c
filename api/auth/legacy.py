"""Verifies the two older proofs, a wallet's signature over a time with every request (protocol.md 6.1, 6.3).

These proofs are bound to no request, place or chain. An attacker who sees one can use it until it is too old: five
minutes for the proof in the body, an hour for the proof in the header. They are accepted only while LEGACY_AUTH is on.
Messages are those of the earlier backend; its clients match only the status.
"""

from __future__ import annotations

import re
import time
from typing import Final
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

    message: str
    signature: str
    wallet: str


def proof_of_body(body: bytes) -> LegacyProof | None:
    """Return the proof in a JSON body, or None if the body has none."""
    try:
        return msgspec.json.decode(body, type=LegacyProof)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def proof_of_header(value: str) -> LegacyProof | None:
    """Return the proof in `Authorization: Signature message=...&signature=...&wallet=...`, or None."""
    scheme, _, fields = value.partition(" ")
    if scheme.lower() != "signature":
        return None
    pairs = dict(part.partition("=")[::2] for part in fields.strip().split("&"))
    if not pairs.keys() >= {"message", "signature", "wallet"}:
        return None
    # encodeURIComponent writes a plus as %2B and a space as %20, so a plus stays a plus here.
    return LegacyProof(*(unquote(pairs[name]) for name in ("message", "signature", "wallet")))


def wallet_of_body(proof: LegacyProof, now: float | None = None) -> Address:
    """Return the wallet that signed the text of protocol.md 6.1 within five minutes; raise NotSignedIn otherwise."""
    wallet = _signer(proof)
    if BODY_TEXT not in proof.message:
        raise errors.NotSignedIn("Invalid authentication message format")
    digits = _FIRST_13_DIGITS.search(proof.message)
    if digits is None:
        raise errors.NotSignedIn("Invalid timestamp in authentication message")
    _require_young(int(digits[0]), BODY_SECONDS, now)
    return wallet


def wallet_of_header(proof: LegacyProof, now: float | None = None) -> Address:
    """Return the wallet that signed the text of protocol.md 6.3 within an hour; raise NotSignedIn otherwise."""
    wallet = _signer(proof)
    text = HEADER_TEXT.fullmatch(proof.message)
    if text is None:
        raise errors.NotSignedIn("Invalid authentication message format")
    _require_young(int(text[1]), HEADER_SECONDS, now)
    return wallet


def _signer(proof: LegacyProof) -> Address:
    if len(proof.message) > _LONGEST:
        raise errors.NotSignedIn("Invalid authentication message format")
    try:
        wallet = ids.parse_address(proof.wallet)
    except zmart_errors.InvalidInput:
        raise errors.NotSignedIn("Invalid wallet signature") from None
    signatures.require(wallet, proof.message.encode(errors="surrogatepass"), proof.signature)
    return wallet


def _require_young(milliseconds: int, most_seconds: int, now: float | None) -> None:
    age = (time.time() if now is None else now) - milliseconds / 1000
    if age > most_seconds or age < -FUTURE_SECONDS:
        raise errors.NotSignedIn("Authentication message expired", help="Sign a new message.")
