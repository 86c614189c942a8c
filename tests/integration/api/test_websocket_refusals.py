"""Mistakes of WebSocket clients: reported on the open connection if that is safe, and closed with a code if not."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import socket as sockets
from collections.abc import AsyncIterator

import httpx
import jwt
import push
import pytest
from api_fixtures import Log, market_id
from push import JWT_SECRET, Served, served
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from api.auth import tickets, tokens
from api.auth.keys import SigningKeys
from api.live import client_messages, topics, websocket_session, wire
from ingest.testing import address
from zmart.settings import Secret

ONE = market_id(1)


@pytest.fixture
async def server(markets: Log) -> AsyncIterator[Served]:
    """A server over the three markets."""
    async with served(markets) as found:
        yield found


def token(wallet: str, *, seconds: int = 600, secret: str = JWT_SECRET, audience: str = tokens.ACCESS) -> str:
    """A token as the API signs them, valid for this number of seconds."""
    now = datetime.datetime.now(datetime.UTC)
    claims = {
        "iss": tokens.ISSUER, "aud": audience, "sub": wallet, "jti": f"{wallet} {seconds}",
        "iat": now - datetime.timedelta(hours=1), "exp": now + datetime.timedelta(seconds=seconds),
    }  # fmt: skip
    purpose = "ticket" if audience == tickets.STREAM else "access"
    return jwt.encode(claims, SigningKeys([Secret(secret)], purpose).signing_key, algorithm="HS256")


#: A message as it is sent, and the sentence and code of the reply.
WRONG: list[tuple[str, str, str]] = [
    ("hello", "Invalid message format", "invalid_message"),
    ("", "Invalid message format", "invalid_message"),
    ('{"action": "subscribe"', "Invalid message format", "invalid_message"),
    ("[1, 2]", "Invalid message format", "invalid_message"),
    ("null", "Invalid message format", "invalid_message"),
    ('{"action": 7}', "Invalid message format", "invalid_message"),
    ('{"action": "subscribe", "topics": "trades"}', "Invalid message format", "invalid_message"),
    ('{"action": "subscribe", "topics": [3]}', "Invalid message format", "invalid_message"),
    ('{"action": "subscribe", "market_id": "\\ud800"}', "Invalid message format", "invalid_message"),
    ("[" * 5000, "Invalid message format", "invalid_message"),
    ("{}", "Unknown action: None", "unknown_action"),
    ('{"action": "dance"}', "Unknown action: dance", "unknown_action"),
    ('{"action": "' + "x" * 500 + '"}', "Unknown action: " + "x" * 100, "unknown_action"),
    ('{"action": "subscribe"}', "market_id required for subscribe action", "market_id_required"),
    ('{"action": "subscribe", "topics": []}', "market_id required for subscribe action", "market_id_required"),
    ('{"action": "unsubscribe"}', "market_id required for unsubscribe action", "market_id_required"),
    ('{"action": "subscribe", "topics": ["weather"]}', "Unknown topic", "unknown_topic"),
    ('{"action": "subscribe", "topics": ["market:1"]}', "Unknown topic", "unknown_topic"),
    ('{"action": "subscribe", "topics": ["market:\\u0000"]}', "Unknown topic", "unknown_topic"),
    ('{"action": "subscribe", "market_id": "nope"}', "Unknown market_id: nope", "unknown_topic"),
    ('{"action": "subscribe", "topics": ["me"]}', "Not signed in", "not_signed_in"),
    (f'{{"action": "subscribe", "topics": ["me:{address(2)}"]}}', "Unknown topic", "unknown_topic"),
    ('{"action": "subscribe", "topics": ["trades"], "since": "7"}', "Invalid since", "invalid_since"),
    (
        '{"action": "subscribe", "topics": ["trades"], "since": "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11:7:mark"}',
        "Invalid since",
        "invalid_since",
    ),
    ('{"action": "auth"}', "token or ticket required for auth action", "not_signed_in"),
    ('{"action": "auth", "token": "abc"}', "Invalid token", "not_signed_in"),
    ('{"action": "auth", "ticket": "abc"}', "Invalid token", "not_signed_in"),
]


async def test_invalid_message_gets_an_error_and_keeps_the_connection(server: Served) -> None:
    """The reply names the fault in a sentence and a code, and the same connection continues."""
    async with server.connected() as socket:
        for sent, sentence, code in WRONG:
            await socket.raw.send(sent)
            response = await socket.next()
            assert (response["type"], response["data"]["error"], response["data"]["code"]) == (
                "error",
                sentence,
                code,
            ), sent
        await socket.raw.send(b"\x00\xff binary")
        assert (await socket.next())["data"]["code"] == "invalid_message"
        assert (await socket.ask(action="subscribe", topics=["trades"]))["type"] == "subscribed"


async def test_too_many_topics(server: Served) -> None:
    """A thousand topics are accepted, in one message or in several; one more is rejected and changes nothing."""
    many = [f"wallet:{address(number)}" for number in range(topics.MAX_TOPICS + 1)]
    async with server.connected() as socket:
        assert (await socket.ask(action="subscribe", topics=many))["data"]["code"] == "too_many_topics"
        assert len((await socket.ask(action="subscribe", topics=many[:600]))["topics"]) == 600
        assert (await socket.ask(action="subscribe", topics=many[401:]))["data"]["code"] == "too_many_topics"
        assert len((await socket.ask(action="subscribe", topics=many[600:1000]))["topics"]) == 1000


async def test_a_token_opens_ones_own(markets: Log, server: Served) -> None:
    """With its token a wallet receives its own posts and the replies to them; no other client does."""
    async with server.connected() as mine, server.connected() as other:
        assert (await mine.ask(action="auth", token=token(address(2))))["data"] == {"wallet": address(2)}
        response = await mine.ask(action="subscribe", topics=["me"])
        assert response["topics"] == ["me"]
        assert {m["type"] for m in response["messages"]} == {"position_update"}
        await other.ask(action="subscribe", topics=[f"wallet:{address(2)}", "me"], token=token(address(3)))
        owner = markets.owner
        with owner.transaction():
            owner.execute("set local role zmart_api")
            owner.execute("select set_config('zmart.wallet', %s, true)", [address(2)])
            owner.execute("select app.post_comment(%s, 'Mine')", [ONE])
        frame = await mine.next()
        assert [m["data"]["content"] for m in frame["messages"]] == ["Mine"]
        assert (await other.ask(action="ping"))["type"] == "pong"


async def test_a_token_in_the_address(server: Served) -> None:
    """Browsers cannot send headers, so token and ticket may be in the address; a wrong one is reported, not fatal."""
    async with server.connected(f"/ws?topics=me&token={token(address(2))}") as socket:
        assert (await socket.next())["type"] == "authenticated"
        assert (await socket.next())["topics"] == ["me"]
    ticket = server.services.auth.tickets.issue(address(2))
    async with server.connected(f"/ws?topics=me&ticket={ticket}") as socket:
        assert (await socket.next())["data"]["wallet"] == address(2)
    async with server.connected(f"/ws?topics=me&ticket={ticket}") as socket:
        assert (await socket.next())["data"]["code"] == "not_signed_in"
        assert (await socket.next())["data"]["code"] == "not_signed_in"
        assert (await socket.ask(action="subscribe", topics=["trades"]))["type"] == "subscribed"


async def test_a_part_of_the_private_topic_needs_the_wallet_too(server: Served) -> None:
    """Over events as over WebSocket: with its token it is served, without one refused."""
    path = "/api/stream?topics=me.position_update"
    async with httpx.AsyncClient(base_url=server.http, trust_env=False, timeout=push.TIMEOUT_SECONDS) as client:
        assert (await client.get(path)).status_code == 401
        headers = {"Authorization": f"Bearer {token(address(2))}"}
        async with client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            while await anext(lines) != "event: welcome":
                pass


async def test_wrong_tokens(server: Served) -> None:
    """Another signature, another purpose, an expired time and another wallet have distinct errors if that is safe."""
    foreign = token(address(2), secret="x" * 40)
    async with server.connected() as socket:
        for proof, code in (
            ({"token": foreign}, "not_signed_in"),
            ({"token": token(address(2), audience=tickets.STREAM)}, "not_signed_in"),
            ({"token": token(address(2), seconds=-5)}, "token_expired"),
            ({"token": token(address(2)), "wallet": address(3)}, "wrong_wallet"),
        ):
            assert (await socket.ask(action="auth", **proof))["data"]["code"] == code
        assert (await socket.ask(action="auth", token=token(address(2))))["type"] == "authenticated"
        assert (await socket.ask(action="auth", token=token(address(3))))["data"]["code"] == "wrong_wallet"


async def test_a_token_that_runs_out_ends_ones_own(markets: Log, server: Served) -> None:
    """From then on the private topic is unsubscribed, the public ones continue."""
    async with server.connected() as socket:
        await socket.ask(action="subscribe", topics=["me", "trades"], token=token(address(2), seconds=2))
        response = await socket.next()
        assert (response["data"]["code"], response["type"]) == ("token_expired", "error")
        markets.buy(1, 2)
        await markets.deliver()
        assert [m["type"] for m in (await socket.next())["messages"]] == ["trade"]


async def test_nobody_signs_in_where_no_secret_is_set(markets: Log) -> None:
    """Without JWT_SECRET the private topic is reported as unavailable, and the rest works."""
    async with served(markets, JWT_SECRET="") as server, server.connected() as socket:
        assert (await socket.ask(action="auth", token="abc"))["data"]["code"] == "unavailable"
        assert (await socket.ask(action="subscribe", topics=["trades"]))["type"] == "subscribed"


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "null", "http://[::1", "http://127.0.0.1.elsewhere.example"]
)
async def test_a_strange_page_is_refused(server: Served, origin: str) -> None:
    """A page of an origin that is not in CORS_ORIGINS gets no connection, and a message with the reason."""
    with pytest.raises(InvalidStatus) as refused:
        async with server.raw(origin=origin):
            pass
    assert refused.value.response.status_code == 403
    assert b"CORS_ORIGINS" in (refused.value.response.body or b"")


async def test_known_pages_are_let_in(server: Served) -> None:
    """A page of CORS_ORIGINS, one of our own, and a client that is not a page."""
    for origin in ("http://localhost:3000", server.http, None):
        async with server.raw(origin=origin) as raw:
            assert json.loads(await raw.recv())["type"] == "welcome"


async def test_a_message_that_is_too_big(server: Served) -> None:
    """Beyond 128 KiB the connection is closed with 1009, also if the message comes in fragments."""
    async with server.connected() as socket:
        await socket.raw.send("x" * (wire.MOST_BYTES + 1))
        assert (await socket.closed())[0] == 1009
    async with server.connected() as socket:
        await socket.raw.send("x" * 30_000 for _ in range(wire.MOST_BYTES // 30_000 + 1))
        assert (await socket.closed())[0] == 1009


async def test_text_that_is_not_utf_8(server: Served) -> None:
    """It is closed with 1007, as the protocol requires."""
    async with server.connected() as socket:
        protocol = socket.raw.protocol
        protocol.send_frame(Frame(Opcode.TEXT, b"\xff\xfe"))
        socket.raw.send_data()
        assert (await socket.closed())[0] == 1007


async def test_client_over_the_message_rate_is_closed(server: Served) -> None:
    """Hundreds of messages in a moment are reported, then closed with 1008."""
    async with server.connected() as socket:
        for _ in range(websocket_session.MOST_MESSAGES + 1):
            await socket.send(action="pong")
        response = await socket.next()
        assert response["data"]["code"] == "too_many_messages"
        assert await socket.closed() == (1008, "too_many_messages")


async def test_no_room(markets: Log) -> None:
    """Beyond the limit of an address a client is rejected with the code for reconnecting later."""
    async with served(markets, STREAMS_PER_ADDRESS="1") as server, server.connected() as first:
        async with server.raw() as second:
            assert json.loads(await second.recv())["data"]["code"] == "too_many_streams"
            await second.wait_closed()
            assert second.close_code == 1013
        assert (await first.ask(action="ping"))["type"] == "pong"
        await first.raw.close()
        async with asyncio.timeout(20):
            while server.services.hub.streams:  # noqa: ASYNC110 - the hub tells nobody
                await asyncio.sleep(0.01)
        async with server.connected() as third:
            assert (await third.ask(action="ping"))["type"] == "pong"


async def test_half_a_frame_and_a_cut_line(server: Served) -> None:
    """A peer that vanishes in the middle of a frame leaves no resources behind."""
    raw = await asyncio.to_thread(_handshake, server.port)
    raw.sendall(b"\x81\xfe\x10\x00abcdhalf a mess")
    async with asyncio.timeout(20):
        while server.services.hub.streams != 1:  # noqa: ASYNC110 - the hub tells nobody
            await asyncio.sleep(0.01)
        raw.close()
        while server.services.hub.streams:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_peer_that_never_reads_is_closed(markets: Log, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue is bounded: it is closed as slow, while others receive everything."""
    monkeypatch.setattr(wire, "CLOSE_TIMEOUT_SECONDS", 0.2)
    stalled = await asyncio.to_thread(_handshake, server.port, 4096)
    async with server.connected() as socket:
        stalled.sendall(_masked(b'{"action":"subscribe","topics":["trades","market:' + ONE.encode() + b'"]}'))
        start = (await socket.ask(action="subscribe", topics=["trades"]))["seq"]
        received: list[int] = []
        while server.services.hub.streams == 2:
            for _ in range(400):
                markets.buy(1, 2)
            await markets.deliver()
            received += [frame["seq"] for frame in await socket.until_seq(markets.head()[1])]
            assert len(received) < 40_000
        assert received == list(range(start + 1, markets.head()[1] + 1))
    stalled.close()


async def test_no_token_in_a_log_line(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    """At any log level, neither the address of a connection nor a message is logged."""
    caplog.set_level(logging.DEBUG)
    secret = token(address(2))
    async with server.connected(f"/ws?topics=trades&token={secret}") as socket:
        await socket.send(action="auth", token=secret)
        await socket.until(lambda message: message["type"] == "authenticated")
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert not [record for record in ours if secret[-20:] in record.getMessage()]


def _handshake(port: int, receive_bytes: int | None = None) -> sockets.socket:
    raw = sockets.socket()
    if receive_bytes is not None:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_bytes)
    raw.connect(("127.0.0.1", port))
    raw.sendall(
        b"GET /ws HTTP/1.1\r\nHost: api\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 101 " in raw.recv(64)
    return raw


def _masked(payload: bytes) -> bytes:
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


def test_a_proof_shows_nothing() -> None:
    """A client's credentials are in no repr."""
    shown = repr(client_messages.Credentials(token="secret", ticket="secret"))
    assert "secret" not in shown
