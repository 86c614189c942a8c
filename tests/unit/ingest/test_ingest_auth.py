"""Verification of deliveries."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from ingest.webhook import auth
from ingest.webhook.auth import Verifier
from zmart import errors, settings

BODY = b'[{"slot": 1}]'


def test_with_nothing_to_prove_nothing_starts() -> None:
    """There is no open mode; the error has both variables."""
    with pytest.raises(errors.ConfigurationError, match=r"HELIUS_AUTH_HEADER.*HELIUS_WEBHOOK_SECRET"):
        Verifier()


@pytest.mark.parametrize("mode", ["development", "test", "localnet"])
def test_no_environment_disables_the_check(mode: str) -> None:
    """The earlier backend skipped the check in development (protocol.md 8.1); no setting does here."""
    environ = {"NODE_ENV": mode, "WEBHOOK_DEV_MODE": "true", "SOLANA_CLUSTER": "localnet"}
    with pytest.raises(errors.ConfigurationError):
        Verifier.of(settings.load(environ).ingest)


def test_either_proof_suffices() -> None:
    """The header alone and the signature alone are each enough."""
    both = Verifier(["the header"], "the key")
    assert both.is_authorized("the header")
    assert both.is_signed(auth.signature(BODY, "the key"), BODY)


def test_every_header_is_accepted_while_they_rotate() -> None:
    """The old and the new value work side by side, verbatim."""
    verifier = Verifier.of(settings.load({"HELIUS_AUTH_HEADER": '["the-earlier-header", "Bearer the-newer"]'}).ingest)
    assert verifier.is_authorized("the-earlier-header")
    assert verifier.is_authorized("Bearer the-newer")


def test_a_comma_in_a_header_separates_nothing() -> None:
    """No part of one value is accepted for the whole of it."""
    value = 'Digest username="helius", response="0123456789abcdef"'
    verifier = Verifier.of(settings.load({"HELIUS_AUTH_HEADER": value}).ingest)
    assert verifier.is_authorized(value)
    assert not verifier.is_authorized('Digest username="helius"')
    assert not verifier.is_authorized('response="0123456789abcdef"')


@pytest.mark.parametrize("given", [None, "", "Secret", "secret ", "secre", "secrett", "Bearer secret", "s\u00e9cret"])
def test_only_the_exact_header_is_authorized(given: str | None) -> None:
    """Case, spaces, prefixes and lengths all count."""
    assert not Verifier(["secret"]).is_authorized(given)


def test_a_header_beyond_ascii_is_compared_by_its_bytes() -> None:
    """Servers hand UTF-8 over as latin-1."""
    assert Verifier(["schlüssel"]).is_authorized("schlüssel".encode().decode("latin-1"))


def test_a_signature_is_over_the_raw_body() -> None:
    """HMAC-SHA256 in hex; upper case is the same number."""
    right = hmac.new(b"the key", BODY, hashlib.sha256).hexdigest()
    verifier = Verifier(secret="the key")
    assert auth.signature(BODY, "the key") == right
    assert verifier.is_signed(right, BODY)
    assert verifier.is_signed(right.upper(), BODY)
    assert not verifier.is_signed(right, BODY + b" ")


@pytest.mark.parametrize("given", [None, "", "00", "0" * 64, "zz" * 32, "\u00ff" * 64])
def test_a_wrong_signature_is_none(given: str | None) -> None:
    """Any content of the header is compared and rejected."""
    assert not Verifier(secret="the key").is_signed(given, BODY)


def test_without_a_key_no_signature_counts() -> None:
    """Not even that of an empty key."""
    verifier = Verifier(["secret"])
    assert not verifier.can_verify("00")
    assert not verifier.is_signed(auth.signature(BODY, ""), BODY)


def test_nothing_secret_is_in_its_repr() -> None:
    """A verifier in a traceback or log line shows no secret."""
    assert "hush" not in repr(Verifier(["hush"], "hush"))


def test_without_a_proof_every_delivery_is_refused_where_transactions_come_by_grpc() -> None:
    """SOLANA_GRPC_URL makes the webhook optional, never open."""
    environ = {"SOLANA_RPC_URL": "https://node.example.org", "SOLANA_GRPC_URL": "https://grpc.example.org"}
    configured = settings.load(environ).ingest
    with pytest.raises(errors.ConfigurationError):
        Verifier.of(configured)

    verifier = Verifier.of(configured, has_other_source=True)

    assert not verifier.is_authorized(None)
    assert not verifier.is_authorized("")
    assert not verifier.can_verify("anything")
    assert not verifier.is_signed(auth.signature(BODY, ""), BODY)


def test_the_key_of_the_stream_is_a_secret() -> None:
    """Neither it nor the address, which may have a key in it, is in a text of the settings; the log masks both."""
    values = {"SOLANA_GRPC_URL": "https://grpc.example.org/key-in-path", "SOLANA_GRPC_TOKEN": "a-key-of-a-stream"}
    loaded = settings.load({"SOLANA_RPC_URL": "https://node.example.org", **values})
    assert not any(value in repr(loaded) for value in values.values())
    assert {secret.reveal() for secret in loaded.secrets()} >= set(values.values())
