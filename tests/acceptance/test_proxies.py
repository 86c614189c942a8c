"""The configurations of deploy/proxy work with Debian's nginx and Caddy in front of a running product.

Each file is used as it is; only ports and certificates are replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.sync.client as websockets
from stack import Stack, eventually, open_stack

from tests import debian_packages
from zmart.run import ports

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(600)]

PROXY_FILES = Path(__file__).parents[2] / "deploy" / "proxy"
API, WS, INGEST = "api.example.org", "ws.example.org", "indexer.example.org"
#: An address of this machine that is no trusted proxy, to connect from.
CLIENT = "127.0.0.2"
SECRET = "a-secret-of-the-webhook"
LARGEST_BODY_BYTES = 32 << 20


class TlsProxy:
    """A proxy that listens on ports of the test, and a client of it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.http, self.https = ports.find_free_port(), ports.find_free_port()
        self.folder = folder
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self._make_certificate()
        self.tls = ssl.create_default_context(cafile=str(self.certificate))
        transport = httpx.HTTPTransport(verify=self.tls, local_address=CLIENT)
        self.client = httpx.Client(transport=transport, timeout=60)

    def _make_certificate(self) -> None:
        names = ",".join(f"DNS:{name}" for name in (API, WS, INGEST))
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-keyout", str(self.key), "-out", str(self.certificate), "-days", "2", "-subj", "/CN=test"]
        subprocess.run([*command, "-addext", f"subjectAltName={names}"], check=True, capture_output=True)

    def request(self, method: str, host: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to a name of the proxy."""
        headers = {"Host": host, **options.pop("headers", {})}
        url = f"https://127.0.0.1:{self.https}{path}"
        request = self.client.build_request(method, url, headers=headers, extensions={"sni_hostname": host}, **options)
        return self.client.send(request)

    @contextlib.contextmanager
    def stream(self, host: str, path: str) -> Iterator[httpx.Response]:
        """Open a stream."""
        url = f"https://127.0.0.1:{self.https}{path}"
        extensions = {"sni_hostname": host}
        with self.client.stream("GET", url, headers={"Host": host}, extensions=extensions) as answer:
            yield answer

    def connect(self, host: str, path: str) -> websockets.ClientConnection:
        """Open a WebSocket."""
        plain = socket.create_connection(("127.0.0.1", self.https), timeout=30)
        return websockets.connect(f"wss://{host}{path}", sock=plain, ssl=self.tls, server_hostname=host, proxy=None)


def nginx_command(proxy: TlsProxy, upstream: Callable[[str], str]) -> list[str]:
    """Write nginx' files and return its command."""
    text = upstream((PROXY_FILES / "nginx.conf").read_text())
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{proxy.https} ")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{proxy.http};")
    text = re.sub(r"/etc/letsencrypt/\S+fullchain\.pem", str(proxy.certificate), text)
    text = re.sub(r"/etc/letsencrypt/\S+privkey\.pem", str(proxy.key), text)
    (proxy.folder / "zmart.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {proxy.folder / kind};\n" for kind in kinds)
    main = f"daemon off;\npid {proxy.folder}/pid;\nerror_log {proxy.folder}/error.log;\nevents {{}}\nhttp {{\n"
    user = "user root;\n" if os.geteuid() == 0 else ""
    (proxy.folder / "nginx.conf").write_text(
        f"{user}{main}access_log off;\n{temporary}include {proxy.folder}/zmart.conf;\n}}\n"
    )
    return ["nginx", "-c", str(proxy.folder / "nginx.conf")]


def caddy_command(proxy: TlsProxy, upstream: Callable[[str], str]) -> list[str]:
    """Write Caddy's file and return its command."""
    text = upstream((PROXY_FILES / "Caddyfile").read_text())
    text = text.replace("\n{\n", f"\n{{\n\tadmin off\n\thttp_port {proxy.http}\n\thttps_port {proxy.https}\n", 1)
    text = re.sub(r"^(\w+\.example\.org \{)$", rf"\1\n\ttls {proxy.certificate} {proxy.key}", text, flags=re.MULTILINE)
    (proxy.folder / "Caddyfile").write_text(text)
    return ["caddy", "run", "--config", str(proxy.folder / "Caddyfile"), "--adapter", "caddyfile"]


COMMANDS = {"nginx": nginx_command, "caddy": caddy_command}


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    """Both proxies, installed; no service is left running."""
    if not all(shutil.which(name) for name in COMMANDS):
        try:
            debian_packages.install("nginx-light", "caddy")
        except debian_packages.NotInstallable as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def stack(programs: None) -> Iterator[Stack]:
    """A running product that trusts a proxy on this machine."""
    with open_stack() as stack:
        stack.environ |= {"TRUSTED_PROXIES": "127.0.0.1", "HELIUS_AUTH_HEADER": SECRET, "LOG_LEVEL": "debug"}
        stack.start("postgres,devchain,traders,ingest,api,ws")
        yield stack


@pytest.fixture(scope="module", params=sorted(COMMANDS))
def proxy(request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProxy]:
    """One of the proxies in front of it."""
    proxy = TlsProxy(request.param, tmp_path_factory.mktemp(request.param))

    def upstream(text: str) -> str:
        for port, name in (("4000", "API_PORT"), ("4001", "WS_PORT"), ("4002", "INGEST_PORT")):
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{stack.environ[name]}")
        return text

    command = COMMANDS[proxy.name](proxy, upstream)
    environment = {"PATH": os.environ["PATH"], "HOME": str(proxy.folder), "XDG_DATA_HOME": str(proxy.folder)}
    log = proxy.folder / "output.txt"
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as running:
        try:
            eventually(lambda: _is_serving(proxy, running, log))
            yield proxy
        finally:
            running.terminate()
            proxy.client.close()


def _is_serving(proxy: TlsProxy, running: subprocess.Popen[bytes], log: Path) -> bool:
    assert running.poll() is None, log.read_text()
    return proxy.request("GET", API, "/health").status_code == 200


def test_requests_are_redirected_to_tls_and_answered(proxy: TlsProxy) -> None:
    """With the product's own headers; plain HTTP leads to the same address over TLS."""
    answer = proxy.request("GET", API, "/api/markets")
    assert answer.status_code == 200
    assert answer.headers["zmart-seq"]
    # The product sees that the client uses TLS.
    assert "strict-transport-security" in answer.headers
    plain = httpx.get(f"http://127.0.0.1:{proxy.http}/api/markets", headers={"Host": API})
    assert plain.status_code == 308
    assert plain.headers["location"].startswith(f"https://{API}")


@pytest.mark.parametrize(("host", "path"), [(API, "/ws"), (WS, "/")])
def test_websockets_pass(proxy: TlsProxy, host: str, path: str) -> None:
    """A welcome, then messages of the feed."""
    with proxy.connect(host, path) as stream:
        assert json.loads(stream.recv(timeout=30))["type"]
        stream.send(json.dumps({"type": "subscribe", "topics": ["trades"]}))
        while "trade_type" not in str(stream.recv(timeout=60)):
            pass


def test_server_sent_events_are_not_buffered(proxy: TlsProxy) -> None:
    """The start of the stream arrives at once, then events one by one while the stream is open."""
    with proxy.stream(API, "/api/stream?topics=trades") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert any("welcome" in line for line in lines)
        seen = 0
        while seen < 2:
            seen += "messages" in next(lines)


def test_the_largest_delivery_passes_and_a_larger_one_does_not(proxy: TlsProxy) -> None:
    """32 MiB are committed; a byte more is 413, and so is one on a path of the API above its limit."""
    headers = {"Authorization": SECRET}
    largest = b"[" + b" " * (LARGEST_BODY_BYTES - 2) + b"]"
    accepted = proxy.request("POST", INGEST, "/helius/webhook", content=largest, headers=headers)
    assert (accepted.status_code, accepted.json()) == (200, {"success": True})
    refused = proxy.request("POST", INGEST, "/helius/webhook", content=largest + b" ", headers=headers)
    assert refused.status_code == 413
    body, headers = b" " * (300 << 10), {"Content-Type": "application/json"}
    large = proxy.request("POST", API, "/api/auth/login", content=body, headers=headers)
    assert (large.status_code, large.json()["status"]) == (413, 413)


def test_only_webhooks_reach_ingest(proxy: TlsProxy) -> None:
    """Not its readiness, which names nodes; a delivery without the secret is refused by ingest itself."""
    assert {proxy.request("GET", INGEST, path).status_code for path in ("/", "/ready", "/health", "/metrics")} == {404}
    assert proxy.request("POST", INGEST, "/helius/webhook", content=b"[]").json()["code"] == "unauthorized"


def test_metrics_are_not_forwarded(proxy: TlsProxy, stack: Stack) -> None:
    """Neither proxy passes them on; and a proxy that did would be refused."""
    assert {proxy.request("GET", host, "/metrics").status_code for host in (API, WS, INGEST)} == {404}
    for name in ("API_PORT", "WS_PORT", "INGEST_PORT", "DEVCHAIN_PORT"):
        url = f"http://127.0.0.1:{stack.environ[name]}/metrics"
        assert httpx.get(url).status_code == 200
        assert httpx.get(url, headers={"X-Forwarded-For": CLIENT}).status_code == 403


def test_the_product_sees_the_address_of_the_client(proxy: TlsProxy, stack: Stack) -> None:
    """Not the proxy's, and not one that the client invents."""
    name = f"of-{proxy.name}"
    answer = proxy.request("GET", API, "/api/markets", headers={"X-Forwarded-For": "9.9.9.9", "X-Request-Id": name})
    assert answer.headers["x-request-id"] == name
    logs = stack.folder / "logs"

    def logged() -> list[str]:
        lines = [line for file in logs.glob("api*") for line in file.read_text().splitlines()]
        return [line for line in lines if name in line and '"request"' in line]

    (line,) = eventually(logged)
    assert json.loads(line)["address"] == CLIENT
