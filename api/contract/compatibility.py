"""Finds the changes of an OpenAPI or an AsyncAPI document that break clients of an earlier one.

    git show HEAD~1:docs/openapi.json > /tmp/earlier.json
    python -m api.contract.compatibility /tmp/earlier.json docs/openapi.json

A client breaks when an operation, a parameter or a member of an answer is gone, when an answer has another type or a
member that may now be missing, when a request needs something that it did not need, and when a request accepts less.
A new operation, an optional parameter and a new member of an answer break no client. For the streams the same holds of
channels, topics and messages; a new type of message breaks no client, because clients skip types that they do not know.
The exit status is 1 if something breaks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

Document: TypeAlias = dict[str, Any]
#: Who sends a schema's values: the client, or the server.
Sender: TypeAlias = Literal["client", "server"]

#: References may be circular; no schema here is nested this deep otherwise.
_DEEPEST: Final = 12
_JSON: Final = "application/json"
_JSON_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def breaking_changes(earlier: Document, later: Document) -> list[str]:
    """Return a sentence for each change that breaks a client of the earlier document."""
    comparison = _StreamComparison if "asyncapi" in earlier else _CallComparison
    return sorted(set(comparison(earlier, later).changes()))


class _SchemaComparison:
    """Compares the schemas of two documents."""

    #: Whether a server may add alternatives to a union of objects.
    unions_may_grow = False

    def __init__(self, earlier: Document, later: Document) -> None:
        self._earlier = earlier
        self._later = later
        self._changed = _changed_schemas(earlier, later)

    def _schema(self, place: str, earlier: Document, later: Document, sender: Sender, depth: int = 0) -> Iterator[str]:
        earlier, later = _resolve(self._earlier, earlier), _resolve(self._later, later)
        if depth > _DEEPEST or (earlier == later and self._changed.isdisjoint(_referred(earlier))):
            return
        narrower, wider = (later, earlier) if sender == "server" else (earlier, later)
        # A server may answer less than before, and accept more.
        missing = _types(narrower) - _types(wider)
        if self.unions_may_grow and sender == "server" and "anyOf" in earlier:
            missing -= self._later["components"]["schemas"].keys()
        if missing:
            yield (
                f"{place} may now be {', '.join(sorted(missing))}."
                if sender == "server"
                else (f"{place} may no longer be {', '.join(sorted(missing))}.")
            )
        if (known := _values(wider)) is not None and (values := (_values(narrower) or {None}) - known):
            yield f"{place} has other values: {', '.join(map(str, sorted(values, key=str)))}."
        if "items" in earlier and "items" in later:
            yield from self._schema(f"{place}[]", earlier["items"], later["items"], sender, depth + 1)
        for name in sorted(self._changed & _types(earlier) & _types(later)):
            # An alternative that both unions have.
            reference = {"$ref": f"#/components/schemas/{name}"}
            yield from self._schema(place, reference, reference, sender, depth + 1)
        yield from self._members(place, earlier, later, sender, depth)

    def _members(self, place: str, earlier: Document, later: Document, sender: Sender, depth: int) -> Iterator[str]:
        known, members = earlier.get("properties", {}), later.get("properties", {})
        required, now_required = set(earlier.get("required", ())), set(later.get("required", ()))
        for member, schema in known.items():
            if member not in members:
                yield f"{place} has no member {member}."
                continue
            if sender == "server" and member in required - now_required:
                yield f"{place} may lack the member {member}."
            yield from self._schema(f"{place}.{member}", schema, members[member], sender, depth + 1)
        if sender == "client":
            for member in sorted(now_required - required):
                yield f"{place} requires the member {member}."


class _CallComparison(_SchemaComparison):
    """Compares two OpenAPI documents."""

    def changes(self) -> Iterator[str]:
        """Yield a sentence for each change that breaks a client; some more than once."""
        for path, methods in self._earlier["paths"].items():
            for method, operation in methods.items():
                name = f"{method.upper()} {path}"
                found = self._later["paths"].get(path, {}).get(method)
                if found is None:
                    yield f"{name} is gone."
                else:
                    yield from self._operation(name, operation, found)

    def _operation(self, name: str, earlier: Document, later: Document) -> Iterator[str]:
        parameters = {(one["in"], one["name"]): one for one in later.get("parameters", [])}
        known = {(one["in"], one["name"]): one for one in earlier.get("parameters", [])}
        for key, parameter in known.items():
            if key not in parameters:
                yield f"{name} no longer takes the parameter {key[1]}."
            else:
                yield from self._schema(
                    f"{name}, parameter {key[1]}", parameter["schema"], parameters[key]["schema"], "client"
                )
        for key, parameter in parameters.items():
            if parameter.get("required") and not known.get(key, {}).get("required"):
                yield f"{name} requires the parameter {key[1]}."
        if (body := _body(earlier)) is not None:
            found = _body(later)
            if found is None:
                yield f"{name} no longer takes a body."
            else:
                yield from self._schema(f"{name}, body", body, found, "client")
        elif _body(later) is not None:
            yield f"{name} requires a body."
        yield from self._answers(name, earlier["responses"], later["responses"])

    def _answers(self, name: str, earlier: Document, later: Document) -> Iterator[str]:
        for status, response in earlier.items():
            if not status.startswith("2"):
                continue
            if status not in later:
                yield f"{name} no longer answers {status}."
                continue
            for media_type, content in response.get("content", {}).items():
                found = later[status].get("content", {}).get(media_type)
                if found is None:
                    yield f"{name} no longer answers {status} as {media_type}."
                else:
                    yield from self._schema(f"{name}, answer {status}", content["schema"], found["schema"], "server")


class _StreamComparison(_SchemaComparison):
    """Compares two AsyncAPI documents."""

    unions_may_grow = True

    def changes(self) -> Iterator[str]:
        """Yield a sentence for each change that breaks a client; some more than once."""
        for name, channel in self._earlier["channels"].items():
            found = self._later["channels"].get(name)
            if found is None or found["address"] != channel["address"]:
                yield f"The channel {channel['address']} is gone."
                continue
            for topic in channel.get("x-topics", {}):
                if topic not in found.get("x-topics", {}):
                    yield f"The topic {topic} is gone."
            for parameter in _query_of(self._earlier, name):
                if parameter not in _query_of(self._later, name):
                    yield f"{channel['address']} no longer takes the parameter {parameter}."
        for name, operation in self._earlier["operations"].items():
            if name in self._later["operations"]:
                yield from self._messages(operation, self._later["operations"][name])
            else:
                yield f"The operation {name} is gone."
        # The messages inside frames are in no operation.
        for name, message in self._earlier["components"]["messages"].items():
            if name not in self._later["components"]["messages"]:
                yield f"The message {name} is gone."
            elif name not in self._of_clients():
                yield from self._payload(name, message, self._later["components"]["messages"][name], "server")

    def _of_clients(self) -> set[str]:
        return {
            _last_part(message)
            for operation in self._earlier["operations"].values()
            if operation["action"] == "receive"
            for message in operation["messages"]
        }

    def _messages(self, earlier: Document, later: Document) -> Iterator[str]:
        """Compare the messages of an operation; `send` and `receive` are the server's."""
        sender: Sender = "server" if earlier["action"] == "send" else "client"
        names = {_last_part(message) for message in later["messages"]}
        for message in earlier["messages"]:
            name = _last_part(message)
            if name not in names:
                yield f"The message {name} is no longer {'sent' if sender == 'server' else 'accepted'}."
            elif name in self._later["components"]["messages"]:
                known = self._earlier["components"]["messages"][name]
                yield from self._payload(name, known, self._later["components"]["messages"][name], sender)

    def _payload(self, name: str, earlier: Document, later: Document, sender: Sender) -> Iterator[str]:
        yield from self._schema(name, earlier["payload"], later["payload"], sender)


def _query_of(document: Document, name: str) -> list[str]:
    """Return the parameters in the query of a channel's address: of the channel itself, and of its operations."""
    operations = document["operations"].values()
    places = [document["channels"][name], *(one for one in operations if _last_part(one["channel"]) == name)]
    bindings = [binding for place in places for binding in place.get("bindings", {}).values()]
    return [parameter for binding in bindings for parameter in binding.get("query", {}).get("properties", {})]


def _last_part(reference: Document) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _body(operation: Document) -> Document | None:
    schema: Document | None = operation.get("requestBody", {}).get("content", {}).get(_JSON, {}).get("schema")
    return schema


def _changed_schemas(earlier: Document, later: Document) -> frozenset[str]:
    """Return the names of the schemas that changed, by themselves or in something that they refer to."""
    known, found = (document["components"]["schemas"] for document in (earlier, later))
    changed = {name for name, schema in known.items() if schema != found.get(name)}
    referred = {name: _referred(schema) for name, schema in known.items()}
    while more := {name for name, names in referred.items() if name not in changed and names & changed}:
        changed |= more
    return frozenset(changed)


def _referred(schema: object) -> set[str]:
    """Return the names of the schemas that a schema refers to."""
    if isinstance(schema, list):
        return {name for one in schema for name in _referred(one)}
    if not isinstance(schema, dict):
        return set()
    if isinstance(schema.get("$ref"), str):
        return {_last_part(schema)}
    return {name for one in schema.values() for name in _referred(one)}


def _resolve(document: Document, schema: Document) -> Document:
    while "$ref" in schema:
        schema = document["components"]["schemas"][_last_part(schema)]
    return schema


def _types(schema: Document) -> set[str]:
    """Return the types of a schema, and the names of the schemas of a union."""
    if "anyOf" in schema:
        return {name for one in schema["anyOf"] for name in _types(one)}
    if "$ref" in schema:
        return {_last_part(schema)}
    if (values := _values(schema)) is not None:
        return {_JSON_TYPES[type(value)] for value in values}
    kinds = schema.get("type", [])
    return set(kinds) if isinstance(kinds, list) else {kinds}


def _values(schema: Document) -> set[Any] | None:
    """Return the only values that a schema allows; None if it does not list them."""
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def main(arguments: Sequence[str]) -> int:
    """Print each breaking change between two files; return 1 if there is one, 2 without two files."""
    if len(arguments) != 2:
        print("Usage: python -m api.contract.compatibility EARLIER LATER", file=sys.stderr)
        return 2
    earlier, later = (json.loads(Path(name).read_text()) for name in arguments)
    found = breaking_changes(earlier, later)
    print("\n".join(found) or "Nothing breaks.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
