"""Serves the operator's documents in Dagster's web interface, so that assets can link to them."""

from __future__ import annotations

import itertools
from functools import cache

from markdown_it import MarkdownIt
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from zmart.run.deploy import rebuild

PATH = "/zmart-docs"
#: The documents about running the backend; no other file is served.
NAMES = ("keepers", "runbook", "operations", "ingest", "folds", "marts", "glossary")
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>body{{max-width:60rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 sans-serif}}
pre,code{{background:#eee}}td,th{{border:1px solid #ccc;padding:.2rem .5rem}}table{{border-collapse:collapse}}</style>
{body}</html>"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def link(name: str, section: str = "") -> str:
    """Return the address of a document, or of the section with this heading."""
    return f"{PATH}/{name}#{section}" if section else f"{PATH}/{name}"


def route() -> Route:
    """Return the route that serves the documents."""
    return Route(f"{PATH}/{{name}}", _serve)


async def _serve(request: Request) -> Response:
    name = request.path_params["name"].removesuffix(".md")
    if name not in NAMES:
        return PlainTextResponse(f"There are: {', '.join(NAMES)}.", status_code=404)
    return HTMLResponse(render(name), headers={"content-security-policy": _POLICY})


@cache
def render(name: str) -> str:
    """Return a document as HTML; each heading's text is its id."""
    text = (rebuild.PROJECT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(text)
    for token, inside in itertools.pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", inside.content)
    return _PAGE.format(name=name, body=parser.renderer.render(tokens, parser.options, {}))
