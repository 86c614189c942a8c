"""Builds the AsyncAPI 3 document of the streams, which send the same frames over WebSocket and server-sent events.

The topics come from `live.topics`, the messages from `live.messages`, the clients' messages and error codes from
`live.client_messages`, and the close codes from `live.websocket_session`.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..live import client_messages, hub, messages, topics, websocket_session, wire

Document = dict[str, Any]

_SCHEMA: Final = "#/components/schemas/{name}"
_INSTANT: Final = {"type": "string", "format": "date-time"}
_POSITION_FIELDS: Final = {
    "epoch": {
        "type": "string",
        "format": "uuid",
        "description": "Id of this history of the log; a restore starts a new one.",
    },
    "seq": {"type": "integer", "minimum": 0, "description": "Seq of the log entry."},
    "position": {
        "type": "string",
        "description": "Opaque; send it unchanged as `since`. Compare order by epoch and seq.",
    },
}
#: Each topic by its first word.
TOPICS: Final[Mapping[str, str]] = {
    "markets": "The state of every market, and its events except votes.",
    "market": "`market:<id>`: everything about one market; the id has 64 hexadecimal digits.",
    "trades": "Every trade.",
    "wallet": "`wallet:<address>`: events and ballots of a wallet, and its user positions.",
    "me": "The same for the signed-in wallet, and its posts, the replies to them and their ratings.",
    "votes": "`votes:<id>`: ballots of one market and their tally.",
    "discussions": "`discussions:<id>`: posts under one market.",
    "status": "Finality, stale marts, events of the whole protocol.",
}
_PARTS: Final = "A topic, a dot and a type of message, such as `markets.market_update`, is the part with this type."
#: RFC 6455 section 7.4, and this project's own from 4000; never 1000, because older clients do not reconnect after it.
_CLOSES: Final[Mapping[int, str]] = {
    websocket_session.CLOSE_RESTART: "The process shuts down; reconnect with your position, to any process.",
    websocket_session.CLOSE_FULL: "The process has no free connection; reconnect later.",
    websocket_session.CLOSE_POLICY: "Too many messages.",
    websocket_session.CLOSE_INTERNAL_ERROR: "The client answered no ping, or the server failed.",
    websocket_session.CLOSE_SLOW: "The client read too slowly; reconnect with your position.",
    websocket_session.CLOSE_KEY_REVOKED: "The API key of the connection was revoked or has expired.",
    1009: f"A message had more than {wire.MOST_BYTES} bytes.",
    1007: "A message was not UTF-8.",
}


def document(api: str = "127.0.0.1:4000", ws: str = "127.0.0.1:4001") -> Document:
    """Return the whole document; `api` and `ws` are the servers as `host:port`."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ZMART streams",
            "version": "0.1.0",
            "description": (
                "Events as they happen: one frame per entry of the log, in its order, over WebSocket or "
                "server-sent events. Each frame carries an opaque `position`; a client that sends one back as "
                "`since` first receives the frames that it missed, without gaps or duplicates. The server sends a "
                f"ping every {hub.PING_SECONDS:.0f} seconds."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {
            "api": {
                "host": "{host}",
                "protocol": "ws",
                "description": "REST, server-sent events and WebSocket.",
                "variables": {"host": {"default": api}},
            },
            "ws": {
                "host": "{host}",
                "protocol": "ws",
                "description": "The same streams in a separate process, for clients that use WS_PORT.",
                "variables": {"host": {"default": ws}},
            },
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channels() -> Document:
    server_messages, client_messages = [*_FRAMES, *_ANSWERS], [*_ACTIONS]
    return {
        "websocket": {
            "address": "/ws",
            "title": "WebSocket",
            "description": "Also at `/` on WS_PORT. Close codes: " + " ".join(f"{c}: {t}" for c, t in _CLOSES.items()),
            "messages": {
                name: {"$ref": f"#/components/messages/{name}"} for name in [*server_messages, *client_messages]
            },
            "x-topics": dict(TOPICS),
            "x-topic-parts": _PARTS,
            "bindings": {"ws": {"query": {"type": "object", "properties": _query()}}},
        },
        "stream": {
            "address": "/api/stream",
            "title": "Server-sent events",
            "description": (
                "The id of an event is its `position`; `Last-Event-ID` or `since` resumes. Frames have no event "
                "name; `welcome` is a frame without messages. While no frame is due, the server sends comments "
                "with the current id. Several lists of topics, each with its own `since`, are sent by repeating both "
                "parameters; after the missed frames an id without data is the position of all topics."
            ),
            "servers": [{"$ref": "#/servers/api"}, {"$ref": "#/servers/ws"}],
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in [*_FRAMES, *_EVENTS]},
        },
    }


def _operations() -> Document:
    def of(channel: str, names: typing.Iterable[str]) -> list[Document]:
        return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names]

    return {
        "sendToWebSocket": {
            "action": "send",
            "channel": {"$ref": "#/channels/websocket"},
            "summary": "Messages of the server.",
            "messages": of("websocket", [*_FRAMES, *_ANSWERS]),
        },
        "receiveFromWebSocket": {
            "action": "receive",
            "channel": {"$ref": "#/channels/websocket"},
            "summary": "Messages of the client.",
            "messages": of("websocket", _ACTIONS),
        },
        "sendServerSentEvents": {
            "action": "send",
            "channel": {"$ref": "#/channels/stream"},
            "summary": "Messages of the server over server-sent events.",
            "messages": of("stream", [*_FRAMES, *_EVENTS]),
            "bindings": {"http": {"method": "GET", "query": {"type": "object", "properties": _query()}}},
        },
    }


def _query() -> Document:
    shown = {
        "topics": f"Comma-separated list of {topics.KNOWN_TOPICS}; at most {topics.MAX_TOPICS}. {_PARTS}",
        "since": "A `position` to resume from.",
    }
    shown |= {"token": "An access token or an API key.", "ticket": "A ticket of POST /api/auth/ticket."}
    return {name: {"type": "string", "description": text} for name, text in shown.items()}


# --- messages ---------------------------------------------------------------------------------

_FRAMES: Final = ("Frame",)
_ANSWERS: Final = ("Welcome", "Subscribed", "Unsubscribed", "Authenticated", "Pong", "Resync", "Error")
_EVENTS: Final = ("ResyncEvent", "CloseEvent")
_ACTIONS: Final = ("Subscribe", "Unsubscribe", "Authenticate", "Ping", "PongBack")


def _messages() -> Document:
    names = {**{name: name for name in (*_FRAMES, *_ANSWERS, *_EVENTS, *_ACTIONS)}, **_named_types()}
    found: Document = {}
    protocol_schemas = _protocol_schemas()
    for name, schema in names.items():
        body = protocol_schemas.get(schema, {})
        found[name] = {
            "name": name,
            "summary": body.get("description", "A message inside a frame."),
            "payload": {"$ref": _SCHEMA.format(name=schema)},
        }
    for event, name in (("resync", "ResyncEvent"), ("close", "CloseEvent")):
        found[name]["description"] = f"The data of an event named `{event}`."
    for message_type in messages.MESSAGES:
        kind = (
            "state; only the newest message of a subject matters" if message_type.is_state else "event; never dropped"
        )
        found[pascal(message_type.name)] |= {
            "title": message_type.name,
            "summary": (message_type.data.__doc__ or "").partition("\n")[0],
            "description": f"Of the topics {', '.join(message_type.topics)}: {kind}.",
        }
    return dict(sorted(found.items()))


def _named_types() -> dict[str, str]:
    return {pascal(message_type.name): pascal(message_type.name) for message_type in messages.MESSAGES}


def pascal(kind: str) -> str:
    """Return the schema name of a message type."""
    return "".join(part.capitalize() for part in kind.split("_")) + "Message"


# --- schemas ----------------------------------------------------------------------------------


def _schemas() -> Document:
    _, shapes = msgspec.json.schema_components(
        [message_type.data for message_type in messages.MESSAGES], ref_template=_SCHEMA
    )
    return dict(sorted({**shapes, **_envelopes(), **_protocol_schemas()}.items()))


def _envelopes() -> Document:
    """Return each message type's schema with its envelope."""
    return {
        pascal(message_type.name): _object(
            (message_type.data.__doc__ or "").partition("\n")[0],
            {
                "type": {"const": message_type.name},
                "market_id": {"type": ["string", "null"]},
                "timestamp": _INSTANT,
                "data": {"$ref": _SCHEMA.format(name=message_type.data.__name__)},
            },
        )
        for message_type in messages.MESSAGES
    }


def _object(description: str, properties: Document, *, optional: Document | None = None) -> Document:
    return {
        "type": "object",
        "description": description,
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _server_message(kind: str, description: str, data: Document, *, has_position: bool = False) -> Document:
    """Return the schema of a server message that is not from the log."""
    return _object(
        description,
        {"type": {"const": kind}, "timestamp": _INSTANT, "data": data},
        optional={"market_id": {"type": "string"}} if not has_position else {},
    )


def _protocol_schemas() -> Document:
    """Return the schemas that are not from the log: frames, answers, close events, and clients' messages."""
    names = {"type": "array", "items": {"type": "string"}}
    text = {"type": "string"}
    inside = {"anyOf": [{"$ref": _SCHEMA.format(name=pascal(message_type.name))} for message_type in messages.MESSAGES]}
    frame = {**_POSITION_FIELDS, "messages": {"type": "array", "items": inside}}
    reason = {"enum": ["foreign_epoch", "future_position", "mark_mismatch"]}
    proof = {"token": text, "ticket": text}
    code = {"enum": list(typing.get_args(client_messages.Code))}
    return {
        "Frame": _object(
            "The messages of one log entry for your topics; a frame without messages advances your position.", frame
        ),
        "Welcome": _server_message(
            "welcome",
            "The connection is open.",
            _object("", {"client_id": text, "message": text}, optional=dict(_POSITION_FIELDS)),
            has_position=True,
        ),
        "Subscribed": _object(
            "These topics are subscribed from `seq` on; messages with the current state follow.",
            {"type": {"const": "subscribed"}, "timestamp": _INSTANT, "topics": names, **frame},
        ),
        "Unsubscribed": _server_message(
            "unsubscribed", "The topics that remain subscribed.", _object("", {"topics": names})
        ),
        "Authenticated": _server_message(
            "authenticated", "The wallet of the connection.", _object("", {"wallet": text})
        ),
        "Pong": _server_message(
            "pong", "The reply to a ping.", _object("", {}, optional=dict(_POSITION_FIELDS)), has_position=True
        ),
        "Resync": _server_message(
            "resync",
            "Your position is not in this log: read the state again, then continue from this position.",
            _object("", {"reason": reason, **_POSITION_FIELDS}),
            has_position=True,
        ),
        "Error": _server_message(
            "error",
            "The reason why your message was rejected; the connection stays open.",
            _object("", {"error": text, "code": code, "detail": text}),
        ),
        "ResyncEvent": _object("Your position is not in this log.", {"reason": reason, **_POSITION_FIELDS}),
        "CloseEvent": _object(
            "The stream ends; reconnect with your last id.",
            {"reason": {"enum": ["shutdown", "slow", "token_expired", "key_revoked"]}},
        ),
        "Subscribe": _object(
            "Subscribe to topics. `since` is a `position` from which these topics resume."
            " Each subscription has its own.",
            {"action": {"const": "subscribe"}},
            optional={"topics": names, "market_id": text, "since": text, **proof},
        ),
        "Unsubscribe": _object(
            "Unsubscribe from topics.",
            {"action": {"const": "unsubscribe"}},
            optional={"topics": names, "market_id": text},
        ),
        "Authenticate": _object(
            "Authenticate with a token or a ticket.",
            {"action": {"const": "auth"}},
            optional={**proof, "wallet": text},
        ),
        "Ping": _object("Request a pong.", {"action": {"const": "ping"}}),
        "PongBack": _object("The reply to a ping of the server.", {"action": {"const": "pong"}}),
    }
