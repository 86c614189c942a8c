"""The port through which keepers sign: only our own message with a valid signature, within seconds, is accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from zmart import errors
from zmart.chain import signing, transactions
from zmart.chain.signer import Signer
from zmart.domain.ids import Address

PROGRAM = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
BLOCKHASH = "EETubP5AKHgjPAhzPAFcb8BAY1hMH639CWCFTqi3hq1k"
OTHER_BLOCKHASH = "4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZAMdL4VZHirAn"
KEY = Keypair()
PAYER = Address(str(KEY.pubkey()))


class AnsweringSigner:
    """A signer that returns what a test makes of the bytes."""

    def __init__(self, answer: Callable[[bytes], Awaitable[object]], address: Address = PAYER) -> None:
        self.address = address
        self._answer = answer

    async def sign_transaction(self, raw: bytes) -> bytes:
        """Answer as the test says."""
        return await self._answer(raw)  # type: ignore[return-value]


def unsigned(*, blockhash: str = BLOCKHASH, payer: str = PAYER, admin: str = PAYER) -> transactions.UnsignedTransaction:
    """A transaction to sign."""
    pause = transactions.instruction("emergency_pause", PROGRAM, {"admin": Address(admin)})
    return transactions.transaction([pause], payer=payer, blockhash=blockhash)


async def test_the_local_key_signs_through_the_port() -> None:
    """The bytes are those of the direct call, and the signature is valid."""
    key = Signer.generate()
    ours = unsigned(payer=key.address, admin=key.address)
    signed = await signing.sign(ours, key)
    assert signed == ours.sign([key])
    assert all(VersionedTransaction.from_bytes(signed.raw).verify_with_results())


def resigned(message: Message | MessageV0 | MessageV1) -> bytes:
    """Another message with a valid signature of the right key."""
    return bytes(VersionedTransaction(message, [KEY]))


def _legacy(raw: bytes) -> bytes:
    message = VersionedTransaction.from_bytes(raw).message
    same = transactions.instruction("emergency_pause", PROGRAM, {"admin": PAYER})
    return resigned(Message.new_with_blockhash([same], KEY.pubkey(), message.recent_blockhash))


def _with_a_transfer(raw: bytes) -> bytes:
    message = VersionedTransaction.from_bytes(raw).message
    pause = transactions.instruction("emergency_pause", PROGRAM, {"admin": PAYER})
    tip = transfer(TransferParams(from_pubkey=KEY.pubkey(), to_pubkey=Pubkey.new_unique(), lamports=1))
    return resigned(MessageV0.try_compile(KEY.pubkey(), [pause, tip], [], message.recent_blockhash))


def _honest(raw: bytes) -> bytes:
    return resigned(VersionedTransaction.from_bytes(raw).message)


CHANGED: dict[str, Callable[[bytes], object]] = {
    "another blockhash": lambda _: resigned(unsigned(blockhash=OTHER_BLOCKHASH).message),
    "an added transfer": _with_a_transfer,
    "the same as a legacy message": _legacy,
    "a byte at the end": lambda raw: _honest(raw) + b"\0",
    "unsigned": lambda raw: raw,
    "a signature of another key": lambda raw: b"\1" + bytes(Keypair().sign_message(raw[65:])) + raw[65:],
    "a signature of other bytes": lambda raw: b"\1" + bytes(KEY.sign_message(b"other")) + raw[65:],
    "our signature on another message": lambda raw: _honest(raw)[:65] + unsigned(blockhash=OTHER_BLOCKHASH).raw[65:],
    "no transaction": lambda _: b"signed",
    "nothing": lambda _: b"",
    "text": lambda _: "signed",
    "a number": lambda _: 5,
}


@pytest.mark.parametrize("change", CHANGED)
async def test_another_message_or_signature_is_not_accepted(change: str) -> None:
    """Every answer other than our message with the signature of the key is refused."""

    async def answer(raw: bytes) -> object:
        return CHANGED[change](raw)

    with pytest.raises(signing.MessageChanged):
        await signing.sign(unsigned(), AnsweringSigner(answer))


async def test_the_fake_signer_is_accepted_when_it_changes_nothing() -> None:
    """So the refusals above are about the change."""

    async def answer(raw: bytes) -> object:
        return _honest(raw)

    signed = await signing.sign(unsigned(), AnsweringSigner(answer))
    assert signed.raw == _honest(unsigned().raw)
    assert unsigned().message.recent_blockhash == Hash.from_string(BLOCKHASH)


async def test_a_slow_signer_is_given_up() -> None:
    """It is not waited for, although it ignores its cancellation; the bound cannot be raised above five seconds."""
    assert signing.SIGNING_SECONDS == 5.0
    is_cancelled, may_end = asyncio.Event(), asyncio.Event()

    async def answer(raw: bytes) -> object:
        try:
            await may_end.wait()
        except asyncio.CancelledError:
            is_cancelled.set()
            await may_end.wait()
        return _honest(raw)

    began = time.monotonic()
    with pytest.raises(signing.SignerTimeout, match=r"did not sign within 0\.05 s"):
        await signing.sign(unsigned(), AnsweringSigner(answer), timeout_seconds=0.05)
    assert time.monotonic() - began < signing.SIGNING_SECONDS
    await is_cancelled.wait()
    may_end.set()


async def test_no_time_longer_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that allows more waits for the bound only."""
    monkeypatch.setattr(signing, "SIGNING_SECONDS", 0.05)

    async def answer(_: bytes) -> object:
        await asyncio.Event().wait()
        return b""

    with pytest.raises(signing.SignerTimeout):
        await signing.sign(unsigned(), AnsweringSigner(answer), timeout_seconds=3_600)


async def test_a_refusal_names_its_class_and_no_secret() -> None:
    """A signer's own text may contain its credentials."""

    async def answer(_: bytes) -> object:
        raise PermissionError("token=s3cret is not allowed")

    with pytest.raises(signing.SignerRefused, match=r"refused: PermissionError\.") as refused:
        await signing.sign(unsigned(), AnsweringSigner(answer))
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__


async def test_a_signer_that_cancels_itself_refused() -> None:
    """The keeper's own task goes on."""

    async def answer(_: bytes) -> object:
        raise asyncio.CancelledError

    with pytest.raises(signing.SignerRefused):
        await signing.sign(unsigned(), AnsweringSigner(answer))


async def test_only_transactions_of_one_signer() -> None:
    """The signer must be the payer, and nobody else may have to sign."""

    async def answer(raw: bytes) -> object:
        raise AssertionError(raw)

    other = Signer.generate().address
    for one in (unsigned(admin=other), unsigned(payer=other, admin=other)):
        with pytest.raises(errors.InvalidInput, match="must be signed by"):
            await signing.sign(one, AnsweringSigner(answer))
