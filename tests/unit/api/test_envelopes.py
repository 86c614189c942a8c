"""Off-chain envelopes: the three forms are read, one text never as another, and malformed ones are refused."""

from __future__ import annotations

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from api import errors
from api.auth import envelopes, signatures
from zmart.domain.ids import Address

KEY = Keypair()
WALLET = Address(str(KEY.pubkey()))
OTHERS = sorted(bytes(Keypair().pubkey()) for _ in range(2))
TEXT = b"ZMART ballot\n\nChain: devnet"
DOMAIN = bytes(range(3, 35))


def short(text: bytes = TEXT, form: int = 0, *, length: int | None = None) -> bytes:
    """Version 0 as Ledger's app signs it."""
    size = (len(text) if length is None else length).to_bytes(2, "little")
    return envelopes.SIGNING_DOMAIN + bytes([0, form]) + size + text


def full(
    text: bytes = TEXT, form: int = 0, *, signers: list[bytes] | None = None, domain: bytes = DOMAIN, length: int = -1
) -> bytes:
    """Version 0 as the specification has it."""
    keys = [bytes(KEY.pubkey())] if signers is None else signers
    size = (len(text) if length < 0 else length).to_bytes(2, "little")
    return envelopes.SIGNING_DOMAIN + b"\0" + domain + bytes([form, len(keys)]) + b"".join(keys) + size + text


def version_1(text: bytes = TEXT, *, signers: list[bytes] | None = None) -> bytes:
    """Version 1."""
    keys = [bytes(KEY.pubkey())] if signers is None else signers
    return envelopes.SIGNING_DOMAIN + bytes([1, len(keys)]) + b"".join(keys) + text


FORMS = {
    "short": short(),
    "short, UTF-8": short(form=1),
    "short, long UTF-8": short(form=2),
    "full": full(),
    "full without a domain": full(domain=bytes(32)),
    "full, UTF-8": full(form=1),
    "version 1": version_1(),
}
MALFORMED = {
    "nothing behind the domain": (envelopes.SIGNING_DOMAIN, "version"),
    "version 2": (envelopes.SIGNING_DOMAIN + b"\2" + short()[17:], "version"),
    "cut": (short()[:-1], "length is 27, and 26 bytes follow"),
    "more behind the text": (short() + b"!", "length is 27, and 28 bytes follow"),
    "unknown format": (short(form=3), "format is 3"),
    "no text": (short(b""), "text is empty"),
    "not ASCII": (short("Zürich".encode()), "printable ASCII"),
    "a tab": (short(b"a\tb"), "printable ASCII"),
    "not UTF-8": (short(b"\xff", 1), "UTF-8"),
    "too long for a packet": (short(b"a" * 1_233), "1232"),
    "full, cut": (full()[:-1], "length is 27, and 26 bytes follow"),
    "full, more behind the text": (full() + b"!", "length is 27, and 28 bytes follow"),
    "full, no signer": (full(signers=[]), "no signer"),
    "full, another signer": (full(signers=OTHERS[:1]), "not this wallet alone"),
    "full, signers beside the wallet": (full(signers=[bytes(KEY.pubkey()), OTHERS[0]]), "not this wallet alone"),
    "full, the wallet twice": (full(signers=[bytes(KEY.pubkey())] * 2), "each once"),
    "full, cut within the signers": (full()[:60], "within its signers"),
    "full, unknown format": (full(form=7), "format is 7"),
    "version 1, no signer": (version_1(signers=[]), "no signer"),
    "version 1, another signer": (version_1(signers=OTHERS[:1]), "not this wallet alone"),
    "version 1, not in order": (version_1(signers=OTHERS[::-1]), "not in order"),
    "version 1, no text": (version_1(b""), "text is empty"),
    "version 1, not UTF-8": (version_1(b"\xff"), "UTF-8"),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read(form: str) -> None:
    """The text in the envelope is the signed text, and the envelope stays with it."""
    signed = FORMS[form]
    found = signatures.require(WALLET, signed, str(KEY.sign_message(signed)))
    assert found == signatures.SignedText(TEXT, signed)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"full", "full, UTF-8"}))
def test_a_signature_alone_is_verified(form: str) -> None:
    """An adapter that returns no bytes: the text and the signature are enough, unless a domain of its own is in it."""
    assert signatures.require(WALLET, TEXT, str(KEY.sign_message(FORMS[form]))).envelope == FORMS[form]


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_envelope_is_refused(case: str) -> None:
    """With a sentence that names the part, although the wallet signed exactly these bytes."""
    signed, reason = MALFORMED[case]
    with pytest.raises(errors.NotSignedIn, match=reason):
        signatures.require(WALLET, signed, str(KEY.sign_message(signed)))


def test_an_envelope_that_reads_in_two_ways_is_refused() -> None:
    """A short envelope whose text continues as a full one means two texts; it takes a key of ASCII bytes."""
    key = Pubkey(b"k" * 32)
    rest = full(b"another text", signers=[bytes(key)])[17 + 32 :]
    padding = b" " * 29
    domain = b"\2" + (len(padding) + len(rest)).to_bytes(2, "little") + padding
    with pytest.raises(errors.NotSignedIn, match="reads both"):
        envelopes.unwrap(envelopes.SIGNING_DOMAIN + b"\0" + domain + rest, Address(str(key)))


def test_a_signature_over_the_text_is_none_over_an_envelope() -> None:
    """The envelope's own bytes must be signed."""
    with pytest.raises(errors.NotSignedIn, match="Invalid wallet signature"):
        signatures.require(WALLET, short(), str(KEY.sign_message(TEXT)))
    with pytest.raises(errors.NotSignedIn, match="Invalid wallet signature"):
        signatures.require(WALLET, TEXT, str(Keypair().sign_message(short())))
