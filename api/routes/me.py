"""Returns and describes the signed-in wallet; profiles of all wallets are public."""

from __future__ import annotations

from litestar import Response, get, patch

from .. import parameters, response_docs, schemas
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


@patch(
    "/api/users/me",
    tags=["wallets"],
    summary="Set your profile",
    security=SECURITY,
    responses=response_docs.problems(401, 403, 413),
    opt={"weight": 10},
)
async def set_profile(
    database: FromDatabase, signed_in: FromSignedIn, data: schemas.NewProfile
) -> Response[schemas.Profile]:
    """Replace the public profile of the signed-in wallet, and return it."""
    texts = {
        "display_name": parameters.visible_text("display_name", data.display_name),
        "bio": parameters.visible_text("bio", data.bio, other_allowed="\n"),
    }
    await signed_in.run(statements.compose("set_profile"), texts)
    return await database.answer(
        statements.compose("profile"), {"wallet": signed_in.wallet}, varying="wallet", is_cacheable=False
    )


@get(
    "/api/users/{wallet:str}/profile",
    tags=["wallets"],
    summary="Get a wallet's profile",
    responses=response_docs.read_responses(),
)
async def show_profile(database: FromDatabase, wallet: parameters.Wallet) -> Response[schemas.Profile]:
    """Return the name and text that the wallet has chosen; null for a wallet that has chosen none."""
    return await database.answer(statements.compose("profile"), {"wallet": parameters.wallet(wallet)}, varying="wallet")


HANDLERS = [show_me, set_profile, show_profile]
