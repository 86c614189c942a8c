"""Finds the changes of an OpenAPI document that break clients of an earlier one.

    git show HEAD~1:docs/openapi.json > /tmp/earlier.json
    python -m api.contract.compatibility /tmp/earlier.json docs/openapi.json

A client breaks when an operation, a parameter or a member of an answer is gone, when an answer has another type or a
member that may now be missing, when a request needs something that it did not need, and when a request accepts less.
A new operation, an optional parameter and a new member of an answer break no client. The exit status is 1 if something
breaks.
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


def breaking_changes(earlier: Document, later: Document) -> list[str]:
    """Return a sentence for each change that breaks a client of the earlier document."""
    return sorted(set(_Comparison(earlier, later).changes()))


class _Comparison:
    def __init__(self, earlier: Document, later: Document) -> None:
        self._earlier = earlier
        self._later = later

    def changes(self) -> Iterator[str]:
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

    def _schema(self, place: str, earlier: Document, later: Document, sender: Sender, depth: int = 0) -> Iterator[str]:
        earlier, later = _resolve(self._earlier, earlier), _resolve(self._later, later)
        if depth > _DEEPEST or earlier == later:
            return
        narrower, wider = (later, earlier) if sender == "server" else (earlier, later)
        # A server may answer less than before, and accept more.
        if missing := _types(narrower) - _types(wider):
            yield (
                f"{place} may now be {', '.join(sorted(missing))}."
                if sender == "server"
                else (f"{place} may no longer be {', '.join(sorted(missing))}.")
            )
        if "enum" in wider and (values := set(narrower.get("enum", [None])) - set(wider["enum"])):
            yield f"{place} has other values: {', '.join(map(str, sorted(values, key=str)))}."
        if "items" in earlier and "items" in later:
            yield from self._schema(f"{place}[]", earlier["items"], later["items"], sender, depth + 1)
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


def _body(operation: Document) -> Document | None:
    schema: Document | None = operation.get("requestBody", {}).get("content", {}).get(_JSON, {}).get("schema")
    return schema


def _resolve(document: Document, schema: Document) -> Document:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _types(schema: Document) -> set[str]:
    """Return the types of a schema, and the names of the schemas of a union."""
    if "anyOf" in schema:
        return {name for one in schema["anyOf"] for name in _types(one)}
    if "$ref" in schema:
        return {schema["$ref"].rpartition("/")[2]}
    kinds = schema.get("type", [])
    return set(kinds) if isinstance(kinds, list) else {kinds}


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
