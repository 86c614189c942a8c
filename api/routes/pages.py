"""The console, the documentation page, and the files they load."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from litestar import Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import HeaderParameter, PathParameter

from .. import pages

_FILES = pages.Files()

Accepted = Annotated[str, HeaderParameter(name="Accept-Encoding")]
Known = Annotated[str, HeaderParameter(name="If-None-Match")]
Name = Annotated[PurePosixPath, PathParameter()]


# A thread, for the first request of a file reads and packs it.
@get("/", include_in_schema=False, sync_to_thread=True)
def show_console(accepted: Accepted = "", known: Known = "") -> Response[bytes]:
    """The live console."""
    return _answer("index.html", accepted, known)


@get("/docs", include_in_schema=False, sync_to_thread=True)
def show_documentation(accepted: Accepted = "", known: Known = "") -> Response[bytes]:
    """The API's description, to read and to try."""
    return _answer("docs.html", accepted, known)


@get("/docs/models", include_in_schema=False, sync_to_thread=True)
def show_models(state: State, accepted: Accepted = "", known: Known = "") -> Response[bytes]:
    """The marts and their lineage, as dbt documents them."""
    found = pages.models(state.settings.state_dir)
    if found is None:
        raise NotFoundException("Nobody has written this page yet: press Materialize on docs/models in Dagster.")
    return found.answer(accepted=accepted, known=known)


@get("/console/{name:path}", include_in_schema=False, sync_to_thread=True)
def show_file(name: Name, accepted: Accepted = "", known: Known = "") -> Response[bytes]:
    """One file of either page."""
    return _answer(str(name).lstrip("/"), accepted, known)


def _answer(name: str, accepted: str, known: str) -> Response[bytes]:
    found = _FILES.find(name)
    if found is None:
        raise NotFoundException
    return found.answer(accepted=accepted, known=known)


HANDLERS = [show_console, show_documentation, show_models, show_file]
