"""Limits the requests of each caller, over all processes together.

Every address and every signed-in wallet has an allowance per minute, and each request takes its weight from both: a
read 1, a write 5, unless the handler declares another weight (`opt={"weight": 10}`). A window begins with the caller's
first request, so the windows of all callers do not reset at the same time. A request with an API key of a higher tier
(tiers.py) takes its weight from the allowance of its wallet alone. API keys also have a limit per second, which each
process counts for itself.

A query to Postgres for every request would cost as much as most responses. So a process leases a block of the
allowance, a quarter of the remainder, and counts in memory. This needs few queries at first and leaves little unused
in any one process near the end. A caller without any allowance left is refused from memory until the window ends.
While Postgres is unavailable nothing is counted; the response will be 503 anyway.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from zmart import errors as zmart_errors
from zmart.http import client_address
from zmart.settings import Settings

from .. import errors
from ..auth.api_keys import KeyClaims, is_api_key
from ..reads import statements
from ..reads.batching import RequestBatcher
from . import access_log, tiers
from .tiers import Tier

WINDOW_SECONDS: Final = 60
#: Response headers about the caller's allowance.
HEADERS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Cost")
_LIMIT, _REMAINING, _RESET, _COST = (name.lower().encode() for name in HEADERS)
#: Legacy paths outside /api that count; everything else outside it is free: health, console, documents.
_LEGACY_PATHS: Final = ("/markets", "/positions", "/rest/", "/trades")
_READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_WEIGHT: Final = 1
_WRITE_WEIGHT: Final = 5
_SECOND: Final = 1.0
#: The name under which a request's scope holds its CallerState.
CALLER_STATE: Final = "rate_limit_caller"
#: Maximum number of buckets in memory; above it, expired buckets are dropped, and all if that is not enough.
MOST_BUCKETS: Final = 20_000


class AllowanceBlock(NamedTuple):
    """A block of a bucket's allowance."""

    granted: int
    #: The allowance that is left in the database afterwards.
    remaining: int
    resets_in_seconds: float


#: After the primary was found away, limits are counted in memory for this long before it is asked again.
AWAY_SECONDS: Final = 5.0
#: Lease at least this weight of a bucket, or nothing; raise Transient if the database cannot be reached.
Lease: TypeAlias = Callable[[str, int], Awaitable[AllowanceBlock]]


class BucketState(NamedTuple):
    """A caller's bucket after a request."""

    allowed: bool
    remaining: int
    resets_in_seconds: float


class CallerState(NamedTuple):
    """The limits of a request's caller, and what is left of them."""

    #: None for a caller that is not signed in.
    wallet: str | None
    #: None without an API key.
    key: KeyClaims | None
    tier: Tier
    weight: int
    bucket: BucketState


class _BucketEntry:
    """The part of one bucket that this process has leased."""

    __slots__ = ("refill_lock", "refused_weight", "remaining", "resets_at", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.remaining = 0
        self.resets_at = 0.0
        #: The lowest weight that was refused in this window.
        self.refused_weight = math.inf
        self.refill_lock = asyncio.Lock()


class RateLimiter:
    """Counts requests; one instance per process."""

    def __init__(
        self, lease: Lease, clock: Callable[[], float] = time.monotonic, *, most_buckets: int = MOST_BUCKETS
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._most_buckets = most_buckets
        self._buckets: dict[str, _BucketEntry] = {}

    @property
    def bucket_count(self) -> int:
        """Return the number of buckets in memory."""
        return len(self._buckets)

    async def take(self, bucket: str, weight: int) -> BucketState:
        """Take `weight` from a bucket, if it has that much."""
        entry = self._buckets.get(bucket)
        if entry is None:
            entry = self._add_bucket(bucket)
        if not self._can_decide(entry, weight, self._clock()):
            # One query at a time for a bucket; a request that waited may find enough.
            async with entry.refill_lock:
                if not self._can_decide(entry, weight, self._clock()):
                    await self._refill(bucket, entry, weight)
        return _take_tokens(entry, weight, self._clock())

    def _can_decide(self, entry: _BucketEntry, weight: int, now: float) -> bool:
        return now < entry.resets_at and (entry.tokens >= weight or weight >= entry.refused_weight)

    async def _refill(self, bucket: str, entry: _BucketEntry, weight: int) -> None:
        block = await self._lease(bucket, weight)
        now = self._clock()
        if now >= entry.resets_at:
            entry.tokens, entry.refused_weight = 0, math.inf
        entry.tokens += block.granted
        entry.remaining = block.remaining
        entry.resets_at = now + block.resets_in_seconds
        if block.granted == 0:
            entry.refused_weight = min(entry.refused_weight, weight)

    def _add_bucket(self, bucket: str) -> _BucketEntry:
        if len(self._buckets) >= self._most_buckets:
            now = self._clock()
            self._buckets = {name: entry for name, entry in self._buckets.items() if entry.resets_at > now}
            if len(self._buckets) >= self._most_buckets:
                self._buckets.clear()
        entry = self._buckets[bucket] = _BucketEntry()
        return entry


class SecondLimiter:
    """Counts the weights of the current second of each API key, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: For each key, the start of its second and the weight that it has used since.
        self._used: dict[str, tuple[float, int]] = {}

    def take(self, key: str, weight: int, per_second: int) -> float:
        """Take a weight; return 0, or the seconds to wait if the second has too little left."""
        now = self._clock()
        began, used = self._used.get(key, (now, 0))
        if now - began >= _SECOND:
            began, used = now, 0
        if used + weight > per_second:
            return began + _SECOND - now
        if len(self._used) >= MOST_BUCKETS and key not in self._used:
            self._used = {name: entry for name, entry in self._used.items() if now - entry[0] < _SECOND}
        self._used[key] = began, used + weight
        return 0.0


def _take_tokens(entry: _BucketEntry, weight: int, now: float) -> BucketState:
    allowed = entry.tokens >= weight
    if allowed:
        entry.tokens -= weight
    return BucketState(allowed, entry.tokens + entry.remaining, max(0.0, entry.resets_at - now))


class QueryRunner(Protocol):
    """Runs the lease statements: the process's database."""

    async def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement."""
        ...


def postgres_lease(database: QueryRunner, per_minute: int) -> Lease:
    """Return a lease function for Postgres, where all processes share the allowance; concurrent leases are batched."""
    batcher = RequestBatcher(database.rows)

    async def lease(bucket: str, weight: int) -> AllowanceBlock:
        query_parameters = {"bucket": bucket, "limit": per_minute, "wanted": weight, "window": WINDOW_SECONDS}
        return AllowanceBlock(
            *await batcher.row(statements.compose("lease_allowance"), query_parameters, varying="bucket")
        )

    return lease


class MemoryLease:
    """Leases from Postgres, and from the memory of this process while the primary is away.

    Reads of a standby go on then, so they must still be limited; each process counts for itself.
    """

    def __init__(self, lease: Lease, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._per_minute = per_minute
        self._clock = clock
        self._away_until = float("-inf")
        #: When the window of each bucket ends that was leased from memory.
        self._windows: dict[str, float] = {}

    async def lease(self, bucket: str, weight: int) -> AllowanceBlock:
        """Return a block of the allowance."""
        if self._clock() >= self._away_until:
            try:
                return await self._lease(bucket, weight)
            except zmart_errors.Transient:
                self._away_until = self._clock() + AWAY_SECONDS
        now = self._clock()
        ends_at = self._windows.get(bucket, now)
        if ends_at > now:
            # The whole allowance of this window was leased before.
            return AllowanceBlock(0, 0, ends_at - now)
        if len(self._windows) >= MOST_BUCKETS:
            self._windows.clear()
        self._windows[bucket] = now + WINDOW_SECONDS
        return AllowanceBlock(self._per_minute, 0, WINDOW_SECONDS)


class RateLimitMiddleware:
    """ASGI middleware inside the routing, so that it knows the handler and errors have the usual format."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._proxies = settings.api.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request; refuse it, or pass it on and add the remaining allowance to the response."""
        weight = weight_of_request(scope)
        if not weight:
            await self._app(scope, receive, send)
            return
        caller = await self._take_from_buckets(scope, weight)
        if caller is None:
            await self._app(scope, receive, send)
            return
        scope["state"][CALLER_STATE] = caller
        rate_headers = self._headers(caller)
        delay = caller.bucket.resets_in_seconds if not caller.bucket.allowed else self._seconds_to_wait(scope, caller)
        if delay:
            readable = {name.decode(): value.decode() for name, value in rate_headers}
            raise errors.TooManyRequests(delay, readable)

        async def send_with_rate_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *rate_headers]
            await send(message)

        await self._app(scope, receive, send_with_rate_headers)

    def _headers(self, caller: CallerState) -> tuple[tuple[bytes, bytes], ...]:
        return (
            (_LIMIT, b"%d" % tiers.per_minute(caller.tier, self._settings)),
            (_REMAINING, b"%d" % caller.bucket.remaining),
            (_RESET, b"%d" % math.ceil(caller.bucket.resets_in_seconds)),
            (_COST, b"%d" % caller.weight),
        )

    def _seconds_to_wait(self, scope: Scope, caller: CallerState) -> float:
        if caller.key is None:
            return 0.0
        seconds: SecondLimiter = scope["litestar_app"].state.second_limiter
        return seconds.take(caller.key.wallet, caller.weight, tiers.per_second(caller.tier, self._settings))

    async def _take_from_buckets(self, scope: Scope, weight: int) -> CallerState | None:
        """Return the tighter state of the address's and the wallet's buckets; None if nothing can be counted."""
        state = scope["litestar_app"].state
        address = f"ip {client_address.network(client_address.address(scope, self._proxies))}"
        tightest: BucketState | None = None
        try:
            wallet, key = await caller_of(scope, state.services.auth)
            tier = "basic" if key is None else tiers.tier_of(key.wallet, self._settings)
            limiter: RateLimiter = state.limiters[tier]
            if tier != "basic":
                return CallerState(wallet, key, tier, weight, await limiter.take(f"{tier} {wallet}", weight))
            buckets = [address] if wallet is None else [address, f"wallet {wallet}"]
            for bucket in buckets:
                bucket_state = await limiter.take(bucket, weight)
                if tightest is None or bucket_state.remaining < tightest.remaining or not bucket_state.allowed:
                    tightest = bucket_state
                if not bucket_state.allowed:
                    break
        except zmart_errors.Transient:
            return None
        assert tightest is not None
        return CallerState(wallet, key, "basic", weight, tightest)


def weight_of_request(scope: Scope) -> int:
    """Return the weight of a request; 0 if it is free."""
    return weight_of(scope["route_handler"], scope["method"], scope["path"]) if access_log.is_http(scope) else 0


def weight_of(handler: Any, method: str, path: str) -> int:
    """Return the weight of a handler's requests; 0 if they are free."""
    declared: int | None = handler.opt.get("weight")
    if declared is not None:
        return declared
    if not path.startswith(("/api/", *_LEGACY_PATHS)):
        return 0
    return _READ_WEIGHT if method in _READ_METHODS else _WRITE_WEIGHT


def _bearer(scope: Scope) -> str | None:
    """Return the bearer token or API key of a request."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else None
    return None


async def caller_of(scope: Scope, auth: Any) -> tuple[str | None, KeyClaims | None]:
    """Return the wallet and the API key of a request; raise Transient if the key cannot be looked up."""
    token = _bearer(scope)
    if token is None:
        return None, None
    try:
        if is_api_key(token):
            key: KeyClaims = await auth.api_keys.claims_of(token)
            return key.wallet, key
        return auth.wallet_of(token), None
    except zmart_errors.Transient:
        raise
    except zmart_errors.ZmartError:
        # The handler raises this error itself if it needs the wallet.
        return None, None
