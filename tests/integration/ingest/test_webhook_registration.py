"""The webhook at Helius: its faults, and its repair."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import helius_account
import pytest

from ingest.sync import webhook_registration
from ingest.sync.database import SyncDatabase
from ingest.sync.webhook_registration import ALERT, WebhookRegistrationCheck
from zmart import settings, testing
from zmart.chain import helius, rpc_errors
from zmart.run.doctor import doctor

URL = "https://indexer.example.org/helius/webhook"
HEADER = "the-header-we-expect-from-helius"
OTHER = "11111111111111111111111111111112"


@pytest.fixture
def account() -> Iterator[helius_account.HeliusAccount]:
    """Our account at Helius."""
    with helius_account.serve_account() as account:
        yield account


def environ(account: helius_account.HeliusAccount, **overrides: str) -> dict[str, str]:
    """Settings that need a webhook of `account`."""
    return {
        "SOLANA_RPC_URL": "http://127.0.0.1:1",
        "HELIUS_API_URL": account.url,
        "HELIUS_API_KEY": helius_account.KEY,
        "HELIUS_WEBHOOK_URL": URL,
        "HELIUS_AUTH_HEADER": json.dumps(["another-while-rotating", HEADER]),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        **overrides,
    }


async def verdict_of(configured: settings.Settings) -> helius.RegistrationCheck:
    """Return the faults of the webhook as Helius reports it."""
    async with helius.HeliusClient.of(configured) as api:
        return helius.check_registration(await api.webhooks(), helius.DesiredWebhook.of(configured))


async def test_a_right_webhook_is_right(account: helius_account.HeliusAccount) -> None:
    """A correct webhook has no fault, and a repair changes nothing."""
    account.add_webhook(webhookURL="https://elsewhere.example.org/", accountAddresses=[OTHER])
    account.add_webhook()
    configured = settings.load(environ(account))

    assert (await verdict_of(configured)).faults == ()
    async with helius.HeliusClient.of(configured) as api:
        assert "nothing was changed" in await api.create_or_repair(helius.DesiredWebhook.of(configured))
    assert {method for method, *_ in account.requests} == {"GET"}


WRONG = [
    ({"active": False}, "is disabled"),
    (
        {"webhookURL": "https://elsewhere.example.org/helius?token=hush"},
        "delivers to https://elsewhere.example.org/...",
    ),
    ({"accountAddresses": [OTHER]}, "does not watch"),
    ({"authHeader": "somebody-elses"}, "authHeader"),
    ({"authHeader": None}, "authHeader"),
    ({"authHeader": ""}, "authHeader"),
    ({"webhookType": "raw"}, "type is 'raw'"),
    ({"webhookType": "discordDevnet"}, "type is 'discordDevnet'"),
    ({"transactionTypes": ["NFT_SALE"]}, "ANY"),
]


@pytest.mark.parametrize(("fields", "fault"), WRONG, ids=[fault for _, fault in WRONG])
async def test_wrong_webhook_is_reported_and_repaired(
    account: helius_account.HeliusAccount, fields: dict[str, Any], fault: str
) -> None:
    """Each fault that stops deliveries has its sentence, none of them with a secret, and `create` repairs it."""
    account.add_webhook(**fields)
    configured = settings.load(environ(account))

    (reported,) = (await verdict_of(configured)).faults
    assert fault in reported
    assert "hush" not in reported

    async with helius.HeliusClient.of(configured) as api:
        await api.create_or_repair(helius.DesiredWebhook.of(configured))
    assert (await verdict_of(configured)).faults == ()
    assert len(account.webhooks) == 1


async def test_what_is_not_there_is_created(account: helius_account.HeliusAccount) -> None:
    """With the type of the cluster, every transaction type, our address and the first of our headers."""
    configured = settings.load(environ(account))
    assert "no webhook" in (await verdict_of(configured)).faults[0]

    async with helius.HeliusClient.of(configured) as api:
        await api.create_or_repair(helius.DesiredWebhook.of(configured))

    assert account.requests[-1] == (
        "POST",
        "/v0/webhooks",
        {
            "webhookURL": URL,
            "webhookType": "rawDevnet",
            "transactionTypes": ["ANY"],
            "accountAddresses": [settings.DEFAULT_PROGRAM_ID],
            "authHeader": "another-while-rotating",
        },
    )


async def test_mending_leaves_other_addresses_alone(account: helius_account.HeliusAccount) -> None:
    """A webhook may also serve other addresses."""
    account.add_webhook(accountAddresses=[OTHER])
    configured = settings.load(environ(account))
    async with helius.HeliusClient.of(configured) as api:
        await api.create_or_repair(helius.DesiredWebhook.of(configured))
    assert account.webhooks[0]["accountAddresses"] == [settings.DEFAULT_PROGRAM_ID, OTHER]


async def test_enhanced_is_a_remark(account: helius_account.HeliusAccount) -> None:
    """It works, but more slowly."""
    account.add_webhook(webhookType="enhancedDevnet")
    verdict = await verdict_of(settings.load(environ(account)))
    assert (verdict.faults, len(verdict.remarks)) == ((), 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, rpc_errors.ApiKeyRejected),
        (429, rpc_errors.RateLimited),
        (500, rpc_errors.NodeFailed),
        (200, rpc_errors.InvalidResponse),
    ],
)
async def test_helius_errors_are_typed_and_hide_the_key(
    account: helius_account.HeliusAccount, status: int, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither message nor log shows the key, for any response of Helius."""
    account.status = status
    with caplog.at_level(logging.DEBUG, logger="httpx"), pytest.raises(kind) as caught:
        await verdict_of(settings.load(environ(account)))
    assert helius_account.KEY not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_helius_out_of_reach_keeps_the_key_to_itself(account: helius_account.HeliusAccount) -> None:
    """The transport's own error contains the URL, and is not passed on."""
    configured = settings.load(environ(account, HELIUS_API_URL="http://127.0.0.1:1"))
    with pytest.raises(rpc_errors.Unreachable) as caught:
        await verdict_of(configured)
    assert helius_account.KEY not in f"{caught.value} {caught.value.__cause__!r}"


async def test_a_running_ingest_opens_and_closes_the_alert(
    account: helius_account.HeliusAccount, database: testing.PostgresDatabase
) -> None:
    """A fault is an alert with the next step; an unreachable Helius changes nothing; a correct webhook resolves it."""
    webhook = account.add_webhook(active=False)
    watched = WebhookRegistrationCheck.of(settings.load(environ(account)))
    assert watched is not None
    sync_database = SyncDatabase(database.dsn("zmart_ingest"))

    def alerts() -> list[tuple[Any, ...]]:
        with database.connect() as connection:
            return connection.execute(
                "select severity, message like '%%is disabled%%zmart webhook create%%', resolved_at is null"
                " from ops.alerts where kind = %s",
                (ALERT,),
            ).fetchall()

    await watched.update_alert(sync_database)
    assert alerts() == [("critical", True, True)]
    account.status = 503
    await watched.update_alert(sync_database)
    assert alerts() == [("critical", True, True)]
    account.status, webhook["active"] = None, True
    await watched.update_alert(sync_database)
    assert alerts() == [("critical", True, False)]
    await sync_database.close()


@pytest.mark.parametrize("name", ["HELIUS_API_KEY", "HELIUS_WEBHOOK_URL", "HELIUS_AUTH_HEADER", "SOLANA_RPC_URL"])
def test_without_a_wish_nothing_is_checked(account: helius_account.HeliusAccount, name: str) -> None:
    """The development chain, or an incomplete configuration, has nothing to compare."""
    assert WebhookRegistrationCheck.of(settings.load(environ(account, **{name: ""}))) is None


def test_command_and_doctor_report_the_same(
    account: helius_account.HeliusAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1 with the fault and the next step, then created, then 0; the doctor's line changes with it."""
    given = environ(account)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    def line() -> str:
        (found,) = [f for f in doctor.examine_settings(given, {}) if f.check == "registration"]
        return found.answer

    assert (webhook_registration.main(["check"]), line()) == (1, "no")
    assert webhook_registration.main(["create"]) == 0
    assert (webhook_registration.main(["check"]), line()) == (0, "yes")
    output = "".join(capsys.readouterr())
    assert "zmart webhook create" in output
    assert helius_account.KEY not in output
    assert HEADER not in output


def test_a_mask_keeps_the_host_alone() -> None:
    """User, path and query may be secrets; the desired webhook does not show its headers either."""
    assert helius.mask_url("https://user:pass@host.example:8443/hush?token=x") == "https://host.example:8443/..."
    assert helius.mask_url("https://host.example") == "https://host.example"
    wish = helius.DesiredWebhook(url=URL, program_id="p", cluster=settings.Cluster.DEVNET, auth_headers=("hush",))
    assert "hush" not in repr(replace(wish, url="https://x/hush"))
