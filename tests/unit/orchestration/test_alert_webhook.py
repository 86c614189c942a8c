"""The delivery of an alert to a chat, and the message for a rejected one."""

from __future__ import annotations

import contextlib
import datetime
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestration import alert_webhook
from zmart import errors
from zmart.db.alerts import AlertRow
from zmart.settings import Secret

AT = datetime.datetime(2025, 7, 1, tzinfo=datetime.UTC)
ALERT = AlertRow(
    alert_no=7,
    kind="mart_stale",
    subject="trades",
    severity="critical",
    message='event 3 failed with "é"',
    occurrences=1,
    raised_at=AT,
    last_at=AT,
    acknowledged_at=None,
    acknowledged_by=None,
    resolved_at=None,
)


class Chat(HTTPServer):
    """A webhook that stores the messages."""

    status = 200
    taken: list[bytes]

    @property
    def url(self) -> Secret:
        """Return its address, which is its password."""
        return Secret(f"http://127.0.0.1:{self.server_port}/services/T0/very-secret")


class _ChatHandler(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        self.server.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A chat that listens."""
    server = Chat(("127.0.0.1", 0), _ChatHandler)
    server.taken = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_chat_message_has_text_and_link(chat: Chat) -> None:
    """Slack and similar chats take one JSON object with a text: the fault and the runbook's section, or its end."""
    alert_webhook.post(chat.url, ALERT)

    alert_webhook.post(chat.url, ALERT._replace(resolved_at=AT))

    assert [json.loads(taken) for taken in chat.taken] == [
        {"text": '🔴 *ZMART mart_stale* (trades): event 3 failed with "é"\ndocs/runbook.md#mart_stale'},
        {"text": "✅ *ZMART mart_stale* (trades) is resolved."},
    ]


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_reports_the_status_but_not_the_url(chat: Chat, status: int) -> None:
    """The address of a webhook is its password, so no message, cause or context contains it."""
    chat.status = status

    with pytest.raises(errors.Unavailable, match=str(status)) as caught:
        alert_webhook.post(chat.url, ALERT)

    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_is_a_refusal(chat: Chat, status: int) -> None:
    """Following it sends a GET, which is answered with 200 and tells nobody anything."""
    chat.status = status

    with pytest.raises(errors.Unavailable, match=str(status)):
        alert_webhook.post(chat.url, ALERT)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"HTTP/1.1 %d \r\nContent-Length: 0\r\n\r\n" % status for status in (199, 304, 418, 499, *range(520, 600))),
        *(b"HTTP/1.1 %d Moved\r\nLocation: /elsewhere\r\n\r\n" % status for status in (301, 302, 303, 307, 308)),
        b"HTTP/1.1 20",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"",
    ],
    ids=lambda answer: answer[:14].decode().strip() or "nothing",
)
def test_any_other_answer_is_a_refusal(answer: bytes) -> None:
    """Statuses without a name, redirects, and bytes that are not HTTP are Unavailable and nothing else."""
    with answering(answer) as url, pytest.raises(errors.Unavailable, match="rejected alert 7"):
        alert_webhook.post(url, ALERT)


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[Secret]:
    """A server that sends one connection these bytes and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received = b""
                while not received.endswith(b"}"):
                    received += connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Secret(f"http://127.0.0.1:{server.getsockname()[1]}/very-secret")
        thread.join()


def test_texts_are_bounded() -> None:
    """Discord takes 2,000 characters, and a message may list every slot of a gap."""
    long = ALERT._replace(subject="s" * 10_000, message="é" * 100_000)

    for alert in (long, long._replace(resolved_at=AT)):
        text = json.loads(alert_webhook.render_body(alert))["text"]
        assert len(text) < 2_000
        assert "…" in text


def test_an_unreachable_webhook_is_unavailable(chat: Chat) -> None:
    """An unreachable address is retried, and the message has no further details."""
    chat.shutdown()
    chat.server_close()

    with pytest.raises(errors.Unavailable, match="rejected alert 7"):
        alert_webhook.post(chat.url, ALERT)
