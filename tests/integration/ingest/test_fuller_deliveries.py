"""A second, fuller delivery of a known transaction adds what the first lacked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from solders.instruction import Instruction

from ingest import testing as deliveries
from ingest.decode.decoder import Decoder
from ingest.records import TransactionRow
from ingest.store import body_compression
from ingest.store.writer import Writer
from zmart import settings, testing
from zmart.chain import transactions
from zmart.domain import events
from zmart.run.deploy import rebuild

PROGRAM = settings.DEFAULT_PROGRAM_ID
MARKET = b"\1" * 32
CREATOR = deliveries.address(1)
QUESTION = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
NOW = 1_762_600_000
CREATED = events.MarketCreated(MARKET, CREATOR, 100_000_000_000, 0, NOW)
CREATE = transactions.instruction(
    "create_market",
    PROGRAM,
    {"creator": CREATOR},
    {
        "market_id": MARKET,
        "b_parameter": 100_000_000_000,
        "initial_liquidity": 10_000_000_000,
        "ipfs_question_hash": QUESTION.encode(),
    },
    market_id=MARKET,
)


def row_of(item: dict[str, Any]) -> TransactionRow:
    """Decode a delivered item."""
    row = Decoder(PROGRAM).decode_item(msgspec.json.encode(item))
    assert isinstance(row, TransactionRow)
    return row


def bought(number: int, price: int, *, index: int | None) -> TransactionRow:
    """A buy of a slot."""
    event = events.SharesBought(MARKET, deliveries.address(number), True, 1_000, 999_928_380, price, NOW + 1)
    return row_of(deliveries.item(PROGRAM, [event], number=number, slot=400_000_001, index=index))


FULL = deliveries.item(PROGRAM, [CREATED], instructions=(CREATE,))
POORER = {
    "no instructions": FULL
    | {"transaction": FULL["transaction"] | {"message": FULL["transaction"]["message"] | {"instructions": []}}},
    "no message": FULL | {"transaction": FULL["transaction"] | {"message": None}},
}


def with_objects(item: dict[str, Any], *, knows_calls: bool) -> dict[str, Any]:
    """The item as the encoding jsonParsed delivers it: accounts as objects, instructions by address."""
    message = item["transaction"]["message"]
    keys = message["accountKeys"]
    named = [
        {
            "programId": keys[each["programIdIndex"]],
            "accounts": [keys[place] for place in each["accounts"]],
            "data": each["data"],
            "stackHeight": 1,
        }
        for each in message["instructions"]
    ]
    changed = message | {
        "accountKeys": [{"pubkey": key, "signer": key == CREATOR, "writable": True} for key in keys],
        "instructions": named if knows_calls else None,
    }
    return item | {"transaction": item["transaction"] | {"message": changed}}


POORER["objects without instructions"] = with_objects(FULL, knows_calls=False)


@pytest.fixture
async def writer(marts_database: testing.PostgresDatabase) -> AsyncIterator[Writer]:
    """Ingest's writer."""
    opened = await Writer.connect(marts_database.dsn("zmart_ingest"))
    yield opened
    await opened.close()


@pytest.mark.parametrize("poorer", POORER)
@pytest.mark.parametrize("at_once", [False, True])
async def test_the_context_of_a_creation_is_added(
    marts_database: testing.PostgresDatabase, writer: Writer, poorer: str, at_once: bool
) -> None:
    """In a later batch or in the same; readers are told, the mart has the question, and a rebuild agrees."""
    first, second = row_of(POORER[poorer]), row_of(FULL)
    assert b"ipfs_question_hash" not in (first.events[0].context or b"")
    if at_once:
        await writer.append([first, second], source="webhook")
    else:
        await writer.append([first], source="webhook")
        again = await writer.append([second], source="webhook")
        assert (again.duplicates, again.last_seq is not None) == (1, True)
        assert (await writer.append([second], source="webhook")).last_seq is None
    with marts_database.connect() as owner:
        found = owner.execute("select ipfs_question_hash, initial_liquidity from marts.markets").fetchall()
        assert found == [(QUESTION, 10_000_000_000)]
        assert owner.execute("select count(*) from raw.events").fetchone() == (1,)
        kinds = [kind for (kind,) in owner.execute("select kind from raw.feed order by seq")]
        assert kinds == (["event"] if at_once else ["event", "moved"])
    assert row_of_stored(marts_database).events == second.events
    assert all(each.is_consistent for each in rebuild.verify(marts_database.dsn()))


def test_accounts_as_objects_are_read() -> None:
    """A delivery with accounts as objects and instructions by address gives the rows of the usual form."""
    parsed = row_of(with_objects(FULL, knows_calls=True))
    assert parsed.events == row_of(FULL).events
    assert b"ipfs_question_hash" in (parsed.events[0].context or b"")


CUT = ["Program log: Instruction: CreateMarket", "Log truncated"]
CUT_FULL = deliveries.item(PROGRAM, lines=deliveries.log_lines(PROGRAM, CUT), instructions=(CREATE,))
CUT_POORER = CUT_FULL | {
    "transaction": CUT_FULL["transaction"] | {"message": CUT_FULL["transaction"]["message"] | {"instructions": []}}
}


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_fuller_delivery_rebuilds_the_events_after_a_cut(
    marts_database: testing.PostgresDatabase, writer: Writer, at_once: bool
) -> None:
    """The first delivery of a cut log has no instructions: a dead letter. The second has them: its event is appended
    once, the dead letter is resolved, and the stored body is the fuller one, so that decoding it gives the same."""
    first, second = row_of(CUT_POORER), row_of(CUT_FULL)
    assert (first.events, len(second.events), first.digest) == ((), 1, second.digest)
    if at_once:
        await writer.append([first, second], source="webhook")
    else:
        await writer.append([first], source="webhook")
        await writer.append([second], source="webhook")
        await writer.append([first], source="webhook")
    await writer.append([second], source="webhook")
    with marts_database.connect() as owner:
        assert owner.execute("select count(*) from raw.events where retracted_at is null").fetchone() == (1,)
        assert owner.execute("select count(*) from raw.events").fetchone() == (1,)
        assert owner.execute("select ipfs_question_hash from marts.markets").fetchall() == [(QUESTION,)]
        unresolved = "select count(*) from raw.dead_letters where resolved_at is null"
        assert owner.execute(unresolved).fetchone() == (0,)
    assert row_of_stored(marts_database).events == second.events
    assert all(each.is_consistent for each in rebuild.verify(marts_database.dsn()))


def row_of_stored(database: testing.PostgresDatabase) -> TransactionRow:
    """Decode the stored body of the only transaction again."""
    with database.connect() as owner:
        stored = owner.execute(
            "select coalesce(b.content, t.body), coalesce(t.bundle_start, 0), t.bundle_length"
            " from raw.transactions as t"
            " left join raw.bundles as b on t.bundle_no = b.bundle_no"
        ).fetchall()
    ((content, start, length),) = stored
    row = Decoder(PROGRAM).decode_item(body_compression.decompress(content, start, length))
    assert isinstance(row, TransactionRow)
    return row


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_the_place_of_a_trade_is_added(
    marts_database: testing.PostgresDatabase, writer: Writer, order: tuple[int, int]
) -> None:
    """Two trades of a slot first without an index, then with it: the price is that of the later one in the block."""
    prices = {1: 510_000_000, 2: 620_000_000}
    await writer.append([row_of(FULL)], source="webhook")
    await writer.append([bought(10 + each, prices[each], index=None) for each in (1, 2)], source="webhook")
    for place, each in enumerate(order):
        await writer.append([bought(10 + each, prices[each], index=place + 3)], source="webhook")
    with marts_database.connect() as owner:
        found = owner.execute(
            "select t.index_in_block, t.order_settled from raw.transactions as t where slot = 400000001 order by 1"
        ).fetchall()
        assert found == [(3, True), (4, True)]
        (price,) = owner.execute("select price_yes from marts.markets").fetchone() or (None,)
        assert price == prices[order[1]]
    assert all(each.is_consistent for each in rebuild.verify(marts_database.dsn()))


def creation(number: int) -> tuple[events.MarketCreated, Instruction, str]:
    """A market's event, the call that emits it, and its question."""
    market_id = bytes([number]) * 32
    event = events.MarketCreated(market_id, CREATOR, 100_000_000_000, 0, NOW)
    question = QUESTION[:-1] + str(number)
    call = transactions.instruction(
        "create_market",
        PROGRAM,
        {"creator": CREATOR},
        {
            "market_id": market_id,
            "b_parameter": 100_000_000_000,
            "initial_liquidity": 10_000_000_000,
            "ipfs_question_hash": question.encode(),
        },
        market_id=market_id,
    )
    return event, call, question


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("fuller_first", [False, True])
async def test_deliveries_that_number_events_otherwise_are_not_mixed(
    marts_database: testing.PostgresDatabase, writer: Writer, *, at_once: bool, fuller_first: bool
) -> None:
    """The runtime dropped a purchase before two creations. A delivery without instructions counts from the creations;
    one with them counts the purchase, too. Each market has its own question, and each event its own ordinal."""
    created = {number: creation(number) for number in (3, 4)}
    lost = transactions.instruction(
        "buy_shares",
        PROGRAM,
        {"user": CREATOR, "protocol_fee_wallet": CREATOR},
        {"outcome": True, "target_cost": 1_000},
        market_id=MARKET,
    )
    full = deliveries.item(
        PROGRAM,
        lines=deliveries.log_lines(
            PROGRAM, ["Log truncated", *(deliveries.data_line(event) for event, _, _ in created.values())]
        ),
        instructions=(lost, *(call for _, call, _ in created.values())),
    )
    message = full["transaction"]["message"]
    poorer = full | {"transaction": full["transaction"] | {"message": message | {"instructions": []}}}
    rows = [row_of(poorer), row_of(full)]
    assert [[event.ordinal for event in row.events] for row in rows] == [[0, 1], [1, 2]]
    if fuller_first:
        rows.reverse()
    for batch in [rows] if at_once else [[row] for row in rows]:
        await writer.append(batch, source="webhook")
    with marts_database.connect() as owner:
        questions = owner.execute("select id, ipfs_question_hash from marts.markets order by 1").fetchall()
        assert questions == [(event.market_id.hex(), question) for event, _, question in created.values()]
        ordinals = owner.execute("select ordinal from raw.events where retracted_at is null order by 1").fetchall()
        assert ordinals == [(1,), (2,)]
    assert row_of_stored(marts_database).events == row_of(full).events
    assert all(each.is_consistent for each in rebuild.verify(marts_database.dsn()))
