"""Loads signing keys from files that only the owner can read, and signs with them without ever showing them.

A key file has the format of the Solana tools: a JSON array of 64 numbers, the 32 bytes of the secret key and those of
the public key. `BACKEND_AUTHORITY_PRIVATE_KEY_FILE` may instead contain the same 64 bytes as base58 text (protocol.md
11). The text form of a signer is its address. It cannot be pickled or copied, so the key does not leave this process.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import NoReturn

from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.signature import Signature as RawSignature
from solders.transaction import VersionedTransaction

from zmart import errors, settings
from zmart.domain import base58
from zmart.domain.ids import Address

KEY_BYTES = 64
_SEED_BYTES = 32
#: A key as JSON is shorter than this; a longer file is not a key.
_LARGEST_FILE = 4_096


class Signer:
    """One signing key."""

    __slots__ = ("_key", "address")

    def __init__(self, key: Keypair) -> None:
        self._key = key
        self.address = Address(str(key.pubkey()))

    @classmethod
    def generate(cls) -> Signer:
        """Return a new random key."""
        return cls(Keypair())

    def sign(self, message: MessageV0) -> RawSignature:
        """Return the signature of a message."""
        return self._key.sign_message(to_bytes_versioned(message))

    async def sign_transaction(self, raw: bytes) -> bytes:
        """Return a transaction that only this key has to sign with its signature: see `zmart.chain.signing`."""
        message = VersionedTransaction.from_bytes(raw).message
        return bytes(VersionedTransaction.populate(message, [self._key.sign_message(to_bytes_versioned(message))]))

    def save(self, path: Path) -> None:
        """Write the key in the format of the Solana tools, readable by its owner only; raise Conflict if the file
        exists.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise errors.Conflict(
                f"{path} exists already.", help="Choose another file name: existing keys are never overwritten."
            ) from None
        with os.fdopen(descriptor, "w") as file:
            json.dump(list(bytes(self._key)), file)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signer) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self.address)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A signer cannot be copied or pickled.")


def backend(chain: settings.ChainSettings) -> Signer | None:
    """Return the backend authority's key, or None where none is configured; raise ConfigurationError."""
    if chain.backend_keypair_path is not None and chain.backend_private_key is not None:
        raise errors.ConfigurationError(
            "BACKEND_KEYPAIR_PATH and BACKEND_AUTHORITY_PRIVATE_KEY_FILE are both set.", help="Remove one of the two."
        )
    if chain.backend_keypair_path is not None:
        return load(chain.backend_keypair_path, name="BACKEND_KEYPAIR_PATH")
    if chain.backend_private_key is not None:
        return parse(chain.backend_private_key.reveal(), name="BACKEND_AUTHORITY_PRIVATE_KEY_FILE")
    return None


def admin(chain: settings.ChainSettings) -> Signer | None:
    """Return the admin's key, or None where an operator sends approvals; raise ConfigurationError."""
    path = chain.admin_keypair_path
    return None if path is None else load(path, name="ADMIN_KEYPAIR_PATH")


def load(path: Path, *, name: str = "The key file") -> Signer:
    """Return the key in a file that only its owner can read.

    Raise ConfigurationError with a message that names the variable and never contains the file's content.
    """
    try:
        with path.open("rb") as file:
            check_mode(os.fstat(file.fileno()), path, name=name)
            text = file.read(_LARGEST_FILE).decode("ascii")
    except OSError as exc:
        raise _key_error(
            name, f"{path} cannot be read: {exc.strerror}", "Correct the path or the file's permissions."
        ) from None
    except UnicodeDecodeError:
        raise _key_error(name, f"{path} does not contain a key", _FORMATS) from None
    return parse(text, name=name)


def check_mode(status: os.stat_result, path: Path, *, name: str) -> None:
    """Raise ConfigurationError unless it is a regular file, owned by us or root, that no other user can open."""
    if not stat.S_ISREG(status.st_mode):
        raise _key_error(name, f"{path} is not a file", "Set the path of the key file.")
    if status.st_uid not in (os.geteuid(), 0):
        raise _key_error(name, f"{path} belongs to another user", f"chown {os.geteuid()} {path}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise _key_error(name, f"{path} is accessible to other users (mode {mode:04o})", f"chmod 600 {path}")


_FORMATS = "Store the key as solana-keygen writes it, a JSON array of 64 numbers, or as those 64 bytes in base58."


def parse(text: str, *, name: str = "The key") -> Signer:
    """Return the key in a text, JSON or base58 of 64 bytes; raise ConfigurationError without repeating the text."""
    raw = _decode_key(text.strip())
    if raw is None or len(raw) != KEY_BYTES:
        raise _key_error(name, "its content is not a key", _FORMATS)
    key = Keypair.from_seed(raw[:_SEED_BYTES])
    if bytes(key.pubkey()) != raw[_SEED_BYTES:]:
        raise _key_error(
            name, "its public half does not belong to its private half", "Copy the file again from its source."
        )
    return Signer(key)


def _decode_key(text: str) -> bytes | None:
    try:
        if text.startswith("["):
            return bytes(json.loads(text))
        return base58.decode(text) if len(text) <= 2 * KEY_BYTES else None
    except (ValueError, TypeError, errors.InvalidInput):
        return None


def _key_error(name: str, why: str, step: str) -> errors.ConfigurationError:
    return errors.ConfigurationError(f"{name}: {why}.", help=step if step.endswith(".") else f"{step}.")
