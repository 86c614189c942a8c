"""Serves the stream of server-sent events."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.datastructures import State
from litestar.params import HeaderParameter, QueryParameter
from sse_starlette import EventSourceResponse

from zmart import errors as zmart_errors
from zmart.db import feed
from zmart.http import client_address

from .. import errors, response_docs
from ..dependencies import FromServices
from ..live import budgets, sse, topics
from ..live.authentication import StreamAuthenticator

Since = Annotated[
    str | None,
    QueryParameter(description="A `position` as it was received; the frames after it are sent first, without gaps."),
]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]
Token = Annotated[str | None, QueryParameter(description="An access token; a header or a ticket is safer.")]
Ticket = Annotated[str | None, QueryParameter(description="A ticket; it is valid for one stream.")]
Authorization = Annotated[str | None, HeaderParameter(name="Authorization", description="Bearer and an access token.")]


# The annotation must be exactly this class: with another one, Litestar would serialise the response.
@get(
    "/api/stream",
    tags=["push"],
    summary="Open a stream of server-sent events",
    media_type="text/event-stream",
    responses=response_docs.problems(401),
)
async def stream(
    request: Request[Any, Any, State],
    services: FromServices,
    names: Annotated[
        str, QueryParameter(name="topics", description=f"Comma-separated list of {topics.KNOWN_TOPICS}.")
    ] = "",
    since: Since = None,
    last_event_id: LastEventId = None,
    token: Token = None,
    ticket: Ticket = None,
    authorization: Authorization = None,
) -> EventSourceResponse:
    """Stream the topics as frames `{epoch, seq, position, messages}`, one per entry of the log, in its order.

    `Last-Event-ID`, which browsers send when they reconnect, takes precedence over `since`. The topic `me` needs an
    access token in the header, or, from a browser's EventSource, a ticket of POST /api/auth/ticket.
    """
    requested = topics.parse(names)
    position = _parse_position(last_event_id or since)
    address = client_address.network(client_address.address(request.scope, services.settings.api.trusted_proxies))
    if delay := services.hub.budgets.take(address, budgets.HANDSHAKE + budgets.SUBSCRIPTION):
        raise errors.TooManyRequests(delay, {})
    identity = None
    if topics.ME in requested:
        authenticator = StreamAuthenticator(services.auth.tokens, services.auth.tickets)
        identity = await authenticator.authenticate(token=_bearer(authorization) or token, ticket=ticket)
        requested = topics.resolve_me(requested, identity.wallet if identity else None)
    services.hub.admit(address)
    return sse.SseResponse(sse.events(services.hub, requested, address, position, identity))


def _parse_position(text: str | None) -> feed.FeedPosition | None:
    if not text:
        return None
    try:
        return feed.FeedPosition.parse(text)
    except zmart_errors.InvalidInput as error:
        raise errors.InvalidParameter("since", str(error).rstrip(".")) from None


def _bearer(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


HANDLERS = [stream]
