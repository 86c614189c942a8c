"""The program's accounts against the marts: differences are shown and raise an alert; too new accounts are skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg
import msgspec
import pytest

from devchain import history
from devchain.service import Options
from devchain.testing import serve
from ingest.decode import decoder
from ingest.store.writer import Writer
from orchestration.assets import accounts
from orchestration.resources import DatabaseResource
from zmart import errors, testing
from zmart.chain import client, codec
from zmart.domain.ids import Address, Slot

NAMES = {"config": "GlobalConfig", "markets": "MarketAccount", "positions": "UserPosition", "votes": "VoteRecord"}


Held: TypeAlias = dict[Address, tuple[str, dict[str, Any]]]


def named(played: history.History) -> Held:
    """Return the program's accounts: the name and the fields of each, by address."""
    return {
        address: (NAMES[kind], dict(fields))
        for kind, found in played.accounts().items()
        for address, fields in found.items()
    }


class Chain:
    """A chain that produces no blocks, as a node shows it."""

    def __init__(self) -> None:
        played = history.History(seed=5)
        items = list(played.play(600))
        # From here on, the accounts at the end of each slot with events.
        self.at: dict[int, Held] = {}
        before = named(played)
        for item in played.play(100):
            if item["slot"] > items[-1]["slot"]:
                self.at[items[-1]["slot"]] = before
            items.append(item)
            before = named(played)
        self.transactions = (
            decoder.Decoder(history.PROGRAM_ID).decode_items([msgspec.json.encode(item) for item in items]).transactions
        )
        self.slot = max(each.slot for each in self.transactions)
        self.held = before
        #: Accounts owned by the program that it did not create, by address.
        self.others: dict[str, bytes] = {}

    def answer(self) -> client.AtSlot[tuple[client.AccountInfo, ...]]:
        """Return the response of getProgramAccounts."""
        return client.AtSlot(
            slot=Slot(self.slot),
            value=tuple(
                client.AccountInfo(
                    address=Address(address),
                    lamports=fields["lamports"],
                    owner=history.PROGRAM_ID,
                    data=codec.default().encode_account(
                        name, {key: value for key, value in fields.items() if key != "lamports"}, padded=True
                    ),
                )
                for address, (name, fields) in self.held.items()
            )
            + tuple(
                client.AccountInfo(address=Address(address), lamports=1_600_000, owner=history.PROGRAM_ID, data=data)
                for address, data in self.others.items()
            ),
        )


@pytest.fixture(scope="module")
def log(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[tuple[testing.PostgresDatabase, Chain]]:
    """A chain, and a log that contains all of it, final."""
    chain = Chain()
    with postgres_server.clone(marts_template) as database:
        asyncio.run(_append(database, chain))
        finalize(database, chain.slot)
        yield database, chain


async def _append(database: testing.PostgresDatabase, chain: Chain) -> None:
    writer = await Writer.connect(database.dsn("zmart_ingest"))
    await writer.append(chain.transactions, source="webhook")
    await writer.close()


def finalize(database: testing.PostgresDatabase, slot: int) -> None:
    """Mark the log as final up to a slot, and no further."""
    with database.connect() as connection:
        connection.execute("delete from raw.feed where kind = 'finalized_through'")
        connection.execute(
            "insert into raw.feed (seq, kind, ref) select max(seq) + 1, 'finalized_through', %s from raw.feed", (slot,)
        )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watermark of a log that does not advance is not awaited."""
    monkeypatch.setattr(accounts, "COVERED_WITHIN_SECONDS", 0.0)


def look(
    log: tuple[testing.PostgresDatabase, Chain], monkeypatch: pytest.MonkeyPatch
) -> tuple[dg.AssetCheckEvaluation, dict[str, Any]]:
    """Read the accounts and compare."""
    database, chain = log

    async def read(_: object) -> client.AtSlot[tuple[client.AccountInfo, ...]]:
        return chain.answer()

    with database.connect() as connection:
        connection.execute("delete from raw.accounts")
    monkeypatch.setattr(accounts, "read_accounts", read)
    done = dg.materialize(
        [*accounts.assets(), *accounts.checks()], resources={"database": DatabaseResource(dsn_of=database.dsn)}
    )
    (evaluation,) = done.get_asset_check_evaluations()
    (read,) = done.asset_materializations_for_node("account_snapshots")
    shown = {f"read: {name}": value.value for name, value in read.metadata.items()}
    return evaluation, shown | {name: value.value for name, value in evaluation.metadata.items()}


def open_alerts(place: testing.PostgresDatabase, kind: str = "accounts_differ") -> list[str]:
    """Return the messages of open alerts of the kind."""
    with place.connect() as connection:
        rows = connection.execute("select message from ops.alerts where kind = %s and resolved_at is null", (kind,))
        return [str(message) for (message,) in rows]


def test_marts_that_follow_the_chain_pass(
    log: tuple[testing.PostgresDatabase, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every market is compared."""
    evaluation, shown = look(log, monkeypatch)

    assert evaluation.passed, shown
    assert shown["markets compared"] > 3
    assert shown["markets compared as of the read"] == 0
    assert shown["not compared"] == 0
    assert open_alerts(log[0]) == []


def test_differences_are_shown_and_alerted_until_resolved(
    log: tuple[testing.PostgresDatabase, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field of a market, a position that no wallet has, a missing vote, the configuration: one row each."""
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


def test_accounts_that_anybody_made_are_counted_and_stop_nothing(
    log: tuple[testing.PostgresDatabase, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero bytes, an IDL, an empty account: listed in both reports and as an alert, while the rest is compared."""
    database, chain = log
    idl = bytes.fromhex("184662bf3a907b9e") + bytes(5000)
    others = {"zeros": bytes(100), "idl": idl, "empty": b""}
    monkeypatch.setattr(chain, "others", others)

    evaluation, shown = look(log, monkeypatch)
    assert evaluation.passed, shown
    assert shown["markets compared"] > 3
    assert shown["accounts of unknown type"] == shown["read: accounts of unknown type"] == 3
    assert shown["accounts of unknown type, first"] == (
        "empty (begins with nothing); idl (begins with 184662bf3a907b9e); zeros (begins with 0000000000000000)"
    )
    assert "zeros (No account begins with 0000000000000000.)" in shown["read: accounts of unknown type, first"]
    assert "Accounts of unknown type: 3." in str(evaluation.description)
    (alert,) = open_alerts(database, "accounts_unknown")
    assert "owns 3 account(s)" in alert
    with database.connect() as connection:
        assert connection.execute("select max(length(data)) from raw.accounts where kind = 'unknown'").fetchone() == (
            accounts.UNKNOWN_BYTES,
        )

    # An undecodable account of a known type hides nothing: it is missing among the compared ones.
    market, (_, fields) = next((key, value) for key, value in chain.held.items() if value[0] == "MarketAccount")
    held = {key: value for key, value in chain.held.items() if key != market}
    broken = codec.default().encode_account(
        "MarketAccount", {key: value for key, value in fields.items() if key != "lamports"}, padded=True
    )
    with monkeypatch.context() as patch:
        patch.setattr(chain, "held", held)
        patch.setattr(chain, "others", {market: broken + b"\1"})
        evaluation, shown = look(log, monkeypatch)
        assert not evaluation.passed
        assert f"| {market} |  | itself | there | absent |" in shown["differences"]
        assert f"{market} (MarketAccount is followed by" in shown["read: accounts of unknown type, first"]

    monkeypatch.setattr(chain, "others", {})
    assert look(log, monkeypatch)[0].passed
    assert open_alerts(database, "accounts_unknown") == []
    assert open_alerts(database) == []


@pytest.fixture
def earlier(log: tuple[testing.PostgresDatabase, Chain], monkeypatch: pytest.MonkeyPatch) -> int:
    """Every read is of the slot before the longest pause, and of accounts at that slot; some have changed since."""
    database, chain = log
    with database.connect() as connection:
        connection.execute("update raw.transactions set order_settled = true")
    slots = sorted(chain.at)
    slot = max(slots[:-1], key=lambda one: slots[slots.index(one) + 1] - one)
    monkeypatch.setattr(chain, "slot", slot)
    monkeypatch.setattr(chain, "held", dict(chain.at[slot]))
    return slot


def moved_on(database: testing.PostgresDatabase, slot: int) -> dict[Address, int]:
    """Return the slot of the first event after a slot, by market's account."""
    with database.connect() as connection:
        rows = connection.execute(
            "select m.account, min(e.order_key >> 24) from raw.events as e natural join raw.markets_seen as m"
            " where e.order_key >> 24 > %s group by 1",
            (slot,),
        )
        return {Address(account): first for account, first in rows}


def falsify(chain: Chain, address: Address, field: str) -> tuple[int, int]:
    """Increase a value on chain by one; return the old and the new value."""
    name, fields = chain.held[address]
    chain.held[address] = name, {**fields, field: fields[field] + 1}
    return fields[field], fields[field] + 1


def test_a_market_that_trades_at_every_look_is_compared_as_of_the_read(
    log: tuple[testing.PostgresDatabase, Chain], earlier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marts equal the chain's past, and a difference is found: in the market and in a position."""
    database, chain = log
    monkeypatch.setattr(accounts, "LEAD_SLOTS", 0)
    busy = moved_on(database, earlier).keys() & chain.held.keys()
    assert busy

    evaluation, shown = look(log, monkeypatch)
    assert evaluation.passed, shown
    assert shown["markets compared as of the read"] == len(busy)
    assert shown["markets compared"] == sum(name == "MarketAccount" for name, _ in chain.held.values())
    assert shown["not compared"] == 0

    market = min(busy)
    volume, wrong = falsify(chain, market, "total_volume")
    holder = next(key for key, (name, held) in chain.held.items() if name == "UserPosition" and held["market"] in busy)
    falsify(chain, holder, "total_invested")
    evaluation, shown = look(log, monkeypatch)
    assert not evaluation.passed
    assert evaluation.description == "2 differences."
    assert f"| {market} |  | total_volume | {volume} | {wrong} |" in shown["differences"]
    assert "| total_invested |" in shown["differences"]
    assert len(open_alerts(database)) == 1

    monkeypatch.setattr(chain, "held", dict(chain.at[earlier]))
    assert look(log, monkeypatch)[0].passed
    assert open_alerts(database) == []


def test_an_account_of_the_nodes_newest_root_is_no_difference(
    log: tuple[testing.PostgresDatabase, Chain], earlier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node names an older slot than the one it shows; a row that is correct at neither is a difference."""
    database, chain = log
    market, later = min(
        ((key, slot) for key, slot in moved_on(database, earlier).items() if key in chain.held),
        key=lambda one: one[1],
    )
    assert later in chain.at
    of_market = [
        key
        for key, (name, held) in chain.at[later].items()
        if name != "GlobalConfig" and held.get("market", key) == market
    ]
    chain.held.update({key: chain.at[later][key] for key in of_market})

    monkeypatch.setattr(accounts, "LEAD_SLOTS", later - earlier - 1)
    assert not look(log, monkeypatch)[0].passed
    monkeypatch.setattr(accounts, "LEAD_SLOTS", later - earlier)
    evaluation, shown = look(log, monkeypatch)
    assert evaluation.passed, shown

    falsify(chain, market, "total_volume")
    assert not look(log, monkeypatch)[0].passed
    monkeypatch.setattr(chain, "held", dict(chain.at[earlier]))
    assert look(log, monkeypatch)[0].passed


def test_what_cannot_be_compared_is_named(
    log: tuple[testing.PostgresDatabase, Chain], earlier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason: time ran out, its order is not settled, or its fold fails; and no alert is raised."""
    database, chain = log
    busy = moved_on(database, earlier).keys() & chain.held.keys()
    market = min(busy)
    falsify(chain, market, "total_volume")
    with database.connect() as connection:
        connection.execute(
            "update raw.transactions as t set order_settled = false"
            " from raw.events as e natural join raw.markets_seen as m"
            " where t.transaction_no = e.transaction_no and m.account = %s",
            (market,),
        )
    evaluation, shown = look(log, monkeypatch)
    assert evaluation.passed
    assert shown["not compared"] == 1
    assert shown["not compared, first"] == f"{market} (the order of its transactions is not settled)"
    assert shown["markets compared as of the read"] == len(busy) - 1
    assert "Not compared: 1 " in str(evaluation.description)
    assert open_alerts(database) == []

    def fails(*_: object) -> None:
        with database.connect() as connection:
            connection.execute("select 1 / 0")

    with monkeypatch.context() as patch:
        patch.setattr(accounts.account_reconciliation, "differences_as_of", fails)
        shown = look(log, monkeypatch)[1]
        assert shown["markets compared as of the read"] == 0
        assert "(folding it failed: division by zero)" in shown["not compared, first"]

    monkeypatch.setattr(accounts, "AS_OF_WITHIN_SECONDS", 0.0)
    monkeypatch.setattr(accounts, "NAMES", 0)
    shown = look(log, monkeypatch)[1]
    assert shown["not compared, first"] == f"and {shown['not compared']} more"
    monkeypatch.setattr(accounts, "NAMES", 1000)
    shown = look(log, monkeypatch)[1]
    assert f"{market} (time ran out)" in shown["not compared, first"]
    assert shown["markets compared"] > 0


def test_account_not_compared_for_a_day_raises_an_alert(
    log: tuple[testing.PostgresDatabase, Chain], earlier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for one missed run; and it is resolved when a run compares it."""
    database, chain = log
    market, *others = sorted(moved_on(database, earlier).keys() & chain.held.keys())
    assert others
    # A fold that fails for one market, while the test sets it.
    compared = accounts.account_reconciliation.differences_as_of

    def fails(connection: Any, held: accounts.account_reconciliation.ProgramAccounts, *place: Any) -> Any:
        if market in held["markets"]:
            connection.execute("select 1 / 0")
        return compared(connection, held, *place)

    with monkeypatch.context() as patch, database.connect() as owner:
        patch.setattr(accounts.account_reconciliation, "differences_as_of", fails)
        look(log, monkeypatch)
        look(log, monkeypatch)
        missed = owner.execute("select account, since from ops.uncompared_accounts").fetchall()
        assert [account for account, _ in missed] == [market]
        assert open_alerts(database, "accounts_uncompared") == []

        owner.execute("update ops.uncompared_accounts set since = since - interval '24 hours'")
        assert look(log, monkeypatch)[0].passed
        (message,) = open_alerts(database, "accounts_uncompared")
        assert f"{market} (folding it failed: division by zero)" in message

    look(log, monkeypatch)
    assert open_alerts(database, "accounts_uncompared") == []
    with database.connect() as owner:
        assert owner.execute("select from ops.uncompared_accounts").fetchall() == []


def test_lamports_that_somebody_sent_are_no_difference(
    log: tuple[testing.PostgresDatabase, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone can create them; missing ones are reported separately."""
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
    log: tuple[testing.PostgresDatabase, Chain], monkeypatch: pytest.MonkeyPatch
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
    assert "does not yet contain" in str(evaluation.description)
    assert all(name.startswith("read: ") for name in shown)
    assert open_alerts(database) == []


async def test_accounts_are_read_from_a_node_of_the_logs_chain(
    database: testing.PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their slot and bytes; a node of another chain is refused, so nothing is compared with it."""
    options = Options(pace=20.0, past_hours=0.2)
    async with serve(tmp_path, options) as node:
        monkeypatch.setenv("SOLANA_RPC_URL", node.url)
        monkeypatch.setenv("SOLANA_CLUSTER", "localnet")
        with database.connect() as owner, database.connect("zmart_keeper") as keeper:
            owner.execute("select raw.renew_identity()")
            identity = "update raw.identity set genesis_hash = %s, program_id = %s"
            owner.execute(identity, ("another", history.PROGRAM_ID))
            with pytest.raises(errors.ConfigurationError, match="another chain"):
                await accounts.read_accounts(keeper)

            owner.execute(identity, (node.ledger.genesis.hash, history.PROGRAM_ID))
            found = await accounts.read_accounts(keeper)
            accounts.store_accounts(keeper, found)
            rows = keeper.execute("select account, slot, kind, data from raw.accounts").fetchall()

    assert {(row[0], row[1], row[3]) for row in rows} == {(a.address, found.slot, a.data) for a in found.value}
    assert "GlobalConfig" in {row[2] for row in rows}
    assert found.slot > 0
