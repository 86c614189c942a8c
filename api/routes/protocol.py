"""The rules in force."""

from __future__ import annotations

from litestar import Response, get

from .. import documented, schemas, statements
from ..deps import FromDatabase


@get("/api/protocol", tags=["truth"], summary="The program's configuration", responses=documented.reads())
async def show_protocol(database: FromDatabase) -> Response[schemas.Protocol]:
    """Each field as the newest event that says it says, and which event that is."""
    return await database.answer(statements.composed("protocol"), {})


HANDLERS = [show_protocol]
