"""Answers the calls that the earlier frontend made to PostgREST: users and discussions (docs/migrating.md).

These are exactly its calls, not a query language: one filter for each table, one order, all columns. Everything else
is refused with 400 in PostgREST's format, which its client library turns into an error with a message. They are not in
the OpenAPI document, because they are not an interface for new clients.

The frontend reported a wallet as present without a proof. Here only a signed-in wallet is recorded, and only itself;
a report without a token changes nothing and is answered with what is known.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import HeaderParameter, QueryParameter
from litestar.types import ExceptionHandlersMap

from zmart import errors as zmart_errors
from zmart.domain.ids import Address

from .. import errors, parameters, schemas
from ..dependencies import AppServices, FromDatabase, FromServices
from ..reads import statements
from ..reads.database import ReadDatabase

#: The most rows of a response; a larger limit means this one.
MAX_ROWS: Final = 1_000
#: The media type by which the client library asks for one object instead of a list.
_ONE_OBJECT: Final = "application/vnd.pgrst.object+json"
_NOT_ONE_ROW: Final = "PGRST116"
_UNKNOWN_QUERY: Final = "PGRST100"
_EQUALS: Final = "eq."

Columns = Annotated[str, QueryParameter(name="select", max_length=200, description="`*`; of users also `count`.")]
OfWallet = Annotated[str | None, QueryParameter(max_length=60, description="`eq.` and the wallet's address.")]
OfMarket = Annotated[
    str | None, QueryParameter(max_length=110, description="`eq.` and the market's id, or the address of its account.")
]
Order = Annotated[str, QueryParameter(max_length=60, description="`created_at.desc`.")]
Rows = Annotated[
    int, QueryParameter(description="Rows of the list, 1 to 1000; the nearest of these for other numbers.")
]
OnConflict = Annotated[str, QueryParameter(max_length=60, description="`wallet`.")]
Accept = Annotated[str, HeaderParameter(name="Accept", description=f"`{_ONE_OBJECT}` for one object without a list.")]
Prefer = Annotated[str, HeaderParameter(name="Prefer", description="`return=minimal` for no body.")]
Authorization = Annotated[str, HeaderParameter(name="Authorization", description="Bearer and an access token.")]
ApiKey = Annotated[str, HeaderParameter(name="apikey", description="Not used: a token equal to it is not a token.")]


class _NotOneRow(zmart_errors.ZmartError):
    """The request wants one object, and there is none."""


def handle_in_postgrest_format(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    """Answer an error as PostgREST does: `code`, `message`, `details`, `hint`."""
    if isinstance(error, _NotOneRow):
        return _error(
            406, _NOT_ONE_ROW, "JSON object requested, multiple (or no) rows returned", "Results contain 0 rows"
        )
    if isinstance(error, zmart_errors.ZmartError):
        response = errors.handle_zmart_error(request, error)
    elif isinstance(error, HTTPException):
        response = errors.handle_http_exception(request, error)
    else:
        response = errors.handle_unexpected_error(request, error)
    problem = msgspec.json.decode(response.content, type=schemas.Problem)
    details = [] if isinstance(problem.details, msgspec.UnsetType) else problem.details
    code = _UNKNOWN_QUERY if problem.status == 400 else problem.code
    message = "; ".join(f"{one.field}: {one.message}" for one in details) or problem.message
    converted = _error(problem.status, code, message, None)
    converted.headers.update({name: value for name, value in response.headers.items() if name != "content-type"})
    return converted


_ERROR_HANDLERS: Final[ExceptionHandlersMap] = {
    zmart_errors.ZmartError: handle_in_postgrest_format,
    HTTPException: handle_in_postgrest_format,
    Exception: handle_in_postgrest_format,
}


@get(
    "/rest/v1/users",
    include_in_schema=False,
    exception_handlers=_ERROR_HANDLERS,
)
async def list_rest_users(
    request: Request[Any, Any, State],
    database: FromDatabase,
    columns: Columns = "*",
    wallet: OfWallet = None,
    limit: Rows = MAX_ROWS,
    accept: Accept = "*/*",
) -> Response[list[schemas.RestUser | schemas.RestCount]]:
    """Return the row of the wallet in the filter, in a list of at most one; or with `select=count` a count of all."""
    _require_known(request, {"select", "wallet", "limit"})
    if columns == "count" and wallet is None:
        answer = await database.read(statements.compose("rest_user_count"), {})
        return _response(answer.body, headers=answer.headers())
    _require_value("select", columns, "*")
    return _rows_response(*await _read_user(database, _wallet_of_filter(wallet)), accept=accept)


@post(
    "/rest/v1/users",
    include_in_schema=False,
    exception_handlers=_ERROR_HANDLERS,
)
async def report_rest_user(
    request: Request[Any, Any, State],
    services: FromServices,
    data: schemas.RestVisit,
    on_conflict: OnConflict = "wallet",
    columns: Columns = "*",
    accept: Accept = "*/*",
    prefer: Prefer = "",
    authorization: Authorization = "",
    apikey: ApiKey = "",
) -> Response[list[schemas.RestUser]]:
    """Set the last_seen_at of the signed-in wallet, or nothing without a token; return what is known of the wallet."""
    _require_known(request, {"on_conflict", "select", "columns"})
    _require_value("on_conflict", on_conflict, "wallet")
    _require_value("select", columns, "*")
    wallet = parameters.wallet(data.wallet)
    await _record_visit(services, wallet, authorization, apikey)
    if "return=minimal" in prefer:
        return _response(b"", status_code=201)
    rows, headers = await _read_user(services.database, wallet)
    return _rows_response(rows or [_unknown_user(wallet)], headers, accept=accept, status_code=201)


@patch(
    "/rest/v1/users",
    include_in_schema=False,
    status_code=204,
    exception_handlers=_ERROR_HANDLERS,
)
async def touch_rest_user(
    request: Request[Any, Any, State],
    services: FromServices,
    data: schemas.RestLastSeen,
    wallet: OfWallet = None,
    authorization: Authorization = "",
    apikey: ApiKey = "",
) -> None:
    """Set the last_seen_at of the signed-in wallet, by the server's clock; without a token store nothing."""
    _require_known(request, {"wallet"})
    await _record_visit(services, _wallet_of_filter(wallet), authorization, apikey)


@get(
    "/rest/v1/discussions",
    include_in_schema=False,
    exception_handlers=_ERROR_HANDLERS,
)
async def list_rest_discussions(
    request: Request[Any, Any, State],
    database: FromDatabase,
    columns: Columns = "*",
    market_id: OfMarket = None,
    order: Order = "created_at.desc",
    limit: Rows = MAX_ROWS,
) -> Response[list[schemas.RestDiscussion]]:
    """List the posts of the market in the filter, the newest first; empty for an unknown market."""
    _require_known(request, {"select", "market_id", "order", "limit"})
    _require_value("select", columns, "*")
    _require_value("order", order, "created_at.desc")
    try:
        market = parameters.market(_filter_value("market_id", market_id))
    except zmart_errors.NotFound:
        return _response(b"[]")
    answer = await database.read(
        statements.compose("rest_discussions"), {"market": market, "limit": parameters.clamp(limit, MAX_ROWS)}
    )
    return _response(answer.body, headers=answer.headers())


async def _read_user(database: ReadDatabase, wallet: Address) -> tuple[list[msgspec.Raw], dict[str, str]]:
    """Return the wallet's row in a list, or an empty list, and the headers of the position."""
    answer = await database.read(statements.compose("rest_user"), {"wallet": wallet}, varying="wallet")
    return msgspec.json.decode(answer.body, type=list[msgspec.Raw]), answer.headers()


async def _record_visit(services: AppServices, wallet: Address, authorization: str, apikey: str) -> None:
    """Record the visit of the token's wallet; do nothing without a token. Raise Forbidden for another wallet."""
    # The client library sends its public key as a token when no user is signed in.
    if not authorization or authorization == f"Bearer {apikey}":
        return
    claims = services.auth.claims_of_header(authorization)
    if claims is None:
        return
    if claims.wallet != wallet:
        raise errors.Forbidden("A wallet can only report itself.")
    await services.writes.run_as_wallet(wallet, statements.compose("record_visit"))


def _wallet_of_filter(text: str | None) -> Address:
    return parameters.wallet(_filter_value("wallet", text))


def _filter_value(name: str, text: str | None) -> str:
    if text is None or not text.startswith(_EQUALS):
        raise errors.InvalidParameter(name, f"expected `{_EQUALS}` and a value; no other operator is served")
    return text.removeprefix(_EQUALS)


def _require_value(name: str, value: str, only: str) -> None:
    if value != only:
        raise errors.InvalidParameter(name, f"expected `{only}`")


def _require_known(request: Request[Any, Any, State], names: Set[str]) -> None:
    for name in request.query_params:
        if name not in names:
            raise errors.InvalidParameter(name, f"not served here; known are {', '.join(sorted(names))}")


def _unknown_user(wallet: Address) -> msgspec.Raw:
    """Return the row of a wallet that the log does not contain."""
    return msgspec.Raw(msgspec.json.encode(schemas.RestUser(wallet=wallet, wallet_address=wallet)))


def _rows_response(
    rows: list[msgspec.Raw], headers: dict[str, str], *, accept: str, status_code: int = 200
) -> Response[Any]:
    """Return the rows as a list, or the only one as an object if the client asks for that; raise _NotOneRow."""
    if _ONE_OBJECT not in accept:
        return _response(msgspec.json.encode(rows), status_code=status_code, headers=headers)
    if not rows:
        raise _NotOneRow()
    return _response(bytes(rows[0]), status_code=status_code, media_type=_ONE_OBJECT, headers=headers)


def _response(
    body: bytes,
    *,
    status_code: int = 200,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    return Response(body, status_code=status_code, media_type=media_type, headers=headers or {})


def _error(status_code: int, code: str, message: str, details: str | None) -> Response[bytes]:
    error = schemas.PostgrestError(code=code, message=message, details=details, hint=None)
    return Response(msgspec.json.encode(error), status_code=status_code, media_type="application/json")


HANDLERS = [list_rest_users, report_rest_user, touch_rest_user, list_rest_discussions]
