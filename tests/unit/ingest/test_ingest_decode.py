"""The result of decoding one delivered item."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from ingest_cases import (
    ACCOUNT,
    BOUGHT,
    CID,
    MARKET,
    NOW,
    OTHER_ACCOUNT,
    OTHER_MARKET,
    OTHER_PROGRAM,
    PROGRAM,
    SOLD,
    USER,
    buy,
)

from ingest import testing
from ingest.decode.decoder import Decoder, PendingSignature
from ingest.records import DeadLetter, EventRow, TransactionRow
from zmart.chain import codec
from zmart.domain import events


def row_of(decoder: Decoder, item: object) -> TransactionRow:
    """Return the transaction of an item."""
    outcome = decoder.decode_item(item if isinstance(item, bytes) else msgspec.json.encode(item))
    assert isinstance(outcome, TransactionRow), outcome
    return outcome


def dead_letter_of(decoder: Decoder, item: object) -> DeadLetter:
    """Return the dead letter of an item."""
    outcome = decoder.decode_item(item if isinstance(item, bytes) else msgspec.json.encode(item))
    assert isinstance(outcome, DeadLetter), outcome
    return outcome


def only_event(decoder: Decoder, event: events.Event) -> EventRow:
    """Return the row of an event that is alone."""
    (row,) = row_of(decoder, testing.item(PROGRAM, [event])).events
    return row


def test_a_transaction_row_has_the_delivered_values(decoder: Decoder) -> None:
    """Signature, slot, index, time, fee and the body's own bytes are in the row."""
    raw = json.dumps(testing.item(PROGRAM, [BOUGHT], number=5), indent=1).encode()
    row = row_of(decoder, raw)
    assert (row.signature, row.slot, row.index_in_block) == (testing.signature(5), 400_000_000, 7)
    assert (row.block_time, row.err, row.fee_lamports) == (NOW, None, 5_000)
    assert row.body == raw
    assert row.dead_letters == ()


def test_a_buy_is_stored_as_columns_and_payload(decoder: Decoder) -> None:
    """Market, wallet and clock have columns; the rest is JSON with 64-bit integers as strings."""
    assert only_event(decoder, BOUGHT) == EventRow(
        ordinal=0,
        name="SharesBought",
        market_id=MARKET.hex(),
        market_account=ACCOUNT,
        wallet=USER,
        clock=NOW,
        payload=b'{"outcome":true,"shares":"1835823062","cost":"999928380","new_price_yes":"504589428"}',
        context=None,
        logged=codec.default().encode_event(BOUGHT),
    )


PAYLOADS = [
    (events.ConfigUpdated(300, 200, 500, 7000, 6000, 86400, 259200, NOW), None, {
        "protocol_fee_bps": 300, "resolver_reward_bps": 200, "liquidity_provider_fee_bps": 500,
        "proposal_approval_threshold": 7000, "dispute_success_threshold": 6000,
        "min_resolution_delay": "86400", "dispute_period": "259200",
    }),
    (events.DisputeAggregated(MARKET, 6, 4, 60, True, NOW), None, {
        "agrees": 6, "disagrees": 4, "agreement_percentage": 60, "dispute_succeeded": True,
    }),
    (events.DisputeInitiated(MARKET, USER, None, NOW), USER, {"disputed_outcome": None}),
    (events.DisputeVoteSubmitted(MARKET, USER, False, NOW), USER, {"vote": False}),
    (events.GlobalConfigInitialized(USER, OTHER_PROGRAM, 300, NOW), USER, {
        "backend_authority": OTHER_PROGRAM, "protocol_fee_bps": 300,
    }),
    (events.LiquidityWithdrawn(MARKET, USER, 2**64 - 1, NOW), USER, {"amount": str(2**64 - 1)}),
    (events.MarketActivated(MARKET, USER, 5, NOW), USER, {"initial_liquidity": "5"}),
    (events.MarketCancelled(MARKET, USER, NOW), USER, {}),
    (events.MarketCreated(MARKET, USER, 100, 0, NOW), USER, {"b_parameter": "100", "state": 0}),
    (events.MarketFinalized(MARKET, None, False, NOW), None, {
        "final_outcome": None, "was_disputed": False,
    }),
    (events.MarketResolved(MARKET, USER, True, CID, NOW), USER, {
        "outcome": True, "evidence_hash": CID.decode(),
    }),
    (events.ProposalAggregated(MARKET, 7, 3, 70, True, NOW), None, {
        "likes": 7, "dislikes": 3, "approval_percentage": 70, "approved": True,
    }),
    (events.ProposalApproved(MARKET, USER, NOW), USER, {}),
    (events.ProposalVoteSubmitted(MARKET, USER, True, NOW), USER, {"vote": True}),
    (events.ProtocolPauseStatusChanged(True, USER, NOW), USER, {"is_paused": True}),
    (SOLD, USER, {
        "outcome": False, "shares": "1000000000", "proceeds": "454188600",
        "new_price_yes": "500000000",
    }),
]  # fmt: skip


@pytest.mark.parametrize(("event", "wallet", "payload"), PAYLOADS, ids=lambda value: type(value).__name__)
def test_every_event_uses_the_names_of_the_program(
    decoder: Decoder, event: events.Event, wallet: str | None, payload: dict[str, object]
) -> None:
    """Each kind has the wallet that acted if it names one, its other fields, and no column twice."""
    row = only_event(decoder, event)
    assert (row.name, row.wallet, row.clock) == (event.name, wallet, NOW)
    assert json.loads(row.payload) == payload
    is_about_a_market = "market_id" in event._fields
    assert row.market_id == (MARKET.hex() if is_about_a_market else None)
    assert row.market_account == (ACCOUNT if is_about_a_market else None)


def test_a_claim_names_the_account_alone(decoder: Decoder) -> None:
    """WinningsClaimed has the market's address; its id is unknown here (protocol.md 1.7)."""
    row = only_event(decoder, events.WinningsClaimed(ACCOUNT, USER, None, 999_928_380, NOW))
    assert (row.name, row.market_id, row.market_account, row.wallet) == (
        "WinningsClaimed", None, ACCOUNT, USER,
    )  # fmt: skip
    assert json.loads(row.payload) == {"outcome": None, "amount": "999928380"}


def test_a_claim_of_the_earlier_build_is_read_by_its_length(decoder: Decoder) -> None:
    """The 96-byte layout has the same name and discriminator, and contains the id."""
    row = only_event(decoder, events.WinningsClaimedV0(MARKET, USER, 7, 3, NOW))
    assert (row.name, row.market_id, row.market_account, row.wallet) == (
        "WinningsClaimed", MARKET.hex(), ACCOUNT, USER,
    )  # fmt: skip
    assert json.loads(row.payload) == {"amount": "7", "resolver_fee": "3"}


@pytest.mark.parametrize("raw", [b"\0" * 46, b"\xff" * 46, b"line\n" + b"x" * 41])
def test_a_hash_that_is_no_text_is_hex(decoder: Decoder, raw: bytes) -> None:
    """No control character reaches jsonb, in particular not U+0000."""
    row = only_event(decoder, events.MarketResolved(MARKET, USER, True, raw, NOW))
    assert json.loads(row.payload)["evidence_hash"] == "0x" + raw.hex()


def test_events_of_a_kind_are_distinguished_by_ordinals(decoder: Decoder) -> None:
    """One transaction may buy twice in one market and once in another."""
    other = BOUGHT._replace(market_id=OTHER_MARKET)
    rows = row_of(decoder, testing.item(PROGRAM, [BOUGHT, BOUGHT, other])).events
    assert [(row.ordinal, row.market_account) for row in rows] == [
        (0, ACCOUNT), (1, ACCOUNT), (2, OTHER_ACCOUNT),
    ]  # fmt: skip


def test_what_another_program_prints_is_not_our_event(decoder: Decoder) -> None:
    """A program that calls ours, or is called by it, cannot forge `Program data:` lines."""
    forged = testing.data_line(BOUGHT)
    lines = [
        f"Program {OTHER_PROGRAM} invoke [1]",
        forged,
        f"Program {PROGRAM} invoke [2]",
        f"Program {OTHER_PROGRAM} invoke [3]",
        forged,
        f"Program {OTHER_PROGRAM} success",
        testing.data_line(SOLD),
        f"Program {PROGRAM} success",
        forged,
        f"Program log: Program {PROGRAM} invoke [1]",
        forged,
        f"Program {OTHER_PROGRAM} success",
    ]
    row = row_of(decoder, testing.item(PROGRAM, lines=lines))
    assert [(event.ordinal, event.name) for event in row.events] == [(0, "SharesSold")]
    assert row.dead_letters == ()


def test_a_transaction_without_our_program_is_ignored(decoder: Decoder) -> None:
    """Also if a user prints our events, or our address, in it."""
    item = testing.item(
        OTHER_PROGRAM,
        lines=testing.log_lines(OTHER_PROGRAM, [testing.data_line(BOUGHT), f"Program log: {PROGRAM}"]),
    )
    assert decoder.decode_item(msgspec.json.encode(item)) is None
    assert decoder.decode_body(testing.body(item, item)).ignored == 2


def test_our_program_counts_where_only_a_look_up_table_names_it(decoder: Decoder) -> None:
    """A version 0 transaction may call a program it loaded."""
    item = testing.item(OTHER_PROGRAM, loaded=((), (PROGRAM,)), lines=testing.log_lines(PROGRAM, []))
    assert row_of(decoder, item).events == ()


def test_a_failed_transaction_has_no_events(decoder: Decoder) -> None:
    """Its logs may show some; they are not valid. The error is stored as JSON."""
    item = testing.item(PROGRAM, [BOUGHT], err={"InstructionError": [2, {"Custom": 6000}]})
    row = row_of(decoder, item)
    assert (row.events, row.dead_letters) == ((), ())
    assert row.err == '{"InstructionError":[2,{"Custom":6000}]}'


def test_a_truncated_log_adds_a_dead_letter_to_the_events(decoder: Decoder) -> None:
    """`Log truncated` as a line of its own means events may be missing."""
    lines = [*testing.log_lines(PROGRAM, [testing.data_line(BOUGHT)])[:-1], "Log truncated"]
    row = row_of(decoder, testing.item(PROGRAM, lines=lines))
    assert [event.name for event in row.events] == ["SharesBought"]
    assert [(dead_letter.reason_code, dead_letter.ordinal) for dead_letter in row.dead_letters] == [("truncated", None)]


def test_a_program_cannot_pretend_that_the_log_was_cut(decoder: Decoder) -> None:
    """The same text inside a program's own line has no meaning."""
    lines = testing.log_lines(PROGRAM, ["Program log: Log truncated", testing.data_line(BOUGHT)])
    assert row_of(decoder, testing.item(PROGRAM, lines=lines)).dead_letters == ()


def test_undecodable_lines_of_ours_keep_their_ordinal_and_bytes(decoder: Decoder) -> None:
    """Unknown discriminators, short bodies and broken base64 are dead letters among good events."""
    short = base64.b64encode(codec.default().encode_event(BOUGHT)[:-1]).decode()
    printed = [
        "Program data: AAAAAAAAAAA=",
        testing.data_line(BOUGHT),
        f"Program data: {short}",
        "Program data: !!\0\ud800",
        testing.data_line(SOLD),
    ]
    item = json.dumps(testing.item(PROGRAM, lines=testing.log_lines(PROGRAM, printed))).encode()
    row = row_of(decoder, item)
    assert [(event.ordinal, event.name) for event in row.events] == [
        (1, "SharesBought"),
        (4, "SharesSold"),
    ]
    assert [(dead_letter.reason_code, dead_letter.ordinal) for dead_letter in row.dead_letters] == [
        ("undecodable", 0), ("undecodable", 2), ("undecodable", 3),
    ]  # fmt: skip
    assert [dead_letter.bytes for dead_letter in row.dead_letters][:2] == [b"AAAAAAAAAAA=", short.encode()]
    assert {dead_letter.signature for dead_letter in row.dead_letters} == {row.signature}


def test_events_beyond_the_ordinal_limit_are_dead_letters(decoder: Decoder) -> None:
    """An ordinal has nine bits; the rest of the transaction counts."""
    item = testing.item(PROGRAM, [BOUGHT] * 514)
    row = row_of(decoder, item)
    assert len(row.events) == 512
    assert [dead_letter.ordinal for dead_letter in row.dead_letters] == [512, 513]


def test_nul_in_a_log_line_survives_and_breaks_nothing(decoder: Decoder) -> None:
    """A program may print U+0000; the body contains it and the events count."""
    printed = ["Program log: \0", testing.data_line(BOUGHT)]
    raw = msgspec.json.encode(testing.item(PROGRAM, lines=testing.log_lines(PROGRAM, printed)))
    row = row_of(decoder, raw)
    assert len(row.events) == 1
    assert "\0" in json.loads(row.body)["meta"]["logMessages"][1]


def test_half_a_surrogate_pair_in_a_log_line_survives_and_breaks_nothing(decoder: Decoder) -> None:
    """The stored body is the delivered one; the decoded text has a replacement character."""
    printed = ["Program log: \ud800", testing.data_line(BOUGHT)]
    raw = json.dumps(testing.item(PROGRAM, lines=testing.log_lines(PROGRAM, printed))).encode()
    neighbour = msgspec.json.encode(testing.item(PROGRAM, [SOLD], number=2))
    decoded = decoder.decode_body(b"[" + raw + b"," + neighbour + b"]")
    assert [len(row.events) for row in decoded.transactions] == [1, 1]
    assert rb"\ud800" in decoded.transactions[0].body


def test_a_surrogate_after_an_odd_extra_is_mended_too(decoder: Decoder) -> None:
    """Two unusual parts in one item lose nothing."""
    item = testing.item(PROGRAM, [BOUGHT])
    item["blockTime"] = "soon"
    item["meta"]["logMessages"].append("\ud800")
    assert len(row_of(decoder, json.dumps(item).encode()).events) == 1


def changed(*path: object, to: object) -> bytes:
    """A good item with one member replaced; `...` removes it."""
    item = testing.item(PROGRAM, [BOUGHT], instructions=[buy()])
    at: object = item
    for step in path[:-1]:
        at = at[step]  # type: ignore[index]
    if to is ...:
        del at[path[-1]]  # type: ignore[attr-defined]
    else:
        at[path[-1]] = to  # type: ignore[index]
    return json.dumps(item).encode()


MALFORMED = {
    "null": b"null",
    "number": b"7",
    "text": b'"text"',
    "array": b"[]",
    "empty": b"{}",
    "no signatures": changed("transaction", "signatures", to=...),
    "no signature": changed("transaction", "signatures", to=[]),
    "signature a number": changed("transaction", "signatures", 0, to=5),
    "signature too short": changed("transaction", "signatures", 0, to="abc"),
    "signature with NUL": changed("transaction", "signatures", 0, to="\0" * 88),
    "no slot": changed("slot", to=...),
    "slot text": changed("slot", to="400000000"),
    "slot a fraction": changed("slot", to=1.5),
    "slot negative": changed("slot", to=-1),
    "slot beyond the order key": changed("slot", to=1 << 39),
    "slot beyond everything": changed("slot", to=1 << 70),
    "logs not a list": changed("meta", "logMessages", to="Program log"),
    "logs not text": changed("meta", "logMessages", 1, to=7),
    "meta a list": changed("meta", to=[]),
    "transaction base64": changed("transaction", to=["AAAA", "base64"]),
    "too deep": b'{"meta":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too deep beside": b'{"beside":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not UTF-8": b'{"slot":1,"signature":"\xff"}',
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_item_is_a_dead_letter_with_its_bytes(decoder: Decoder, raw: bytes) -> None:
    """Its neighbours in the same delivery are stored."""
    dead_letter = dead_letter_of(decoder, raw)
    assert (dead_letter.reason_code, dead_letter.bytes, dead_letter.ordinal) == ("malformed", raw, None)
    assert dead_letter.reason.endswith(".")
    assert "\0" not in dead_letter.reason
    good = msgspec.json.encode(testing.item(PROGRAM, [SOLD], number=2))
    decoded = decoder.decode_body(b"[" + raw + b"," + good + b"]")
    assert [row.signature for row in decoded.transactions] == [testing.signature(2)]
    assert [dead.bytes for dead in decoded.dead_letters] == [raw]


EXTRAS = {
    "no keys": changed("transaction", "message", "accountKeys", to=...),
    "keys as objects": changed("transaction", "message", "accountKeys", to=[{"pubkey": PROGRAM}]),
    "no message": changed("transaction", "message", to=...),
    "no instructions": changed("transaction", "message", "instructions", to=...),
    "instructions odd": changed("transaction", "message", "instructions", to=[{"data": 7}]),
    "no balances": changed("meta", "postBalances", to=...),
    "balances odd": changed("meta", "postBalances", to=["1"]),
    "inner null": changed("meta", "innerInstructions", to=None),
    "loaded null": changed("meta", "loadedAddresses", to=None),
    "loaded odd": changed("meta", "loadedAddresses", to=[]),
    "fee beyond everything": changed("meta", "fee", to=1 << 80),
    "time a fraction": changed("blockTime", to=1.5),
    "time beyond the calendar": changed("blockTime", to=1 << 60),
    "index text": changed("indexWithinBlock", to="7"),
    "index beyond the order key": changed("indexWithinBlock", to=1 << 15),
    "no index": changed("indexWithinBlock", to=...),
}


@pytest.mark.parametrize("raw", EXTRAS.values(), ids=EXTRAS.keys())
def test_a_missing_or_odd_extra_costs_no_event(decoder: Decoder, raw: bytes) -> None:
    """Only signature, slot, error and log lines must be valid."""
    row = row_of(decoder, raw)
    assert [(event.name, event.wallet) for event in row.events] == [("SharesBought", USER)]
    assert row.fee_lamports in (5_000, None)
    assert row.index_in_block in (7, None)
    assert row.block_time in (NOW, None)


def test_an_enhanced_item_becomes_a_pending_signature(decoder: Decoder) -> None:
    """It never has logs (protocol.md 8.3): its signature is queued for fetching."""
    outcome = decoder.decode_item(msgspec.json.encode(testing.enhanced_item(PROGRAM, 3)))
    assert outcome == PendingSignature(testing.signature(3))


def test_an_enhanced_item_of_others_is_ignored(decoder: Decoder) -> None:
    """A webhook may watch more addresses than ours."""
    assert decoder.decode_item(msgspec.json.encode(testing.enhanced_item(OTHER_PROGRAM))) is None


def test_a_raw_item_without_logs_becomes_a_pending_signature(decoder: Decoder) -> None:
    """Null log lines differ from an empty list: another node may have them."""
    outcome = decoder.decode_item(changed("meta", "logMessages", to=None))
    assert outcome == PendingSignature(testing.signature(1))


@pytest.mark.parametrize("lines", [None, ...], ids=["null", "absent"])
def test_a_failed_transaction_without_logs_is_a_failed_row(decoder: Decoder, lines: object) -> None:
    """One that never ran has an error and no logs at any node (SIMD-0290); fetching it again would never end."""
    item = testing.item(PROGRAM, [BOUGHT], err="InsufficientFundsForFee")
    item["meta"]["logMessages"] = lines
    if lines is ...:
        del item["meta"]["logMessages"]
    row = decoder.decode_item(msgspec.json.encode(item))
    assert isinstance(row, TransactionRow)
    assert (row.err, row.events, row.dead_letters) == ('"InsufficientFundsForFee"', (), ())


def test_the_digest_depends_on_slot_error_and_lines_only(decoder: Decoder) -> None:
    """The same transaction from another source, spelled differently, has the same digest."""
    here = testing.item(PROGRAM, [BOUGHT])
    there = dict(reversed(testing.item(PROGRAM, [BOUGHT], index=None, block_time=None).items()))
    digest = row_of(decoder, here).digest
    assert row_of(decoder, json.dumps(there, indent=2).encode()).digest == digest
    for other in (
        testing.item(PROGRAM, [BOUGHT], slot=1),
        testing.item(PROGRAM, [BOUGHT], err="AccountInUse"),
        testing.item(PROGRAM, [SOLD]),
    ):
        assert row_of(decoder, other).digest != digest


def test_duplicates_in_one_body_are_handed_on(decoder: Decoder) -> None:
    """The log decides whether a transaction is known, not the decoder."""
    item = testing.item(PROGRAM, [BOUGHT])
    rows = decoder.decode_body(testing.body(item, item)).transactions
    assert rows[0] == rows[1]
