"""Instructions in the wire format."""

from __future__ import annotations

from typing import Any

import pytest

from zmart import errors
from zmart.chain import addresses, codec, idl, transactions
from zmart.domain.ids import Address
from zmart.domain.votes import VoteKind

PROGRAM = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"
WALLET = Address("4MkybTASDtmzQnfUWztHmfgyHgBREw74eTKipVADqQLA")
MARKET = Address("F1doAVqwVZdnDRp4U6R3SXpVFNZ4Rk7NZmgFQB2fbbuv")
ID, CID = b"\1" * 32, b"Q" * 46
CONFIG = addresses.config_address(PROGRAM)
POSITION = addresses.position_address(PROGRAM, MARKET, WALLET)
PROPOSAL = addresses.vote_address(PROGRAM, MARKET, WALLET, VoteKind.PROPOSAL)
DISPUTE = addresses.vote_address(PROGRAM, MARKET, WALLET, VoteKind.DISPUTE)
SYSTEM = addresses.SYSTEM_PROGRAM

M = {"market": MARKET}
U = {"market": MARKET, "user": WALLET}
RATES = dict.fromkeys(
    [
        *("protocol_fee_bps", "resolver_reward_bps", "liquidity_provider_fee_bps"),
        *("proposal_approval_threshold", "dispute_success_threshold"),
    ],
    100,
)

#: Name, given accounts, arguments, and the wire as address and flags (protocol.md 1.4).
CASES: list[tuple[str, dict[str, Address], dict[str, Any], list[tuple[str, str]]]] = [
    (
        "initialize_global_config",
        {"admin": WALLET, "protocol_fee_wallet": MARKET},
        {"backend_authority": WALLET},
        [(WALLET, "WS"), (CONFIG, "W"), (MARKET, ""), (SYSTEM, "")],
    ),
    (
        "create_market",
        {"creator": WALLET},
        {"market_id": ID, "b_parameter": 1, "initial_liquidity": 1, "ipfs_question_hash": CID},
        [(WALLET, "WS"), (MARKET, "W"), (CONFIG, ""), (SYSTEM, "")],
    ),
    (
        "approve_proposal",
        {"admin": WALLET, **M},
        {},
        [(WALLET, "WS"), (MARKET, "W"), (CONFIG, "")],
    ),
    (
        "activate_market",
        {"authority": WALLET, **M},
        {},
        [(WALLET, "WS"), (MARKET, "W"), (CONFIG, "")],
    ),
    (
        "buy_shares",
        {"protocol_fee_wallet": CONFIG, **U},
        {"outcome": True, "target_cost": 1},
        [
            *((CONFIG, ""), (MARKET, "W"), (POSITION, "W")),
            *((WALLET, "WS"), (CONFIG, "W"), (SYSTEM, "")),
        ],
    ),
    (
        "sell_shares",
        {"protocol_fee_wallet": CONFIG, **U},
        {"outcome": True, "shares_to_sell": 1, "min_proceeds": 1},
        [
            *((CONFIG, ""), (MARKET, "W"), (POSITION, "W")),
            *((WALLET, "WS"), (CONFIG, "W"), (SYSTEM, "")),
        ],
    ),
    (
        "resolve_market",
        {"resolver": WALLET, **M},
        {"proposed_outcome": True, "ipfs_evidence_hash": CID},
        [(CONFIG, ""), (MARKET, "W"), (WALLET, "WS")],
    ),
    (
        "initiate_dispute",
        {"initiator": WALLET, **M},
        {},
        [(CONFIG, ""), (MARKET, "W"), (WALLET, "S")],
    ),
    (
        "finalize_market",
        {"backend_authority": WALLET, **M},
        {"dispute_agree": None, "dispute_disagree": None},
        [(CONFIG, ""), (MARKET, "W"), (WALLET, "S")],
    ),
    (
        "claim_winnings",
        {"resolver": CONFIG, **U},
        {},
        [
            *((CONFIG, ""), (MARKET, "W"), (POSITION, "W")),
            *((WALLET, "WS"), (CONFIG, "W"), (SYSTEM, "")),
        ],
    ),
    ("withdraw_liquidity", {"creator": WALLET, **M}, {}, [(MARKET, "W"), (WALLET, "WS")]),
    (
        "submit_proposal_vote",
        U,
        {"vote": True},
        [(MARKET, ""), (PROPOSAL, "W"), (WALLET, "WS"), (SYSTEM, "")],
    ),
    (
        "aggregate_proposal_votes",
        {"backend_authority": WALLET, **M},
        {"final_likes": 1, "final_dislikes": 1},
        [(MARKET, "W"), (CONFIG, ""), (WALLET, "S")],
    ),
    (
        "submit_dispute_vote",
        U,
        {"vote": True},
        [(MARKET, ""), (DISPUTE, "W"), (WALLET, "WS"), (SYSTEM, "")],
    ),
    (
        "aggregate_dispute_votes",
        {"backend_authority": WALLET, **M},
        {"final_agrees": 1, "final_disagrees": 1},
        [(MARKET, "W"), (CONFIG, ""), (WALLET, "S")],
    ),
    (
        "update_global_config",
        {"admin": WALLET},
        {**RATES, "min_resolution_delay": None, "dispute_period": 1},
        [(WALLET, "S"), (CONFIG, "W")],
    ),
    ("emergency_pause", {"admin": WALLET}, {}, [(WALLET, "S"), (CONFIG, "W")]),
    (
        "cancel_market",
        {"admin": WALLET, **M},
        {},
        [(WALLET, "S"), (MARKET, "W"), (CONFIG, "")],
    ),
]


@pytest.mark.parametrize(("name", "given", "args", "wire"), CASES, ids=[case[0] for case in CASES])
def test_accounts_on_the_wire(
    name: str, given: dict[str, Address], args: dict[str, Any], wire: list[tuple[str, str]]
) -> None:
    """Accounts come in the program's order with its flags, the derivable ones filled in."""
    instruction = transactions.instruction(name, PROGRAM, given, args)
    assert str(instruction.program_id) == PROGRAM
    assert instruction.data == codec.default().encode_instruction(name, args)
    assert [(str(meta.pubkey), "W" * meta.is_writable + "S" * meta.is_signer) for meta in instruction.accounts] == wire
    keys = [Address(str(meta.pubkey)) for meta in instruction.accounts]
    named = transactions.named_accounts(name, [*keys, WALLET])
    assert given.items() <= named.items()


def test_all_instructions_are_covered() -> None:
    """Every instruction of the program has its case above."""
    assert {case[0] for case in CASES} == {each.name for each in idl.load().instructions}


def test_a_market_by_its_id() -> None:
    """A market can be named by its 32 bytes instead of its address."""
    by_id = transactions.instruction("approve_proposal", PROGRAM, {"admin": WALLET}, market_id=ID)
    by_address = transactions.instruction("approve_proposal", PROGRAM, {"admin": WALLET, **M})
    assert by_id == by_address


def test_a_given_address_overrides_the_derived_one() -> None:
    """A given address is used, also if another could be derived."""
    wrong = {"admin": WALLET, "global_config": WALLET}
    instruction = transactions.instruction("emergency_pause", PROGRAM, wrong)
    assert str(instruction.accounts[1].pubkey) == WALLET


@pytest.mark.parametrize(
    ("name", "given", "args", "message"),
    [
        ("emergency_pause", {}, {}, "needs the account admin"),
        ("approve_proposal", {"admin": WALLET}, {}, "needs the account market"),
        ("submit_proposal_vote", {"market": MARKET}, {"vote": True}, "needs the account user"),
        ("emergency_pause", {"admin": WALLET, "owner": WALLET}, {}, "no account named owner"),
        ("emergency_pause", {"admin": WALLET}, {"paused": True}, "takes the fields nothing"),
        ("launch", {}, {}, "no instruction launch"),
    ],
)
def test_missing_and_unknown_parts_are_named(
    name: str, given: dict[str, Address], args: dict[str, Any], message: str
) -> None:
    """The message for a missing or unknown account, argument or instruction has its name."""
    with pytest.raises(errors.InvalidInput, match=message):
        transactions.instruction(name, PROGRAM, given, args)


def test_a_received_instruction_with_too_few_accounts() -> None:
    """Fewer accounts than the program takes are rejected."""
    with pytest.raises(errors.DecodeError, match="takes 3 accounts, not 1"):
        transactions.named_accounts("approve_proposal", [WALLET])
