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
from ..auth.api_keys import is_api_key
from ..dependencies import FromServices
from ..live import budgets, sse, topics
from ..live.authentication import StreamAuthenticator

#: The most lists of topics with positions of their own.
_MOST_LISTS = 20
Since = Annotated[
    str | None,
    QueryParameter(description="A `position` as it was received; the frames after it are sent first, without gaps."),
]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]
Token = Annotated[
    str | None, QueryParameter(description="An access token or an API key; a header or a ticket is safer.")
]
Ticket = Annotated[str | None, QueryParameter(description="A ticket; it is valid for one stream.")]
Authorization = Annotated[
    str | None, HeaderParameter(name="Authorization", description="Bearer and an access token or an API key.")
]


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
        str,
        QueryParameter(
            name="topics",
            description=f"Comma-separated list of {topics.KNOWN_TOPICS}. `markets.market_update` is the part of a "
            "topic with one type of message. Several lists, each with its own `since`, are sent by repeating both "
            "parameters.",
        ),
    ] = "",
    since: Since = None,
    last_event_id: LastEventId = None,
    token: Token = None,
    ticket: Ticket = None,
    authorization: Authorization = None,
) -> EventSourceResponse:
    """Stream the topics as frames `{epoch, seq, position, messages}`, one per entry of the log, in its order.

    `Last-Event-ID`, which browsers send when they reconnect, takes precedence over `since`. The topic `me` needs an
    access token or an API key in the header, or, from a browser's EventSource, a ticket of POST /api/auth/ticket. A
    stream that was opened with an API key ends when the key is revoked.
    """
    lists = _topic_lists(request, names, since)
    requested = topics.parse(",".join(text for text, _ in lists))
    last = _parse_position(last_event_id)
    address = client_address.network(client_address.address(request.scope, services.settings.api.trusted_proxies))
    if delay := services.hub.budgets.take(address, budgets.HANDSHAKE + budgets.SUBSCRIPTION):
        raise errors.TooManyRequests(delay, {})
    identity = None
    presented = _bearer(authorization) or token
    if any(topics.is_me(topic) for topic in requested) or is_api_key(presented or ""):
        authenticator = StreamAuthenticator(services.auth.tokens, services.auth.tickets, services.auth.api_keys)
        identity = await authenticator.authenticate(token=presented, ticket=ticket)
    resolved = [(topics.resolve_me(topics.parse(text), identity), position) for text, position in lists]
    starts = [(found, _later(position, last)) for found, position in resolved]
    requested = frozenset[str]().union(*(found for found, _ in resolved))
    services.hub.admit(address)
    return sse.SseResponse(
        sse.events(
            services.hub, requested, address, _start_positions(starts), identity, watch=services.auth.api_keys.watch
        )
    )


def _topic_lists(
    request: Request[Any, Any, State], names: str, since: str | None
) -> list[tuple[str, feed.FeedPosition | None]]:
    """Return each list of topics with its position; raise InvalidParameter if not each of several lists has one."""
    texts, positions = request.query_params.getall("topics", []), request.query_params.getall("since", [])
    if len(texts) <= 1:
        return [(names, _parse_position(since))]
    if len(texts) != len(positions) or not all(positions) or len(texts) > _MOST_LISTS:
        raise errors.InvalidParameter("since", f"expected one for each of at most {_MOST_LISTS} lists of topics")
    return [(text, _parse_position(position)) for text, position in zip(texts, positions, strict=True)]


def _later(position: feed.FeedPosition | None, last: feed.FeedPosition | None) -> feed.FeedPosition | None:
    """Return the later of a list's own position and that of the last event that its client received."""
    if position is None or last is None:
        return position or last
    return position if position.epoch == last.epoch and position.seq > last.seq else last


def _start_positions(
    starts: list[tuple[frozenset[str], feed.FeedPosition | None]],
) -> sse.StartPositions | None:
    found = [(names, position) for names, position in starts if position is not None]
    return sse.StartPositions(found) if found else None


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
