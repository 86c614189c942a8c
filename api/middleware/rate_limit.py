"""How much one caller may ask, over all processes together.

Every address and every signed-in wallet has an allowance a minute, and each request takes its weight
from both: a read 1, a write 5, unless the handler says otherwise (`opt={"weight": 10}`). A window begins
with the first request, so no moment of the clock is everybody's.

Asking Postgres for every request would cost as much as most answers. So a process takes a block of the
allowance at a time, a quarter of what is left, and counts in memory: few questions at first, and little
left over in any one process near the end. Whoever has nothing left is refused from memory until the
window ends. When Postgres is away nobody is counted; the answer will be 503 anyway.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from zmart import errors as zmart_errors
from zmart.settings import Settings

from .. import errors
from ..reads import statements
from ..reads.batching import Gatherer
from . import access_log, client_address

WINDOW_SECONDS: Final = 60
#: What answers say about the caller's allowance.
HEADERS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_LIMIT, _REMAINING, _RESET = (name.lower().encode() for name in HEADERS)
#: What older clients may call without /api; everything else outside it is free: health, console, documents.
_OLDER_PATHS: Final = ("/markets", "/positions", "/trades")
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_WEIGHT: Final = 1
_WRITE_WEIGHT: Final = 5
#: Buckets remembered at once; beyond, those whose window is over are forgotten, or else all.
_MOST_BUCKETS: Final = 20_000
#: An IPv6 customer is given at least this much, so it counts as one.
_IPV6_PREFIX: Final = 64


class Leased(NamedTuple):
    """A block of a bucket's allowance."""

    granted: int
    #: What is left in the database afterwards.
    remaining: int
    resets_in_seconds: float


#: Take at least so much of a bucket, or nothing; Transient when that cannot be asked.
Lease: TypeAlias = Callable[[str, int], Awaitable[Leased]]


class Standing(NamedTuple):
    """A caller's bucket after a request."""

    allowed: bool
    remaining: int
    resets_in_seconds: float


class _Held:
    """What this process holds of one bucket."""

    __slots__ = ("asking", "dry_for", "remaining", "resets_at", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.remaining = 0
        self.resets_at = 0.0
        #: The least weight that was refused in this window.
        self.dry_for = math.inf
        self.asking = asyncio.Lock()


class Limiter:
    """Counts; one for each process."""

    def __init__(self, lease: Lease, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._clock = clock
        self._buckets: dict[str, _Held] = {}

    async def take(self, bucket: str, weight: int) -> Standing:
        """Take `weight` of a bucket, if it has that much."""
        held = self._buckets.get(bucket)
        if held is None:
            held = self._remember(bucket)
        if not self._can_tell(held, weight, self._clock()):
            # One question at a time for a bucket; whoever waited may find enough.
            async with held.asking:
                if not self._can_tell(held, weight, self._clock()):
                    await self._ask(bucket, held, weight)
        return _taken(held, weight, self._clock())

    def _can_tell(self, held: _Held, weight: int, now: float) -> bool:
        return now < held.resets_at and (held.tokens >= weight or weight >= held.dry_for)

    async def _ask(self, bucket: str, held: _Held, weight: int) -> None:
        leased = await self._lease(bucket, weight)
        now = self._clock()
        if now >= held.resets_at:
            held.tokens, held.dry_for = 0, math.inf
        held.tokens += leased.granted
        held.remaining = leased.remaining
        held.resets_at = now + leased.resets_in_seconds
        if leased.granted == 0:
            held.dry_for = min(held.dry_for, weight)

    def _remember(self, bucket: str) -> _Held:
        if len(self._buckets) >= _MOST_BUCKETS:
            now = self._clock()
            self._buckets = {name: held for name, held in self._buckets.items() if held.resets_at > now}
            if len(self._buckets) >= _MOST_BUCKETS:
                self._buckets.clear()
        held = self._buckets[bucket] = _Held()
        return held


def _taken(held: _Held, weight: int, now: float) -> Standing:
    allowed = held.tokens >= weight
    if allowed:
        held.tokens -= weight
    return Standing(allowed, held.tokens + held.remaining, max(0.0, held.resets_at - now))


class Asked(Protocol):
    """Where a lease is taken: the process's database."""

    async def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement."""
        ...


def leasing(database: Asked, per_minute: int) -> Lease:
    """Leases from Postgres, where all processes take from the same allowance, for all who ask at once together."""
    gatherer = Gatherer(database.rows)

    async def lease(bucket: str, weight: int) -> Leased:
        asked = {"bucket": bucket, "limit": per_minute, "wanted": weight, "window": WINDOW_SECONDS}
        return Leased(*await gatherer.row(statements.composed("lease_allowance"), asked, varying="bucket"))

    return lease


class Limits:
    """ASGI middleware inside the routes, so that it knows the handler, and its refusals are answered like others."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limit = b"%d" % settings.api.rate_limit_per_minute
        self._proxies = settings.api.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request, refuse it, or answer it and say what is left."""
        weight = _weight(scope)
        if not weight:
            await self._app(scope, receive, send)
            return
        standing = await self._standing(scope, weight)
        if standing is None:
            await self._app(scope, receive, send)
            return
        said = self._headers(standing)
        if not standing.allowed:
            readable = {name.decode(): value.decode() for name, value in said}
            raise errors.TooManyRequests(standing.resets_in_seconds, readable)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *said]
            await send(message)

        await self._app(scope, receive, tell)

    def _headers(self, standing: Standing) -> tuple[tuple[bytes, bytes], ...]:
        return (
            (_LIMIT, self._limit),
            (_REMAINING, b"%d" % standing.remaining),
            (_RESET, b"%d" % math.ceil(standing.resets_in_seconds)),
        )

    async def _standing(self, scope: Scope, weight: int) -> Standing | None:
        """The tighter of the address's and the wallet's standing; None where nobody can be counted."""
        state = scope["litestar_app"].state
        limiter: Limiter = state.limiter
        buckets = [f"ip {network(client_address.address(scope, self._proxies))}"]
        wallet = _wallet(scope, state.services.gate)
        if wallet is not None:
            buckets.append(f"wallet {wallet}")
        tightest: Standing | None = None
        try:
            for bucket in buckets:
                standing = await limiter.take(bucket, weight)
                if tightest is None or standing.remaining < tightest.remaining or not standing.allowed:
                    tightest = standing
                if not standing.allowed:
                    break
        except zmart_errors.Transient:
            return None
        return tightest


@functools.lru_cache(maxsize=_MOST_BUCKETS)
def network(address: str) -> str:
    """Whom an address counts as: itself, or in IPv6 the /64 that one customer has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:_IPV6_PREFIX]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> _IPV6_PREFIX << _IPV6_PREFIX, _IPV6_PREFIX)))


def _weight(scope: Scope) -> int:
    """What a request costs; 0 for what is free."""
    if not access_log.is_http(scope):
        return 0
    said: int | None = scope["route_handler"].opt.get("weight")
    if said is not None:
        return said
    if not scope["path"].startswith(("/api/", *_OLDER_PATHS)):
        return 0
    return _READ_WEIGHT if scope["method"] in _READING else _WRITE_WEIGHT


def _wallet(scope: Scope, gate: Any) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                return None
            try:
                found: str = gate.wallet_of(token.strip())
            except zmart_errors.ZmartError:
                # The handler will say so, if it asks who this is.
                return None
            return found
    return None
