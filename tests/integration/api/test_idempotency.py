"""Idempotency keys: a repeat gets the answer of the first request, and creates nothing twice."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import api_fixtures
import httpx
import psycopg
import pytest
from api_fixtures import Log, market_id
from wallets import SIGNING_IN, Wallet

from api import schemas

PATH = "/api/discussions"
BODY = {"market_id": market_id(1), "content": "It will rain."}


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application, with a wallet that is signed in."""
    async with api_fixtures.served(markets.settings(**SIGNING_IN)) as found:
        found.headers.update(await Wallet().signed_in(found))
        yield found


async def post(client: httpx.AsyncClient, key: str, body: dict[str, Any] | None = None, **more: str) -> httpx.Response:
    """Create a post with a key."""
    return await client.post(PATH, json=body or BODY, headers={"Idempotency-Key": key, **more})


def count_posts(log: Log) -> int:
    """The number of posts."""
    ((found,),) = log.owner.execute("select count(*) from app.comments").fetchall()
    return int(found)


async def test_a_repeat_gets_the_first_answer(markets: Log, client: httpx.AsyncClient) -> None:
    """Byte for byte, and nothing is created twice; another key creates another post."""
    key = str(uuid.uuid4())
    first, repeat = await post(client, key), await post(client, key)
    assert (first.status_code, repeat.status_code) == (201, 201)
    assert repeat.content == first.content
    assert repeat.headers["content-type"] == first.headers["content-type"]
    assert [answer.headers.get("idempotency-replayed") for answer in (first, repeat)] == [None, "true"]
    assert count_posts(markets) == 1
    await post(client, str(uuid.uuid4()))
    assert count_posts(markets) == 2


async def test_a_key_belongs_to_one_request(markets: Log, client: httpx.AsyncClient) -> None:
    """Another body or path with the key is refused with a sentence."""
    await post(client, "a-key")
    other_body = await post(client, "a-key", {**BODY, "content": "It will snow."})
    path = f"/api/markets/{market_id(1)}/discussions"
    other_path = await client.post(path, json=BODY, headers={"Idempotency-Key": "a-key"})
    for answer in (other_body, other_path):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert "Use a new key for each request." in answer.json()["message"]
    assert count_posts(markets) == 1


async def test_a_key_belongs_to_one_wallet(markets: Log, client: httpx.AsyncClient) -> None:
    """Another wallet's request with the same key is its own; without a wallet the request is refused as ever."""
    await post(client, "a-key")
    other = await post(client, "a-key", **await Wallet().signed_in(client))
    assert (other.status_code, other.headers.get("idempotency-replayed")) == (201, None)
    assert count_posts(markets) == 2
    assert (await post(client, "a-key", Authorization="Bearer x")).status_code == 401


async def test_requests_at_the_same_time_create_one_post(markets: Log, client: httpx.AsyncClient) -> None:
    """All of them get the one answer."""
    answers = await asyncio.gather(*(post(client, "a-key") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert count_posts(markets) == 1


async def test_a_failed_request_may_be_sent_again(markets: Log, client: httpx.AsyncClient) -> None:
    """It changed nothing, so its key is free, also for a corrected body."""
    refused = await post(client, "a-key", {**BODY, "market_id": "f" * 64})
    assert refused.status_code == 404
    assert (await post(client, "a-key")).status_code == 201
    assert count_posts(markets) == 1


async def test_an_expired_key_may_be_used_again(markets: Log, client: httpx.AsyncClient) -> None:
    """After a day."""
    await post(client, "a-key")
    markets.owner.execute("update app.idempotency_keys set expires_at = clock_timestamp()")
    assert (await post(client, "a-key", {**BODY, "content": "Again."})).status_code == 201
    assert count_posts(markets) == 2


async def test_expired_keys_of_a_wallet_that_is_gone_are_deleted(markets: Log, client: httpx.AsyncClient) -> None:
    """An hour after they expire, whenever any wallet signs in."""
    await post(client, "a-key")
    for hours, left in ((0, 1), (2, 0)):
        markets.owner.execute(f"update app.idempotency_keys set expires_at = now() - interval '{hours} hours'")
        await Wallet().signed_in(client)
        assert markets.owner.execute("select count(*) from app.idempotency_keys").fetchone() == (left,)


@pytest.mark.parametrize(("is_written", "status", "posts"), [(False, 201, 2), (True, 409, 1)])
async def test_a_request_whose_process_died(
    markets: Log, client: httpx.AsyncClient, is_written: bool, status: int, posts: int
) -> None:
    """It is run again if it wrote nothing, and never if it wrote."""
    await post(client, "a-key")
    markets.owner.execute(
        "update app.idempotency_keys set status = null, body = null, claimed_until = clock_timestamp(),"
        " is_written = %s",
        [is_written],
    )
    answer = await post(client, "a-key")
    assert (answer.status_code, count_posts(markets)) == (status, posts)


async def test_a_request_that_fails_after_its_write(
    markets: Log, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its repeat learns at once that the answer is lost, and writes nothing."""

    def fail(**_: Any) -> None:
        raise RuntimeError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(schemas, "PostResult", fail)
        assert (await post(client, "a-key")).status_code == 500
    assert count_posts(markets) == 1
    answer = await post(client, "a-key")
    assert (answer.status_code, "its answer is lost" in answer.json()["message"]) == (409, True)
    assert count_posts(markets) == 1


async def test_a_process_that_lost_its_claim_writes_nothing(markets: Log, client: httpx.AsyncClient) -> None:
    """Once another process has written for the key, its own write is refused in its own transaction."""
    await post(client, "a-key")
    with markets.database.connect("zmart_api") as login, login.transaction():
        (wallet,) = markets.owner.execute(
            "select w.wallet from app.idempotency_keys as i join raw.wallets_seen as w using (wallet_no)"
        ).fetchone() or ("",)
        login.execute("select set_config('zmart.wallet', %s, true)", [wallet])
        with pytest.raises(psycopg.Error, match="has written already"):
            login.execute("select app.mark_idempotent_write('a-key')")


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "naïve", "\0"])
async def test_an_invalid_key_is_refused(client: httpx.AsyncClient, key: str) -> None:
    """The answer names the header."""
    headers = {b"Idempotency-Key": key.encode("latin-1"), b"Authorization": client.headers["authorization"].encode()}
    answer = await client.post(PATH, json=BODY, headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert answer.json()["details"][0]["field"] == "Idempotency-Key"
