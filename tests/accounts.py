"""The marts against the program's accounts, to the last lamport (protocol.md 1.5).

held = accounts.of(await client.program_accounts(...))      or history.History.accounts()
assert accounts.differences(connection, held) == []
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from orchestration import account_reconciliation
from orchestration.account_reconciliation import Difference, ProgramAccounts, fetch_rows
from zmart.chain import client

__all__ = ["decode_accounts", "differences", "fetch_rows"]


def decode_accounts(program_accounts: Iterable[client.AccountInfo]) -> ProgramAccounts:
    """The accounts of getProgramAccounts, decoded."""
    return account_reconciliation.decode_accounts(
        (account.address, account.lamports, account.data) for account in program_accounts
    )


def differences(connection: psycopg.Connection[Any], on_chain: ProgramAccounts) -> list[Difference]:
    """Compare like the hourly check, when no other transfers to a market's account have happened."""
    known = fetch_rows(connection, "select on_chain_address, market_lamports from marts.markets")
    return account_reconciliation.differences(connection, on_chain) + [
        Difference(row["on_chain_address"], "", "market_lamports", row["market_lamports"], theirs["lamports"])
        for row in known
        if row["market_lamports"] is not None
        and (theirs := on_chain["markets"].get(row["on_chain_address"])) is not None
        and row["market_lamports"] != theirs["lamports"]
    ]
