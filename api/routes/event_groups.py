"""Serves event groups: several markets under one title, made by the creator of the markets or by a moderator."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response, delete, get, post, put
from litestar.params import PathParameter, QueryParameter

from .. import errors, parameters, response_docs, schemas
from ..auth.signed_in import SECURITY, FromSignedIn, SignedInWallet
from ..dependencies import FromDatabase
from ..reads import statements

_WEIGHT: Final = {"weight": 10}
#: Above the number of every event.
_END: Final = (1 << 31) - 1

Slug = Annotated[str, PathParameter(description="The slug of an event, or one that it had before.")]
Before = Annotated[int, QueryParameter(ge=1, le=_END, description="Events before this one: `next_before` of a page.")]


@get(
    "/api/events",
    tags=["markets"],
    summary="List events",
    responses=response_docs.read_responses(),
)
async def list_events(
    database: FromDatabase, before: Before = _END, limit: parameters.PageLimit = 50
) -> Response[schemas.EventGroupPage]:
    """List events, the newest first. An event is a title with markets that belong together."""
    return await database.answer(statements.compose("event_groups"), {"before": before, "limit": limit})


@post(
    "/api/events",
    tags=["markets"],
    summary="Make an event",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409, 413),
    opt={**_WEIGHT, "idempotent": True},
)
async def create_event(signed_in: FromSignedIn, data: schemas.NewEventGroup) -> schemas.EventGroupResult:
    """Put markets under one title: your own ones, or any as a moderator."""
    return await _save(signed_in, None, data, "Event made")


@get(
    "/api/events/{slug:str}",
    tags=["markets"],
    summary="Get an event with its markets",
    responses=response_docs.read_responses(404),
    opt={"weight": 5},
)
async def show_event(database: FromDatabase, slug: Slug) -> Response[schemas.EventGroupWithMarkets]:
    """Return an event and the rows of its markets in their order, all from one snapshot."""
    return await database.answer(
        statements.compose("event_group"), {"slug": slug}, varying="slug", missing=f"Event not found: {slug[:100]}"
    )


@put(
    "/api/events/{slug:str}",
    tags=["markets"],
    summary="Replace an event",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404, 409, 413),
    opt=_WEIGHT,
)
async def replace_event(signed_in: FromSignedIn, slug: Slug, data: schemas.NewEventGroup) -> schemas.EventGroupResult:
    """Replace title, text and markets of an event; for the wallet that made it and moderators.

    A new title gives a new slug, and the earlier one keeps leading to the event.
    """
    return await _save(signed_in, slug, data, "Event replaced")


@delete(
    "/api/events/{slug:str}",
    tags=["markets"],
    summary="Delete an event",
    status_code=200,
    security=SECURITY,
    responses=response_docs.problems(401, 403, 404),
    opt=_WEIGHT,
)
async def delete_event(signed_in: FromSignedIn, slug: Slug) -> schemas.EventGroupResult:
    """Delete an event, not its markets; for the wallet that made it and moderators."""
    row = await signed_in.run(statements.compose("delete_event_group"), {"slug": slug})
    assert row is not None
    return schemas.EventGroupResult(message="Event deleted", slug=row[0], seq=row[1])


async def _save(
    signed_in: SignedInWallet, slug: str | None, data: schemas.NewEventGroup, message: str
) -> schemas.EventGroupResult:
    title = parameters.visible_text("title", data.title)
    if title is None or len(title) < 3:
        raise errors.InvalidParameter("title", "expected at least 3 visible characters")
    row = await signed_in.run(
        statements.compose("save_event_group"),
        {
            "slug": slug,
            "title": title,
            "description": parameters.visible_text("description", data.description, other_allowed="\n"),
            "markets": [parameters.market(name) for name in data.markets],
        },
    )
    assert row is not None
    return schemas.EventGroupResult(message=message, slug=row[0], seq=row[1])


HANDLERS = [list_events, create_event, show_event, replace_event, delete_event]
