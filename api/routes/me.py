"""What is the signed-in wallet's own."""

from __future__ import annotations

from litestar import Response, get

from .. import documented, schemas, statements
from ..auth.signed_in import SECURITY, FromSignedIn
from ..deps import FromDatabase


@get(
    "/api/users/me",
    tags=["wallets"],
    summary="The wallet that is signed in",
    security=SECURITY,
    responses=documented.reads(401),
)
async def show_me(database: FromDatabase, signed_in: FromSignedIn) -> Response[schemas.Wallet]:
    """In counts, as /api/users/{wallet} shows it to everybody."""
    asked = {"wallet": signed_in.wallet}
    return await database.answer(statements.composed("wallet"), asked, varying="wallet", is_kept=False)


HANDLERS = [show_me]
