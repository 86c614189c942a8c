"""Manages the API keys of a wallet, and shows the limits of the caller."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.params import PathParameter

from zmart import errors as zmart_errors

from .. import response_docs, writes
from ..auth import api_keys
from ..auth.signed_in import SECURITY, FromSignedIn
from ..dependencies import FromAuth, FromServices
from ..live import topics
from ..middleware import rate_limit, tiers
from ..middleware.rate_limit import CallerState
from ..schemas import account as shapes

#: The largest body of a request. None needs more; a signed transaction has 1,644 characters, an SQL statement a few
#: thousand.
MOST_BODY_BYTES: Final = 256 * 1024
#: A stolen key must not be able to create another, or to lock its owner out.
_NO_KEY: Final = {"scope": None}
KeyId = Annotated[str, PathParameter(description="The id of an API key, as GET /api/account/keys returns it.")]


@post(
    "/api/account/keys",
    tags=["account"],
    summary="Create an API key",
    security=SECURITY,
    opt=_NO_KEY,
    responses=response_docs.problems(401, 403, 409),
)
async def create_api_key(signed_in: FromSignedIn, data: shapes.NewApiKey) -> shapes.CreatedApiKey:
    """Create a key for a program: it is sent as `Authorization: Bearer`, like an access token, and needs no renewal.

    The key is in this response only. A key cannot manage keys or sessions, and cannot open tickets.
    """
    key = api_keys.new_key(signed_in.wallet)
    days = data.expires_in_days
    expires_at = (
        None
        if isinstance(days, msgspec.UnsetType)
        else datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    )
    scopes = sorted(set(data.scopes))
    row = await signed_in.run(
        writes.statement("create_api_key"),
        {
            "name": data.name,
            "secret_hash": bytes.fromhex(api_keys.hash_of(key)),
            "scopes": scopes,
            "expires_at": expires_at,
            "most": api_keys.MOST_PER_WALLET,
        },
    )
    assert row is not None
    key_id, created_at = row
    return shapes.CreatedApiKey(
        key=key,
        api_key=shapes.ApiKey(
            id=str(key_id),
            name=data.name,
            scopes=scopes,
            created_at=created_at,
            expires_at=expires_at,
            revoked_at=None,
        ),
    )


@get(
    "/api/account/keys",
    tags=["account"],
    summary="List the API keys of the wallet",
    security=SECURITY,
    opt=_NO_KEY,
    responses=response_docs.problems(401, 403),
)
async def list_api_keys(signed_in: FromSignedIn) -> shapes.ApiKeys:
    """Return the newest 100 keys, also those that were revoked, without the keys themselves."""
    row = await signed_in.run(writes.statement("list_api_keys"))
    assert row is not None
    return msgspec.convert({"keys": row[0]}, shapes.ApiKeys)


@delete(
    "/api/account/keys/{key_id:str}",
    tags=["account"],
    summary="Revoke an API key",
    security=SECURITY,
    opt=_NO_KEY,
    status_code=200,
    responses=response_docs.problems(401, 403, 404),
)
async def revoke_api_key(auth: FromAuth, signed_in: FromSignedIn, key_id: KeyId) -> shapes.RevokedApiKey:
    """Revoke a key. Its streams end, and every process refuses it, within seconds. A second call changes nothing."""
    try:
        named = str(msgspec.convert(key_id, uuid.UUID))
    except msgspec.ValidationError:
        raise zmart_errors.NotFound("This wallet has no such API key.") from None
    row = await signed_in.run(writes.statement("revoke_api_key"), {"key_id": named})
    assert row is not None
    auth.api_keys.forget()
    await auth.api_keys.close_ended()
    return shapes.RevokedApiKey(id=named, revoked_at=row[0])


@get(
    "/api/account/limits",
    tags=["account"],
    summary="Get the limits of the caller",
    responses=response_docs.problems(),
)
async def show_limits(request: Request[Any, Any, State], services: FromServices) -> shapes.AccountLimits:
    """Return what the caller may ask, after this request. `x-cost` of each operation is what a call takes of it.

    Send an access token or an API key to see the limits of its wallet. Each response names its own cost in
    `RateLimit-Cost`.
    """
    settings = services.settings
    found: CallerState | None = request.scope["state"].get(rate_limit.CALLER_STATE)
    tier: tiers.Tier = "basic" if found is None else found.tier
    key = None if found is None else found.key
    return shapes.AccountLimits(
        wallet=None if found is None else found.wallet,
        tier=tier,
        scopes=None if key is None else sorted(key.scopes),
        per_minute=tiers.per_minute(tier, settings) or None,
        remaining=None if found is None else found.bucket.remaining,
        resets_in_seconds=None if found is None else round(found.bucket.resets_in_seconds, 3),
        per_second=None if key is None else tiers.per_second(tier, settings) or None,
        streams_per_address=settings.api.streams_per_address,
        topics_per_stream=topics.MAX_TOPICS,
        body_bytes=MOST_BODY_BYTES,
        api_keys=api_keys.MOST_PER_WALLET,
    )


HANDLERS = [create_api_key, list_api_keys, revoke_api_key, show_limits]
