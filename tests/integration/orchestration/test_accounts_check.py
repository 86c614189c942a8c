"""The program's accounts against the marts: what differs is shown and told; what cannot be compared yet, is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest

from devchain import history
from devchain.service import Options
from devchain.testing import served
from ingest import decode
from ingest.writer import Writer
from orchestration.assets import accounts
from orchestration.resources import Database
from zmart import errors, testing
from zmart.chain import client, codec
from zmart.domain.ids import Address, Slot

NAMES = {"config": "GlobalConfig", "markets": "MarketAccount", "positions": "UserPosition", "votes": "VoteRecord"}


class Chain:
    """A chain that stands still, as a node shows it."""

    def __init__(self) -> None:
        played = history.History(seed=5)
        items = [msgspec.json.encode(item) for item in played.play(700)]
        self.transactions = decode.Decoder(history.PROGRAM_ID).all(items).transactions
        self.slot = max(each.slot for each in self.transactions)
        self.held = {
            address: (NAMES[kind], fields)
            for kind, found in played.accounts().items()
            for address, fields in found.items()
        }

    def answer(self) -> client.At[tuple[client.Account, ...]]:
        """What getProgramAccounts says."""
        return client.At(
            slot=Slot(self.slot),
            value=tuple(
                client.Account(
                    address=Address(address),
                    lamports=fields["lamports"],
                    owner=history.PROGRAM_ID,
                    data=codec.default().encode_account(
                        name, {key: value for key, value in fields.items() if key != "lamports"}, padded=True
                    ),
                )
                for address, (name, fields) in self.held.items()
            ),
        )


@pytest.fixture(scope="module")
def log(postgres_server: testing.Server, marts_template: testing.Database) -> Iterator[tuple[testing.Database, Chain]]:
    """A chain, and a log that holds all of it, final."""
    chain = Chain()
    with postgres_server.clone(marts_template) as database:
        asyncio.run(_append(database, chain))
        finalize(database, chain.slot)
        yield database, chain


async def _append(database: testing.Database, chain: Chain) -> None:
    writer = await Writer.connect(database.dsn("zmart_ingest"))
    await writer.append(chain.transactions, source="webhook")
    await writer.close()


def finalize(database: testing.Database, slot: int) -> None:
    """Say that the log holds everything final up to a slot, and no further."""
    with database.connect() as connection:
        connection.execute("delete from raw.feed where kind = 'finalized_through'")
        connection.execute(
            "insert into raw.feed (seq, kind, ref) select max(seq) + 1, 'finalized_through', %s from raw.feed", (slot,)
        )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a log that stands still."""
    monkeypatch.setattr(accounts, "COVERED_WITHIN_SECONDS", 0.0)


def look(
    log: tuple[testing.Database, Chain], monkeypatch: pytest.MonkeyPatch
) -> tuple[dg.AssetCheckEvaluation, dict[str, Any]]:
    """Read the accounts and compare."""
    database, chain = log

    async def read(_: object) -> client.At[tuple[client.Account, ...]]:
        return chain.answer()

    with database.connect() as connection:
        connection.execute("delete from raw.accounts")
    monkeypatch.setattr(accounts, "_read", read)
    done = dg.materialize(
        [*accounts.assets(), *accounts.checks()], resources={"database": Database(dsn_of=database.dsn)}
    )
    (evaluation,) = done.get_asset_check_evaluations()
    return evaluation, {name: value.value for name, value in evaluation.metadata.items()}


def open_alerts(place: testing.Database) -> list[str]:
    """What open alerts of the kind say."""
    with place.connect() as connection:
        rows = connection.execute(
            "select message from ops.alerts where kind = %s and resolved_at is null", ("accounts_differ",)
        )
        return [str(message) for (message,) in rows]


def test_marts_that_follow_the_chain_pass(log: tuple[testing.Database, Chain], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every market is compared."""
    evaluation, shown = look(log, monkeypatch)

    assert evaluation.passed, shown
    assert shown["markets compared"] > 3
    assert shown["markets that moved on"] == 0
    assert open_alerts(log[0]) == []


def test_what_differs_is_shown_and_told_until_it_is_right(
    log: tuple[testing.Database, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field of a market, a position that nobody holds, a missing vote, the configuration: one row each."""
    database, chain = log
    held = dict(chain.held)
    changed: dict[str, Address] = {}
    for address, (name, fields) in list(held.items()):
        if name in changed:
            continue
        changed[name] = address
        field = {"GlobalConfig": "dispute_period", "MarketAccount": "total_volume", "UserPosition": "shares_yes"}.get(
            name
        )
        if field is None:
            del chain.held[address]
        else:
            chain.held[address] = name, {**fields, field: fields[field] + 1}

    evaluation, shown = look(log, monkeypatch)
    market = changed["MarketAccount"]
    volume = held[market][1]["total_volume"]
    assert not evaluation.passed
    assert evaluation.description == "4 differences."
    assert f"| {market} |  | total_volume | {volume} | {volume + 1} |" in shown["differences"]
    assert "| config |  | dispute_period |" in shown["differences"]
    assert "| shares_yes |" in shown["differences"]
    assert "| itself | there | absent |" in shown["differences"]
    assert len(open_alerts(database)) == 1
    assert "and 1 more" in open_alerts(database)[0]

    chain.held = held
    assert look(log, monkeypatch)[0].passed
    assert open_alerts(database) == []


def test_a_market_that_moved_on_is_left_out(
    log: tuple[testing.Database, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its account says what it was at the read; that the marts know better is no difference."""
    database, chain = log
    last, held = chain.slot, dict(chain.held)
    chain.slot = sorted({each.slot for each in chain.transactions})[-3]
    with database.connect() as connection:
        moved = {
            account for (account,) in connection.execute(accounts.sql.moved_since, {"slot": chain.slot}).fetchall()
        }
    address = next(account for account in chain.held if account in moved)
    name, fields = held[address]
    chain.held[address] = name, {**fields, "total_volume": fields["total_volume"] + 1}
    try:
        evaluation, shown = look(log, monkeypatch)
    finally:
        chain.slot, chain.held = last, held

    assert evaluation.passed, shown
    assert shown["markets that moved on"] > 0


def test_lamports_that_somebody_sent_are_no_difference(
    log: tuple[testing.Database, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can; missing ones are another matter."""
    _, chain = log
    address, (name, fields) = next((key, value) for key, value in chain.held.items() if value[0] == "MarketAccount")
    try:
        chain.held[address] = name, {**fields, "lamports": fields["lamports"] + 1}
        assert look(log, monkeypatch)[0].passed
        chain.held[address] = name, {**fields, "lamports": fields["lamports"] - 1}
        assert not look(log, monkeypatch)[0].passed
    finally:
        chain.held[address] = name, fields
        look(log, monkeypatch)


def test_a_log_that_is_behind_is_not_compared(
    log: tuple[testing.Database, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It warns, and neither raises nor closes an alert."""
    database, chain = log
    finalize(database, chain.slot - 1)
    try:
        evaluation, shown = look(log, monkeypatch)
    finally:
        finalize(database, chain.slot)

    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert "does not yet hold" in str(evaluation.description)
    assert shown == {}
    assert open_alerts(database) == []


async def test_accounts_are_read_from_a_node_of_the_logs_chain(
    database: testing.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their slot and bytes; a node of another chain is refused, and so nothing is compared with it."""
    options = Options(pace=20.0, past_hours=0.2)
    async with served(tmp_path, options) as node:
        monkeypatch.setenv("SOLANA_RPC_URL", node.url)
        monkeypatch.setenv("SOLANA_CLUSTER", "localnet")
        with database.connect() as owner, database.connect("zmart_keeper") as keeper:
            owner.execute("select raw.renew_identity()")
            identity = "update raw.identity set genesis_hash = %s, program_id = %s"
            owner.execute(identity, ("another", history.PROGRAM_ID))
            with pytest.raises(errors.ConfigurationError, match="another chain"):
                await accounts._read(keeper)

            owner.execute(identity, (node.ledger.genesis.hash, history.PROGRAM_ID))
            found = await accounts._read(keeper)
            accounts._keep(keeper, found)
            rows = keeper.execute("select account, slot, kind, data from raw.accounts").fetchall()

    assert {(row[0], row[1], row[3]) for row in rows} == {(a.address, found.slot, a.data) for a in found.value}
    assert "GlobalConfig" in {row[2] for row in rows}
    assert found.slot > 0
