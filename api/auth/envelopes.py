"""Reads and builds Solana's off-chain message envelopes.

Hardware wallets and `solana sign-offchain-message` do not sign a text itself: they sign it behind a header that no
transaction can begin with. Three forms are in use. Ledger's app signs version 0 without application domain and signers
(the short form); the specification of version 0 has both (the full form); version 1 has signers and no length.

    short v0   \\xff"solana offchain" 0  format  length:u16  text
    full v0    \\xff"solana offchain" 0  domain:32  format  count:u8  signers:32*count  length:u16  text
    v1         \\xff"solana offchain" 1  count:u8  signers:32*count  text

An envelope that names other signers than the wallet is a promise of others too, so it is rejected. The application
domain is not compared: the texts themselves name the site.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from solders.pubkey import Pubkey

from zmart.domain.ids import Address

from .. import errors

SIGNING_DOMAIN: Final = b"\xffsolana offchain"
_KEY_BYTES: Final = 32
_LENGTH_BYTES: Final = 2
#: Formats of version 0: ASCII and UTF-8 of one packet, and UTF-8 of any length. Ledger's app signs line ends as ASCII.
_ASCII, _UTF8, _LONG_UTF8 = range(3)
_PACKET_BYTES: Final = 1_232
_ASCII_BYTES: Final = frozenset(range(0x20, 0x7F)) | {0x0A}
_HELP: Final = "Send the bytes that the wallet signed in signed_message, or the text alone in message."


class _MalformedError(ValueError):
    """An envelope, or one reading of it, is malformed; the text is the reason."""


def is_envelope(signed: bytes) -> bool:
    """Return whether these bytes begin as an envelope does; no UTF-8 text does."""
    return signed.startswith(SIGNING_DOMAIN)


def unwrap(signed: bytes, wallet: Address) -> bytes:
    """Return the text in an envelope; raise NotSignedIn if it is malformed or its signer is not the wallet alone."""
    try:
        return _unwrap(signed.removeprefix(SIGNING_DOMAIN), bytes(Pubkey.from_string(wallet)))
    except _MalformedError as refused:
        raise errors.NotSignedIn(f"The off-chain envelope is not acceptable: {refused}.", help=_HELP) from None


def wrap(text: bytes, wallet: Address) -> Iterator[bytes]:
    """Return the envelopes that a wallet signs for a text when it returns the signature alone."""
    length = len(text).to_bytes(_LENGTH_BYTES, "little") if len(text) <= 0xFFFF else b""
    one_signer = b"\1" + bytes(Pubkey.from_string(wallet))
    for form in (_ASCII, _UTF8, _LONG_UTF8) if length else ():
        if _problem(text, form) is None:
            yield SIGNING_DOMAIN + bytes([0, form]) + length + text
            yield SIGNING_DOMAIN + bytes(1 + _KEY_BYTES) + bytes([form]) + one_signer + length + text
    yield SIGNING_DOMAIN + b"\1" + one_signer + text


def _unwrap(body: bytes, key: bytes) -> bytes:
    match body[:1]:
        case b"\0":
            return _unwrap_v0(body[1:], key)
        case b"\1":
            return _require_text(_after_signers(body[1:], key, is_sorted=True), _LONG_UTF8)
    raise _MalformedError("its version is neither 0 nor 1")


def _unwrap_v0(body: bytes, key: bytes) -> bytes:
    texts: list[bytes] = []
    reasons: list[str] = []
    for unwrap_form in (_unwrap_short, _unwrap_full):
        try:
            texts.append(unwrap_form(body, key))
        except _MalformedError as refused:
            reasons.append(str(refused))
    if len(texts) > 1:
        raise _MalformedError("it reads both as the short and as the full form of version 0")
    if not texts:
        short, full = reasons
        raise _MalformedError(f"as the short form of version 0 {short}; as the full form {full}")
    return texts[0]


def _unwrap_short(body: bytes, _key: bytes) -> bytes:
    return _unwrap_sized(body[:1], body[1:])


def _unwrap_full(body: bytes, key: bytes) -> bytes:
    form = body[_KEY_BYTES : _KEY_BYTES + 1]
    return _unwrap_sized(form, _after_signers(body[_KEY_BYTES + 1 :], key, is_sorted=False))


def _unwrap_sized(form: bytes, sized: bytes) -> bytes:
    if len(sized) < _LENGTH_BYTES:
        raise _MalformedError("it ends before its text")
    length, text = int.from_bytes(sized[:_LENGTH_BYTES], "little"), sized[_LENGTH_BYTES:]
    if length != len(text):
        raise _MalformedError(f"its length is {length}, and {len(text)} bytes follow")
    return _require_text(text, form[0])


def _after_signers(body: bytes, key: bytes, *, is_sorted: bool) -> bytes:
    count = body[0] if body else 0
    end = 1 + count * _KEY_BYTES
    signers = [body[at : at + _KEY_BYTES] for at in range(1, end, _KEY_BYTES)]
    if not signers or len(body) < end:
        raise _MalformedError("it names no signer" if not signers else "it ends within its signers")
    if len(set(signers)) < count or (is_sorted and signers != sorted(signers)):
        raise _MalformedError("its signers are not in order, each once")
    if signers != [key]:
        raise _MalformedError("its signer is not this wallet alone")
    return body[end:]


def _require_text(text: bytes, form: int) -> bytes:
    if (problem := _problem(text, form)) is not None:
        raise _MalformedError(problem)
    return text


def _problem(text: bytes, form: int) -> str | None:
    """Return why a text is none of this format, or None."""
    if form > _LONG_UTF8:
        return f"its format is {form}; 0, 1 and 2 are known"
    if not text:
        return "its text is empty"
    if form != _LONG_UTF8 and len(text) > _PACKET_BYTES:
        return f"its text has {len(text)} bytes; format {form} allows {_PACKET_BYTES}"
    if form == _ASCII:
        return None if _ASCII_BYTES.issuperset(text) else "its text is not printable ASCII, which format 0 requires"
    return None if _is_utf8(text) else "its text is not UTF-8"


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
