"""The documents of the API are complete, current, and agree with the pages of the documentation."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import app, errors
from api.contract import __main__ as contract
from zmart import settings

DOCS = Path(__file__).resolve().parents[3] / "docs"
WRITES = "ZMART_WRITE_DOCUMENTS"
#: The first segments of our paths.
OURS = re.compile(r"/(api|markets|trades|positions|votes|status)\b|/health$|/ready$")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return contract.openapi_document()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every operation with its name."""
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize("name", contract.DOCUMENTS)
def test_the_committed_document_equals_the_served_one(name: str) -> None:
    """The committed documents equal the generated ones."""
    path, made = DOCS / f"{name}.json", contract.serialize(contract.DOCUMENTS[name]())
    if os.environ.get(WRITES):
        path.write_text(made)

    assert path.read_text() == made, f"run: {WRITES}=1 pytest {__file__}"


def test_the_document_names_no_port(document: dict[str, Any]) -> None:
    """The page /docs shows these texts whatever API_PORT is."""
    assert document["servers"] == [{"url": "/", "description": "This server."}]


def test_calls_that_the_document_omits_are_described_elsewhere(document: dict[str, Any]) -> None:
    """Besides pages, streams and metrics: those under /rest/v1/, and an ambiguous alias. A page lists them."""
    application = app.create(settings.load({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}))
    routes = {re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path_format) for route in application.routes}
    others = ("/ws", "/metrics", "/console/", "/docs", "/schema")
    pages = {path for path in routes if path == "/" or path.startswith(others)}

    omitted = routes - pages - set(document["paths"])
    assert omitted == {"/rest/v1/users", "/rest/v1/discussions", "/api/discussions/ipfs/{cid}"}
    assert "/rest/v1/" in document["info"]["description"]
    assert "docs/migrating.md" in document["info"]["description"]
    listed = (DOCS / "migrating.md").read_text()
    assert [path for path in omitted if path not in listed] == []


def test_every_operation_is_described(operations: list[tuple[str, dict[str, Any]]]) -> None:
    """A tag, a summary, a description, a unique id; each parameter a description and an example."""
    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names)
    for name, operation in operations:
        assert operation["summary"], name
        assert operation["description"].endswith((".", "`.")), name
        assert len(operation["tags"]) == 1, name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])
            assert parameter["example"] is not None, (name, parameter["name"])


def test_every_operation_documents_its_errors(
    document: dict[str, Any], operations: list[tuple[str, dict[str, Any]]]
) -> None:
    """Errors are problem details with stable codes; operations that need a wallet have 401, those with a body 413."""
    for name, operation in operations:
        responses = operation["responses"]
        assert {"422", "429", "500", "503"} <= set(responses), name
        assert "401" in responses or not operation.get("security"), name
        assert "413" in responses or "requestBody" not in operation, name
        for status, response in responses.items():
            if int(status) < 400 or (name, status) == ("get /ready", "503"):
                continue
            problem = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
            (kind,) = problem["content"]
            assert kind == "application/problem+json"
            examples = problem["content"][kind]["examples"]
            assert {example["value"]["code"] for example in examples.values()} == set(examples) != set(), (name, status)
            assert {example["value"]["status"] for example in examples.values()} == {int(status)}, (name, status)


def test_documents_expose_no_internals(document: dict[str, Any]) -> None:
    """No other host, no page of ours, no file."""
    text = contract.serialize(document)
    # In recorded responses: the site of the sign-in, and a block explorer.
    assert set(re.findall(r"://([^/\s\"\\]+)", text)) <= {"localhost:3000", "explorer.solana.com"}
    assert [path for path in document["paths"] if not OURS.match(path)] == []
    assert str(Path(__file__).parents[3]) not in text
    assert "Struct" not in text
    assert "protocol.md" not in text


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    """Every reference is defined, and every definition is referred to."""
    referred = set(re.findall(r'"\$ref": "#/components/(\w+/[\w-]+)"', contract.serialize(document)))
    there = {
        f"{kind}/{name}"
        for kind, named in document["components"].items()
        for name in named
        if kind != "securitySchemes"
    }
    assert referred == there


def test_the_api_page_lists_the_same_endpoints(document: dict[str, Any]) -> None:
    """docs/api.md and docs/acting.md have every path of the document, and no other."""
    pages = (DOCS / "api.md").read_text() + (DOCS / "acting.md").read_text()
    canonical = {
        re.sub(r"\{\w+\}", "{}", path)
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if not operation["deprecated"]
    }
    served = {re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]}
    named = set(_named(pages, served))

    assert sorted(canonical - named) == []
    assert sorted(named - served - {"/ws", "/docs", "/schema/openapi.json", "/schema/asyncapi.json"}) == []


def test_the_api_page_lists_the_same_codes(document: dict[str, Any]) -> None:
    """Each stable code of the document is in docs/api.md with its status."""
    table: dict[int, set[str]] = {}
    for status, codes in re.findall(r"^\| (\d{3}) \| ([^|]+) \|", (DOCS / "api.md").read_text(), flags=re.MULTILINE):
        table.setdefault(int(status), set()).update(re.findall(r"`(\w+)`", codes))
    documented: dict[int, set[str]] = {}
    for response in document["components"]["responses"].values():
        for example in response["content"]["application/problem+json"]["examples"].values():
            documented.setdefault(example["value"]["status"], set()).add(example["value"]["code"])

    assert {
        (status, code) for status, codes in documented.items() for code in codes - table.get(status, set())
    } == set()
    known = {code for status in range(400, 600) for code in errors.codes(status)}
    assert set.union(*table.values()) <= known | {"route_not_found", "method_not_allowed", "details"}


def _named(text: str, served: set[str]) -> Iterator[str]:
    """Return the paths in a page, `{}` for every parameter; `/votes` after a path may be a sibling of its last part."""
    previous = ""
    for found in re.finditer(r"`(?:(?:GET|POST|PATCH|DELETE)\s+)?(/[a-z{][^`\s?]*)[^`]*`", text):
        path = re.sub(r"\{\w+\}", "{}", found[1])
        if path.endswith("..."):
            continue
        siblings = [f"{previous}{path}", f"{previous.rpartition('/')[0]}{path}"]
        beside = next((one for one in siblings if one in served), None)
        previous = path if path in served or beside is None else beside
        yield previous
