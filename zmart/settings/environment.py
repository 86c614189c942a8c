"""Reads one environment variable at a time and checks its type."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

from zmart import errors
from zmart.domain import ids
from zmart.domain.ids import Address

from .values import Network, Secret

_T = TypeVar("_T")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
#: Shorter proofs can be guessed: 16 random letters and digits have 82 bits.
SHORTEST_PROOF = 16


class Environment:
    """A mapping of variables, read by type; an error names the variable."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        #: Every name that was requested; documentation is tested against it.
        self.requested_names: set[str] = set()

    def refuse(self, name: str, expected: str, step: str = "") -> NoReturn:
        """Raise ConfigurationError: `name` must be `expected`, with the next step."""
        step = step or f"Correct {name} in the environment or in .env."
        raise errors.ConfigurationError(f"{name} must be {expected}.", help=step)

    def text(self, name: str) -> str | None:
        """Return the value without surrounding blanks; None when absent or empty."""
        self.requested_names.add(name)
        return self._values.get(name, "").strip() or None

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return one of `allowed`, case aside."""
        word = (self.text(name) or default).lower()
        if word not in allowed:
            self.refuse(name, f"one of {', '.join(allowed)}, not {word!r}")
        return word

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        word = (self.text(name) or str(default)).lower()
        if word not in _TRUE | _FALSE:
            self.refuse(name, f"true or false, not {word!r}")
        return word in _TRUE

    def integer(self, name: str, default: int | None, *, low: int, high: int | None) -> int | None:
        """Return a whole number from `low` to `high`."""
        word = self.text(name)
        if word is None:
            return default
        value = int(word) if re.fullmatch(r"\d{1,18}", word) else None
        if value is None or value < low or (high is not None and value > high):
            limits = f"from {low} to {high}" if high is not None else f"of at least {low}"
            self.refuse(name, f"a whole number {limits}, not {word!r}")
        return value

    def count(self, name: str, default: int, *, low: int) -> int:
        """Return a whole number of at least `low`."""
        value = self.integer(name, default, low=low, high=None)
        return default if value is None else value

    def port(self, name: str, default: int, *, high: int = 65535) -> int:
        """Return a TCP port."""
        return self.integer(name, default, low=1, high=high) or default

    def percent(self, name: str, default: int) -> int:
        """Return a whole number from 0 to 100."""
        value = self.integer(name, default, low=0, high=100)
        return default if value is None else value

    def version(self, name: str, default: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return a version of two or three numbers; an absent third is 0."""
        return self._parse(name, _version, "a version such as 4.3.0", default)

    def basis_points(self, name: str, default: int) -> int:
        """Return a fraction from 0 to 1, written in decimals, as basis points exactly."""
        return self._parse(
            name,
            _basis_points,
            "a fraction from 0 to 1 with at most four decimals, such as 0.7",
            default,
        )

    def address(self, name: str, default: Address) -> Address:
        """Return a base58 account address of 32 bytes."""
        return self._parse(name, ids.parse_address, "a base58 address of 32 bytes", default)

    def addresses(self, name: str) -> frozenset[Address]:
        """Return a comma-separated list of base58 account addresses."""
        return self._parse(
            name,
            lambda text: frozenset(ids.parse_address(part.strip()) for part in text.split(",") if part.strip()),
            "base58 addresses of 32 bytes, comma separated",
            frozenset(),
        )

    def host(self, name: str) -> str:
        """Return an address to bind; loopback by default."""
        return self.text(name) or "127.0.0.1"

    def text_list(self, name: str) -> tuple[str, ...]:
        """Return a comma-separated list without its blanks and empty parts."""
        return tuple(part.strip() for part in (self.text(name) or "").split(",") if part.strip())

    def networks(self, name: str) -> tuple[Network, ...]:
        """Return a comma-separated list of addresses or networks."""
        return self._parse(
            name,
            lambda text: tuple(ipaddress.ip_network(part.strip()) for part in text.split(",")),
            "addresses or networks, comma separated, such as 10.0.0.0/8",
            (),
        )

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        """Return a URL with one of `schemes` and a host."""
        text = self.text(name)
        if text is not None:
            self._check_url(name, text, schemes)
        return text

    def secret_url(self, name: str, schemes: tuple[str, ...]) -> Secret | None:
        """Return a URL that carries a credential."""
        secret = self.secret(name)
        if secret is not None:
            self._check_url(name, secret.reveal(), schemes)
        return secret

    def secret_urls(self, name: str, schemes: tuple[str, ...]) -> tuple[Secret, ...]:
        """Return a comma-separated list of URLs that may carry credentials, in order."""
        secrets = self.secrets(name)
        for secret in secrets:
            self._check_url(name, secret.reveal(), schemes)
        return secrets

    def postgres_url(self, name: str) -> Secret | None:
        """Return a Postgres URI, spelled `postgresql://`."""
        secret = self.secret_url(name, ("postgres", "postgresql"))
        if secret is None:
            return None
        return Secret(re.sub(r"^postgres://", "postgresql://", secret.reveal()))

    def path(self, name: str, default: Path) -> Path:
        """Return a path, `~` expanded."""
        return self.optional_path(name) or default

    def optional_path(self, name: str) -> Path | None:
        """Return a path, `~` expanded, or None."""
        text = self.text(name)
        return Path(text).expanduser() if text else None

    def secret(self, name: str) -> Secret | None:
        """Return `name`, or the content of the file that `name`_FILE names; never both."""
        plain, from_file = self.text(name), self.secret_file(name)
        if plain is not None and from_file is not None:
            self.refuse(name, f"given once, but {name}_FILE is set too", "Remove one of the two.")
        return Secret(plain) if plain is not None else from_file

    def secret_file(self, name: str) -> Secret | None:
        """Return the content of the file that `name`_FILE names."""
        path = self.optional_path(f"{name}_FILE")
        if path is None:
            return None
        try:
            with path.open() as file:
                self._require_private(name, path, os.fstat(file.fileno()).st_mode)
                content = file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            self.refuse(f"{name}_FILE", f"a readable text file; {path}: {reason}")
        if not content:
            self.refuse(f"{name}_FILE", f"a file with the secret in it; {path} is empty")
        return Secret(content)

    def _require_private(self, name: str, path: Path, mode: int) -> None:
        if stat.S_IMODE(mode) & 0o077:
            others = f"{path} can be opened by others (mode {stat.S_IMODE(mode):04o})"
            self.refuse(f"{name}_FILE", f"a file that only its owner can read; {others}", f"chmod 600 {path}")

    def proofs(self, name: str) -> tuple[Secret, ...]:
        """Return the secrets that callers prove themselves by: one whole value, or several as a JSON array of texts.

        A comma separates nothing, because a header value such as `Digest a="b", c="d"` contains commas.
        """
        secret = self.secret(name)
        texts = _json_texts(secret.reveal()) if secret else ()
        if texts is None:
            self.refuse(name, 'one value, or a JSON array of texts such as ["new", "old"]')
        self._require_long(name, texts)
        return tuple(Secret(text) for text in texts)

    def proof(self, name: str) -> Secret | None:
        """Return one secret that callers prove themselves by."""
        secret = self.secret(name)
        self._require_long(name, [secret.reveal()] if secret else [])
        return secret

    def _require_long(self, name: str, proofs: Sequence[str]) -> None:
        if any(len(proof) < SHORTEST_PROOF for proof in proofs):
            step = "Make one with: openssl rand -hex 32"
            self.refuse(name, f"at least {SHORTEST_PROOF} characters, because shorter ones can be guessed", step)

    def secrets(self, name: str) -> tuple[Secret, ...]:
        """Return a comma-separated list of secrets, in order."""
        secret = self.secret(name)
        parts = secret.reveal().split(",") if secret else []
        return tuple(Secret(part.strip()) for part in parts if part.strip())

    def _parse(self, name: str, parse: Callable[[str], _T], expected: str, default: _T) -> _T:
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except (ValueError, InvalidOperation, errors.InvalidInput):
            self.refuse(name, f"{expected}, not {text!r}")

    def _check_url(self, name: str, text: str, schemes: tuple[str, ...]) -> None:
        try:
            # An address of Postgres may name several hosts, each with its port.
            parts = urlsplit(re.sub(r"(?<=@)[^/?#]*,(?=[^/?#@]*)", "", text) if "postgresql" in schemes else text)
            is_valid = parts.scheme in schemes and (parts.netloc or "host=" in parts.query)
            _ = parts.port
        except ValueError:
            is_valid = False
        if not is_valid:
            self.refuse(name, f"a URL starting with {' or '.join(f'{s}://' for s in schemes)}")


def _version(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?", text)
    if match is None:
        raise ValueError(text)
    return int(match[1]), int(match[2]), int(match[3] or 0)


def _json_texts(text: str) -> tuple[str, ...] | None:
    """Return the texts of a JSON array, or the text itself if it is none; None for an array of anything else."""
    if not text.startswith("["):
        return (text,)
    try:
        found = json.loads(text)
    except ValueError:
        return None
    is_valid = bool(found) and all(isinstance(part, str) for part in found)
    return tuple(part.strip() for part in found) if is_valid else None


def _basis_points(text: str) -> int:
    value = Decimal(text) * 10_000
    if not value.is_finite() or value != int(value) or not 0 <= value <= 10_000:
        raise ValueError(text)
    return int(value)
