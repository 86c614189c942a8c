"""Signing in with a wallet: every field counts, nothing works twice, and a rejection changes nothing."""

from __future__ import annotations

import base64
import datetime
from collections.abc import AsyncIterator, Iterator
from typing import Any

import api_fixtures
import httpx
import jwt
import pytest
from api_fixtures import Log
from wallets import SIGNING_IN, Wallet, bearer

from api.auth import tokens
from api.auth.keys import SigningKeys
from zmart import settings, testing
from zmart.settings import Secret

ORIGIN = "http://localhost:3000"


@pytest.fixture(scope="module")
def shared(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A database for tests whose requests are rejected, and so change nothing."""
    with postgres_server.clone(marts_template) as database:
        yield database


@pytest.fixture
async def shared_client(shared: testing.PostgresDatabase) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the shared database."""
    reached = {"DATABASE_URL": shared.dsn(), "DATABASE_URL_API": shared.dsn("zmart_api")}
    async with api_fixtures.served(settings.load({**reached, **SIGNING_IN})) as found:
        yield found


@pytest.fixture
async def client(log: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application over an empty log."""
    async with api_fixtures.served(log.settings(**SIGNING_IN)) as found:
        yield found


def rows(log: Log, statement: str) -> Any:
    """Rows as the administrator reads them."""
    return log.owner.execute(statement).fetchall()


async def attempt(client: httpx.AsyncClient, wallet: Wallet, text: str, **more: Any) -> httpx.Response:
    """Try to sign in with a text."""
    return await client.post(
        "/api/auth/verify",
        json={"wallet": wallet.address, "message": text, "signature": wallet.sign(text), **more},
    )


async def test_a_wallet_signs_in(client: httpx.AsyncClient, log: Log) -> None:
    """The nonce's text, signed, gives tokens; the database stores only the refresh token's hash."""
    session = await Wallet().session(client)

    assert session["token_type"] == "Bearer"
    assert session["expires_in"] == 900
    ticket = await client.post("/api/auth/ticket", headers=bearer(session["access_token"]))
    assert ticket.status_code == 201
    assert ticket.json()["expires_in"] == 60
    ((stored,),) = rows(log, "select to_jsonb(s)::text from app.sessions as s")
    assert session["refresh_token"].split(".")[1] not in stored


async def test_a_wallets_own_bytes_are_read(client: httpx.AsyncClient) -> None:
    """The result of signIn: bytes in base64, a site of CORS_ORIGINS, `solana:` before the chain, more fields."""
    wallet = Wallet()
    given = (await client.get("/api/auth/nonce", headers={"Origin": ORIGIN})).json()
    assert (given["domain"], given["uri"], given["message"]) == ("localhost:3000", ORIGIN, None)
    text = (
        f"localhost:3000 wants you to sign in with your Solana account:\n{wallet.address}\n\nHello.\n\n"
        f"URI: {ORIGIN}/markets\nVersion: 1\nChain ID: solana:localnet\nNonce: {given['nonce']}\n"
        f"Issued At: {given['issued_at']}\nExpiration Time: {given['expires_at']}\nRequest ID: 7\n"
        f"Resources:\n- https://a.example\n- https://b.example"
    )

    answer = await client.post(
        "/api/auth/verify",
        json={
            "wallet": wallet.address,
            "signed_message": base64.b64encode(text.encode()).decode(),
            "signature": base64.b64encode(bytes(wallet.key.sign_message(text.encode()))).decode(),
        },
    )

    assert answer.status_code == 200, answer.text


async def test_a_public_host_offers_a_named_site(shared: testing.PostgresDatabase) -> None:
    """With * beside it the named origin is the one that a wallet signs for, for any Origin header."""
    public = {"API_HOST": "0.0.0.0", "CORS_ORIGINS": "*,https://app.example"}
    reached = {"DATABASE_URL": shared.dsn(), "DATABASE_URL_API": shared.dsn("zmart_api"), **SIGNING_IN}
    async with api_fixtures.served(settings.load({**reached, **public})) as client:
        for origin in ("https://elsewhere.example", "null", "http://[::1"):
            answer = await client.get("/api/auth/nonce", headers={"Origin": origin})
            assert answer.status_code == 200, answer.text
            assert answer.json()["uri"] == "https://app.example"


FORGERIES = {
    "domain": ("localhost:3000 wants", "evil.example wants"),
    "uri of another site": ("URI: http://localhost:3000", "URI: http://evil.example"),
    "uri with the site as a name": ("URI: http://localhost:3000", "URI: http://localhost:3000@evil.example"),
    "version": ("Version: 1", "Version: 2"),
    "chain": ("Chain ID: localnet", "Chain ID: mainnet"),
    "nonce of nobody": ("Nonce: ", "Nonce: 00"),
    "no nonce": ("Nonce: ", "Request ID: "),
    "issued later": ("Issued At: 20", "Issued At: 21"),
    "issued at no instant": ("Issued At: 20", "Issued At: xx"),
    "expired": ("Expiration Time: 20", "Expiration Time: 19"),
    "no expiry": ("Expiration Time: ", "Request ID: "),
    "two lines of statement": ("Sign in to ZMART.", "Sign in to ZMART.\nAnd more."),
    "a statement that plays a field": ("Sign in to ZMART.", "Nonce: 1\n\nSign in to ZMART."),
    "a field twice": ("Version: 1", "Version: 1\nVersion: 1"),
    "fields in another order": ("Version: 1\nChain ID: localnet", "Chain ID: localnet\nVersion: 1"),
    "windows line ends": ("\n", "\r\n"),
    "another heading": ("Solana account", "Ethereum account"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_every_field_counts(
    shared_client: httpx.AsyncClient, shared: testing.PostgresDatabase, forgery: str
) -> None:
    """A signed text with any other content is rejected, and nothing is written."""
    wallet, (before, after) = Wallet(), FORGERIES[forgery]
    text = (await wallet.nonce(shared_client))["message"]
    assert before in text

    answer = await attempt(shared_client, wallet, text.replace(before, after))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "not_signed_in"
    with shared.connect("postgres") as owner:
        written = "select (select count(*) from app.sessions) + (select count(*) from app.redeemed_nonces)"
        assert owner.execute(written).fetchone() == (0,)


async def test_only_the_wallet_itself_signs_in(client: httpx.AsyncClient) -> None:
    """Another wallet's signature, another's text, and half a signature are refused."""
    wallet, other = Wallet(), Wallet()
    text = (await wallet.nonce(client))["message"]

    forged = await attempt(client, wallet, text, signature=other.sign(text))
    borrowed = await attempt(client, other, text)
    cut = await attempt(client, wallet, text, signature=wallet.sign(text)[:-8] + "1" * 8)
    long_ago = await attempt(client, wallet, "Sign this message to authenticate with ZMART: 1762600000000")

    assert [answer.status_code for answer in (forged, borrowed, cut, long_ago)] == [401] * 4
    assert forged.json()["message"].startswith("Invalid wallet signature")


async def test_a_nonce_signs_in_once(client: httpx.AsyncClient, log: Log) -> None:
    """The same signed text a second time is rejected; so is a nonce that was made with another secret."""
    wallet = Wallet()
    text = (await wallet.nonce(client))["message"]
    answers = [await attempt(client, wallet, text) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert "used before" in answers[1].json()["message"]

    async with api_fixtures.served(log.settings(**{**SIGNING_IN, "JWT_SECRET": "x" * 32})) as elsewhere:
        assert (await attempt(elsewhere, wallet, (await wallet.nonce(client))["message"])).status_code == 401


async def test_refresh_tokens_are_used_once(client: httpx.AsyncClient) -> None:
    """Each gives the next; the second use of one ends the session for both holders."""
    first = await Wallet().session(client)
    second = (await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    assert second["wallet"] == first["wallet"]

    stolen = await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
    robbed = await client.post("/api/auth/refresh", json={"refresh_token": second["refresh_token"]})

    assert (stolen.status_code, robbed.status_code) == (401, 401)
    assert "used before" in stolen.json()["message"]


async def test_signing_out_ends_the_session(client: httpx.AsyncClient, log: Log) -> None:
    """Its refresh token is invalid afterwards; an expired one is reported as expired; other sessions continue."""
    wallet = Wallet()
    ended, other = await wallet.session(client), await wallet.session(client)
    out = await client.post("/api/auth/logout", json={"refresh_token": ended["refresh_token"]})
    assert (out.status_code, out.json()) == (200, {"message": "Signed out."})
    again = await client.post("/api/auth/refresh", json={"refresh_token": ended["refresh_token"]})
    assert again.status_code == 401

    log.owner.execute("update app.sessions set expires_at = now() where revoked_at is null")
    expired = await client.post("/api/auth/refresh", json={"refresh_token": other["refresh_token"]})
    assert (expired.status_code, expired.json()["code"]) == (401, "token_expired")


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b", f"{Wallet().address}.{'x' * 43}", "\ud800"],
    ids=["empty", "short", "parts", "unknown", "unfit"],
)
async def test_what_is_no_refresh_token_is_refused(shared_client: httpx.AsyncClient, token: str) -> None:
    """Made-up tokens, also of an existing wallet, get 401; an empty one is a bad request, invalid text is 422."""
    body = b'{"refresh_token": "\\ud800"}' if token == "\ud800" else f'{{"refresh_token": "{token}"}}'.encode()
    answer = await shared_client.post("/api/auth/refresh", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == {"": 400, "\ud800": 422}.get(token, 401)


def forged(**changes: Any) -> str:
    """A token of ours, with changes; None removes."""
    now = datetime.datetime.now(datetime.UTC)
    claims = {
        "iss": tokens.ISSUER,
        "aud": tokens.ACCESS,
        "sub": Wallet().address,
        "iat": now,
        "exp": now + datetime.timedelta(minutes=1),
        "jti": "1",
    }
    key = changes.pop("key", SigningKeys([Secret(SIGNING_IN["JWT_SECRET"])], "access").signing_key)
    algorithm = changes.pop("algorithm", "HS256")
    payload = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(payload, key, algorithm=algorithm)


PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
FORGED_TOKENS = {
    "no algorithm": ({"algorithm": "none", "key": None}, "not_signed_in"),
    "another algorithm": ({"algorithm": "HS512", "key": "k" * 64}, "not_signed_in"),
    "another key": ({"key": "k" * 32}, "not_signed_in"),
    "the secret itself": ({"key": SIGNING_IN["JWT_SECRET"]}, "not_signed_in"),
    "a ticket's audience": ({"aud": "zmart-stream"}, "not_signed_in"),
    "two audiences": ({"aud": [tokens.ACCESS, "zmart-stream"]}, "not_signed_in"),
    "no audience": ({"aud": None}, "not_signed_in"),
    "another issuer": ({"iss": "someone"}, "not_signed_in"),
    "no end": ({"exp": None}, "not_signed_in"),
    "no wallet": ({"sub": "nobody"}, "not_signed_in"),
    "from tomorrow": ({"iat": datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)}, "not_signed_in"),
    "expired": ({"exp": PAST}, "token_expired"),
}


@pytest.mark.parametrize("forgery", FORGED_TOKENS)
async def test_forged_tokens_are_refused(shared_client: httpx.AsyncClient, forgery: str) -> None:
    """Any fault of a token gives 401; the unchanged token is accepted."""
    changes, code = FORGED_TOKENS[forgery]
    assert (await shared_client.post("/api/auth/ticket", headers=bearer(forged()))).status_code == 201

    answer = await shared_client.post("/api/auth/ticket", headers=bearer(forged(**changes)))

    assert (answer.status_code, answer.json()["code"]) == (401, code)


async def test_secrets_are_rotated_without_signing_out(log: Log) -> None:
    """The old secret's tokens are valid while it is listed second, and no longer after its removal."""
    old, new = SIGNING_IN["JWT_SECRET"], "n" * 32
    token = forged(key=SigningKeys([Secret(old)], "access").signing_key)
    for secrets, status in ((f"{new},{old}", 201), (new, 401)):
        async with api_fixtures.served(log.settings(**{**SIGNING_IN, "JWT_SECRET": secrets})) as rotating:
            answer = await rotating.post("/api/auth/ticket", headers=bearer(token))
            assert answer.status_code == status


async def test_a_ticket_is_used_once(log: Log) -> None:
    """The first use gives the wallet, the second is rejected; an access token is not a ticket, nor the reverse."""
    from api import app, errors

    wallet = Wallet()
    application = app.create(log.settings(**SIGNING_IN))
    async with api_fixtures.alive(application):
        auth = application.state.services.auth
        ticket = auth.tickets.issue(wallet.address)
        assert (await auth.tickets.redeem(ticket)).wallet == wallet.address
        for refused in (ticket, auth.tokens.issue(wallet.address)):
            with pytest.raises(errors.NotSignedIn):
                await auth.tickets.redeem(refused)
        with pytest.raises(errors.NotSignedIn):
            auth.wallet_of(auth.tickets.issue(wallet.address))


async def test_a_ticket_opens_nothing_for_longer_than_its_session(log: Log) -> None:
    """Its stream ends with the access token that requested it; with an older proof, after the same time."""
    from api import app
    from api.live.authentication import StreamAuthenticator

    wallet = Wallet()
    application = app.create(log.settings(**SIGNING_IN, LEGACY_AUTH="true"))
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with api_fixtures.alive(application), httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        auth = application.state.services.auth
        keeper = StreamAuthenticator(auth.tokens, auth.tickets, auth.api_keys)
        soon = tokens.Tokens(SigningKeys([Secret(SIGNING_IN["JWT_SECRET"])], "access"), lifetime_seconds=90)
        for headers, most in ((bearer(soon.issue(wallet.address)), 90), (wallet.in_header(), 900)):
            asked = await client.post("/api/auth/ticket", headers=headers)
            opened = await keeper.authenticate(ticket=asked.json()["ticket"])
            assert opened is not None
            assert opened.wallet == wallet.address
            assert most - 30 < opened.seconds_left <= most


async def test_nobody_signs_in_without_a_secret(log: Log) -> None:
    """503 and a reason, instead of a publicly known secret."""
    async with api_fixtures.served(log.settings()) as client:
        for answer in (await client.get("/api/auth/nonce"), await client.post("/api/auth/ticket", headers=bearer("x"))):
            assert (answer.status_code, answer.json()["code"]) == (503, "sign_in_off")
