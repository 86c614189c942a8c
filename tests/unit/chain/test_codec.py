"""Every byte of instructions, accounts and events: fixed vectors, anchorpy, and rejected bytes."""

from __future__ import annotations

import base64
from typing import Any

import anchorpy_oracle
import borsh_values
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zmart import errors
from zmart.chain import codec, idl
from zmart.domain import events
from zmart.domain.ids import Address

WALLET = Address("4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA")
MARKET = Address("F1doAVqwVZdnDRp4U6R3SXpVFNZ4Rk7NZmgFQB2fbbuv")
ID = b"\1" * 32
AT = 1_762_600_000

IDL = idl.load()
CODEC = codec.default()
INSTRUCTIONS = {instruction.name: instruction.args for instruction in IDL.instructions}
ACCOUNTS = [account.name for account in IDL.accounts]
EVENTS = list(events.EVENTS)

#: Appendix A of protocol.md: an event, its length and the text after `Program data: `.
EVENT_VECTORS: list[tuple[events.Event, int, str]] = [
    (
        events.MarketCreated(ID, WALLET, 100_000_000_000, 0, AT),
        89,
        "WLiC5+JUBjoBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBATHkZofCt5uN8GRW8aVkG5S+3Nmmcwf"
        "QwqsM0R/5ZVLzAOh2SBcAAAAAQCQPaQAAAAA=",
    ),
    (
        events.SharesBought(ID, WALLET, True, 1835823062, 999928380, 504589428, AT),
        105,
        "8GJFCv3q4kEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBATHkZofCt5uN8GRW8aVkG5S+3Nmmcwf"
        "QwqsM0R/5ZVLzAdZvbG0AAAAAPLKZOwAAAAB0bBMeAAAAAEAkD2kAAAAA",
    ),
    (
        events.SharesSold(ID, WALLET, False, 1000000000, 454188600, 500000000, AT),
        105,
        "I+cFNeSecfsBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBATHkZofCt5uN8GRW8aVkG5S+3Nmmcwf"
        "QwqsM0R/5ZVLzAADKmjsAAAAAOF4SGwAAAAAAZc0dAAAAAEAkD2kAAAAA",
    ),
    (
        events.MarketFinalized(ID, True, True, AT),
        51,
        "Uz5CzCVM6rMBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAUAkD2kAAAAA",
    ),
    (
        events.MarketFinalized(ID, None, False, AT),
        50,
        "Uz5CzCVM6rMBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQAAQCQPaQAAAAA=",
    ),
    (
        events.WinningsClaimed(MARKET, WALLET, None, 999928380, AT),
        89,
        "u7gdxDZ1RpbQLTjlwnzn/7hKvJvHTPVvXVPG6wbOvnC+J1g+UGseFTHkZofCt5uN8GRW8aVkG5S+3Nmmcwf"
        "QwqsM0R/5ZVLzADyymTsAAAAAQCQPaQAAAAA=",
    ),
    (
        events.ProposalAggregated(ID, 7, 3, 70, True, AT),
        58,
        "6qZHdjzzi9UBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQcAAAADAAAARgFAJA9pAAAAAA==",
    ),
    (
        events.DisputeAggregated(ID, 6, 4, 60, True, AT),
        58,
        "OhHSoEskaSYBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQYAAAAEAAAAPAFAJA9pAAAAAA==",
    ),
]

INSTRUCTION_VECTORS: list[tuple[str, dict[str, Any], str]] = [
    (
        "buy_shares",
        {"outcome": True, "target_cost": 1_000_000_000},
        "28ef8a9a08256a6c0100ca9a3b00000000",
    ),
    (
        "sell_shares",
        {"outcome": False, "shares_to_sell": 1_000_000_000, "min_proceeds": 0},
        "b8a4a910e79ec7c40000ca9a3b000000000000000000000000",
    ),
    (
        "finalize_market",
        {"dispute_agree": None, "dispute_disagree": None},
        "10e1261cd5d901f70000",
    ),
    (
        "finalize_market",
        {"dispute_agree": 6, "dispute_disagree": 4},
        "10e1261cd5d901f701060000000104000000",
    ),
    (
        "aggregate_proposal_votes",
        {"final_likes": 7, "final_dislikes": 3},
        "1a9c1215b9b0ca480700000003000000",
    ),
    ("submit_proposal_vote", {"vote": True}, "b1bb3be61db90ef001"),
    (
        "update_global_config",
        {
            "protocol_fee_bps": 300,
            "resolver_reward_bps": 200,
            "liquidity_provider_fee_bps": 500,
            "proposal_approval_threshold": 7000,
            "dispute_success_threshold": 6000,
            "min_resolution_delay": None,
            "dispute_period": 120,
        },
        "a45482bd6f3afac82c01c800f401581b701700017800000000000000",
    ),
]


@pytest.mark.parametrize(("event", "length", "text"), EVENT_VECTORS)
def test_event_vectors(event: events.Event, length: int, text: str) -> None:
    """The events of appendix A decode to their values and encode to their bytes."""
    data = base64.b64decode(text)
    assert len(data) == length
    assert CODEC.decode_event(data) == event
    assert type(CODEC.decode_event(data)) is type(event)
    assert CODEC.encode_event(event) == data


@pytest.mark.parametrize(("name", "args", "text"), INSTRUCTION_VECTORS)
def test_instruction_vectors(name: str, args: dict[str, Any], text: str) -> None:
    """The instructions of appendix A encode to their bytes and decode to their arguments."""
    assert CODEC.encode_instruction(name, args).hex() == text
    assert CODEC.decode_instruction(bytes.fromhex(text)) == (name, args)


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=25)
@given(data=st.data())
def test_events_are_anchorpys(name: str, data: st.DataObject) -> None:
    """An event has the same bytes as anchorpy's, and anchorpy decodes the same values from them."""
    fields = data.draw(borsh_values.bodies(name))
    event = events.EVENTS[name](**fields)
    encoded = CODEC.encode_event(event)
    assert encoded == anchorpy_oracle.oracle().encode_event(name, fields)
    assert anchorpy_oracle.oracle().decode_event(encoded) == (name, fields)
    assert CODEC.decode_event(encoded) == event


@pytest.mark.parametrize("name", ACCOUNTS)
@settings(max_examples=25)
@given(data=st.data())
def test_accounts_are_anchorpys(name: str, data: st.DataObject) -> None:
    """An account has the same bytes as anchorpy's, padded or not, and decodes to the same values."""
    fields = data.draw(borsh_values.bodies(name))
    encoded = CODEC.encode_account(name, fields)
    assert encoded == anchorpy_oracle.oracle().encode_account(name, fields)
    assert CODEC.decode_account(encoded) == (name, fields)
    padded = CODEC.encode_account(name, fields, padded=True)
    assert len(padded) == codec.ALLOCATED_BYTES[name]
    assert CODEC.decode_account(padded) == (name, fields)


@pytest.mark.parametrize("name", list(INSTRUCTIONS))
@settings(max_examples=25)
@given(data=st.data())
def test_instructions_are_anchorpys(name: str, data: st.DataObject) -> None:
    """An instruction has the same bytes as anchorpy's and decodes to the same values."""
    args = data.draw(borsh_values.structs(INSTRUCTIONS[name]))
    encoded = CODEC.encode_instruction(name, args)
    assert encoded == anchorpy_oracle.oracle().encode_instruction(name, args)
    assert CODEC.decode_instruction(encoded) == (name, args)


@given(user=borsh_values.addresses, amount=st.integers(0, 2**64 - 1), fee=st.integers(0, 9))
def test_the_earlier_winnings_claimed(user: Address, amount: int, fee: int) -> None:
    """The 96-byte form of an earlier build is recognized by its length and has its own fields."""
    event = events.WinningsClaimedV0(ID, user, amount, fee, AT)
    data = CODEC.encode_event(event)
    assert len(data) == 96
    assert CODEC.decode_event(data) == event
    assert CODEC.decode_event(data).name == "WinningsClaimed"


@settings(max_examples=300)
@given(tag=st.sampled_from([bytes(e.discriminator) for e in IDL.events]), body=st.binary())
def test_whatever_decodes_encodes_to_the_same_bytes(tag: bytes, body: bytes) -> None:
    """Random bytes are rejected with a reason, or are the one encoding of their decoded value."""
    try:
        event = CODEC.decode_event(tag + body)
    except errors.DecodeError:
        return
    assert CODEC.encode_event(event) == tag + body


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=10)
@given(data=st.data())
def test_events_of_another_length_are_refused(name: str, data: st.DataObject) -> None:
    """Any event with a byte too many or too few is rejected."""
    encoded = CODEC.encode_event(events.EVENTS[name](**data.draw(borsh_values.bodies(name))))
    for wrong in (encoded + b"\0", encoded[:-1], encoded[:8]):
        with pytest.raises(errors.DecodeError, match=name):
            CODEC.decode_event(wrong)


@pytest.mark.parametrize(
    ("text", "offset", "reason"),
    [
        (EVENT_VECTORS[1][2], 72, "A bool must be 0 or 1, not 2"),
        (EVENT_VECTORS[3][2], 40, "tag must be 0 or 1, not 2"),
        (EVENT_VECTORS[3][2], 41, "A bool must be 0 or 1, not 2"),
        (EVENT_VECTORS[0][2], 0, "No event begins with"),
    ],
)
def test_bytes_that_are_not_canonical(text: str, offset: int, reason: str) -> None:
    """A bool or tag above 1, or an unknown discriminator, is rejected with the reason."""
    data = bytearray(base64.b64decode(text))
    data[offset] = 2
    with pytest.raises(errors.DecodeError, match=reason):
        CODEC.decode_event(bytes(data))


def test_no_bytes_at_all() -> None:
    """Empty bytes are neither an event, nor an account, nor an instruction."""
    for decode in (CODEC.decode_event, CODEC.decode_account, CODEC.decode_instruction):
        with pytest.raises(errors.DecodeError, match="begins with nothing"):
            decode(b"")


def test_accounts_end_in_zeros() -> None:
    """Bytes after an account's fields may only be the zeros of its allocation."""
    vote = {
        "market": MARKET,
        "user": WALLET,
        "vote_type": 1,
        "vote": True,
        "voted_at": AT,
        "bump": 252,
    }
    data = CODEC.encode_account("VoteRecord", vote)
    assert CODEC.decode_account(data + b"\0\0") == ("VoteRecord", vote)
    with pytest.raises(errors.DecodeError, match="not zero"):
        CODEC.decode_account(data + b"\0\1")
    with pytest.raises(errors.DecodeError, match="is incomplete"):
        CODEC.decode_account(data[:-1])
    with pytest.raises(errors.DecodeError, match="VoteType has 2 variants"):
        CODEC.decode_account(data[:72] + b"\2" + data[73:])


def test_instructions_may_be_followed_by_anything() -> None:
    """The program ignores bytes after the arguments, so an instruction with trailing bytes is valid."""
    data = bytes.fromhex(INSTRUCTION_VECTORS[0][2])
    assert CODEC.decode_instruction(data + b"memo")[0] == "buy_shares"
    with pytest.raises(errors.DecodeError, match="is incomplete"):
        CODEC.decode_instruction(data[:-1])


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("buy_shares", {"outcome": True}),
        ("buy_shares", {"outcome": True, "target_cost": 1, "min_shares": 1}),
        ("buy_shares", {"outcome": 1, "target_cost": 1}),
        ("buy_shares", {"outcome": True, "target_cost": 2**64}),
        ("buy_shares", {"outcome": True, "target_cost": -1}),
        ("buy_shares", {"outcome": True, "target_cost": None}),
        ("initialize_global_config", {"backend_authority": "not base58"}),
        ("resolve_market", {"proposed_outcome": True, "ipfs_evidence_hash": b"Qm"}),
    ],
)
def test_arguments_that_do_not_fit(name: str, args: dict[str, Any]) -> None:
    """An argument missing, unknown, of another type or out of range is the caller's error."""
    with pytest.raises(errors.InvalidInput):
        CODEC.encode_instruction(name, args)


def test_an_unknown_type_stops_the_compilation() -> None:
    """A codec for an IDL with an unsupported type cannot be created."""
    text = idl.load()
    body = idl.Body(kind="struct", fields=[idl.IdlField("price", "f64")])
    changed = [idl.TypeDefinition("VoteRecord", body)]
    broken = idl.Idl(
        text.address,
        text.metadata,
        [],
        [account for account in text.accounts if account.name == "VoteRecord"],
        [],
        [],
        changed,
    )
    with pytest.raises(errors.ConfigurationError, match="f64"):
        codec.Codec(broken)
