"""Converts errors to RFC 9457 problem details; contains the only mapping from errors to HTTP.

A problem has a stable `code` for programs and a `message` for users. Older clients read the members `error`,
`message`, `status`, `timestamp` and `path` (protocol.md 5.1). An unexpected error becomes a 500 without internal
details; the details are in the log.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from zmart import errors
from zmart.chain import rpc_errors
from zmart.db import feed
from zmart.http import statuses
from zmart.http.problems import MEDIA_TYPE, problem_members, retry_after

from . import validation_messages
from .schemas import FieldProblem, Problem
from .sql_console.validator import InvalidSql

log = structlog.get_logger()

#: A rejected API key needs an operator, so an early retry cannot succeed.
_API_KEY_RETRY_SECONDS = 60.0


class InvalidParameter(errors.InvalidInput):
    """A parameter's value is not valid."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: {expected}.")
        self.field = field
        self.expected = expected


class InvalidWindow(InvalidParameter):
    """The interval or the time range of the requested candles is not valid."""


class InvalidText(errors.InvalidInput):
    """Text contains U+0000 or is not UTF-8, so neither the database nor clients can store it."""


class UnknownTopic(errors.InvalidInput):
    """The requested topic does not exist."""


class TooManyStreams(errors.Overloaded):
    """This address, or this process, already has the maximum number of open streams."""

    retry_after_seconds = 5.0


class TooManyRequests(errors.Overloaded):
    """Too many requests from here, please try again later."""

    def __init__(self, resets_in_seconds: float, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.retry_after_seconds = resets_in_seconds
        #: The remaining allowance, for the response.
        self.headers = headers


class NotSignedIn(errors.Unauthorized):
    """No wallet is signed in, or the proof is not valid."""


class TokenExpired(NotSignedIn):
    """The token has expired; refresh it or sign in again."""


class Forbidden(errors.Permanent):
    """The signed-in wallet is not allowed to do this."""


class Unprocessable(errors.InvalidInput):
    """The request is well formed, but not acceptable."""


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key came with another request; use a new key for each request."""


class SignInDisabled(errors.Unavailable):
    """Sign-in is disabled because JWT_SECRET is not set."""

    retry_after_seconds = 60.0


#: The first matching class decides: status, stable code.
_STATUS_AND_CODE: tuple[tuple[type[errors.ZmartError], int, str], ...] = (
    (InvalidText, 422, "unfit_text"),
    (InvalidWindow, 422, "unfit_window"),
    (InvalidSql, 422, "unfit_sql"),
    (UnknownTopic, 422, "unknown_topic"),
    (TooManyStreams, 429, "too_many_streams"),
    (TooManyRequests, 429, "too_many_requests"),
    (TokenExpired, 401, "token_expired"),
    (NotSignedIn, 401, "not_signed_in"),
    (Forbidden, 403, "forbidden"),
    (IdempotencyKeyReused, 422, "idempotency_key_reused"),
    (Unprocessable, 422, "unprocessable"),
    (SignInDisabled, 503, "sign_in_off"),
    (rpc_errors.NodeError, 503, "chain_unavailable"),
    (rpc_errors.ApiKeyRejected, 503, "chain_unavailable"),
    (rpc_errors.BlockhashUnknown, 409, "blockhash_unknown"),
    (rpc_errors.TransactionError, 503, "chain_unavailable"),
    (rpc_errors.AccountInUse, 409, "account_in_use"),
    (errors.ProgramError, 400, "program_refused"),
    (rpc_errors.TransactionRefused, 400, "transaction_refused"),
    (feed.ForeignEpoch, 409, "foreign_epoch"),
    (feed.FuturePosition, 409, "future_position"),
    (feed.MarkMismatch, 409, "mark_mismatch"),
    (errors.InvalidInput, 400, "validation_failed"),
    (errors.NotFound, 404, "not_found"),
    (errors.Conflict, 409, "conflict"),
    (errors.Overloaded, 503, "overloaded"),
    (errors.Unavailable, 503, "unavailable"),
    (errors.Unauthorized, 500, "internal"),
)

_INTERNAL_ERROR_MESSAGE = "The server failed. The error has been logged; please try again."
#: The messages of transient errors contain internals (addresses, statements); a caller only needs to retry.
_UNAVAILABLE_MESSAGES = {
    "unavailable": "The database is not answering at the moment. Please try again shortly.",
    "overloaded": "Too many requests are waiting at the moment. Please try again shortly.",
    "sign_in_off": "Sign-in is not available on this server at the moment.",
    "chain_unavailable": "The Solana node does not answer at the moment. Please try again shortly.",
}


def problem_response(
    path: str,
    *,
    status: int,
    code: str,
    message: str,
    details: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Return one problem as a response."""
    body = Problem(
        **problem_members(status, code, message),
        instance=path,
        timestamp=datetime.datetime.now(datetime.UTC).isoformat(),
        path=path,
        details=details if details is not None else msgspec.UNSET,
    )
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def handle_zmart_error(request: Request[Any, Any, State], error: errors.ZmartError) -> Response[bytes]:
    """Answer an error of this project."""
    status, code = _status_and_code(error)
    if status >= 500:
        log.warning("request_failed", path=_path(request), code=code, error=str(error))
    return problem_response(
        _path(request),
        status=status,
        code=code,
        message=_message(error, status, code),
        details=_details(error),
        headers=_retry_after(error) | _challenge(status) | _rate_limit_headers(error),
    )


def handle_http_exception(request: Request[Any, Any, State], error: HTTPException) -> Response[bytes]:
    """Answer an error of the framework: unknown routes, methods, parameters."""
    path, status = _path(request), error.status_code
    if isinstance(error, NotFoundException):
        message = f"Route {request.method} {path} not found"
        return problem_response(path, status=404, code="route_not_found", message=message)
    if isinstance(error, MethodNotAllowedException):
        return problem_response(
            path,
            status=405,
            code="method_not_allowed",
            message=f"{request.method} is not supported by {path}",
            headers=error.headers,
        )
    if isinstance(error, ValidationException):
        return problem_response(
            path,
            status=400,
            code="validation_failed",
            message="Validation failed",
            details=validation_messages.describe(request, error),
        )
    if status >= 500:
        return handle_unexpected_error(request, error)
    if status == 400:
        # The body could not be parsed; the framework's message has the reason and the place.
        return problem_response(
            path,
            status=400,
            code="validation_failed",
            message="Validation failed",
            details=[FieldProblem(field="body", message=error.detail)],
        )
    code = statuses.code(status)
    return problem_response(path, status=status, code=code, message=error.detail, headers=error.headers)


def handle_unexpected_error(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    """Answer an unexpected error without showing its details."""
    log.error("unhandled_error", path=_path(request), exc_info=error)
    return problem_response(_path(request), status=500, code="internal", message=_INTERNAL_ERROR_MESSAGE)


#: Codes of the framework's own errors, with status and message.
_FRAMEWORK_CODES: Mapping[str, tuple[int, str]] = {
    "validation_failed": (400, "Validation failed"),
    "request_entity_too_large": (413, "Request Entity Too Large"),
    "internal": (500, _INTERNAL_ERROR_MESSAGE),
}


def codes(status: int) -> list[str]:
    """Return the stable codes that problems of this status can have."""
    own_codes = [code for _, found, code in _STATUS_AND_CODE if found == status]
    framework_codes = [code for code, (found, _) in _FRAMEWORK_CODES.items() if found == status]
    return list(dict.fromkeys([*own_codes, *framework_codes]))


def example_message(code: str) -> str:
    """Return an example message for a problem of this code."""
    if code in _UNAVAILABLE_MESSAGES:
        return _UNAVAILABLE_MESSAGES[code]
    if code in _FRAMEWORK_CODES:
        return _FRAMEWORK_CODES[code][1]
    docstring = next(kind.__doc__ or "" for kind, _, found in _STATUS_AND_CODE if found == code)
    return docstring.partition("\n")[0]


HANDLERS: ExceptionHandlersMap = {
    errors.ZmartError: handle_zmart_error,
    HTTPException: handle_http_exception,
    Exception: handle_unexpected_error,
}


def _status_and_code(error: errors.ZmartError) -> tuple[int, str]:
    for kind, status, code in _STATUS_AND_CODE:
        if isinstance(error, kind):
            return status, code
    return 500, "internal"


def _message(error: errors.ZmartError, status: int, code: str) -> str:
    if type(error) is InvalidParameter:
        return "Validation failed"
    if status >= 500:
        return _UNAVAILABLE_MESSAGES.get(code, _INTERNAL_ERROR_MESSAGE)
    return str(error)


def _details(error: errors.ZmartError) -> list[FieldProblem] | None:
    if isinstance(error, InvalidParameter):
        return [FieldProblem(field=error.field, message=error.expected)]
    return None


def _retry_after(error: errors.ZmartError) -> dict[str, str]:
    if isinstance(error, errors.Transient):
        return retry_after(error.retry_after_seconds)
    if isinstance(error, rpc_errors.ApiKeyRejected):
        return retry_after(_API_KEY_RETRY_SECONDS)
    return {}


def _rate_limit_headers(error: errors.ZmartError) -> dict[str, str]:
    return dict(error.headers) if isinstance(error, TooManyRequests) else {}


def _challenge(status: int) -> dict[str, str]:
    # RFC 9110 11.6.1: a 401 response must name the authentication scheme.
    return {"WWW-Authenticate": "Bearer"} if status == 401 else {}


def _path(request: Request[Any, Any, State]) -> str:
    return str(request.scope.get("path", ""))
