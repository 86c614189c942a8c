"""Prints a document as it is served: `python -m api.contract openapi`, `python -m api.contract asyncapi`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zmart import settings

from .. import app
from . import asyncapi, openapi

#: The documents do not depend on the configuration; no connection is opened.
_NOWHERE: Mapping[str, str] = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return openapi.document(app.create(settings.load(_NOWHERE)))


DOCUMENTS: Mapping[str, Callable[[], dict[str, Any]]] = {"openapi": openapi_document, "asyncapi": asyncapi.document}


def main(arguments: Sequence[str]) -> int:
    """Print the named document; return 2 if it does not exist."""
    build = DOCUMENTS.get(arguments[0]) if len(arguments) == 1 else None
    if build is None:
        print(f"Use one of: {', '.join(DOCUMENTS)}.", file=sys.stderr)
        return 2
    print(serialize(build()), end="")
    return 0


def serialize(document: Mapping[str, Any]) -> str:
    """Return a document in the format of the stored files: one line per member, so that diffs are readable."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
