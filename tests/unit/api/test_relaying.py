"""Untrusted transactions for relaying, before any request to a node."""

from __future__ import annotations

import base64
from typing import Any, cast

import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from api import errors
from api.acting.relaying import TransactionRelay
from zmart.domain.ids import Address

PROGRAM = Pubkey.from_string("7h3gXfBfYFueFVLYyfL5Qo1NGsf4GQUfWqKg3x4mXYZ1")
WALLET = Keypair.from_seed(bytes(range(32)))
CALL = Instruction(
    PROGRAM,
    b"buy_shares",
    [AccountMeta(WALLET.pubkey(), True, True), AccountMeta(Pubkey.from_bytes(bytes([7] * 32)), False, True)],
)
MESSAGES: dict[str, Message | MessageV0] = {
    "legacy": Message.new_with_blockhash([CALL], WALLET.pubkey(), Hash.default()),
    "v0": MessageV0.try_compile(WALLET.pubkey(), [CALL], [], Hash.default()),
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


@pytest.mark.parametrize("version", MESSAGES)
async def test_an_index_that_leads_nowhere_is_named(version: str) -> None:
    """solders parses such a transaction and rejects it in `sanitize`; the client gets the reason and the next step."""
    good = MESSAGES[version]
    calls = [CompiledInstruction(program_id_index=9, data=b"", accounts=b"")]
    if isinstance(good, MessageV0):
        message: Message | MessageV0 = MessageV0(good.header, good.account_keys, good.recent_blockhash, calls, [])
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
