"""Verifies API keys, which programs send instead of an access token, and closes the streams of keys that end.

A key is `zmk_`, its wallet, and 256 random bits. The database stores its SHA-256 only, and the key is shown once. It
has scopes: `read` for what only its wallet may see, `trade` for transactions to sign, `write` for ballots, comments and
metadata. A key cannot manage keys or sessions.

A key that was found valid is looked up again after RECHECK_SECONDS, so a revocation takes effect that soon in every
process. Streams that were opened with a key end within the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import structlog

from zmart import errors as zmart_errors
from zmart.domain import ids
from zmart.domain.ids import Address

from .. import errors
from ..reads import statements
from ..reads.batching import RequestBatcher, Run

log = structlog.get_logger()

Scope: TypeAlias = Literal["read", "trade", "write"]

PREFIX: Final = "zmk_"
#: A key that was looked up this long ago is looked up again.
RECHECK_SECONDS: Final = 2.0
#: A primary that did not answer is asked again after this time.
AWAY_SECONDS: Final = 5.0
#: The most valid keys of one wallet.
MOST_PER_WALLET: Final = 20
_RANDOM_BYTES: Final = 32
_LONGEST: Final = 200
#: The number of lookups that are cached.
_MOST_CACHED: Final = 10_000
#: Without a database nothing can be revoked; a stream may stay open.
_NEVER: Final = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class KeyClaims(NamedTuple):
    """A valid API key."""

    key_id: str
    wallet: Address
    scopes: frozenset[Scope]
    #: datetime.max if the key does not expire.
    expires_at: datetime.datetime
    #: SHA-256 of the key, in hex.
    secret_hash: str

    def require_scope(self, scope: Scope) -> None:
        """Raise Forbidden if the key has not this scope."""
        if scope not in self.scopes:
            raise errors.Forbidden(f"This API key lacks the scope {scope}.")


class _Lookup(NamedTuple):
    #: None if there is no valid key with this hash.
    claims: KeyClaims | None
    #: time.monotonic() of the lookup.
    looked_up_at: float


class ClosableStream(Protocol):
    """A stream that can be closed with a reason."""

    def close(self, reason: Literal["key_revoked"]) -> None:
        """Close it after what is queued."""
        ...


#: Returns the valid key with a hash, or None; raises Transient if the database cannot be reached.
FindKey: TypeAlias = Callable[[str], Awaitable[KeyClaims | None]]


def find_in_database(run: Run) -> FindKey:
    """Return a lookup through this query function; concurrent lookups are sent as one statement."""
    batcher = RequestBatcher(run)

    async def find(secret_hash: str) -> KeyClaims | None:
        parameters = {"secret_hash": secret_hash}
        row = await batcher.row(statements.compose("find_api_key"), parameters, varying="secret_hash")
        if row is None or row[0] is None:
            return None
        key_id, wallet, scopes, expires_at = row
        return KeyClaims(str(key_id), Address(wallet), frozenset(scopes), expires_at or _NEVER, secret_hash)

    return find


def find_with_standby(primary: FindKey, standby: FindKey, clock: Callable[[], float] = time.monotonic) -> FindKey:
    """Return a lookup on the primary, because a standby learns of new and revoked keys later.

    While the primary is away, the standby answers: nothing can be revoked then.
    """
    away_until = float("-inf")

    async def find(secret_hash: str) -> KeyClaims | None:
        nonlocal away_until
        if clock() >= away_until:
            try:
                return await primary(secret_hash)
            except zmart_errors.Transient:
                away_until = clock() + AWAY_SECONDS
        return await standby(secret_hash)

    return find


class ApiKeys:
    """Verifies keys and watches the streams that were opened with one; one instance per process."""

    def __init__(self, find: FindKey, clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._lookups: dict[str, _Lookup] = {}
        #: The open streams of each key, by its hash.
        self._streams: dict[str, set[ClosableStream]] = {}

    async def claims_of(self, key: str) -> KeyClaims:
        """Return the claims of a valid key; raise NotSignedIn otherwise, Transient if it cannot be looked up."""
        require_wallet_of(key)
        claims = await self._look_up(hash_of(key))
        if claims is None or claims.expires_at <= datetime.datetime.now(datetime.UTC):
            raise errors.NotSignedIn("This API key is unknown, revoked or expired.", help="Create another key.")
        return claims

    def forget(self) -> None:
        """Look every key up again; called in the process that revoked one."""
        self._lookups.clear()

    @contextlib.contextmanager
    def watch(self, claims: KeyClaims, stream: ClosableStream) -> Iterator[None]:
        """Close the stream when its key is no longer valid, for as long as the block lasts."""
        self.add_stream(claims, stream)
        try:
            yield
        finally:
            self.discard_stream(claims, stream)

    def add_stream(self, claims: KeyClaims, stream: ClosableStream) -> None:
        """Close the stream when its key is no longer valid."""
        self._streams.setdefault(claims.secret_hash, set()).add(stream)

    def discard_stream(self, claims: KeyClaims, stream: ClosableStream) -> None:
        """Watch the stream no longer."""
        streams = self._streams.get(claims.secret_hash, set())
        streams.discard(stream)
        if not streams:
            self._streams.pop(claims.secret_hash, None)

    async def run(self) -> None:
        """Close the streams of keys that end, until cancelled."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            await self.close_ended()

    async def close_ended(self) -> None:
        """Look the keys of all open streams up, and close the streams of those that are no longer valid."""
        now = datetime.datetime.now(datetime.UTC)
        hashes = list(self._streams)
        found = await asyncio.gather(*map(self._look_up, hashes), return_exceptions=True)
        for secret_hash, claims in zip(hashes, found, strict=True):
            if isinstance(claims, BaseException):
                # While the database is unavailable no stream receives anything; the next round tries again.
                log.debug("api_key_lookup_failed", reason=str(claims))
            elif claims is None or claims.expires_at <= now:
                for stream in list(self._streams.get(secret_hash, ())):
                    stream.close("key_revoked")

    async def _look_up(self, secret_hash: str) -> KeyClaims | None:
        lookup = self._lookups.get(secret_hash)
        if lookup is None or self._clock() - lookup.looked_up_at >= RECHECK_SECONDS:
            began = self._clock()
            lookup = _Lookup(await self._find(secret_hash), began)
            if len(self._lookups) >= _MOST_CACHED:
                self._lookups.clear()
            self._lookups[secret_hash] = lookup
        return lookup.claims


def is_api_key(credentials: str) -> bool:
    """Return whether the credentials of a request have the form of an API key."""
    return credentials.startswith(PREFIX)


def new_key(wallet: Address) -> str:
    """Return a new key of this wallet; the prefix lets scanners of source code find keys that were published."""
    return f"{PREFIX}{wallet}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def hash_of(key: str) -> str:
    """Return the SHA-256 of a key, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def require_wallet_of(key: str) -> Address:
    """Return the wallet that a key names, which proves nothing; raise NotSignedIn if the text is not a key."""
    wallet, _, random_part = key.removeprefix(PREFIX).partition("_")
    try:
        if is_api_key(key) and random_part and len(key) <= _LONGEST:
            return ids.parse_address(wallet)
    except zmart_errors.InvalidInput:
        pass
    raise errors.NotSignedIn("This is not an API key.", help="Send the key exactly as it was shown.")
