"""Serves the console, the documentation page, and the files they load."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from litestar import Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import HeaderParameter, PathParameter

from .. import static_files

_FILES = static_files.StaticFiles()

Accepted = Annotated[str, HeaderParameter(name="Accept-Encoding")]
IfNoneMatch = Annotated[str, HeaderParameter(name="If-None-Match")]
Name = Annotated[PurePosixPath, PathParameter()]


# Runs in a thread, because the first request for a file reads and compresses it.
@get("/", include_in_schema=False, sync_to_thread=True)
def show_console(accepted: Accepted = "", if_none_match: IfNoneMatch = "") -> Response[bytes]:
    """Return the live console."""
    return _file_response("index.html", accepted, if_none_match)


@get("/docs", include_in_schema=False, sync_to_thread=True)
def show_documentation(accepted: Accepted = "", if_none_match: IfNoneMatch = "") -> Response[bytes]:
    """Return the API's documentation page, on which requests can be tried."""
    return _file_response("docs.html", accepted, if_none_match)


@get("/docs/models", include_in_schema=False, sync_to_thread=True)
def show_models(state: State, accepted: Accepted = "", if_none_match: IfNoneMatch = "") -> Response[bytes]:
    """Return dbt's documentation of the marts and their lineage."""
    found = static_files.models_page(state.settings.state_dir)
    if found is None:
        raise NotFoundException("This page does not exist yet. Materialize docs/models in Dagster to create it.")
    return found.response(accepted=accepted, if_none_match=if_none_match)


@get("/console/{name:path}", include_in_schema=False, sync_to_thread=True)
def show_file(name: Name, accepted: Accepted = "", if_none_match: IfNoneMatch = "") -> Response[bytes]:
    """Return one file of either page."""
    return _file_response(str(name).lstrip("/"), accepted, if_none_match)


def _file_response(name: str, accepted: str, if_none_match: str) -> Response[bytes]:
    found = _FILES.find(name)
    if found is None:
        raise NotFoundException
    return found.response(accepted=accepted, if_none_match=if_none_match)


HANDLERS = [show_console, show_documentation, show_models, show_file]
