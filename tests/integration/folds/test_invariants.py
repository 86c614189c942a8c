"""The models' data tests can fail: a row that violates one is found, and by the test of that rule."""

from __future__ import annotations

import asyncio
import json
import pathlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import psycopg
import pytest
import yaml

from devchain import history
from ingest.decode import decoder
from ingest.store.writer import Writer
from zmart import testing
from zmart.run.deploy import rebuild

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

MODELS = sorted((rebuild.PROJECT / "sql_models").rglob("*.yml"))
SINGULAR = sorted(path.stem for path in (rebuild.PROJECT / "tests" / "data").glob("*.sql"))

#: By singular test: the mart, and the change of one row of it; one for each rule in the test's text.
SPOILT = [
    ("average_cost_follows_positions", "position_costs", "cost_yes = cost_yes + 1"),
    ("average_cost_follows_positions", "position_costs", "cost_no = cost_no - 1"),
    ("average_cost_follows_positions", "position_costs", "realized_by_sells = realized_by_sells + 1"),
    ("average_cost_follows_positions", "position_costs", "state[1] = state[1] + 1"),
    ("average_cost_follows_positions", "position_costs", "state[4] = state[4] + 1"),
    ("candles_carry_all_volume", "candles_1m", "volume = volume + 1"),
    ("candles_carry_all_volume", "candles_1m", "trades_count = trades_count - 1"),
    ("candles_carry_all_volume", "candles_1m", "low = least(open, close) + 1"),
    ("candles_carry_all_volume", "candles_1m", "high = greatest(open, close) - 1"),
    ("fee_parts_add_up", "trades", "protocol_fee = protocol_fee + 1"),
    ("fee_parts_add_up", "trades", "protocol_fee = -1, resolver_fee = resolver_fee + protocol_fee + 1"),
    ("positions_and_phantom_shares_make_the_markets", "markets", "shares_yes = shares_yes + 1"),
    ("positions_and_phantom_shares_make_the_markets", "markets", "shares_no = shares_no - 1"),
    ("prices_follow_the_shares", "trades", "price_yes = price_yes + 1"),
    ("realizations_make_the_realized_profit", "realizations", "lamports = lamports + 1"),
    ("realizations_make_the_realized_profit", "pnl_history", "realized_pnl = realized_pnl + 1"),
    ("realizations_make_the_realized_profit", "wallets", "realized_pnl = realized_pnl + 1"),
    (
        "tallies_count_every_voter_once",
        "vote_tallies",
        "agree = agree + 1, on_chain_agree = on_chain_agree + 1, total = total + 1",
    ),
    ("tallies_count_every_voter_once", "vote_tallies", "agree = agree + 1, on_chain_agree = on_chain_agree + 1"),
    ("tallies_count_every_voter_once", "vote_tallies", "off_chain_known_agree = off_chain_known_agree + 1"),
    ("tallies_count_every_voter_once", "vote_tallies", "off_chain_unseen_disagree = off_chain_unseen_disagree + 1"),
    (
        "what_is_open_is_worth_its_mark_less_its_cost",
        "portfolio",
        "unrealized_pnl = unrealized_pnl + 1, realized_pnl = realized_pnl - 1",
    ),
    ("what_is_open_is_worth_its_mark_less_its_cost", "portfolio", "realized_pnl = realized_pnl + 1"),
    (
        "what_is_open_is_worth_its_mark_less_its_cost",
        "portfolio",
        "profit = profit + 1, realized_pnl = realized_pnl + 1",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A data test that a model's .yml asks for."""

    model: str
    #: The column of the test; None for one of the whole model.
    column: str | None
    kind: str
    #: The key columns of a grain.
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The model, the column and the rule."""
        return f"{self.model}.{self.column or ','.join(self.columns)} {self.kind}"

    @property
    def spoils(self) -> str:
        """A statement that violates it in one row of the mart."""
        mart, column = f"marts.{self.model}", self.column
        first = f"where ctid = (select min(ctid) from {mart})"
        # A duplicate by this column alone.
        others = json.dumps(
            {o.column: None for o in PROMISES if (o.model, o.kind) == (self.model, "unique") and o.column != column}
        )
        return {
            "unique": f"insert into {mart} select (jsonb_populate_record(m, '{others}')).* from {mart} as m {first}",
            "grain": f"insert into {mart} select * from {mart} {first}",
            "not_null": f"update {mart} set {column} = null {first}",
            "accepted_values": f"update {mart} set {column} = 'none of them' {first}",
            "relationships": f"update {mart} set {column} = -1 {first}",
        }[self.kind]


def promises() -> Iterator[Promise]:
    """Every data test of the models' .yml files."""
    for path in MODELS:
        for model in yaml.safe_load(path.read_text()).get("models", ()):
            for column in ({}, *model.get("columns", ())):
                for test in column.get("data_tests", ()) if column else model.get("data_tests", ()):
                    ((kind, options),) = test.items() if isinstance(test, dict) else ((test, {}),)
                    columns = tuple(options.get("arguments", {}).get("columns", ()))
                    yield Promise(model=model["name"], column=column.get("name"), kind=kind, columns=columns)


PROMISES = list(promises())


@dataclass(frozen=True, kw_only=True)
class PlayedLog:
    """A generated chain with all events, and the data tests as dbt runs them."""

    database: testing.PostgresDatabase
    #: SQL by the singular test's name, or by the rule; returned rows are violations.
    queries: Mapping[str, str]

    def broken(self, connection: Connection, mart: str) -> set[str]:
        """Return the tests of a mart that return rows."""
        return {
            name
            for name, query in self.queries.items()
            if f'"marts"."{mart}"' in query
            and connection.execute(f"select 1 from (\n{query}\n) as found limit 1".encode()).fetchone()
        }


@pytest.fixture(scope="module")
def played(
    postgres_server: testing.PostgresServer,
    marts_template: testing.PostgresDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PlayedLog]:
    """A chain's log and some comments under a market; change it in a transaction that is rolled back."""

    async def ingest() -> None:
        items = [msgspec.json.encode(item) for item in history.play(5, 1_500)]
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        await writer.append(decoder.Decoder(history.PROGRAM_ID).decode_items(items).transactions, source="webhook")
        await writer.close()

    with postgres_server.clone(marts_template) as database, pytest.MonkeyPatch.context() as patch:
        asyncio.run(ingest())
        with database.connect() as owner:
            owner.execute("select set_config('zmart.wallet', min(wallet), false) from raw.wallets_seen")
            for words in ("I say so", "And I do not"):
                owner.execute("select app.post_comment(min(id), %s, null) from marts.markets where is_known", (words,))
        rebuild.refresh(database.dsn(), report=lambda _: None)
        # A dbt folder for this test alone, because others run dbt at the same time.
        state = tmp_path_factory.mktemp(uuid.uuid4().hex)
        patch.setenv("ZMART_STATE_DIR", str(state))
        rebuild.build_models(database.dsn(), ["compile", "--select", "resource_type:test"])
        yield PlayedLog(database=database, queries=dict(compiled(state / "dbt" / "manifest.json")))


def compiled(manifest: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Name and SQL of each data test."""
    for node in json.loads(manifest.read_text())["nodes"].values():
        if node["resource_type"] != "test":
            continue
        about = node.get("test_metadata")
        if about is None:
            yield node["name"], node["compiled_code"]
        else:
            columns = tuple(about["kwargs"].get("columns", ()))
            model = node["attached_node"].rpartition(".")[2]
            promise = Promise(model=model, column=node["column_name"], kind=about["name"], columns=columns)
            yield str(promise), node["compiled_code"]


def stand_in(connection: Connection, mart: str) -> None:
    """Replace a mart by a plain table without keys and constraints; the views on the mart stay unchanged."""
    kind = connection.execute("select relkind from pg_class where oid = %s::regclass", (f"marts.{mart}",)).fetchone()
    connection.execute(f"alter {'view' if kind == ('v',) else 'table'} marts.{mart} rename to {mart}_before")
    connection.execute(f"create table marts.{mart} as table marts.{mart}_before")


def test_every_data_test_is_here(played: PlayedLog) -> None:
    """No test is missing, and none returns rows for a correct log."""
    assert set(played.queries) == {*SINGULAR, *map(str, PROMISES)}
    assert {name for name, _, _ in SPOILT} == set(SINGULAR)
    with played.database.connect("postgres") as connection:
        for mart in {promise.model for promise in PROMISES} | {mart for _, mart, _ in SPOILT}:
            assert connection.execute(f"select count(*) > 0 from marts.{mart}").fetchone() == (True,)
            assert played.broken(connection, mart) == set()


@pytest.mark.parametrize(("name", "mart", "change"), SPOILT)
def test_an_invariant_sees_what_breaks_it(played: PlayedLog, name: str, mart: str, change: str) -> None:
    """One row that is off by one: its invariant returns it, and no other does."""
    with played.database.connect("postgres") as connection, connection.transaction(force_rollback=True):
        stand_in(connection, mart)
        assert played.broken(connection, mart) == set()
        done = connection.execute(f"update marts.{mart} set {change} where ctid = (select min(ctid) from marts.{mart})")
        assert done.rowcount == 1
        assert played.broken(connection, mart) == {name}


@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_a_promise_sees_what_breaks_it(played: PlayedLog, promise: Promise) -> None:
    """A row without a value, with a wrong one, without its parent, or twice: only the test of that rule returns it."""
    with played.database.connect("postgres") as connection, connection.transaction(force_rollback=True):
        stand_in(connection, promise.model)
        done = connection.execute(promise.spoils)
        assert done.rowcount == 1
        assert played.broken(connection, promise.model) - set(SINGULAR) == {str(promise)}
