"""Moderation: reports, hiding, restoring, erasing, bans, the public log, and the messages about all of it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import msgspec
import push
import pytest
from api_fixtures import Log, market_id, served
from assertions import body

from api import schemas
from api.auth.service import AuthService
from ingest.testing import address
from zmart.domain.ids import Address

Client = httpx.AsyncClient
ONE = market_id(1)
ANN, BOB, MOD = (address(number) for number in (2, 3, 60))
INSULT, EARLIER = "An insult that nobody should read", "A worse insult that was edited away"
MORE = {"JWT_SECRET": push.JWT_SECRET, "RATE_LIMIT_PER_MINUTE": "0", "MODERATOR_WALLETS": MOD}


class Forum:
    """An application with a moderator, and the requests of the wallets that use it."""

    def __init__(self, log: Log, client: Client) -> None:
        self.log = log
        self.client = client
        self._auth = AuthService(log.settings(**MORE), None, None)  # type: ignore[arg-type]

    def token(self, wallet: str) -> str:
        """Return an access token of a wallet."""
        return self._auth.tokens.issue(Address(wallet))

    async def send(self, wallet: str, path: str, content: Any = None, method: str = "POST") -> httpx.Response:
        """Send a request as a wallet."""
        headers = {"Authorization": f"Bearer {self.token(wallet)}"}
        return await self.client.request(method, path, json=content, headers=headers)

    async def post(self, wallet: str, content: str, **more: Any) -> str:
        """Post under market 1; return the post's id."""
        answer = await self.send(wallet, f"/api/markets/{ONE}/discussions", {"content": content, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["discussion"]["id"])

    async def decide(self, path: str, action: str, *, wallet: str = MOD) -> httpx.Response:
        """Decide about a post or a wallet."""
        return await self.send(wallet, f"/api/moderation/{path}", {"action": action, "reason": "Insults others."})

    async def everything_in_the_api(self, post: str) -> str:
        """Return all that a stranger can read about a post."""
        paths = (
            f"/api/markets/{ONE}/discussions",
            f"/api/markets/{ONE}/discussions?view=all",
            f"/api/discussions/{ONE}",
            f"/api/discussions/{post}/replies",
            f"/api/discussions/{post}/edits",
            f"/rest/v1/discussions?select=*&market_id=eq.{ONE}",
            "/api/moderation/log",
        )
        return "\n".join([(await self.client.get(path)).text for path in paths])

    async def everything(self, post: str) -> str:
        """Return all that a stranger and an analyst can read about a post."""
        found = await self.everything_in_the_api(post)
        with self.log.database.connect("analyst") as analyst:
            return found + str(analyst.execute("select * from marts.discussions").fetchall())


@pytest.fixture
async def forum(markets: Log) -> AsyncIterator[Forum]:
    """The application over three markets."""
    async with served(markets.settings(**MORE)) as client:
        yield Forum(markets, client)


async def insult(forum: Forum) -> str:
    """Ann posts, edits and is reported by Bob; return the post's id."""
    post = await forum.post(ANN, EARLIER)
    assert (await forum.send(ANN, f"/api/discussions/{post}", {"content": INSULT}, "PATCH")).status_code == 200
    assert (await forum.send(BOB, f"/api/discussions/{post}/flag", {"reason": "Rude"})).status_code == 201
    return post


async def test_a_hidden_post_is_read_nowhere_until_it_is_restored(forum: Forum) -> None:
    """Neither its text nor its earlier text, by any request; its author cannot change or rate it meanwhile."""
    post = await insult(forum)
    before = await forum.everything(post)
    assert INSULT in before
    assert EARLIER in before

    assert (await forum.decide(f"posts/{post}", "hide")).status_code == 200

    hidden = await forum.everything(post)
    assert INSULT not in hidden
    assert EARLIER not in hidden
    for path, content, method in (
        (f"/api/discussions/{post}", {"content": "Something else"}, "PATCH"),
        (f"/api/discussions/{post}/vote", {"vote": "up"}, "POST"),
        (f"/api/discussions/{post}/flag", {"reason": "Again"}, "POST"),
    ):
        assert (await forum.send(ANN, path, content, method)).status_code == 404
    reply = {"content": "A reply", "parent_id": post}
    assert (await forum.send(BOB, f"/api/markets/{ONE}/discussions", reply)).status_code == 404
    assert (await forum.decide(f"posts/{post}", "hide")).status_code == 409

    assert (await forum.decide(f"posts/{post}", "restore")).status_code == 200
    after = await forum.everything(post)
    assert INSULT in after
    assert EARLIER in after
    assert (await forum.decide(f"posts/{post}", "restore")).status_code == 409


async def test_a_hidden_first_post_hides_its_thread(forum: Forum) -> None:
    """Until it is restored, lists and messages omit its replies, too, and a reply to one of them is refused."""
    post = await forum.post(ANN, INSULT)
    reply = await forum.post(BOB, "A reply that quotes the insult", parent_id=post)
    assert (await forum.decide(f"posts/{post}", "hide")).status_code == 200

    for name in (post, reply):
        assert "quotes the insult" not in await forum.everything_in_the_api(name)
    answer = {"content": "A reply to the reply", "parent_id": reply}
    assert (await forum.send(ANN, f"/api/markets/{ONE}/discussions", answer)).status_code == 404
    for name in (post, reply):
        assert (await forum.send(MOD, f"/api/discussions/{name}/vote", {"vote": "up"})).status_code == 404
        assert (await forum.send(MOD, f"/api/discussions/{name}/flag", {"reason": "spam"})).status_code == 404

    assert (await forum.decide(f"posts/{post}", "restore")).status_code == 200
    assert "quotes the insult" in await forum.everything_in_the_api(post)


async def test_authors_delete_what_is_hidden(forum: Forum) -> None:
    """Their own posts, hidden alone or with the thread; to everybody else these do not exist."""
    post = await forum.post(ANN, INSULT)
    reply = await forum.post(BOB, "A reply that quotes the insult", parent_id=post)
    assert (await forum.decide(f"posts/{post}", "hide")).status_code == 200

    for name, author, other in ((reply, BOB, ANN), (post, ANN, BOB)):
        path = f"/api/discussions/{name}"
        assert (await forum.send(other, path, method="DELETE")).status_code == 404
        assert (await forum.send(author, path, method="DELETE")).is_success
        assert (await forum.send(author, path, method="DELETE")).status_code == 404


async def test_an_erased_text_is_not_in_stored_answers(forum: Forum) -> None:
    """A repeat of the request that created the post creates nothing and does not show it; other answers stay."""
    headers = [
        {"Authorization": f"Bearer {forum.token(ANN)}", "Idempotency-Key": key} for key in ("an-insult", "another-post")
    ]
    path, texts = f"/api/markets/{ONE}/discussions", (INSULT, "A fair question")
    first, other = [
        await forum.client.post(path, json={"content": text}, headers=each)
        for text, each in zip(texts, headers, strict=True)
    ]
    assert (await forum.decide(f"posts/{first.json()['discussion']['id']}", "erase")).status_code == 200

    repeated = await forum.client.post(path, json={"content": INSULT}, headers=headers[0])
    assert (repeated.status_code, INSULT in repeated.text) == (409, False)
    again = await forum.client.post(path, json={"content": texts[1]}, headers=headers[1])
    assert (again.status_code, again.content) == (201, other.content)
    stored = forum.log.owner.execute("select string_agg(convert_from(body, 'UTF8'), '') from app.idempotency_keys")
    assert INSULT not in str(stored.fetchone())


async def test_an_erased_text_leaves_its_digest(forum: Forum) -> None:
    """The text is in no table, the log has its SHA-256; it cannot be restored."""
    post = await insult(forum)
    assert (await forum.decide(f"posts/{post}", "erase")).status_code == 200

    left = forum.log.owner.execute(
        "select c.content, e.content_before from app.comments as c inner join app.comment_edits as e using (comment_no)"
        " where c.comment_no = %s",
        [int(post)],
    ).fetchall()
    assert left == [("", "")]
    digests = forum.log.owner.execute("select digest from raw.feed where kind = 'comment' order by seq").fetchall()
    assert [row[0] for row in digests] == [hashlib.sha256(text.encode()).digest() for text in (EARLIER, INSULT)]
    refused = await forum.decide(f"posts/{post}", "restore")
    assert (refused.status_code, refused.json()["message"]) == (409, "The text of this post was erased.")
    assert INSULT not in await forum.everything(post)


async def test_the_queue_is_for_moderators(forum: Forum) -> None:
    """Reported posts with reasons, until a decision; a report after it brings the post back."""
    post = await insult(forum)
    answer = await forum.send(MOD, "/api/moderation/queue", method="GET")
    queue = msgspec.json.decode(answer.content, type=schemas.ModerationQueue)
    assert [(one.id, one.content, one.flags, one.reasons) for one in queue.posts] == [(post, INSULT, 1, ["Rude"])]

    assert (await forum.decide(f"posts/{post}", "dismiss")).status_code == 200
    assert (await forum.send(MOD, "/api/moderation/queue", method="GET")).json()["posts"] == []

    assert (await forum.send(address(4), f"/api/discussions/{post}/flag", {"reason": "Very rude"})).is_success
    (again,) = (await forum.send(MOD, "/api/moderation/queue", method="GET")).json()["posts"]
    assert (again["flags"], again["reasons"]) == (1, ["Very rude"])


async def test_the_queue_is_read_in_pages(forum: Forum) -> None:
    """The most reported first, none twice; a text that is no cursor is refused."""
    posts = [await forum.post(ANN, f"Post {number}") for number in range(5)]
    for place, post in enumerate(posts):
        for reporter in range(4, 5 + place % 3):
            assert (await forum.send(address(reporter), f"/api/discussions/{post}/flag", {"reason": "Rude"})).is_success

    found, cursor = [], ""
    while True:
        page = (await forum.send(MOD, f"/api/moderation/queue?limit=2{cursor}", method="GET")).json()
        found += [(one["id"], one["flags"]) for one in page["posts"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert found == [(posts[2], 3), (posts[4], 2), (posts[1], 2), (posts[3], 1), (posts[0], 1)]
    for text in ("x", "1", "-1-1", "1-", "9" * 10 + "-1", "١-١"):
        answer = await forum.send(MOD, f"/api/moderation/queue?cursor={text}", method="GET")
        assert answer.status_code == 400, text


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/api/moderation/queue", None),
        ("POST", "/api/moderation/posts/1", {"action": "hide", "reason": "Mine now"}),
        ("POST", "/api/moderation/posts/1", {"action": "erase", "reason": "Mine now"}),
        ("POST", f"/api/moderation/wallets/{ANN}", {"action": "ban", "reason": "Mine now"}),
    ],
)
async def test_a_wallet_that_is_no_moderator_is_refused(
    forum: Forum, method: str, path: str, content: Mapping[str, str] | None
) -> None:
    """403 with a sentence for a signed-in wallet, 401 for nobody; nothing is written."""
    await insult(forum)
    refused = await forum.send(BOB, path, content, method)
    nobody = await forum.client.request(method, path, json=content)

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "MODERATOR_WALLETS" in refused.json()["message"]
    assert nobody.status_code == 401
    assert (await body(forum.client, "/api/moderation/log", schemas.ModerationLog))["decisions"] == []


async def test_the_log_of_decisions_is_public(forum: Forum) -> None:
    """The newest first, in pages, with what was decided, by whom and why."""
    post = await insult(forum)
    for path, action in ((f"posts/{post}", "hide"), (f"wallets/{ANN}", "ban"), (f"wallets/{ANN}", "unban")):
        assert (await forum.decide(path, action)).status_code == 200

    page = await body(forum.client, "/api/moderation/log?limit=2", schemas.ModerationLog)
    rest = await body(forum.client, f"/api/moderation/log?limit=2&before={page['next_before']}", schemas.ModerationLog)

    decided = [(one["action"], one["subject"], one["post_id"]) for one in page["decisions"] + rest["decisions"]]
    assert decided == [("unban", "wallet", None), ("ban", "wallet", None), ("hide", "post", post)]
    assert rest["next_before"] is None
    assert rest["decisions"][0] | {"decided_at": None} == {
        "seq": rest["decisions"][0]["seq"],
        "action": "hide",
        "subject": "post",
        "post_id": post,
        "market_id": ONE,
        "image_digest": None,
        "event_slug": None,
        "user_wallet": ANN,
        "moderator_wallet": MOD,
        "reason": "Insults others.",
        "decided_at": None,
    }


async def test_a_ban_in_the_middle_of_a_stream(markets: Log) -> None:
    """The stream of the banned wallet goes on and has the message; whatever it writes afterwards is refused."""
    async with (
        push.served(markets, RATE_LIMIT_PER_MINUTE="0", MODERATOR_WALLETS=MOD) as server,
        httpx.AsyncClient(base_url=server.http, trust_env=False) as client,
        server.connected() as socket,
    ):
        forum = Forum(markets, client)
        await socket.ask(action="authenticate", token=forum.token(ANN))
        reply = await socket.ask(action="subscribe", topics=["me", f"discussions:{ONE}"])
        assert reply["type"] == "subscribed", reply
        post = await forum.post(ANN, INSULT)
        banned = (await forum.decide(f"wallets/{ANN}", "ban")).json()["seq"]
        hidden = (await forum.decide(f"posts/{post}", "hide")).json()["seq"]

        frames = await socket.until_seq(hidden)
        decisions = [message["data"] for message in push.of_type(frames, "moderation")]
        assert [(one["action"], one["seq"], one["user_wallet"]) for one in decisions] == [
            ("ban", banned, ANN),
            ("hide", hidden, ANN),
        ]
        for path, content in (
            (f"/api/markets/{ONE}/discussions", {"content": "One more"}),
            (f"/api/markets/{ONE}/metadata", {"question": "Is this a market of mine?"}),
        ):
            refused = await forum.send(ANN, path, content)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), refused.text
            assert "Insults others" in refused.json()["message"]

        # The stream is still open: the next post of another wallet arrives.
        await forum.post(BOB, "Good evening")
        frames = await socket.until(lambda frame: bool(push.of_type([frame], "discussion")))
        assert push.of_type(frames, "discussion")[-1]["data"]["author"] == BOB
        assert (await forum.decide(f"wallets/{ANN}", "unban")).status_code == 200
        await forum.post(ANN, "Sorry")

        # A client that reads the same entries later does not get the hidden text.
        replay = await client.get("/api/moderation/log")
        assert INSULT not in replay.text
        async with server.connected() as later:
            start = f"{markets.position().split(':')[0]}:0"
            await later.send(action="subscribe", topics=[f"discussions:{ONE}"], since=start)
            replayed = await later.until(lambda frame: "Sorry" in str(frame))
            assert INSULT not in str(replayed)


async def test_a_profile_is_public_until_it_is_cleared(forum: Forum) -> None:
    """Its wallet sets it, everybody reads it, a moderator clears it; each is an entry of the log."""
    profile = {"display_name": " Zo\u00eb 王 ", "bio": "Two\nlines"}
    put = await forum.send(ANN, "/api/users/me", profile, "PATCH")
    assert put.status_code == 200, put.text

    shown = await body(forum.client, f"/api/users/{ANN}/profile", schemas.Profile)
    assert (shown["display_name"], shown["bio"], shown["is_banned"]) == ("Zo\u00eb 王", "Two\nlines", False)
    nobody = await body(forum.client, f"/api/users/{BOB}/profile", schemas.Profile)
    assert (nobody["display_name"], nobody["bio"], nobody["updated_at"]) == (None, None, None)

    assert (await forum.decide(f"wallets/{ANN}", "clear", wallet=BOB)).status_code == 403
    assert (await forum.decide(f"wallets/{ANN}", "clear")).status_code == 200
    assert (await forum.decide(f"wallets/{ANN}", "clear")).status_code == 409
    cleared = await body(forum.client, f"/api/users/{ANN}/profile", schemas.Profile)
    assert (cleared["display_name"], cleared["bio"]) == (None, None)
    kinds = forum.log.owner.execute("select kind from raw.feed order by seq desc limit 2").fetchall()
    assert kinds == [("moderation",), ("profile",)]

    assert (await forum.decide(f"wallets/{ANN}", "ban")).status_code == 200
    assert (await forum.send(ANN, "/api/users/me", profile, "PATCH")).status_code == 403


@pytest.mark.parametrize(
    ("field", "text"),
    [("display_name", "Ann\u202enimda"), ("display_name", "A\u200bnn"), ("display_name", "A\nnn"), ("bio", "a\u0007b")],
)
async def test_a_profile_has_no_hidden_characters(forum: Forum, field: str, text: str) -> None:
    """A name that only looks like another one is refused."""
    refused = await forum.send(ANN, "/api/users/me", {field: text}, "PATCH")
    assert refused.status_code == 400
    assert refused.json()["details"][0]["field"] == field
