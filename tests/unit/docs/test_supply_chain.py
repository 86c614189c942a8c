"""`make audit`: the bill of materials, the licences, secrets in the repository, and advisories."""

from __future__ import annotations

import base64
import datetime
import importlib.metadata
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.signature import Signature
from test_documents import module

ROOT = Path(__file__).resolve().parents[3]
audit = module(ROOT / "deploy" / "audit.py")
PACKAGES = list(audit.locked_packages((ROOT / "requirements.lock").read_text()))
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def token(expiry: float) -> str:
    """Return a JWT that expires at a Unix time."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": "a-user", "exp": expiry}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "s" * 43])


# --- bill and licences ------------------------------------------------------------------------


def test_the_bill_lists_each_locked_package() -> None:
    """With the version that is installed, its hashes and its licence; and what the console brings."""
    bill = audit.make_bill(PACKAGES, [{"name": "swagger-ui", "version": "5.0.0"}], NOW)
    components = {each["name"]: each for each in bill["components"]}
    assert len(components) == len(PACKAGES) + 1 > 100
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    uvicorn = components["uvicorn"]
    version = importlib.metadata.version("uvicorn")
    assert (uvicorn["version"], uvicorn["purl"]) == (version, f"pkg:pypi/uvicorn@{version}")
    assert uvicorn["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert {len(reference["hashes"][0]["content"]) for reference in uvicorn["externalReferences"]} == {64}
    references = [each["bom-ref"] for each in bill["components"]]
    assert len(set(references)) == len(references)
    assert bill["dependencies"][0]["dependsOn"] == references


def test_each_package_has_an_allowed_licence() -> None:
    """Of those that are installed; the others are noted."""
    found = audit.check_licences(PACKAGES)
    assert found.faults == []
    assert len(found.notes) == sum(package.is_elsewhere for package in PACKAGES) < 10


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True),
        ("MIT AND BSD-3-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0-only", False),
        ("Proprietary", False),
    ],
)
def test_a_licence_is_allowed_if_it_can_be_met(expression: str, is_allowed: bool) -> None:
    """Each part of AND, one part of OR."""
    assert audit.is_allowed(expression) == is_allowed


def test_a_package_without_a_licence_is_a_fault() -> None:
    """Its name is in the message."""
    package = audit.Package(name="strange", version="1", hashes=(), licence=None)
    assert "strange 1 names no licence" in audit.check_licences([package]).faults[0]


# --- secrets ----------------------------------------------------------------------------------


def test_the_repository_has_no_secret() -> None:
    """In any file that git tracks."""
    allowed = audit.allowed_digests((ROOT / audit.ALLOWED).read_text())
    files = audit.tracked_files(ROOT)
    assert len(files) > 500
    assert audit.find_secrets(files, allowed).faults == []


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("a private key", lambda: "-----BEGIN " + "PRIVATE KEY-----"),
        ("a key file of Solana", lambda: json.dumps(list(bytes(Keypair())))),
        ("a secret key of Solana", lambda: str(Keypair())),
        ("a key of AWS", lambda: "AKIA" + "A" * 16),
        ("a token of GitHub", lambda: "ghp_" + "a" * 36),
        ("a token of Slack", lambda: "xoxb-" + "1" * 12),
        ("a token (JWT)", lambda: token(4_000_000_000)),
        ("a key of Helius", lambda: "?api-key=" + "0a1b2c3d-0000-1111-2222-333344445555"),
    ],
)
def test_each_kind_of_secret_is_found(kind: str, make: Callable[[], str]) -> None:
    """With file and line; its digest allows it, and an allowed one that is gone is a fault."""
    assert {kind} <= set(audit.SECRETS)
    secret = make()
    found = audit.find_secrets({"a.py": f"one\nkey = '{secret}'\n"}, {}).faults
    assert [text.partition(" (digest")[0] for text in found] == [f"a.py:2 looks like {kind}"]
    assert secret not in found[0]
    allowed = {found[0].rpartition("digest ")[2].rstrip(")"): "a reason"}
    assert audit.find_secrets({"a.py": secret}, allowed).faults == []
    assert "is in no file" in audit.find_secrets({"a.py": ""}, allowed).faults[0]


def test_what_resembles_a_secret_is_none() -> None:
    """A signature has the length of a secret key, any 64 numbers that of a key file; an old token is of no use."""
    harmless = [str(Signature(bytes(range(64)))), json.dumps(list(range(64))), token(1_000_000_000)]
    assert audit.find_secrets({"a.json": "\n".join(harmless)}, {}).faults == []


# --- advisories -------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[tuple[str, list[Any]]]:
    """A service of advisories that knows one, of the second package; with the requests that it gets."""
    asked: list[Any] = []

    class AdvisoryService(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            asked.append(queries)
            results: list[Any] = [{} for _ in queries]
            results[1] = {"vulns": [{"id": "GHSA-1"}, {"id": "PYSEC-2"}]}
            body = json.dumps({"results": results}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), AdvisoryService) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


def test_an_advisory_is_a_fault(service: tuple[str, list[Any]]) -> None:
    """One request asks for all packages."""
    url, asked = service
    found = audit.ask_advisories(PACKAGES[:3], url)
    assert found.faults == [f"{PACKAGES[1].name} {PACKAGES[1].version} has GHSA-1, PYSEC-2"]
    assert asked == [[{"package": {"purl": package.purl}} for package in PACKAGES[:3]]]


def test_a_service_that_is_not_reachable_is_noted() -> None:
    """The audit says that it did not check, and does not fail."""
    found = audit.ask_advisories(PACKAGES[:3], "http://127.0.0.1:9/")
    assert found.faults == []
    assert "not reachable: http://127.0.0.1:9/" in found.notes[0]


def test_the_command_writes_the_bill_and_fails_on_a_fault(
    tmp_path: Path,
    service: tuple[str, list[Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Status 1 with an advisory, 0 without."""
    monkeypatch.setattr(audit, "tracked_files", lambda _: {"a.py": "nothing"})
    monkeypatch.setattr(audit, "allowed_digests", lambda _: {})
    output = tmp_path / "bill.json"
    assert audit.main(["--output", str(output), "--advisories", service[0]]) == 1
    assert "advisories         1 faults" in capsys.readouterr().out
    assert json.loads(output.read_text())["bomFormat"] == "CycloneDX"
    assert audit.main(["--output", str(output), "--advisories", "http://127.0.0.1:9/"]) == 0
