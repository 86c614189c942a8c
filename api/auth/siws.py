"""Writes, parses and checks the text that a wallet shows and signs (Sign-In With Solana).

A wallet does not sign the text that the API sends: it builds the text from fields, may add some, and returns the bytes
that it signed. So those bytes are parsed and each field is compared with its expected value. A text that differs from
the single canonical form of its fields is rejected, so no line can be taken for another.

    example.org wants you to sign in with your Solana account:
    4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA

    Sign in to ZMART.

    URI: https://example.org
    Version: 1
    Chain ID: devnet
    Nonce: 5f3c...
    Issued At: 2026-01-01T00:00:00.000Z
    Expiration Time: 2026-01-01T00:05:00.000Z
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from zmart.domain.ids import Address

from .. import errors

VERSION: Final = "1"
STATEMENT: Final = "Sign in to ZMART."
#: The maximum difference between a wallet's clock and the server's.
SKEW: Final = datetime.timedelta(minutes=1)
#: Signed texts have about 400 characters; a wallet's own additions fit as well.
LONGEST: Final = 4_000

_HEADING: Final = " wants you to sign in with your Solana account:"
#: The fields on separate lines, in their order.
_FIELDS: Final = {
    "uri": "URI",
    "version": "Version",
    "chain_id": "Chain ID",
    "nonce": "Nonce",
    "issued_at": "Issued At",
    "expiration_time": "Expiration Time",
    "not_before": "Not Before",
    "request_id": "Request ID",
}
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, kw_only=True)
class SignInMessage:
    """The fields of a text; None if it has no such line."""

    domain: str
    address: str
    statement: str | None = None
    uri: str | None = None
    version: str | None = None
    chain_id: str | None = None
    nonce: str | None = None
    issued_at: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None

    def __str__(self) -> str:
        """Return the canonical text of these fields."""
        lines = [f"{self.domain}{_HEADING}", self.address]
        if self.statement is not None:
            lines += ["", self.statement]
        fields = [f"{label}: {getattr(self, name)}" for name, label in _FIELDS.items() if getattr(self, name)]
        if self.resources is not None:
            fields += ["Resources:", *(f"- {resource}" for resource in self.resources)]
        return "\n".join([*lines, *(["", *fields] if fields else [])])


@dataclass(frozen=True, kw_only=True)
class ExpectedFields:
    """The values that a text must contain."""

    wallet: Address
    #: Host and port of the sites that users sign in from.
    domains: Collection[str]
    #: mainnet, devnet or localnet; the text may add the prefix `solana:`.
    chain_id: str
    now: datetime.datetime


def parse(signed: bytes) -> SignInMessage:
    """Parse a signed text; raise NotSignedIn if it is invalid or not in the canonical form."""
    try:
        text = signed.decode("utf-8")
    except UnicodeDecodeError:
        raise _rejection("it is not UTF-8") from None
    if len(text) > LONGEST:
        raise _rejection("it is too long")
    message = _read(text)
    if str(message) != text:
        raise _rejection("its lines are not those of the format, in their order")
    return message


def require(message: SignInMessage, expected: ExpectedFields) -> None:
    """Raise NotSignedIn, naming the field, unless every field has its expected value. `nonces` checks the nonce."""
    if message.domain not in expected.domains:
        raise _rejection("Domain is not accepted by this server")
    if message.address != expected.wallet:
        raise _rejection("the account is not the wallet of the request")
    if not _is_in_domain(message.uri, message.domain):
        raise _rejection("URI does not belong to its domain")
    if message.version != VERSION:
        raise _rejection(f"Version is not {VERSION}")
    if (message.chain_id or "").removeprefix("solana:") != expected.chain_id:
        raise _rejection(f"Chain ID is not {expected.chain_id}")
    if not message.nonce:
        raise _rejection("Nonce is missing")
    _require_time(message, expected.now)


def _require_time(message: SignInMessage, now: datetime.datetime) -> None:
    if message.issued_at is None:
        raise _rejection("Issued At is missing")
    if _instant("Issued At", message.issued_at) > now + SKEW:
        raise _rejection("Issued At lies in the future")
    if message.expiration_time is None:
        raise _rejection("Expiration Time is missing")
    if _instant("Expiration Time", message.expiration_time) <= now:
        raise _rejection("Expiration Time has passed")
    if message.not_before is not None and _instant("Not Before", message.not_before) > now + SKEW:
        raise _rejection("Not Before lies in the future")


def _read(text: str) -> SignInMessage:
    heading, _, remainder = text.partition("\n")
    if not heading.endswith(_HEADING):
        raise _rejection("its first line is not that of Sign-In With Solana")
    address, _, remainder = remainder.partition("\n")
    values: dict[str, str] = {}
    blocks = remainder.removeprefix("\n").split("\n\n") if remainder else []
    fields = blocks.pop() if blocks and blocks[-1].startswith(tuple(f"{label}: " for label in _FIELDS.values())) else ""
    lines, resources = _resources(fields)
    by_label = {label: name for name, label in _FIELDS.items()}
    for line in lines:
        label, colon, value = line.partition(": ")
        if not colon or label not in by_label or by_label[label] in values:
            raise _rejection("it has a line that is not a field")
        values[by_label[label]] = value
    statement = "\n\n".join(blocks) if blocks else None
    if statement is not None and "\n" in statement:
        raise _rejection("its statement has more than one line")
    return SignInMessage(
        domain=heading.removesuffix(_HEADING), address=address, statement=statement, resources=resources, **values
    )


def _resources(fields: str) -> tuple[list[str], tuple[str, ...] | None]:
    lines = fields.split("\n") if fields else []
    if "Resources:" not in lines:
        return lines, None
    at = lines.index("Resources:")
    return lines[:at], tuple(line.removeprefix("- ") for line in lines[at + 1 :])


def _is_in_domain(uri: str | None, domain: str) -> bool:
    try:
        parts = urlsplit(uri or "")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc == domain


def _instant(name: str, text: str) -> datetime.datetime:
    try:
        if _INSTANT.fullmatch(text):
            return datetime.datetime.fromisoformat(text)
    except ValueError:
        pass
    raise _rejection(f"{name} is not an instant of RFC 3339")


def _rejection(reason: str) -> errors.NotSignedIn:
    return errors.NotSignedIn(
        f"The signed message is not accepted: {reason}.", help="Sign the text of GET /api/auth/nonce."
    )
