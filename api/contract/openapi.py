"""Builds the OpenAPI 3.1 document: Litestar's own, completed with information that only this project has.

Litestar provides paths, parameters and response types. Everything else has one source of its own: descriptions are the
handlers' docstrings, schemas are msgspec's (Litestar's lose patterns inside unions), errors come from the table in
`errors`, examples are recorded from a running API (`examples`). The document has the same bytes for any configuration,
so that it can be stored and compared.
"""

from __future__ import annotations

import functools
import http
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute
from litestar.serialization import encode_json

from zmart.http import statuses

from .. import errors, response_docs, schemas
from ..auth.signed_in import SECURITY, scope_of
from ..middleware import idempotency
from ..middleware.deprecation import canonical_path
from ..middleware.rate_limit import HEADERS as LIMITS
from ..middleware.rate_limit import weight_of
from . import examples

Document = dict[str, Any]

#: In the JSON text of the document, where a line end is written \n.
_CITATION: Final = re.compile(r"[,;]?(?: |\\n)\(?protocol\.md [0-9., and]*[0-9]\)?")
_SCHEMA: Final = "#/components/schemas/{name}"
_PROBLEM: Final = "application/problem+json"
_LEGACY_PATH_NOTE: Final = " Alias of {canonical}; new clients use that path."
_INSTANT: Final = "2026-01-31T12:00:00+00:00"
#: Aliases that the document omits: an address such as /api/discussions/ipfs/edits would match two paths.
_AMBIGUOUS_ALIASES: Final = frozenset({"/api/discussions/ipfs/{cid}"})
#: Parameters that have another name now, by operation.
_DEPRECATED_PARAMETERS: Final = frozenset({("listHolders", "side")})
#: Errors that only some operations can return, by operation or tag.
_CODE_OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "program_refused": ("acting",),
    "transaction_refused": ("relayTransaction",),
    "blockhash_unknown": ("relayTransaction",),
    "account_in_use": ("acting",),
    "chain_unavailable": ("acting",),
    "unfit_window": ("listCandles", "batchCandles"),
    "unfit_sql": ("runSql",),
    "unknown_topic": ("stream",),
    "too_many_streams": ("stream",),
    "sign_in_off": (
        "auth",
        "account",
        "acting",
        "discussions",
        "moderation",
        "push",
        "runSql",
        "showMe",
        "setProfile",
        "setMarketMetadata",
        "setMarketImage",
        "removeMarketImage",
        "createEvent",
        "replaceEvent",
        "deleteEvent",
    ),
    "idempotency_key_reused": ("postDiscussion", "postUnderMarket", "createMarket", "createEvent"),
    "unprocessable": (
        "discussions",
        "moderation",
        "acting",
        "setMarketMetadata",
        "setMarketImage",
        "createEvent",
        "replaceEvent",
    ),
    # Streams send these as events, because a browser's EventSource cannot read a status.
    "foreign_epoch": (),
    "future_position": (),
    "mark_mismatch": (),
}


class Render(JsonRenderPlugin):
    """Serves the completed document at /schema/openapi.json."""

    def render(self, request: Request[Any, Any, State], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document as JSON; it is completed once."""
        return _render_document(request.app)


@functools.lru_cache(maxsize=1)
def _render_document(app: Litestar) -> bytes:
    return encode_json(document(app))


def document(app: Litestar) -> Document:
    """Return the whole document of an application."""
    found = _complete(app)
    # Citations are only for readers of the code.
    stripped: Document = json.loads(_CITATION.sub("", json.dumps(found, ensure_ascii=False)))
    return stripped


def _complete(app: Litestar) -> Document:
    found: Document = json.loads(encode_json(app.openapi_schema.to_schema()))
    handlers = dict(_handlers(app))
    paths = found.pop("paths")
    components = found.pop("components")
    problems: Document = {}
    found["info"]["license"] = {"name": "MIT", "identifier": "MIT"}
    found["servers"] = [{"url": "/", "description": "This server."}]
    found["paths"] = {
        path: {
            method: _operation(path, method, operation, handlers[path, method], problems)
            for method, operation in sorted(operations.items())
        }
        for path, operations in sorted(paths.items())
        if path not in _AMBIGUOUS_ALIASES
    }
    found["components"] = {
        "schemas": dict(sorted(_schemas(components["schemas"]).items())),
        "responses": dict(sorted(problems.items())),
        "securitySchemes": _SECURITY,
        "headers": _HEADERS,
    }
    return found


def _handlers(app: Litestar) -> Iterator[tuple[tuple[str, str], HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in handler.http_methods:
                    # Litestar writes {name:str}, OpenAPI {name}.
                    path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path_format)
                    yield (path, method.lower()), handler


# --- operations -------------------------------------------------------------------------------


def _operation(path: str, method: str, source: Document, handler: HTTPRouteHandler, problems: Document) -> Document:
    canonical = canonical_path(handler)
    name = _camel(handler.fn.__name__)
    is_legacy = path != canonical
    text = inspect.cleandoc(handler.fn.__doc__ or "")
    operation: Document = {
        "tags": source["tags"],
        "summary": source["summary"],
        "description": text + (_LEGACY_PATH_NOTE.format(canonical=canonical) if is_legacy else ""),
        "operationId": name
        if not is_legacy
        else f"{name}At{_camel('_'.join(re.findall(r'[a-z]+', path)), first=True)}",
        "deprecated": is_legacy,
    }
    if is_legacy:
        operation["x-alias-of"] = name
    if parameters := [_parameter(one, name) for one in source.get("parameters", ())]:
        operation["parameters"] = parameters
    # A read that needs a body has the position of its rows in the same headers, and no 304.
    is_read = bool(handler.opt.get("is_read"))
    if handler.opt.get("idempotent"):
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
        operation["x-idempotent"] = True
    if "requestBody" in source:
        content = source["requestBody"]["content"]["application/json"]
        example = examples.request(name)
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(content["schema"]), "example": example}},
        }
    operation["responses"] = dict(sorted(_responses(name, source, problems, is_read=is_read).items()))
    # What a request takes of the caller's allowance (docs/api.md, Limits).
    operation["x-cost"] = weight_of(handler, method.upper(), path)
    if security := source.get("security"):
        operation["security"] = [*security, *_LEGACY]
        # The scope that an API key needs; null if it accepts none.
        operation["x-scope"] = scope_of(handler)
    elif name == "stream":
        operation["security"] = [{}, *SECURITY, {"stream_ticket": []}]
    else:
        operation["security"] = []
    return operation


def _parameter(source: Document, operation: str) -> Document:
    schema = _schema({key: value for key, value in source["schema"].items() if key != "description"}, nullable=False)
    parameter = {
        "name": source["name"],
        "in": source["in"],
        "required": source["required"],
        "description": source.get("description") or examples.PARAMETERS[source["name"]].description,
        "schema": schema,
    }
    if (operation, source["name"]) in _DEPRECATED_PARAMETERS:
        parameter["deprecated"] = True
    return parameter | {"example": examples.parameter(source["name"], operation, schema)}


def _responses(name: str, source: Document, problems: Document, *, is_read: bool) -> Document:
    documents: Document = {}
    for status, response in source["responses"].items():
        number = int(status)
        if number < 300:
            documents[status] = _success(name, number, response, is_read=is_read or "304" in source["responses"])
        elif number == 304:
            documents[status] = {"description": response["description"], "headers": _header_refs("Zmart-Seq", "ETag")}
        elif "application/json" in response.get("content", {}) and number != 400:
            documents[status] = _success(name, number, response, is_read=False)
    statuses = {int(s) for s in source["responses"] if int(s) >= 400 and s not in documents} | set(
        response_docs.COMMON_STATUSES
    )
    if "requestBody" in source:
        statuses.add(413)
    for number in statuses - {int(status) for status in documents}:
        codes = _codes(number, name, source["tags"][0])
        key = _camel("_".join(_title(number).split()), first=True) + _special_suffix(codes)
        problems.setdefault(key, _problem(number, codes))
        documents[str(number)] = {"$ref": f"#/components/responses/{key}"}
    return documents


def _success(name: str, status: int, response: Document, *, is_read: bool) -> Document:
    content = {}
    for kind, body in response["content"].items():
        content[kind] = {"schema": _schema(body["schema"]), "example": examples.response(name, kind)}
    for kind, schema in examples.OTHER_MEDIA_TYPES.get(name, {}).items():
        content[kind] = {"schema": schema, "example": examples.response(name, kind)}
    headers = ("Zmart-Seq", "Zmart-Slot", "Zmart-Commitment", "ETag") if is_read else ()
    description = response.get("description", "")
    if not description or description == _phrase_of_litestar(status):
        description = _title(status)
    return {"description": description, "headers": _header_refs(*headers, "X-Request-Id"), "content": content}


def _phrase_of_litestar(status: int) -> str:
    return http.HTTPStatus(status).description


def _codes(status: int, operation: str, tag: str) -> list[str]:
    return [code for code in errors.codes(status) if {operation, tag} & set(_CODE_OPERATIONS.get(code, (operation,)))]


def _special_suffix(codes: list[str]) -> str:
    """Return a name suffix for errors that only some operations return."""
    special = [_camel(code, first=True) for code in codes if code in _CODE_OPERATIONS]
    return f"Or{'Or'.join(special)}" if special else ""


def _title(status: int) -> str:
    return statuses.phrase(status)


def _problem(status: int, codes: list[str]) -> Document:
    """Return one problem response, with an example for each stable code it can have."""
    headers = (
        _header_refs("Retry-After", *LIMITS) if status == 429 else _header_refs("Retry-After") if status == 503 else {}
    )
    return {
        "description": response_docs.STATUS_DESCRIPTIONS[status],
        "headers": headers | _header_refs("X-Request-Id"),
        "content": {
            _PROBLEM: {
                "schema": {"$ref": _SCHEMA.format(name="Problem")},
                "examples": {code: {"value": _example_of(status, code)} for code in codes},
            }
        },
    }


def _example_of(status: int, code: str) -> Document:
    title, message = _title(status), errors.example_message(code)
    body: Document = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": message,
        "instance": "/api/...",
        "code": code,
        "error": title,
        "message": message,
        "timestamp": _INSTANT,
        "path": "/api/...",
    }
    if code in {"validation_failed", "unfit_window"}:
        body["details"] = [{"field": "limit", "message": "Expected `int` <= 100"}]
    return body


def _camel(name: str, *, first: bool = False) -> str:
    head, *tail = name.split("_")
    return "".join([head.capitalize() if first else head, *(part.capitalize() for part in tail)])


# --- schemas ----------------------------------------------------------------------------------


def _schemas(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas that the document refers to, as generated by msgspec."""
    shapes = [getattr(schemas, name) for name in schemas.__all__]
    structs = [shape for shape in shapes if isinstance(shape, type) and issubclass(shape, msgspec.Struct)]
    _, found = msgspec.json.schema_components(structs, ref_template=_SCHEMA)
    return {name: _with_constants(found[name]) for name in named}


def _with_constants(schema: Any) -> Any:
    """Return a schema with `const` for each list of a single value: generators refuse an enumeration of booleans."""
    if isinstance(schema, list):
        return [_with_constants(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(values := schema.get("enum"), list) and len(values) == 1:
        schema = {("const" if key == "enum" else key): (values[0] if key == "enum" else schema[key]) for key in schema}
    return {key: _with_constants(value) for key, value in schema.items()}


def _schema(source: Any, *, nullable: bool = True) -> Any:
    """Return a simplified schema: no ambiguous union, no null where null is impossible, whole numbers as bounds."""
    if isinstance(source, list):
        return [_schema(one, nullable=nullable) for one in source]
    if not isinstance(source, dict):
        return int(source) if isinstance(source, float) and source.is_integer() else source
    plain = {key: _schema(value, nullable=nullable) for key, value in source.items()}
    if "oneOf" in plain:
        choices = plain.pop("oneOf")
        if not nullable:
            choices = [one for one in choices if one != {"type": "null"}]
        plain = {**choices[0], **plain} if len(choices) == 1 else {"anyOf": choices, **plain}
    if not nullable:
        plain = _not_null(plain)
    return plain


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove null from a schema, because a path or query cannot contain null."""
    schema = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    if isinstance(schema.get("type"), list):
        kinds = [kind for kind in schema["type"] if kind != "null"]
        schema["type"] = kinds[0] if len(kinds) == 1 else kinds
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    return schema


# --- shared by the whole document -------------------------------------------------------------

_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "A new text of your choice for each request. The same request with the same key, within a day, gets the answer "
        "of the first one and creates nothing twice; another request with the key gets 422 (idempotency_key_reused)."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": idempotency.LONGEST, "pattern": "^[!-~]+$"},
    "example": "5f0c2a9e-7d41-4b63-8a0e-1f2d3c4b5a69",
}
_LEGACY: Final[list[dict[str, list[str]]]] = [{"signature_header": []}]
_SECURITY: Final = {
    "access_token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": (
            "The access token of POST /api/auth/verify or /api/auth/refresh, or an API key of POST /api/account/keys "
            "with the scope in x-scope. Without a token, operations that "
            "accept it also take an older proof while LEGACY_AUTH is on: the header of signature_header, or "
            "`message`, `signature` and `wallet` in the body, over 'Sign this message to authenticate with ZMART: "
            "<ms>'."
        ),
    },
    "signature_header": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": (
            "The older proof, while LEGACY_AUTH is on: 'Signature "
            "message=<percent-encoded>&signature=<base58>&wallet=<base58>', where the message is 'Sign in to "
            "ZMART', a line end, and 'Timestamp: <ms>' of the last hour."
        ),
    },
    "stream_ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "A ticket of POST /api/auth/ticket: opens one stream within a minute, for the topic `me`.",
    },
}


def _header(description: str, example: str) -> Document:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_HEADERS: Final = {
    "Zmart-Seq": _header(
        "The `position` of `as_of`: the rows are those of this entry of the log.",
        examples.POSITION,
    ),
    "Zmart-Slot": _header("The newest slot that the rows reflect; empty before the first event.", "301442107"),
    "Zmart-Commitment": _header(
        "finalized when everything up to the slot is final on chain, else confirmed.", "confirmed"
    ),
    "ETag": _header("Send it as If-None-Match; the response is 304 while the rows are unchanged.", '"5f2b0c"'),
    "Retry-After": _header("Seconds to wait before the next attempt.", "5"),
    "X-Request-Id": _header(
        "The id of the request in our access log; yours, if you sent a plain one.", "5f0c2a9e7d41b638"
    ),
    "RateLimit-Limit": _header("The cost of requests per minute for this client.", "100"),
    "RateLimit-Remaining": _header("What is left of it.", "0"),
    "RateLimit-Cost": _header("The cost of this request: x-cost of the operation.", "1"),
    "RateLimit-Reset": _header("Seconds until the limit resets.", "17"),
}


def _header_refs(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
