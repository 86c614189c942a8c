"""API keys: scopes, tiers, limits, and a revocation that also ends streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import api_fixtures
import httpx
import psycopg
import push
import pytest
from api_fixtures import Log
from wallets import SIGNING_IN, Wallet, bearer

from api import app
from api.auth import api_keys, tokens
from api.auth.keys import SigningKeys
from api.middleware.rate_limit import SecondLimiter
from zmart import log as zmart_log
from zmart.domain.ids import Address
from zmart.settings import Secret


async def create_key(client: httpx.AsyncClient, wallet: Wallet, *scopes: str, **more: Any) -> dict[str, Any]:
    """A new key of a wallet."""
    body = {"name": "bot", "scopes": list(scopes or ("read", "trade", "write")), **more}
    answer = await client.post("/api/account/keys", json=body, headers=await wallet.signed_in(client))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application, where wallets sign in."""
    async with api_fixtures.served(markets.settings(**SIGNING_IN)) as found:
        yield found


async def test_a_key_is_shown_once_and_only_its_hash_is_stored(markets: Log, client: httpx.AsyncClient) -> None:
    """It authenticates like an access token; the list has everything about it but the key."""
    wallet = Wallet()
    created = await create_key(client, wallet, "write", "read", expires_in_days=30)
    key, shown = created["key"], created["api_key"]
    assert key.startswith(f"zmk_{wallet.address}_")
    assert (shown["scopes"], shown["revoked_at"]) == (["read", "write"], None)

    me = await client.get("/api/users/me", headers=bearer(key))
    assert (me.status_code, me.json()["wallet"]) == (200, wallet.address)
    listed = await client.get("/api/account/keys", headers=await wallet.signed_in(client))
    assert listed.json() == {"keys": [shown]}

    ((row,),) = markets.owner.execute("select to_jsonb(k)::text from app.api_keys as k").fetchall()
    assert key not in row
    assert api_keys.hash_of(key) in row
    with markets.database.connect("zmart_api") as login, pytest.raises(psycopg.errors.InsufficientPrivilege):
        login.execute("select from app.api_keys")


@pytest.mark.parametrize(
    "key", ["zmk_", "zmk_x_y", "zmk_{wallet}_", "zmk_{wallet}_guess", "zmk_{other}_{secret}", "zmk_{wallet}_{secret}x"]
)
async def test_a_changed_key_is_refused(client: httpx.AsyncClient, key: str) -> None:
    """Each part of it counts."""
    wallet, other = Wallet(), Wallet()
    secret = (await create_key(client, wallet))["key"].rpartition(f"{wallet.address}_")[2]
    changed = key.format(wallet=wallet.address, other=other.address, secret=secret)
    answer = await client.get("/api/users/me", headers=bearer(changed))
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


async def test_a_key_does_what_its_scopes_allow(client: httpx.AsyncClient) -> None:
    """Keys manage neither keys nor tickets, whatever their scopes."""
    wallet = Wallet()
    keys = {scope: bearer((await create_key(client, wallet, scope))["key"]) for scope in ("read", "trade", "write")}
    purchase = {"market_id": api_fixtures.market_id(1), "outcome": True, "max_cost": "1"}
    post = {"market_id": api_fixtures.market_id(1), "content": "By a bot."}
    for scope, headers in keys.items():
        statuses = {
            "read": (await client.get("/api/users/me", headers=headers)).status_code,
            "trade": (await client.post("/api/trades/buy", json=purchase, headers=headers)).status_code,
            "write": (await client.post("/api/discussions", json=post, headers=headers)).status_code,
        }
        assert [name for name, status in statuses.items() if status != 403] == [scope], statuses
        assert statuses["write"] == (201 if scope == "write" else 403)
        batch = await client.post("/api/markets/batch", json={"markets": [post["market_id"]]}, headers=headers)
        assert batch.status_code == (200 if scope == "read" else 403), batch.text
        for method, path in (("GET", "/api/account/keys"), ("POST", "/api/account/keys"), ("POST", "/api/auth/ticket")):
            refused = await client.request(method, path, json={"name": "x", "scopes": ["read"]}, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_a_wallet_manages_only_its_own_keys(client: httpx.AsyncClient) -> None:
    """Another wallet neither sees nor revokes them; ids that are none are not found."""
    wallet, thief = Wallet(), Wallet()
    created = await create_key(client, wallet)
    headers = await thief.signed_in(client)
    assert (await client.get("/api/account/keys", headers=headers)).json() == {"keys": []}
    for name in (created["api_key"]["id"], "nonsense", "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"):
        refused = await client.delete(f"/api/account/keys/{name}", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert (await client.get("/api/users/me", headers=bearer(created["key"]))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "scopes": ["read"]},
        {"name": "x" * 101, "scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["admin"]},
        {"name": "x", "scopes": ["read"], "expires_in_days": 0},
        {"name": "x\0", "scopes": ["read"]},
    ],
)
async def test_an_invalid_key_is_not_created(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """The answer names the field."""
    answer = await client.post("/api/account/keys", json=body, headers=await Wallet().signed_in(client))
    assert answer.status_code in {400, 422}, answer.text


async def test_a_wallet_has_a_limited_number_of_keys(client: httpx.AsyncClient) -> None:
    """Requests at the same time together cannot exceed it; a revoked key makes room."""
    wallet = Wallet()
    headers = await wallet.signed_in(client)
    body = {"name": "bot", "scopes": ["read"]}
    answers = await asyncio.gather(
        *(client.post("/api/account/keys", json=body, headers=headers) for _ in range(api_keys.MOST_PER_WALLET + 3))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * api_keys.MOST_PER_WALLET + [409] * 3
    created = next(answer.json() for answer in answers if answer.status_code == 201)
    for _ in range(2):
        assert (await client.delete(f"/api/account/keys/{created['api_key']['id']}", headers=headers)).is_success
    assert (await client.get("/api/users/me", headers=bearer(created["key"]))).status_code == 401
    assert (await client.post("/api/account/keys", json=body, headers=headers)).status_code == 201


async def test_an_expired_key_is_refused(markets: Log, client: httpx.AsyncClient) -> None:
    """Also by a process that has looked it up before."""
    created = await create_key(client, Wallet(), expires_in_days=1)
    headers = bearer(created["key"])
    assert (await client.get("/api/users/me", headers=headers)).status_code == 200
    markets.owner.execute("update app.api_keys set expires_at = clock_timestamp()")
    async with asyncio.timeout(api_fixtures.TIMEOUT_SECONDS):
        while (await client.get("/api/users/me", headers=headers)).status_code == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_token_that_runs_out_ends_no_key(markets: Log) -> None:
    """A connection that changes from a token to a key of the same wallet keeps its private topic."""
    keys = SigningKeys([Secret(push.JWT_SECRET)], "access")
    async with (
        push.served(markets, RATE_LIMIT_PER_MINUTE="0") as api,
        httpx.AsyncClient(base_url=api.http, trust_env=False, timeout=push.TIMEOUT_SECONDS) as client,
        api.connected() as socket,
        api.connected() as later,
    ):
        wallet = Wallet()
        created = await create_key(client, wallet, "read")
        token = tokens.Tokens(keys, lifetime_seconds=2).issue(Address(wallet.address))
        assert (await socket.ask(action="subscribe", topics=["me"], token=token))["type"] == "subscribed"
        assert (await socket.ask(action="auth", token=created["key"]))["type"] == "authenticated"
        await later.ask(action="subscribe", topics=["me"], token=token)
        while (await later.next())["type"] != "error":
            pass
        # The timer of the first connection was earlier.
        assert (await socket.ask(action="ping"))["type"] == "pong"


async def test_streams_of_a_revoked_key_end(markets: Log) -> None:
    """In the process that revokes it and in another one, over both transports; a stream of another key goes on."""
    async with (
        push.served(markets, RATE_LIMIT_PER_MINUTE="0") as api,
        push.served(markets, service_name="ws") as ws,
        httpx.AsyncClient(base_url=api.http, trust_env=False, timeout=push.TIMEOUT_SECONDS) as client,
    ):
        wallet = Wallet()
        created, other = await create_key(client, wallet, "read"), await create_key(client, wallet, "trade")
        headers = bearer(created["key"])
        async with (
            client.stream("GET", "/api/stream?topics=trades", headers=headers) as sse,
            api.connected(additional_headers=headers) as by_header,
            ws.connected(f"/ws?topics=me&token={created['key']}") as by_query,
            ws.connected(f"/ws?token={other['key']}") as others,
        ):
            events = sse.aiter_lines()
            while await anext(events) != "event: welcome":
                pass
            assert (await by_header.next())["data"]["wallet"] == wallet.address
            assert [(await by_query.next())["type"] for _ in range(2)] == ["authenticated", "subscribed"]
            assert (await others.next())["type"] == "authenticated"
            refused = await others.ask(action="subscribe", topics=["me"])
            assert refused["data"]["code"] == "forbidden"

            path = f"/api/account/keys/{created['api_key']['id']}"
            assert (await client.delete(path, headers=await wallet.signed_in(client))).is_success
            async with asyncio.timeout(push.TIMEOUT_SECONDS):
                assert [line async for line in events if line.startswith("data: ")][-1] == (
                    'data: {"reason": "key_revoked"}'
                )
            for socket in (by_header, by_query):
                assert await socket.closed() == (4003, "key_revoked")
            async with ws.raw(f"/ws?token={created['key']}") as refused_socket:
                answers = [json.loads(await refused_socket.recv()) for _ in range(2)]
            assert answers[1]["data"]["code"] == "not_signed_in"
            assert (await others.ask(action="ping"))["type"] == "pong"


@contextlib.asynccontextmanager
async def limited(log: Log, wallet: Wallet, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """A process with a limit of 40 and one wallet of a tier."""
    environ = {**SIGNING_IN, "RATE_LIMIT_PER_MINUTE": "40", "TRUSTED_PROXIES": "127.0.0.1", name: wallet.address}
    async with api_fixtures.served(log.settings(**environ)) as found:
        yield found


async def ask(client: httpx.AsyncClient, key: str, times: int) -> list[int]:
    """The statuses of this number of reads with a key."""
    return [(await client.get("/api/status", headers=bearer(key))).status_code for _ in range(times)]


async def test_a_tier_has_an_allowance_of_its_own(markets: Log) -> None:
    """A key of a wallet in PRO_WALLETS is counted by its wallet alone; one of the tier basic by its address, too."""
    pro, basic = Wallet(), Wallet()
    async with limited(markets, pro, "PRO_WALLETS") as client:
        elsewhere = {"X-Forwarded-For": "203.0.113.1"}
        client.headers.update(elsewhere)
        keys = [(await create_key(client, wallet, "read"))["key"] for wallet in (pro, basic)]
        client.headers["X-Forwarded-For"] = "203.0.113.2"
        shown = (await client.get("/api/account/limits", headers=bearer(keys[0]))).json()
        assert {name: shown[name] for name in ("wallet", "tier", "scopes", "per_minute", "per_second")} == {
            "wallet": pro.address,
            "tier": "pro",
            "scopes": ["read"],
            "per_minute": 400,
            "per_second": 40,
        }
        assert shown["remaining"] == 399
        anonymous = await client.get("/api/account/limits")
        assert (anonymous.json()["tier"], anonymous.json()["per_minute"]) == ("basic", 40)
        assert anonymous.headers["ratelimit-cost"] == "1"
        assert anonymous.json()["remaining"] == int(anonymous.headers["ratelimit-remaining"]) == 39

        assert [(await client.get("/api/status")).status_code for _ in range(40)] == [200] * 39 + [429]
        assert await ask(client, keys[1], 1) == [429]
        assert await ask(client, keys[0], 1) == [200]


async def test_a_key_has_a_limit_a_second(markets: Log) -> None:
    """More in one second are refused with the time to wait, and allowed in the next."""
    wallet, now = Wallet(), 100.0
    environ = {**SIGNING_IN, "RATE_LIMIT_PER_MINUTE": "100"}
    application = app.create(markets.settings(**environ))
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with api_fixtures.alive(application), httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        application.state.second_limiter = SecondLimiter(clock=lambda: now)
        key = (await create_key(client, wallet, "read"))["key"]
        assert await ask(client, key, 21) == [200] * 20 + [429]
        refused = await client.get("/api/status", headers=bearer(key))
        assert (refused.headers["retry-after"], refused.headers["ratelimit-limit"]) == ("1", "100")
        now += 1
        assert await ask(client, key, 1) == [200]


def test_a_key_is_never_logged() -> None:
    """Not even where a message contains it."""
    key = api_keys.new_key(Address(Wallet().address))
    mask = zmart_log.SecretMask()
    line = json.dumps(mask(None, "info", {"event": f"GET /x?k={key}", "list": [key], "named": {"q": f"({key})"}}))
    assert key not in line
    assert key.rpartition("_")[2] not in line
    assert line.count(zmart_log.MASK) == 3
