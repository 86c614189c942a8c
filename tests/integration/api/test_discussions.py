"""Discussions: written by the signed-in wallet, stored as text, appended to the feed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from api_fixtures import Log, market_id, served
from assertions import body

from api import schemas
from api.auth.service import AuthService
from ingest.testing import address
from zmart.domain.ids import Address

Client = httpx.AsyncClient
ONE, TWO = market_id(1), market_id(2)
ANN, BOB, CY = (address(number) for number in (2, 3, 50))
SECRET = "a secret of at least thirty-two characters"


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[Client]:
    """The application with signing in."""
    async with served(markets.settings(JWT_SECRET=SECRET, RATE_LIMIT_PER_MINUTE="0")) as found:
        yield found


@pytest.fixture
def of(markets: Log) -> Any:
    """Headers of a wallet that is signed in."""
    auth = AuthService(markets.settings(JWT_SECRET=SECRET), None, None)  # type: ignore[arg-type]

    def headers(wallet: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token_of(auth, wallet)}"}

    return headers


def token_of(auth: AuthService, wallet: str) -> str:
    """Create an access token without the sign-in requests."""
    return auth.tokens.issue(Address(wallet))


async def post(client: Client, headers: dict[str, str], content: str, **more: Any) -> dict[str, Any]:
    """Post under market 1; return the post as it is shown."""
    response = await client.post(f"/api/markets/{ONE}/discussions", json={"content": content, **more}, headers=headers)
    assert response.status_code == 201, response.text
    result = msgspec.json.decode(response.content, type=schemas.PostResult)
    assert result.message == "Discussion created successfully"
    found: dict[str, Any] = response.json()["discussion"]
    return found


async def test_a_post_is_text_and_stays_text(client: Client, of: Any) -> None:
    """Markup, quotes and characters beyond the first plane are returned unchanged."""
    content = "<script>alert('&amp;')</script> \"quoted\" \\ naïve 🦀 \u202e'; drop table app.comments; --"
    posted = await post(client, of(ANN), content)
    assert (posted["content"], posted["author"], posted["user_wallet"]) == (content, ANN, ANN)
    page = await body(client, f"/api/markets/{ONE}/discussions", schemas.Threads)
    assert page["discussions"][0]["content"] == content
    assert (page["count"], page["market_id"], page["discussions"][0]["replies"]) == (1, ONE, [])


async def test_threads_hold_their_replies(client: Client, of: Any) -> None:
    """Replies at any depth are under the first post of the thread, oldest first; older lists are flat."""
    first = await post(client, of(ANN), "first")
    second = await post(client, of(BOB), "second")
    answer = await post(client, of(BOB), "answer", parent_id=first["id"])
    deeper = await post(client, of(CY), "deeper", parentId=answer["id"])
    page = await body(client, f"/api/markets/{ONE}/discussions", schemas.Threads)
    assert [thread["id"] for thread in page["discussions"]] == [second["id"], first["id"]]
    thread = page["discussions"][1]
    assert [reply["id"] for reply in thread["replies"]] == [answer["id"], deeper["id"]]
    assert (thread["replies_count"], thread["replies"][1]["parentId"]) == (2, answer["id"])
    flat = await body(client, f"/api/discussions/{ONE}", schemas.Discussions)
    assert [one["content"] for one in flat["discussions"]] == ["deeper", "answer", "second", "first"]
    rest = await body(client, f"/api/discussions/{first['id']}/replies?after={answer['id']}", schemas.Replies)
    assert [one["id"] for one in rest["replies"]] == [deeper["id"]]


@pytest.mark.parametrize("view", ["threads", "all"])
async def test_pages_go_on_where_they_ended(client: Client, of: Any, view: str) -> None:
    """Posts that arrive between two pages neither repeat nor hide others."""
    posted = [(await post(client, of(ANN), f"post {number}"))["id"] for number in range(5)]
    path = f"/api/markets/{ONE}/discussions?view={view}&limit=2"
    first = (await client.get(path)).json()
    await post(client, of(ANN), "newer")
    second = (await client.get(f"{path}&cursor={first['next_cursor']}")).json()
    third = (await client.get(f"{path}&cursor={second['next_cursor']}")).json()
    found = [one["id"] for page in (first, second, third) for one in page["discussions"]]
    assert found == posted[::-1]
    assert third["next_cursor"] is None


async def test_edit_keeps_the_previous_text(client: Client, of: Any) -> None:
    """The post has the new text; its history the old one. The same text again is not an edit."""
    posted = await post(client, of(ANN), "before")
    for _ in range(2):
        changed = await client.patch(f"/api/discussions/{posted['id']}", json={"content": "after"}, headers=of(ANN))
        assert (changed.status_code, changed.json()["discussion"]["content"]) == (200, "after")
    history = await body(client, f"/api/discussions/{posted['id']}/edits", schemas.Edits)
    assert [edit["content_before"] for edit in history["edits"]] == ["before"]
    assert changed.json()["discussion"]["edits"] == 1


async def test_deleted_post_is_empty_and_keeps_its_replies(client: Client, of: Any) -> None:
    """In threads it is empty above its replies; without replies it is not shown, and its texts are deleted."""
    lonely, parent = await post(client, of(ANN), "lonely"), await post(client, of(ANN), "parent")
    await post(client, of(BOB), "reply", parent_id=parent["id"])
    for one in (lonely, parent):
        gone = await client.delete(f"/api/discussions/{one['id']}", headers=of(ANN))
        assert (gone.status_code, gone.json()) == (200, {"message": "Discussion deleted successfully"})
    page = (await client.get(f"/api/markets/{ONE}/discussions")).json()["discussions"]
    assert [(one["content"], one["replies_count"]) for one in page] == [("", 1)]
    assert "parent" not in str(page[0]["content"])
    flat = (await client.get(f"/api/discussions/{ONE}")).json()["discussions"]
    assert [one["content"] for one in flat] == ["reply"]
    assert (await client.get(f"/api/discussions/{parent['id']}/edits")).status_code == 404
    again = await client.delete(f"/api/discussions/{parent['id']}", headers=of(ANN))
    assert again.status_code == 404
    assert again.json()["message"].startswith("Discussion not found")


async def test_reactions_replace_one_another(client: Client, of: Any) -> None:
    """One rating per wallet: up, then down, then none."""
    posted = await post(client, of(ANN), "opinion")
    path = f"/api/markets/{ONE}/discussions/{posted['id']}/vote"
    for wallet, vote, expected in ((BOB, "up", (1, 0)), (CY, "up", (2, 0)), (BOB, "down", (1, 1)), (CY, None, (0, 1))):
        now = (await client.post(path, json={"vote": vote}, headers=of(wallet))).json()["discussion"]
        assert (now["upvotes"], now["downvotes"]) == expected


async def test_reports_are_counted_and_private(client: Client, markets: Log, of: Any) -> None:
    """One report per wallet; the number is shown, and no other wallet can read the reporters."""
    posted = await post(client, of(ANN), "reported")
    path = f"/api/markets/{ONE}/discussions/{posted['id']}/flag"
    assert (await client.post(path, json={"reason": "Spam"}, headers=of(BOB))).status_code == 201
    assert (await client.post(path, json={"reason": "Again"}, headers=of(BOB))).status_code == 409
    (shown,) = (await client.get(f"/api/discussions/{ONE}")).json()["discussions"]
    assert (shown["flags"], shown["isFlagged"]) == (1, True)
    with markets.database.connect("zmart_api") as api:
        api.execute("select set_config('zmart.wallet', %s, false)", [ANN])
        assert api.execute("select * from app.flags").fetchall() == []


async def test_only_the_author_changes_a_post(client: Client, of: Any) -> None:
    """403 with the message of the older backend, and nothing changed."""
    posted = await post(client, of(ANN), "mine")
    edited = await client.patch(f"/api/discussions/{posted['id']}", json={"content": "yours"}, headers=of(BOB))
    deleted = await client.delete(f"/api/discussions/{posted['id']}", headers=of(BOB))
    assert (edited.status_code, deleted.status_code) == (403, 403)
    assert deleted.json()["message"].startswith("You can only delete your own discussions")
    (still,) = (await client.get(f"/api/discussions/{ONE}")).json()["discussions"]
    assert (still["content"], still["edits"]) == ("mine", 0)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", f"/api/markets/{ONE}/discussions", {"content": ""}, 400),
        ("POST", f"/api/markets/{ONE}/discussions", {"content": " \n\t "}, 422),
        ("POST", f"/api/markets/{ONE}/discussions", {"content": "x" * 1001}, 400),
        ("POST", f"/api/markets/{ONE}/discussions", {"content": "a\x00b"}, 422),
        ("POST", f"/api/markets/{ONE}/discussions", {"content": 5}, 400),
        ("POST", f"/api/markets/{ONE}/discussions", {}, 400),
        ("POST", f"/api/markets/{ONE}/discussions", {"content": "a", "parent_id": "7"}, 404),
        ("POST", f"/api/markets/{ONE}/discussions", {"content": "a", "parent_id": "x"}, 400),
        ("POST", f"/api/markets/{market_id(9)}/discussions", {"content": "a"}, 404),
        ("POST", "/api/discussions", {"content": "a", "market_id": "nobody"}, 404),
        ("PATCH", "/api/discussions/1", {"content": "a"}, 404),
        ("PATCH", "/api/discussions/x", {"content": "a"}, 404),
        ("DELETE", "/api/discussions/999999999999999999", None, 404),
        ("DELETE", f"/api/discussions/{'9' * 40}", None, 404),
        ("POST", f"/api/markets/{ONE}/discussions/1/vote", {"vote": "sideways"}, 400),
        ("POST", f"/api/markets/{ONE}/discussions/1/vote", {"vote": "up"}, 404),
        ("POST", f"/api/markets/{ONE}/discussions/1/flag", {"reason": ""}, 400),
        ("POST", f"/api/markets/{ONE}/discussions/1/flag", {"reason": "x"}, 404),
    ],
)
async def test_invalid_posts_are_refused(
    client: Client, markets: Log, of: Any, method: str, path: str, sent: Any, status: int
) -> None:
    """The right status, a message, and no entry in the feed."""
    before = markets.head()
    response = await client.request(method, path, json=sent, headers=of(ANN))
    assert response.status_code == status, response.text
    assert response.json()["message"]
    assert markets.head() == before


async def test_a_lone_surrogate_is_refused(client: Client, of: Any) -> None:
    """JSON can represent it, but no text column can store it."""
    sent = {"content": b'{"content": "a\\ud800b"}', "headers": {**of(ANN), "content-type": "application/json"}}
    response = await client.post(f"/api/markets/{ONE}/discussions", **sent)
    assert (response.status_code, response.json()["code"]) == (422, "unfit_text")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/api/markets/{ONE}/discussions"),
        ("POST", "/api/discussions"),
        ("PATCH", "/api/discussions/1"),
        ("DELETE", "/api/discussions/1"),
        ("POST", f"/api/markets/{ONE}/discussions/1/vote"),
        ("POST", f"/api/markets/{ONE}/discussions/1/flag"),
    ],
)
async def test_nobody_writes_without_signing_in(client: Client, method: str, path: str) -> None:
    """401 before any lookup."""
    sent = {"content": "a", "market_id": ONE, "vote": "up", "reason": "x"}
    assert (await client.request(method, path, json=sent)).status_code == 401


async def test_every_change_of_a_post_is_a_feed_entry(client: Client, markets: Log, of: Any) -> None:
    """Post, edit, rating and deletion are one entry each, of the market and by the wallet; a report has none."""
    before = markets.head()[1]
    posted = await post(client, of(ANN), "told")
    await client.patch(f"/api/discussions/{posted['id']}", json={"content": "told again"}, headers=of(ANN))
    await client.post(f"/api/markets/{ONE}/discussions/{posted['id']}/vote", json={"vote": "up"}, headers=of(BOB))
    await client.post(f"/api/markets/{ONE}/discussions/{posted['id']}/flag", json={"reason": "x"}, headers=of(BOB))
    await client.delete(f"/api/discussions/{posted['id']}", headers=of(ANN))
    entries = markets.owner.execute(
        "select f.kind, f.ref::text, s.market_id, w.wallet from raw.feed as f"
        " inner join raw.markets_seen as s using (market_no) inner join raw.wallets_seen as w using (wallet_no)"
        " where f.seq > %s order by f.seq",
        [before],
    ).fetchall()
    number = posted["id"]
    assert entries == [
        ("comment", number, ONE, ANN),
        ("comment", number, ONE, ANN),
        ("reaction", number, ONE, BOB),
        ("comment", number, ONE, ANN),
    ]


async def test_wallet_that_only_posts_has_a_profile(client: Client, of: Any) -> None:
    """A wallet that never traded may post, and its posts are counted."""
    await post(client, of(CY), "hello")
    assert (await client.get(f"/api/users/{CY}")).json()["stats"]["discussions"] == 1
