"""A Kubo node, a gateway and a pinning service in one in-process server, each able to fail like real ones.

with fake_ipfs.opened() as world:
    world.ipfs(pins=True)          settings that point at its parts
    world.renames = True           the node returns another CID
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orchestration.snapshots.services import MonotonicClock
from zmart.domain import cids
from zmart.settings import IpfsSettings, Secret

TOKEN = "let me keep it"
#: The options that give the CIDs that we compute; a node with other options gives other CIDs.
ASKED = {"cid-version": "0", "raw-leaves": "false", "chunker": "size-262144", "pin": "true"}


@dataclass
class FakeIpfs:
    """Its content, and its faults."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    #: Requests to the pinning service: cid and status by id.
    pins: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    #: Statuses that a part returns before it works again: `/api/v0/add`, `/ipfs`, `/pins`.
    failing: dict[str, list[int]] = field(default_factory=dict)
    renames: bool = False
    corrupts: bool = False
    #: The states of a pin, poll after poll; the last one stays.
    fate: list[str] = field(default_factory=lambda: ["queued", "pinning", "pinned"])

    def ipfs(self, *, pins: bool = False, gateway: bool = True) -> IpfsSettings:
        """Settings that point at its parts."""
        return IpfsSettings(
            snapshot_cron="0 0 * * *",
            api_url=Secret(self.url),
            gateway_url=Secret(f"{self.url}/") if gateway else None,
            pinning_url=Secret(self.url) if pins else None,
            pinning_token=Secret(TOKEN) if pins else None,
        )

    def count(self, call: str) -> int:
        """Return the number of requests to a path."""
        return self.calls.count(call)


class ManualClock:
    """A clock that advances with every wait."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> MonotonicClock:
        """Return the arguments of Services."""
        return MonotonicClock(now=lambda: self.seconds, sleep=self._pass)

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds


@contextlib.contextmanager
def serve_fake_ipfs() -> Iterator[FakeIpfs]:
    """The servers, until the block ends."""
    world = FakeIpfs()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_IpfsHandler,), {"world": world}))
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class _IpfsHandler(BaseHTTPRequestHandler):
    world: FakeIpfs
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        place = "/" + "/".join(parts.path.split("/")[1 : 4 if parts.path.startswith("/api") else 2])
        self.world.calls.append(f"{method} {place}")
        if failures := self.world.failing.get(place):
            self._respond(failures.pop(0), b"the stand-in is told to fail")
            return
        match method, place:
            case "POST", "/api/v0/add":
                self._add(query, body)
            case "POST", "/api/v0/cat":
                self._file(query["arg"])
            case "GET", "/ipfs":
                self._file(parts.path.removeprefix("/ipfs/"))
            case _, "/pins":
                self._pins(method, parts.path.removeprefix("/pins").strip("/"), query, body)
            case _:
                self._respond(404, b"no such thing")

    def _add(self, query: dict[str, str], body: bytes) -> None:
        form = email.message_from_bytes(
            b"content-type: " + self.headers["content-type"].encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
        )
        (part,) = form.iter_parts()  # type: ignore[attr-defined]
        content = part.get_payload(decode=True)
        is_ours = ASKED.items() <= query.items() and not self.world.renames
        name = cids.compute_cid(content) if is_ours else cids.compute_cid(content + b" ")
        self.world.files[name] = content
        self._respond(
            200, json.dumps({"Name": "snapshot.json", "Hash": name, "Size": str(len(content))}).encode() + b"\n"
        )

    def _file(self, cid: str) -> None:
        content = self.world.files.get(cid)
        if content is None:
            self._respond(504, b"nobody has it")
        else:
            self._respond(200, content[:-1] + b"?" if self.world.corrupts else content)

    def _pins(self, method: str, number: str, query: dict[str, str], body: bytes) -> None:
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._respond(401, b"who are you?")
        elif method == "POST":
            number = str(len(self.world.pins) + 1)
            self.world.pins[number] = {"requestid": number, "status": "queued", "pin": json.loads(body)}
            self._respond(202, json.dumps(self.world.pins[number]).encode())
        elif number:
            fate = self.world.fate
            self.world.pins[number]["status"] = fate.pop(0) if len(fate) > 1 else fate[0]
            self._respond(200, json.dumps(self.world.pins[number]).encode())
        else:
            wanted = query["status"].split(",")
            found = [p for p in self.world.pins.values() if p["pin"]["cid"] == query["cid"] and p["status"] in wanted]
            self._respond(200, json.dumps({"count": len(found), "results": found}).encode())

    def _respond(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
