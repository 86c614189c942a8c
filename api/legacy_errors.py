"""Answers errors as the earlier services did, on the paths that their clients call."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from zmart import errors as zmart_errors

from . import errors, validation_messages

#: The members of a ballot that prove it, in either format.
_PROOF: Final = frozenset({"message", "signature", "wallet"})
_AGGREGATOR_MEMBERS: Final = frozenset({"vote", "signature", "publicKey", "message"})


def handle_missing_proof(request: Request[Any, Any, State], error: ValidationException) -> Response[bytes]:
    """Answer 401 if only the proof of a ballot is missing or malformed (protocol.md 6.1), and 400 otherwise."""
    fields = {problem.field for problem in validation_messages.describe(request, error)}
    if not fields or fields - _PROOF:
        return errors.handle_http_exception(request, error)
    proof = errors.NotSignedIn(
        "Authentication required: message, signature, and wallet must be provided",
        help="Sign the text of GET /api/votes/message.",
    )
    return errors.handle_zmart_error(request, proof)


def handle_in_aggregator_format(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    """Answer with `success: false` and a sentence in `error`, which is what clients of the vote aggregator read."""
    response = _handle(request, error)
    problem = msgspec.json.decode(response.content)
    problem |= {"success": False, "error": _aggregator_sentence(request, error) or problem["message"]}
    response.content = msgspec.json.encode(problem)
    return response


def _handle(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    if isinstance(error, zmart_errors.ZmartError):
        return errors.handle_zmart_error(request, error)
    if isinstance(error, HTTPException):
        return errors.handle_http_exception(request, error)
    return errors.handle_unexpected_error(request, error)


def _aggregator_sentence(request: Request[Any, Any, State], error: Exception) -> str | None:
    """Return the aggregator's sentence (protocol.md 4.2), or None where it had none."""
    if isinstance(error, zmart_errors.NotFound):
        return "Invalid market ID"
    if not isinstance(error, ValidationException):
        return None
    problems = validation_messages.describe(request, error)
    if any(
        problem.message == validation_messages.MISSING and problem.field in _AGGREGATOR_MEMBERS for problem in problems
    ):
        return "Missing required fields: vote, signature, publicKey, message"
    if any(problem.field == "vote" for problem in problems):
        words = '"agree" or "disagree"' if "/dispute/" in request.url.path else '"like" or "dislike"'
        return f"Invalid vote. Must be {words}"
    return "; ".join(f"{problem.field}: {problem.message}" for problem in problems) or None


#: For handlers of the paths that the vote aggregator served.
AGGREGATOR_HANDLERS: Final[ExceptionHandlersMap] = {
    zmart_errors.ZmartError: handle_in_aggregator_format,
    HTTPException: handle_in_aggregator_format,
    Exception: handle_in_aggregator_format,
}
#: For handlers of ballots that carry their proof in the body.
PROOF_HANDLERS: Final[ExceptionHandlersMap] = {ValidationException: handle_missing_proof}
