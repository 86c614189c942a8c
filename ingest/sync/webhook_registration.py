"""Checks the registration of the Helius webhook: `zmart webhook check|create`, and a check in a running ingest.

The check answers two questions: does Helius still deliver, and does it deliver to this address?

A webhook that Helius has switched off, or that was redirected elsewhere, is silent; only the API of Helius shows it.
Ingest sends the request once an hour and whenever deliveries stop while the program is used, and raises an alert with
the faults. A failed request is not a fault of the webhook: it is logged and retried.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import structlog

from zmart import errors, exit_status, settings
from zmart.chain import helius

from .database import SyncDatabase

log = structlog.get_logger()

ALERT: Final = "webhook_registration"


class WebhookRegistrationCheck:
    """Compares what Helius has registered with the configuration, and updates the alert."""

    def __init__(self, configured: settings.Settings, wish: helius.DesiredWebhook) -> None:
        self._configured = configured
        self._wish = wish

    @classmethod
    def of(cls, configured: settings.Settings) -> WebhookRegistrationCheck | None:
        """Return the check of a configuration; None if the configuration is insufficient for one."""
        if configured.chain.helius_api_key is None:
            return None
        try:
            return cls(configured, helius.DesiredWebhook.of(configured))
        except errors.ConfigurationError as missing:
            log.info("webhook_registration_check_skipped", reason=str(missing))
            return None

    async def update_alert(self, database: SyncDatabase) -> None:
        """Request the registrations from Helius, and raise or resolve the alert."""
        try:
            async with helius.HeliusClient.of(self._configured) as api:
                verdict = helius.check_registration(await api.webhooks(), self._wish)
        except errors.Unauthorized as refused:
            await database.alert(ALERT, f"The webhooks registered at Helius cannot be read: {refused}")
            return
        except errors.ZmartError as error:
            log.warning("webhook_registration_check_failed", reason=str(error))
            return
        await self._report(database, verdict)

    async def _report(self, database: SyncDatabase, verdict: helius.RegistrationCheck) -> None:
        if verdict.faults:
            faults = " ".join(verdict.faults)
            log.error("webhook_registration_wrong", faults=verdict.faults)
            await database.alert(ALERT, f"{faults} Repair it: zmart webhook create", severity="critical")
        else:
            await database.resolve(ALERT)


def main(arguments: Sequence[str]) -> int:
    """Run a command; return 0 if the webhook is right, 1 after printing the reason if it is not."""
    options = parser().parse_args(arguments)
    try:
        configured = settings.load()
        return asyncio.run(_check(configured) if options.command == "check" else _create(configured))
    except errors.ZmartError as error:
        print(f"webhook: {error}", file=sys.stderr)
        return exit_status.of_error(error)


async def _check(configured: settings.Settings) -> int:
    wish = helius.DesiredWebhook.of(configured)
    async with helius.HeliusClient.of(configured) as api:
        verdict = helius.check_registration(await api.webhooks(), wish)
    for sentence in [*verdict.faults, *verdict.remarks]:
        print(sentence)
    if verdict.webhook is not None and not verdict.faults:
        print(f"Webhook {verdict.webhook.id} delivers {wish.program_id} to {helius.mask_url(wish.url)}.")
    if verdict.faults:
        print("Repair it: zmart webhook create", file=sys.stderr)
    return 1 if verdict.faults else 0


async def _create(configured: settings.Settings) -> int:
    wish = helius.DesiredWebhook.of(configured)
    async with helius.HeliusClient.of(configured) as api:
        print(await api.create_or_repair(wish))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the commands of `zmart webhook`."""
    top = argparse.ArgumentParser(prog="zmart webhook", description="Check or create the Helius webhook.")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="compare the webhook with the settings")
    commands.add_parser("create", help="create or repair the webhook")
    return top
