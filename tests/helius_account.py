"""A stand-in for Helius' webhook API: one account, in the documented formats, over real HTTP on loopback."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "0f1e2d3c-hush-4b5a-9687-helius000key"


@dataclass
class HeliusAccount:
    """The webhooks of one key, and the requests received."""

    webhooks: list[dict[str, Any]] = field(default_factory=list)
    #: (method, path, body) of every request.
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    #: Replaces the response, if set.
    status: int | None = None
    url: str = ""

    def add_webhook(self, **overrides: Any) -> dict[str, Any]:
        """Register a webhook like another client; `said` differs from an ordinary one."""
        webhook = {
            "webhookID": f"{len(self.webhooks):08d}-0000-4000-8000-000000000000",
            "wallet": "4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA",
            "webhookURL": "https://indexer.example.org/helius/webhook",
            "transactionTypes": ["ANY"],
            "accountAddresses": ["6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"],
            "webhookType": "rawDevnet",
            "authHeader": "the-header-we-expect-from-helius",
            "txnStatus": "all",
            "encoding": "jsonParsed",
            "active": True,
            **overrides,
        }
        self.webhooks.append(webhook)
        return webhook

    def respond(self, method: str, path: str, key: str | None, body: Any) -> tuple[int, Any]:
        """Return the response of Helius."""
        self.requests.append((method, path, body))
        if self.status is not None:
            return self.status, {"error": "no"}
        if key != KEY:
            return 401, {"error": f"invalid api key {key}"}
        found = next((one for one in self.webhooks if path == f"/v0/webhooks/{one['webhookID']}"), None)
        match method, path, found:
            case "GET", "/v0/webhooks", _:
                return 200, self.webhooks
            case "POST", "/v0/webhooks", _:
                return 201, self.add_webhook(**body)
            case "PUT", _, dict():
                found.update(body)
                return 200, found
            case "PATCH", _, dict():
                found["active"] = body["active"]
                return 200, found
        return 404, {"error": "webhook not found"}


@contextlib.contextmanager
def serve_account() -> Iterator[HeliusAccount]:
    """An account behind HTTP."""
    account = HeliusAccount()

    class HeliusHandler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            key = parse_qs(parts.query).get("api-key", [None])[0]
            status, response = account.respond(self.command, parts.path, key, body)
            content = json.dumps(response).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = _do

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), HeliusHandler)
    account.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield account
    finally:
        server.shutdown()
        server.server_close()
