"""Writes the details of invalid requests: the parameter's public name, and the values that it accepts.

The framework names a handler's argument and quotes Python types. A client knows neither, so both are translated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from msgspec import inspect

from .schemas import FieldProblem

#: The message about a required parameter or member that the request does not have.
MISSING: Final = "required, but missing"
_BODY: Final = "data"
_MISSING_PARAMETER: Final = re.compile(r"Missing required \w+ parameter '([^']+)'")
_MISSING_MEMBER: Final = re.compile(r"Object missing required field `([^`]+)`")
_INVALID_ENUM: Final = re.compile(r"Invalid enum value (.+)")
_TYPES: Final[Mapping[str, str]] = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a JSON object",
    "null": "null",
    "datetime": "a date and time such as 2026-01-31T12:00:00Z",
}
#: The framework's sentences about a value, as patterns, and ours.
_SENTENCES: Final = (
    (re.compile(r"Expected `(?:int|float)` >= (-?[\d.]+)"), "expected {0} or more"),
    (re.compile(r"Expected `(?:int|float)` <= (-?[\d.]+)"), "expected {0} or less"),
    (re.compile(r"Expected `(?:int|float)` > (-?[\d.]+)"), "expected more than {0}"),
    (re.compile(r"Expected `(?:int|float)` < (-?[\d.]+)"), "expected less than {0}"),
    (re.compile(r"Expected `str` of length >= (\d+)"), "expected at least {0} characters"),
    (re.compile(r"Expected `str` of length <= (\d+)"), "expected at most {0} characters"),
    (re.compile(r"Expected `array` of length <= (\d+)"), "expected at most {0} entries"),
    (re.compile(r"Expected `str` matching regex '(.+)'"), "expected text of the form {0}"),
    (re.compile(r"Invalid RFC3339 encoded datetime"), f"expected {_TYPES['datetime']}"),
    (re.compile(r"Input should be .*"), "expected a date and time that exists in the calendar"),
)
_WRONG_TYPE: Final = re.compile(r"Expected `([^`]+)`(?:, got `[^`]+`)?")


def describe(request: Request[Any, Any, State], error: ValidationException) -> list[FieldProblem]:
    """Return what is wrong with each parameter or member of the body; empty if the error does not name any."""
    handler = request.scope.get("route_handler")
    items = error.extra if isinstance(error.extra, list) else []
    problems = [
        _describe_one(handler, str(item.get("key", "")), str(item.get("message", "")))
        for item in items
        if isinstance(item, Mapping)
    ]
    if not problems and (missing := _MISSING_PARAMETER.match(error.detail)):
        return [FieldProblem(field=missing[1], message=MISSING)]
    return problems


def _describe_one(handler: object, key: str, message: str) -> FieldProblem:
    if missing := _MISSING_MEMBER.match(message):
        parent = "" if key in {"", _BODY} else f"{key}."
        return FieldProblem(field=f"{parent}{missing[1]}", message=MISSING)
    if _INVALID_ENUM.match(message):
        values = _accepted_values(handler, key)
        message = f"expected one of {', '.join(values)}" if values else "expected another value"
    return FieldProblem(field=_public_name(handler, key), message=_plain_sentence(message))


def _plain_sentence(message: str) -> str:
    for pattern, sentence in _SENTENCES:
        if found := pattern.fullmatch(message):
            return sentence.format(*found.groups())
    if found := _WRONG_TYPE.fullmatch(message):
        names = [_TYPES.get(name.strip(), name.strip()) for name in found[1].split("|")]
        return f"expected {' or '.join(names)}"
    return message


def _public_name(handler: object, key: str) -> str:
    """Return the name that the client used: `type` for an argument `of_type`, `body` for the whole body."""
    if key == _BODY:
        return "body"
    parameter = _parameters(handler).get(key)
    kwarg = getattr(parameter, "kwarg_definition", None)
    named = kwarg.name or kwarg.query or kwarg.header if isinstance(kwarg, ParameterKwarg) else None
    return named or key


def _accepted_values(handler: object, key: str) -> list[str]:
    """Return the values of a closed list: of a parameter, or of a member of the body."""
    parameters = _parameters(handler)
    if key in parameters:
        return [str(value) for value in _literals(inspect.type_info(parameters[key].annotation))]
    if _BODY in parameters:
        return [str(value) for value in _member_values(inspect.type_info(parameters[_BODY].annotation), key)]
    return []


def _member_values(body: inspect.Type, key: str) -> Iterator[object]:
    name, _, rest = key.partition(".")
    if isinstance(body, inspect.StructType):
        for field in body.fields:
            if field.encode_name == name:
                yield from _member_values(field.type, rest) if rest else _literals(field.type)


def _literals(kind: inspect.Type) -> Iterator[object]:
    if isinstance(kind, inspect.LiteralType):
        yield from kind.values
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _literals(one)
    elif isinstance(kind, inspect.Metadata):
        yield from _literals(kind.type)


def _parameters(handler: object) -> Mapping[str, Any]:
    return handler.parsed_fn_signature.parameters if isinstance(handler, HTTPRouteHandler) else {}
