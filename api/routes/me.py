"""Returns the signed-in wallet."""

from __future__ import annotations

from litestar import Response, get

from .. import response_docs, schemas
from ..auth.signed_in import SECURITY, FromSignedIn
from ..dependencies import FromDatabase
from ..reads import statements


@get(
    "/api/users/me",
    tags=["wallets"],
    summary="Get the signed-in wallet",
    security=SECURITY,
    responses=response_docs.read_responses(401),
)
async def show_me(database: FromDatabase, signed_in: FromSignedIn) -> Response[schemas.Wallet]:
    """Return the wallet's counts, the same as in the public /api/users/{wallet}."""
    query_parameters = {"wallet": signed_in.wallet}
    return await database.answer(statements.compose("wallet"), query_parameters, varying="wallet", is_cacheable=False)


HANDLERS = [show_me]
