"""Returns the program's current configuration."""

from __future__ import annotations

from litestar import Response, get

from .. import response_docs, schemas
from ..dependencies import FromDatabase
from ..reads import statements


@get(
    "/api/protocol",
    tags=["status"],
    summary="Get the program's configuration",
    responses=response_docs.read_responses(),
)
async def show_protocol(database: FromDatabase) -> Response[schemas.Protocol]:
    """Return each field's value from the newest event that sets it, and which event that is."""
    return await database.answer(statements.compose("protocol"), {})


HANDLERS = [show_protocol]
