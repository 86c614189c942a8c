"""The whole specification is tried with valid and invalid data, signed in and without a token.

No response is a server error (503 apart, if it is documented), an undocumented status, another content type than
documented, or a body that does not match its schema; invalid requests are rejected; without a token, operations that
need a wallet return nothing. The examples are the same every run. With FUZZ_SECONDS they are random and many (`make
fuzz`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import requests
import schemathesis
import urllib3
from recorded_chain import RecordedChain
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

DOCUMENT = json.loads((Path(__file__).resolve().parents[3] / "docs" / "openapi.json").read_text())
OPERATIONS = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
#: Some twenty requests a second are tried, shared among the operations and the three ways to authenticate.
EXAMPLES = int(os.environ.get("FUZZ_SECONDS", "0")) * 20 // len(OPERATIONS) // 3
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
#: Answered once for the server, not per request.
AWAY = 503
SETTINGS = hypothesis.settings(
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


class FuzzTarget:
    """A server, its specification, and existing identifiers."""

    def __init__(self, played: RecordedChain) -> None:
        self.schema = schemathesis.openapi.from_dict(DOCUMENT)
        self.url = played.url
        self.markets = [
            row[0]
            for row in played.fetch_all(
                "select distinct on (state) id from marts.markets where is_known order by state, id"
            )
        ]
        self.wallets = [row[0] for row in played.fetch_all("select distinct user_wallet from marts.trades limit 3")]
        self.signatures = [row[0] for row in played.fetch_all("select signature from raw.transactions limit 5")]
        self.anonymous = requests.Session()
        self.member = requests.Session()
        self.member.headers["Authorization"] = f"Bearer {played.signed_in()['access_token']}"
        self.member.trust_env = self.anonymous.trust_env = False
        # The server closes a connection that was idle for five seconds; a request that meets this is sent once more.
        once_more = urllib3.Retry(total=1, status=0, redirect=0, allowed_methods=None)
        for session in (self.member, self.anonymous):
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=once_more))

    def real(self, case: schemathesis.Case, choice: int) -> None:
        """Replace identifiers of the request by existing ones."""
        real = {
            "market": self.markets[choice % len(self.markets)],
            "market_id": self.markets[choice % len(self.markets)],
            "wallet": self.wallets[choice % len(self.wallets)],
            "signature": self.signatures[choice % len(self.signatures)],
            # Posts are numbered from one; a market can be named in the same place.
            "name": str(choice) if choice % 2 else self.markets[0],
        }
        for part in (case.path_parameters, case.query, case.body):
            if isinstance(part, dict):
                part.update({name: value for name, value in real.items() if isinstance(part.get(name), str)})


@pytest.fixture(scope="module")
def world(played: RecordedChain) -> FuzzTarget:
    """The API over a generated history, without limits."""
    return FuzzTarget(played)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_every_answer_is_one_that_is_promised(world: FuzzTarget, method: str, path: str) -> None:
    """Every operation."""
    operation = world.schema[path][method]
    is_private = bool(operation.definition.raw.get("security")) and {} not in operation.definition.raw["security"]
    failures: list[str] = []

    def tried(mode: GenerationMode, session: requests.Session, most: int) -> None:
        strategy = operation.as_strategy(generation_mode=mode)

        @hypothesis.settings(SETTINGS, max_examples=EXAMPLES or most)
        @hypothesis.given(case=strategy, choice=hypothesis.strategies.integers(0, 20))
        def attempt(case: schemathesis.Case, choice: int) -> None:
            # A decision of a moderator about a real post or wallet would change what other tests read and write.
            is_decision = path.startswith("/api/moderation/") and method == "post"
            if mode is GenerationMode.POSITIVE and choice and not is_decision:
                world.real(case, choice)
            failures.extend(_wrong(world, case, session, mode, is_private))

        attempt()

    has_input = bool(operation.definition.raw.get("parameters") or operation.definition.raw.get("requestBody"))
    tried(GenerationMode.POSITIVE, world.member, 8 if has_input else 1)
    tried(GenerationMode.POSITIVE, world.anonymous, 3 if has_input else 1)
    if has_input:
        # Any text is valid in some paths, so nothing is rejected.
        with contextlib.suppress(hypothesis.errors.Unsatisfiable):
            tried(GenerationMode.NEGATIVE, world.member, 8)
    assert failures == []


def _wrong(
    world: FuzzTarget, case: schemathesis.Case, session: requests.Session, mode: GenerationMode, is_private: bool
) -> list[str]:
    """Return the faults of the response to a request."""
    arguments = case.as_transport_kwargs(base_url=world.url)
    headers = {name: value for name, value in arguments.pop("headers", {}).items() if name != "Authorization"}
    arguments.pop("cookies", None)
    with session.request(**arguments, headers=headers, stream=True, timeout=20) as response:
        asked = f"{response.request.method} {response.request.url} {str(response.request.body)[:300]}"
        if "event-stream" in response.headers.get("content-type", ""):
            return [] if response.status_code == 200 else [f"{asked}: {response.status_code} as a stream"]
        response.content  # noqa: B018 - read while the connection is open
    found = [f"{asked}: {error}" for error in _complaints(case, response, mode)]
    if response.status_code >= 500 and response.status_code != AWAY:
        found.append(f"{asked}: {response.status_code} {response.text}")
    if is_private and session is world.anonymous and response.ok:
        found.append(f"{asked}: a stranger got {response.status_code}")
    return found


def _complaints(case: schemathesis.Case, response: requests.Response, mode: GenerationMode) -> Iterator[str]:
    wanted = [*CHECKS, checks.negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS
    try:
        case.validate_response(response, checks=wanted)
    except Exception as error:
        yield f"{response.status_code} {response.text[:300]}\n{error}"
