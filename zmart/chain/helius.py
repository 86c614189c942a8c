"""Compares the registered Helius webhook with the configuration, and creates or repairs it.

A webhook that is switched off, points to another URL or watches other addresses raises no error: deliveries just do not
arrive. Helius itself switches off a webhook whose endpoint failed too often. The registration is therefore compared
with the configuration (`check_registration`, which is pure) by `zmart webhook check`, by `zmart doctor` and by a
running ingest. `zmart webhook create` creates the webhook, or repairs the existing one.

The types follow Helius' API: `GET` and `POST /v0/webhooks`, `PUT` and `PATCH /v0/webhooks/{id}`, with the key in the
query (protocol.md 8.3). The key, the `authHeader` and the URL's path, which may contain a secret, are never shown.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from zmart import errors, settings
from zmart.settings import Cluster

from . import rpc_errors

TIMEOUT_SECONDS: Final = 10.0
#: The program's transactions have no type at Helius, so every type must be delivered (protocol.md 8.3).
ANY: Final = "ANY"
#: Raw webhooks contain the log lines; each type belongs to one cluster.
RAW: Final = {Cluster.MAINNET: "raw", Cluster.DEVNET: "rawDevnet"}
#: Enhanced webhooks work too, but their deliveries contain signatures only.
ENHANCED: Final = {Cluster.MAINNET: "enhanced", Cluster.DEVNET: "enhancedDevnet"}

# httpx logs every request's URL, which contains the key, at level INFO.
logging.getLogger("httpx").setLevel(logging.WARNING)

_T = TypeVar("_T")


class Webhook(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "webhookID", "url": "webhookURL"}):
    """A webhook in the form of Helius' responses; members that are not listed here are Helius' own."""

    id: str = ""
    url: str = ""
    transaction_types: list[str] = msgspec.field(default_factory=list, name="transactionTypes")
    account_addresses: list[str] = msgspec.field(default_factory=list, name="accountAddresses")
    webhook_type: str = msgspec.field(default="", name="webhookType")
    auth_header: str | None = msgspec.field(default=None, name="authHeader")
    #: Absent in older responses, when a webhook could not be switched off.
    active: bool = True

    def __repr__(self) -> str:
        return f"Webhook({self.id}, {mask_url(self.url)})"


@dataclass(frozen=True, kw_only=True)
class DesiredWebhook:
    """The webhook that the configuration requires."""

    url: str = field(repr=False)
    program_id: str
    cluster: Cluster
    #: Accepted values of `Authorization`; Helius is to send the first.
    auth_headers: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, configured: settings.Settings) -> DesiredWebhook:
        """Return the webhook of the configuration; raise ConfigurationError with the setting that is missing."""
        ingest, chain = configured.ingest, configured.chain
        if chain.cluster not in RAW:
            raise errors.ConfigurationError(
                f"Helius does not deliver transactions of {chain.cluster.value}.",
                help="Set SOLANA_RPC_URL and SOLANA_CLUSTER. The development chain sends webhooks itself.",
            )
        if ingest.webhook_url is None:
            raise errors.ConfigurationError(
                "HELIUS_WEBHOOK_URL, the address that Helius delivers to, is not set.",
                help="Set HELIUS_WEBHOOK_URL to the public https address that leads to INGEST_PORT.",
            )
        if not ingest.auth_headers:
            raise errors.ConfigurationError(
                "HELIUS_AUTH_HEADER, the only proof that Helius can send, is not set.",
                help="Set HELIUS_AUTH_HEADER. Make one with: openssl rand -hex 32",
            )
        return cls(
            url=ingest.webhook_url,
            program_id=chain.program_id,
            cluster=chain.cluster,
            auth_headers=tuple(header.reveal() for header in ingest.auth_headers),
        )

    def body(self, found: Webhook | None = None) -> dict[str, Any]:
        """Return the request body; the addresses that `found` has for other programs stay."""
        other_addresses = [] if found is None else [one for one in found.account_addresses if one != self.program_id]
        return {
            "webhookURL": self.url,
            "webhookType": RAW[self.cluster],
            "transactionTypes": [ANY],
            "accountAddresses": [self.program_id, *other_addresses],
            "authHeader": self.auth_headers[0],
        }


@dataclass(frozen=True, kw_only=True)
class RegistrationCheck:
    """The registered webhook, and its faults."""

    #: Our webhook, as far as it can be identified.
    webhook: Webhook | None
    #: One sentence each; deliveries do not arrive, or are refused.
    faults: tuple[str, ...] = ()
    #: One sentence each; the webhook works, but not as well as it could.
    remarks: tuple[str, ...] = ()

    @property
    def is_switched_off(self) -> bool:
        """Return whether the webhook exists and is switched off."""
        return self.webhook is not None and not self.webhook.active


def check_registration(registered: Sequence[Webhook], wish: DesiredWebhook) -> RegistrationCheck:
    """Compare the registered webhooks with the required one."""
    ours = _find_ours(registered, wish)
    if ours is None:
        return RegistrationCheck(
            webhook=None, faults=(f"Helius has no webhook for {mask_url(wish.url)} or for the program.",)
        )
    return RegistrationCheck(webhook=ours, faults=tuple(_faults(ours, wish)), remarks=tuple(_remarks(ours, wish)))


def _find_ours(registered: Sequence[Webhook], wish: DesiredWebhook) -> Webhook | None:
    """Return the webhook with our URL, else one that watches the program and delivers to another URL."""
    by_url = [one for one in registered if one.url == wish.url]
    by_address = [one for one in registered if wish.program_id in one.account_addresses]
    return next((one for one in [*[b for b in by_url if b in by_address], *by_url, *by_address]), None)


def _faults(ours: Webhook, wish: DesiredWebhook) -> list[str]:
    faults = []
    if not ours.active:
        faults.append("It is disabled. Helius disables a webhook whose endpoint fails too often.")
    if ours.url != wish.url:
        faults.append(f"It delivers to {mask_url(ours.url)}, not to HELIUS_WEBHOOK_URL ({mask_url(wish.url)}).")
    if wish.program_id not in ours.account_addresses:
        faults.append(f"It does not watch {wish.program_id}.")
    if not _is_accepted(ours.auth_header, wish.auth_headers):
        faults.append("Its authHeader differs from HELIUS_AUTH_HEADER, so ingest rejects its deliveries.")
    if ours.webhook_type not in (RAW[wish.cluster], ENHANCED[wish.cluster]):
        faults.append(f"Its type is {ours.webhook_type!r}, which does not deliver {wish.cluster.value}'s transactions.")
    if ours.transaction_types and not {ANY, "Any", "any"} & set(ours.transaction_types):
        faults.append(
            "It filters by transaction type, and the program's transactions have none. The filter must be ANY."
        )
    return faults


def _remarks(ours: Webhook, wish: DesiredWebhook) -> list[str]:
    if ours.webhook_type == ENHANCED[wish.cluster]:
        better = RAW[wish.cluster]
        return [
            (
                f"Its type is {ours.webhook_type}, which has no logs, so ingest fetches every transaction. {better} is "
                "faster."
            )
        ]
    return []


def _is_accepted(header: str | None, accepted: Sequence[str]) -> bool:
    sent = (header or "").encode()
    # Every value is compared, so that the time does not reveal which one was similar.
    found = [hmac.compare_digest(sent, one.encode()) for one in accepted]
    return any(found)


def mask_url(url: str) -> str:
    """Return a URL without the parts that may hold a secret: user, path and query."""
    parts = urlsplit(url)
    path_mark = "/..." if parts.path not in ("", "/") or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or '?'}{f':{parts.port}' if parts.port else ''}{path_mark}"


class HeliusClient:
    """A client of Helius' API for one key; close it, or use it with `async with`.

    Each call except reading costs 100 of the account's credits.
    """

    def __init__(self, url: str, key: settings.Secret, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._name = urlsplit(url).hostname or "Helius"
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), params={"api-key": key.reveal()}, timeout=timeout_seconds
        )

    @classmethod
    def of(cls, configured: settings.Settings) -> Self:
        """Return a client of the configured account; raise ConfigurationError without a key."""
        key = configured.chain.helius_api_key
        if key is None:
            raise errors.ConfigurationError(
                "HELIUS_API_KEY is not set.", help="Set it to the API key of your Helius account."
            )
        return cls(configured.ingest.helius_api_url, key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def webhooks(self) -> list[Webhook]:
        """Return every webhook of the account; raise NodeError or ApiKeyRejected, as all of these methods do."""
        return await self._call("GET", "/v0/webhooks", list[Webhook])

    async def create(self, body: dict[str, Any]) -> Webhook:
        """Register a webhook."""
        return await self._call("POST", "/v0/webhooks", Webhook, body)

    async def replace(self, webhook_id: str, body: dict[str, Any]) -> Webhook:
        """Replace the registration of a webhook."""
        return await self._call("PUT", f"/v0/webhooks/{webhook_id}", Webhook, body)

    async def switch_on(self, webhook_id: str) -> None:
        """Switch a webhook on; Helius leaves it on for at least a day."""
        await self._call("PATCH", f"/v0/webhooks/{webhook_id}", Any, {"active": True})

    async def create_or_repair(self, wish: DesiredWebhook) -> str:
        """Register the required webhook, or repair the existing one; return a sentence on the change."""
        verdict = check_registration(await self.webhooks(), wish)
        if verdict.webhook is None:
            return f"Created webhook {(await self.create(wish.body())).id}."
        if not verdict.faults and not verdict.remarks:
            return f"Webhook {verdict.webhook.id} is correct; nothing was changed."
        if (
            not check_registration([msgspec.structs.replace(verdict.webhook, active=True)], wish).faults
            and not verdict.remarks
        ):
            await self.switch_on(verdict.webhook.id)
            return f"Enabled webhook {verdict.webhook.id}."
        await self.replace(verdict.webhook.id, wish.body(verdict.webhook))
        if verdict.is_switched_off:
            await self.switch_on(verdict.webhook.id)
        return f"Repaired webhook {verdict.webhook.id}."

    async def _call(self, method: str, path: str, kind: type[_T], body: object = None) -> _T:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            answer = await self._http.request(method, path, content=content, headers=headers)
        except httpx.TimeoutException:
            raise rpc_errors.TimedOut(f"{self._name} does not answer {method} {path}.") from None
        except httpx.HTTPError as broken:
            # The error is not set as the cause: it contains the URL.
            raise rpc_errors.Unreachable(
                f"{self._name} cannot be reached ({type(broken).__name__}).",
                help="Check the connection to the internet, and HELIUS_API_URL.",
            ) from None
        if not answer.is_success:
            refused = rpc_errors.error_from_http(
                answer.status_code, answer.headers, None, method=f"{method} {path}", node=self._name, now=time.time()
            )
            if isinstance(refused, errors.Permanent):
                refused.help = "Check HELIUS_API_KEY and HELIUS_API_URL."
            raise refused
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise rpc_errors.InvalidResponse(
                f"{self._name} answers {method} {path} with an unexpected body: {exc}."
            ) from None
