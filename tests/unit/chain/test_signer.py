"""Keys: sources, permissions, and no output that shows them."""

from __future__ import annotations

import copy
import json
import os
import pickle
import traceback
from pathlib import Path

import pytest
from solders.keypair import Keypair
from solders.message import to_bytes_versioned

from zmart import errors, settings
from zmart.chain import signer, transactions
from zmart.domain import base58

#: A seed that only this test uses.
SEED = bytes(range(32))
KEY = Keypair.from_seed(SEED)
RAW = bytes(KEY)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key as solana-keygen writes it."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(list(RAW)))
    path.chmod(0o600)
    return path


def test_a_file_of_the_solana_tools(key_file: Path) -> None:
    """The address is that of the public half."""
    assert signer.load(key_file).address == str(KEY.pubkey())


@pytest.mark.parametrize("text", [json.dumps(list(RAW)), base58.encode(RAW), f" {base58.encode(RAW)}\n"])
def test_both_spellings_of_a_key(text: str) -> None:
    """JSON and base58 of the same 64 bytes are the same key (protocol.md 11)."""
    assert signer.parse(text) == signer.Signer(KEY)


def test_a_key_signs(key_file: Path) -> None:
    """Its signature is valid for its address."""
    ours = signer.load(key_file)
    pause = transactions.instruction(
        "emergency_pause", "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw", {"admin": ours.address}
    )
    message = transactions.transaction([pause], payer=ours.address, blockhash="1" * 32).message
    assert ours.sign(message).verify(KEY.pubkey(), to_bytes_versioned(message))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_key_that_others_can_open(key_file: Path, mode: int) -> None:
    """Only the owner may read a key file, and the message has the command that restricts it."""
    key_file.chmod(mode)
    with pytest.raises(errors.ConfigurationError, match=rf"mode {mode:04o}.*chmod 600 .*key.json"):
        signer.load(key_file, name="BACKEND_KEYPAIR_PATH")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_of_another_user(key_file: Path) -> None:
    """The owner of the file could change the key."""
    key_file.chmod(0o600)
    os.chown(key_file, 65534, 65534)
    with pytest.raises(errors.ConfigurationError, match="belongs to another user"):
        signer.load(key_file)


def test_a_key_that_is_no_file(tmp_path: Path) -> None:
    """A folder and a missing file have other errors than a bad key."""
    with pytest.raises(errors.ConfigurationError, match="cannot be read: Is a directory"):
        signer.load(tmp_path)
    with pytest.raises(errors.ConfigurationError, match="cannot be read: No such file"):
        signer.load(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1, 2, 3]",
        "[" + "300, " * 63 + "1]",
        json.dumps(list(RAW[:32])),
        json.dumps([[1]] * 64),
        base58.encode(RAW)[:-1],
        "not a key: 0OIl",
        json.dumps(list(RAW[:32]) + [0] * 32),
        "é",
    ],
)
def test_what_is_no_key(text: str) -> None:
    """The error has the name of the setting, and never the key."""
    with pytest.raises(errors.ConfigurationError, match=r"^ADMIN_KEYPAIR_PATH: ") as caught:
        signer.parse(text, name="ADMIN_KEYPAIR_PATH")
    assert not text or text not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A binary file is not a key."""
    path = tmp_path / "key"
    path.write_bytes(b"\xff" * 64)
    path.chmod(0o600)
    with pytest.raises(errors.ConfigurationError, match="does not contain a key"):
        signer.load(path)


def test_a_signer_shows_nothing(key_file: Path) -> None:
    """Neither printing, formatting, pickling nor copying shows the secret."""
    ours = signer.load(key_file)

    assert repr(ours) == str(ours) == f"{ours}" == f"Signer({KEY.pubkey()})"
    assert not hasattr(ours, "__dict__")
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            way(ours)


def test_a_refusal_shows_nothing(tmp_path: Path) -> None:
    """The traceback of a key that is almost right contains none of it."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps([*RAW[:63], RAW[63] ^ 1]))
    path.chmod(0o600)
    with pytest.raises(errors.ConfigurationError, match="public half") as caught:
        signer.load(path)
    shown = "".join(traceback.format_exception(caught.value))
    assert str(list(RAW[:4]))[1:-1] not in shown
    assert base58.encode(RAW[:32]) not in shown


def test_saving_a_new_key(tmp_path: Path) -> None:
    """Only its owner can read it, it reads back the same, and it is never overwritten."""
    path, ours = tmp_path / "keys" / "mine.json", signer.Signer.generate()
    ours.save(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert signer.load(path) == ours
    with pytest.raises(errors.Conflict, match="never overwritten"):
        signer.Signer.generate().save(path)


def test_the_configured_keys(key_file: Path, tmp_path: Path) -> None:
    """The backend's key comes from a path or from a NAME_FILE, the admin's from a path; both may be missing."""
    secret = tmp_path / "secret"
    secret.write_text(base58.encode(RAW))
    secret.chmod(0o600)
    by_path = settings.load({"BACKEND_KEYPAIR_PATH": str(key_file), "ADMIN_KEYPAIR_PATH": str(key_file)}).chain
    by_file = settings.load({"BACKEND_AUTHORITY_PRIVATE_KEY_FILE": str(secret)}).chain
    none = settings.load({}).chain

    assert signer.backend(by_path) == signer.admin(by_path) == signer.backend(by_file) == signer.Signer(KEY)
    assert signer.backend(none) is signer.admin(none) is signer.admin(by_file) is None


def test_two_keys_for_one_role(key_file: Path, tmp_path: Path) -> None:
    """If both are set, none is chosen."""
    secret = tmp_path / "secret"
    secret.write_text(base58.encode(RAW))
    secret.chmod(0o600)
    both = {"BACKEND_KEYPAIR_PATH": str(key_file), "BACKEND_AUTHORITY_PRIVATE_KEY_FILE": str(secret)}
    with pytest.raises(errors.ConfigurationError, match="both set"):
        signer.backend(settings.load(both).chain)
