"""Webhook items."""

from __future__ import annotations

from typing import Any

from . import ledger
from .ledger import Landed


def item(landed: Landed) -> dict[str, Any]:
    """A transaction as one element of a raw webhook's array (protocol.md 8.3)."""
    return {
        "blockTime": landed.block_time,
        "indexWithinBlock": landed.index,
        "meta": ledger.meta_json(landed),
        "slot": landed.slot,
        "transaction": ledger.message_json(landed.transaction),
        "version": "legacy" if landed.transaction.version is None else 0,
    }
