"""Untrusted transactions for relaying, and what a node's answers make of them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1, TransactionConfig
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from api import errors
from api.acting import relaying
from api.acting.preparing import Preparer
from api.acting.relaying import TransactionRelay
from zmart.chain import client, rpc_errors
from zmart.chain.transactions import signature_of
from zmart.domain.ids import Address, Slot

PROGRAM = Pubkey.from_string("7h3gXfBfYFueFVLYyfL5Qo1NGsf4GQUfWqKg3x4mXYZ1")
WALLET = Keypair.from_seed(bytes(range(32)))
CALL = Instruction(
    PROGRAM,
    b"buy_shares",
    [AccountMeta(WALLET.pubkey(), True, True), AccountMeta(Pubkey.from_bytes(bytes([7] * 32)), False, True)],
)
#: A version-1 message inherits no compute limits, so it states them.
CONFIG = TransactionConfig(compute_unit_limit=200_000, loaded_accounts_data_size_limit=65_536)
MESSAGES: dict[str, Message | MessageV0 | MessageV1] = {
    "legacy": Message.new_with_blockhash([CALL], WALLET.pubkey(), Hash.default()),
    "v0": MessageV0.try_compile(WALLET.pubkey(), [CALL], [], Hash.default()),
    "v1": MessageV1.try_compile(WALLET.pubkey(), [CALL], Hash.default(), CONFIG),
}
#: Lengths and indexes at their limits: none, the next one, the last of one byte, a varint that continues, the greatest.
VALUES = (0x00, 0x01, 0x03, 0x7F, 0x80, 0xFF)


async def send(raw: bytes) -> None:
    """Relay it without a node: a transaction that is passed on raises AttributeError."""
    await TransactionRelay(cast("Any", None), Address(str(PROGRAM))).send(base64.b64encode(raw).decode())


@pytest.mark.parametrize("version", MESSAGES)
async def test_no_changed_byte_is_passed_on(version: str) -> None:
    """A signed transaction with any one byte changed is Unprocessable, which is a 422, and never another error."""
    raw = bytes(VersionedTransaction(MESSAGES[version], [WALLET]))
    for at in range(len(raw)):
        for value in VALUES:
            if raw[at] != value:
                with pytest.raises(errors.Unprocessable):
                    await send(raw[:at] + bytes([value]) + raw[at + 1 :])


@pytest.mark.parametrize("version", ["legacy", "v0"])
async def test_an_index_that_leads_nowhere_is_named(version: str) -> None:
    """solders parses such a transaction and rejects it in `sanitize`; the client gets the reason and the next step."""
    good = MESSAGES[version]
    calls = [CompiledInstruction(program_id_index=9, data=b"", accounts=b"")]
    if isinstance(good, MessageV0):
        message: Message | MessageV0 | MessageV1 = MessageV0(
            good.header, good.account_keys, good.recent_blockhash, calls, []
        )
    else:
        header = good.header
        message = Message.new_with_compiled_instructions(
            header.num_required_signatures,
            header.num_readonly_signed_accounts,
            header.num_readonly_unsigned_accounts,
            good.account_keys,
            good.recent_blockhash,
            calls,
        )
    raw = bytes(VersionedTransaction.populate(message, [Signature.default()]))

    with pytest.raises(errors.Unprocessable, match=r"is not consistent \(index out of bounds\)\. Build and sign it"):
        await send(raw)


def version_1(calls: list[Instruction], wallets: list[Keypair] | None = None) -> bytes:
    """A signed version-1 transaction of these calls."""
    wallets = wallets or [WALLET]
    message = MessageV1.try_compile(wallets[0].pubkey(), calls, Hash.default(), CONFIG)
    return bytes(VersionedTransaction(message, wallets))


def with_accounts(count: int) -> Instruction:
    """A call that brings the transaction to `count` addresses: the wallet, the program and others."""
    others = [AccountMeta(Pubkey.from_bytes(bytes([1, at]) + bytes(30)), False, False) for at in range(count - 2)]
    return Instruction(PROGRAM, b"x", [AccountMeta(WALLET.pubkey(), True, True), *others])


def signed_by(count: int) -> bytes:
    """A version-1 transaction with `count` signatures."""
    keys = [Keypair.from_seed(bytes([9, at]) + bytes(30)) for at in range(count)]
    return version_1([Instruction(PROGRAM, b"x", [AccountMeta(key.pubkey(), True, True) for key in keys])], keys)


def sized(count: int) -> bytes:
    """A version-1 transaction of `count` bytes."""
    rest = len(version_1([Instruction(PROGRAM, b"", [])]))
    return version_1([Instruction(PROGRAM, bytes(count - rest), [])])


WITHIN: dict[str, Callable[[], bytes]] = {
    "small": lambda: version_1([CALL]),
    "beyond a packet": lambda: sized(1_233),
    "4,096 bytes": lambda: sized(4_096),
    "64 addresses": lambda: version_1([with_accounts(64)]),
    "64 instructions": lambda: version_1([CALL] * 64),
    "12 signatures": lambda: signed_by(12),
}
BEYOND: dict[str, tuple[Callable[[], bytes], str]] = {
    "4,097 bytes": (lambda: sized(4_097), r"4,097 bytes, and its version allows 4,096"),
    "65 addresses": (lambda: version_1([with_accounts(65)]), r"65 addresses, and version 1 allows 64"),
    "65 instructions": (lambda: version_1([CALL] * 65), r"65 instructions, and version 1 allows 64"),
    "13 signatures": (lambda: signed_by(13), r"13 signatures, and version 1 allows 12"),
    "half a priority fee": (lambda: with_mask(1), "not a transaction"),
    "an unknown bit": (lambda: with_mask(32), "not a transaction"),
    "a byte after the end": (lambda: version_1([CALL]) + b"\0", "not a transaction"),
}


def with_mask(mask: int) -> bytes:
    """A version-1 transaction whose config mask says something else than its config."""
    raw = version_1([CALL])
    return raw[:4] + bytes([mask, 0, 0, 0]) + raw[8:]


@pytest.mark.parametrize("what", WITHIN)
async def test_version_1_is_passed_on_within_its_limits(what: str) -> None:
    """It reaches the node, which is missing here."""
    with pytest.raises(AttributeError):
        await send(WITHIN[what]())


@pytest.mark.parametrize("what", BEYOND)
async def test_version_1_beyond_its_limits_is_refused_with_the_limit(what: str) -> None:
    """solders checks neither the size nor, before `sanitize`, the counts."""
    make, message = BEYOND[what]
    with pytest.raises(errors.Unprocessable, match=message):
        await send(make())


async def test_the_packet_limits_older_versions() -> None:
    """A version-0 transaction of 1,233 bytes is refused although version 1 may have it."""
    rest = len(bytes(VersionedTransaction(MESSAGES["v0"], [WALLET]))) - len(CALL.data)
    call = Instruction(PROGRAM, bytes(1_232 - rest), CALL.accounts)
    full = bytes(VersionedTransaction(MessageV0.try_compile(WALLET.pubkey(), [call], [], Hash.default()), [WALLET]))
    with pytest.raises(errors.Unprocessable, match="its version allows 1,232"):
        await send(full + b"\0" * (1_233 - len(full)))


class ExpiryNode:
    """A node that knows no transaction, at a finalized block height; records its calls."""

    def __init__(
        self,
        *,
        height: int,
        status: client.SignatureStatus | None = None,
        slot_seconds: float = 0.2,
        fee: int | None = None,
        block_height: int | None = None,
    ) -> None:
        self.height = height
        self.status = status
        self.length = slot_seconds
        #: The fee that the transaction paid, and the height of its block; None where the node does not serve them.
        self.fee = fee
        self.block_height_of_slot = block_height
        self.calls: list[str] = []

    def pin_node(self) -> ExpiryNode:
        """This node."""
        return self

    def each_node(self) -> tuple[ExpiryNode, ...]:
        """This node alone."""
        return (self,)

    async def read_commitment(self) -> client.Commitment:
        """As before Alpenglow."""
        return "confirmed"

    async def slot_seconds(self) -> float:
        """The length of its slots."""
        return self.length

    async def block_height(self, *, commitment: str) -> int:
        """The height of finalized blocks."""
        self.calls.append(f"height {commitment}")
        return self.height

    async def signature_statuses(self, signatures: list[str], *, search_history: bool) -> client.AtSlot[Any]:
        """The one status, if it has one."""
        self.calls.append("history" if search_history else "statuses")
        return client.AtSlot(slot=Slot(1), value=tuple(self.status for _ in signatures))

    async def transaction(self, _: str, *, commitment: str) -> dict[str, Any] | None:
        """The transaction with its fee."""
        self.calls.append(f"transaction {commitment}")
        return None if self.fee is None else {"meta": {"fee": self.fee}}

    async def block_signatures(self, slot: int, *, commitment: str) -> client.BlockSignatures | None:
        """The block with its height."""
        self.calls.append(f"block {slot} {commitment}")
        if self.block_height_of_slot is None:
            raise rpc_errors.HistoryPruned("Block 5 cleaned up.")
        return client.BlockSignatures(
            blockhash="h", parent_slot=slot - 1, signatures=(), block_height=self.block_height_of_slot
        )

    async def simulate(self, _: bytes, *, replace_blockhash: bool = False, **__: Any) -> client.SimulationResult:
        """A success, unless the transaction's own blockhash counts and is dead."""
        self.calls.append("simulate with another blockhash" if replace_blockhash else "simulate")
        err = None if replace_blockhash or self.height <= 150 else "BlockhashNotFound"
        return client.SimulationResult(slot=Slot(1), err=err, logs=(), units_consumed=9)

    async def latest_blockhash(self, **_: Any) -> client.Blockhash:
        """A blockhash of this height."""
        self.calls.append("blockhash")
        return client.Blockhash(value=str(Hash.default()), last_valid_block_height=self.height + 150, slot=Slot(1))


RAW = bytes(VersionedTransaction(MESSAGES["v0"], [WALLET]))
LANDED = client.SignatureStatus(slot=5, confirmation_status="finalized")
FAILED = client.SignatureStatus(
    slot=5, err={"InstructionError": [0, {"Custom": 6025}]}, confirmation_status="finalized"
)
FAILED_NOW = msgspec.structs.replace(FAILED, confirmation_status="processed")
FAILED_CONFIRMED = msgspec.structs.replace(FAILED, confirmation_status="confirmed")
UNPAID = msgspec.structs.replace(LANDED, err="InsufficientFundsForFee")
UNPAID_CONFIRMED = msgspec.structs.replace(UNPAID, confirmation_status="confirmed")


@pytest.mark.parametrize(
    ("height", "last_valid", "status", "stage"),
    [
        (151, 150, None, "expired"),
        (150, 150, None, None),
        (151, None, None, None),
        (151, 150, LANDED, "finalized"),
        (151, 150, FAILED, "failed"),
        (100, 150, FAILED, "failed"),
        # A block that is only processed may be skipped, and under Tower a fork may undo a confirmed one.
        (100, 150, FAILED_NOW, "processed"),
        (100, 150, FAILED_CONFIRMED, "processed"),
        (151, 150, FAILED_CONFIRMED, "processed"),
        (151, 150, UNPAID_CONFIRMED, "processed"),
        (151, None, UNPAID_CONFIRMED, "processed"),
    ],
)
async def test_expired_is_proven_and_differs_from_failed(
    height: int, last_valid: int | None, status: client.SignatureStatus | None, stage: str | None
) -> None:
    """Only a node whose finalized height is past the last one, and whose whole history then lacks the transaction,
    proves that nothing happened. A failure ends a transaction only where the same bytes cannot land any more."""
    chain = ExpiryNode(height=height, status=status)
    relay = TransactionRelay(cast("Any", chain), Address(str(PROGRAM)))

    found = await relay.follow(signature_of(RAW), last_valid_block_height=last_valid)

    assert (found and found.stage) == stage
    assert (found is not None and found.error is not None) == (stage == "expired" or bool(status and status.err))
    assert chain.calls == (["history"] if last_valid is None else ["height finalized", "history"])


BY_HEIGHT = ["height finalized", "history", "transaction finalized"]
BY_BLOCK = ["history", "transaction finalized", "block 5 finalized"]


@pytest.mark.parametrize(
    ("height", "last_valid", "fee", "block_height", "stage", "calls"),
    [
        # The same bytes might land again until the blockhash is dead.
        (150, 150, 0, None, "processed", BY_HEIGHT),
        (151, 150, 0, None, "expired", BY_HEIGHT),
        (151, 150, None, None, "expired", BY_HEIGHT),
        # It was charged, so it is over, and it cost its fee.
        (150, 150, 5_000, None, "failed", BY_HEIGHT),
        (150, None, 5_000, None, "failed", BY_BLOCK[:2]),
        # Without the height, its block shows when the blockhash died at the latest.
        (170, None, 0, 20, "processed", [*BY_BLOCK, *BY_HEIGHT]),
        (171, None, 0, 20, "expired", [*BY_BLOCK, *BY_HEIGHT]),
        # A node that does not serve the block proves nothing.
        (10**9, None, 0, None, "processed", BY_BLOCK),
    ],
)
async def test_a_transaction_that_never_ran_expires(
    height: int, last_valid: int | None, fee: int | None, block_height: int | None, stage: str, calls: list[str]
) -> None:
    """Its payer could not pay: nothing happened and it cost nothing, so it is expired, never failed."""
    chain = ExpiryNode(height=height, status=UNPAID, fee=fee, block_height=block_height)
    relay = TransactionRelay(cast("Any", chain), Address(str(PROGRAM)))

    found = await relay.follow(signature_of(RAW), last_valid_block_height=last_valid)

    assert found is not None
    assert (found.stage, found.slot) == (stage, 5)
    assert "InsufficientFundsForFee" in str(found.error)
    assert (relaying.EXPIRED in str(found.error)) == (stage == "expired")
    assert chain.calls == calls


async def test_an_expired_transaction_is_not_sent() -> None:
    """With its height the answer is "expired", without it the blockhash is unknown, which is a 409."""
    encoded = base64.b64encode(RAW).decode()
    relay = TransactionRelay(cast("Any", ExpiryNode(height=151)), Address(str(PROGRAM)))

    assert (await relay.send(encoded, last_valid_block_height=150)).stage == "expired"
    with pytest.raises(rpc_errors.BlockhashUnknown, match="Nothing was sent"):
        await relay.send(encoded)


@pytest.mark.parametrize(("slot_seconds", "expires"), [(0.2, 29), (0.4, 58)])
async def test_a_prepared_transaction_takes_its_blockhash_last(slot_seconds: float, expires: int) -> None:
    """The simulation costs none of the blockhash's life, and the wallet learns how long it has to sign."""
    chain = ExpiryNode(height=0, slot_seconds=slot_seconds)
    market = Address(str(Pubkey.from_bytes(bytes([3] * 32))))

    prepared = await Preparer(cast("Any", chain), Address(str(PROGRAM))).prepare(
        "initiate_dispute",
        Address(str(WALLET.pubkey())),
        {"market": market, "initiator": Address(str(WALLET.pubkey()))},
    )

    assert chain.calls == ["simulate with another blockhash", "blockhash"]
    assert (prepared.expires_in_seconds, prepared.last_valid_block_height) == (expires, 150)
