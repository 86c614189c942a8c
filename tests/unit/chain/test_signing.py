"""Transactions from instructions: cost, size, signers."""

from __future__ import annotations

import base64

import pytest
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from test_transactions import CASES, PROGRAM

from zmart import errors
from zmart.chain import addresses, transactions
from zmart.chain.signer import Signer
from zmart.chain.transactions import Cost
from zmart.domain import base58

BLOCKHASH = "EETubP5AKHgjPAhzPAFcb8BAY1hMH639CWCFTqi3hq1k"
ALICE, BOB = Signer.generate(), Signer.generate()
COST = Cost(units=200_000, micro_lamports_per_unit=1)


def pause(admin: Signer = ALICE) -> Instruction:
    """A small instruction of the program."""
    return transactions.instruction("emergency_pause", PROGRAM, {"admin": admin.address})


def built(
    *instructions: Instruction, payer: Signer = ALICE, cost: Cost | None = COST
) -> transactions.UnsignedTransaction:
    """A transaction paid by Alice."""
    return transactions.transaction(instructions or [pause()], payer=payer.address, blockhash=BLOCKHASH, cost=cost)


@pytest.mark.parametrize(("name", "given", "args", "_"), CASES, ids=[case[0] for case in CASES])
def test_every_instruction_fits_a_transaction(name: str, given: dict, args: dict, _: object) -> None:  # type: ignore[type-arg]
    """All eighteen compile into a v0 transaction within a packet, after the two that set the compute budget."""
    signer = next(
        role
        for role in ("admin", "creator", "authority", "user", "resolver", "initiator", "backend_authority")
        if role in given
    )
    accounts = {**given, signer: ALICE.address}
    ours = built(transactions.instruction(name, PROGRAM, accounts, args)).sign([ALICE])
    decoded = VersionedTransaction.from_bytes(ours.raw)

    assert len(ours.raw) <= transactions.MAX_TRANSACTION_BYTES
    assert ours.raw[65] == 0x80
    assert all(decoded.verify_with_results())
    keys = decoded.message.account_keys
    programs = [str(keys[each.program_id_index]) for each in decoded.message.instructions]
    assert programs == [addresses.COMPUTE_BUDGET_PROGRAM, addresses.COMPUTE_BUDGET_PROGRAM, PROGRAM]
    assert ours.signature == base58.encode(ours.raw[1:65]) == str(decoded.signatures[0])
    assert base64.b64decode(ours.base64) == ours.raw


def test_cost_goes_first() -> None:
    """The limit and the price are the chain's own instructions; a price of zero is omitted."""
    assert COST.instructions() == [set_compute_unit_limit(200_000), set_compute_unit_price(1)]
    assert Cost(units=5).instructions() == [set_compute_unit_limit(5)]
    assert len(built(cost=None).message.instructions) == 1


@pytest.mark.parametrize(("units", "price", "lamports"), [(200_000, 1, 1), (1, 1, 1), (1_000_000, 3, 3), (7, 0, 0)])
def test_what_the_priority_costs(units: int, price: int, lamports: int) -> None:
    """Units times price, in lamports, rounded up."""
    assert Cost(units=units, micro_lamports_per_unit=price).priority_fee_lamports == lamports


def test_what_landing_costs() -> None:
    """5,000 lamports per signature, and the priority fee."""
    assert built().fee_lamports == 5_001
    assert built(pause(BOB)).fee_lamports == 10_001


@pytest.mark.parametrize(("units", "price"), [(0, 1), (1_400_001, 1), (1, -1), (1, 1 << 64)])
def test_costs_that_cannot_be(units: int, price: int) -> None:
    """Values beyond the chain's limits are rejected with a message."""
    with pytest.raises(errors.InvalidInput):
        Cost(units=units, micro_lamports_per_unit=price)


def test_unsigned_for_wallets() -> None:
    """The unsigned form is the signed one with zeros for signatures, and lists the required signers."""
    ours = built(pause(BOB))
    raw, signed = base64.b64decode(ours.base64), ours.sign([BOB, ALICE]).raw

    assert ours.signers == (ALICE.address, BOB.address)
    assert ours.blockhash == BLOCKHASH
    assert raw[1:129] == bytes(128)
    assert raw[129:] == signed[129:]
    assert all(VersionedTransaction.from_bytes(signed).verify_with_results())


def test_signing_again_gives_the_same_bytes() -> None:
    """A signature depends on key and message only, so a restart can recompute it."""
    assert built().sign([ALICE]) == built().sign([ALICE])


def test_missing_and_superfluous_keys() -> None:
    """Exactly the required signers sign."""
    with pytest.raises(errors.InvalidInput, match=f"signature of {BOB.address} is missing"):
        built(pause(BOB)).sign([ALICE])
    with pytest.raises(errors.InvalidInput, match=f"signature of {BOB.address}"):
        built().sign([ALICE, BOB])


def test_one_packet() -> None:
    """1,232 bytes pass and one more does not."""

    def padded(size_bytes: int) -> Instruction:
        return Instruction(pause().program_id, bytes(size_bytes), [])

    room = transactions.MAX_TRANSACTION_BYTES - len(built(padded(200)).raw) + 200
    assert len(built(padded(room)).raw) == transactions.MAX_TRANSACTION_BYTES
    with pytest.raises(errors.InvalidInput, match="1,233 bytes; the limit is 1,232"):
        built(padded(room + 1))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"instructions": []}, "needs at least one instruction"),
        ({"payer": "nobody"}, "'nobody' is not an address"),
        ({"blockhash": "yesterday"}, "The transaction cannot be compiled"),
    ],
)
def test_invalid_transaction_parts_are_rejected(words: dict[str, object], message: str) -> None:
    """The message has the fault."""
    good: dict[str, object] = {"instructions": [pause()], "payer": ALICE.address, "blockhash": BLOCKHASH}
    with pytest.raises(errors.InvalidInput, match=message):
        transactions.transaction(**{**good, **words})  # type: ignore[arg-type]


def test_an_instruction_with_a_bad_address() -> None:
    """The message has the text that is not an address."""
    with pytest.raises(errors.InvalidInput, match="'me' is not an address"):
        transactions.instruction("emergency_pause", PROGRAM, {"admin": "me"})  # type: ignore[dict-item]


def test_more_accounts_than_a_message_can_number() -> None:
    """A transaction that solders cannot compile is our error, too."""
    metas = [AccountMeta(Pubkey.new_unique(), is_signer=False, is_writable=False) for _ in range(300)]
    with pytest.raises(errors.InvalidInput, match="The transaction cannot be compiled"):
        built(Instruction(pause().program_id, b"", metas))
