"""The exposures list the endpoints and topics that read each mart, so the list must be correct."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.live import topics

ROOT = Path(__file__).resolve().parents[3]
EXPOSURES = yaml.safe_load((ROOT / "sql_models" / "exposures.yml").read_text())["exposures"]
#: Endpoints that read no mart: keys, limits, tokens, messages to sign, the status of a transaction, moderation, images.
WITHOUT_MARTS = {
    "/api/account/keys",
    "/api/account/limits",
    "/api/auth/nonce",
    "/api/votes/message",
    "/api/transactions/{signature}",
    "/api/moderation/queue",
    "/api/moderation/log",
    "/api/images/{digest}",
}


def _meta(exposure: dict[str, Any], name: str) -> list[str]:
    return list(exposure["config"]["meta"].get(name, []))


def test_each_reading_endpoint_is_exposed_once() -> None:
    """The endpoints are those of the OpenAPI document, no fewer, no more."""
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    reading = {path for path, methods in paths.items() if path.startswith("/api/") and "get" in methods}

    named = [path for exposure in EXPOSURES for path in _meta(exposure, "endpoints")]

    assert sorted(named) == sorted(reading - WITHOUT_MARTS)


def test_each_topic_is_exposed() -> None:
    """The topics are those that a stream accepts."""
    named = [topic for exposure in EXPOSURES for topic in _meta(exposure, "topics")]

    assert ", ".join(named) == topics.KNOWN_TOPICS


@pytest.mark.parametrize("exposure", EXPOSURES, ids=lambda exposure: exposure["name"])
def test_an_exposure_depends_on_what_its_sql_reads(exposure: dict[str, Any]) -> None:
    """The marts are those in the SQL that it runs."""
    texts = [(ROOT / file).read_text() for file in _meta(exposure, "files")]
    read = {mart for text in texts for mart in re.findall(r"\bmarts\.([a-z_0-9]+)", text)}

    assert {re.sub(r"ref\('(\w+)'\)", r"\1", reference) for reference in exposure["depends_on"]} == read


def test_all_sql_of_the_api_is_accounted_for() -> None:
    """No file that reads marts is missing."""
    named = {file for exposure in EXPOSURES for file in _meta(exposure, "files")}
    reading = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "api").rglob("*.sql")
        if re.search(r"\bmarts\.[a-z]", path.read_text())
    }

    assert reading - named == set()
