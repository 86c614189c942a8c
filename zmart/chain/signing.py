"""Defines the port through which keepers sign, and accepts only a signature of the very message that was given.

Keepers store a transaction before they send it and then send the same bytes until its blockhash is dead. So a signer
must return our message unchanged, and soon: a blockhash is valid for about 30 s (solana.md 4). A signer that rewrites
the message, or that sends it itself, cannot be used. `zmart.chain.signer.Signer`, a key in this process, is the only
implementation.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from solders.message import to_bytes_versioned
from solders.pubkey import Pubkey

from zmart import errors
from zmart.domain.ids import Address

from . import transactions

#: Longest time for one signature: a sixth of a blockhash's life.
SIGNING_SECONDS: Final = 5.0


class TransactionSigner(Protocol):
    """A signer of transactions, which never sends them."""

    @property
    def address(self) -> Address:
        """Return the address whose signature it makes."""
        ...

    async def sign_transaction(self, raw: bytes) -> bytes:
        """Return a transaction with its signature added; `raw` has zeros in its place. May raise any error."""
        ...


class SigningFailed(errors.Unavailable):
    """The signer gave no usable signature; nothing was signed that could be sent."""


class SignerTimeout(SigningFailed):
    """The signer did not answer in time."""


class SignerRefused(SigningFailed):
    """The signer answered with an error."""


class MessageChanged(SigningFailed):
    """The signer returned another message, or a signature that is not of our message."""


async def sign(
    unsigned: transactions.UnsignedTransaction, signer: TransactionSigner, *, timeout_seconds: float = SIGNING_SECONDS
) -> transactions.SendableTransaction:
    """Return the transaction signed by its only required signer; raise SigningFailed.

    The bytes are our own message with the returned signature, which is verified with the signer's address. It waits
    for SIGNING_SECONDS at most, or for a shorter `timeout_seconds`. Raise InvalidInput where the transaction requires
    other signatures.
    """
    if unsigned.signers != (signer.address,):
        raise errors.InvalidInput(f"The transaction must be signed by {' and '.join(unsigned.signers)} only.")
    returned = await _ask(signer, unsigned.raw, min(timeout_seconds, SIGNING_SECONDS))
    try:
        (signature,) = transactions.parse(returned).signatures
    except (errors.InvalidInput, ValueError) as error:
        raise _changed(signer) from error
    signed = unsigned.with_signature(signature)
    # Equal bytes are an equal message, version and count of signatures; the signature is then the only unknown part.
    if signed.raw != returned:
        raise _changed(signer)
    if not signature.verify(Pubkey.from_string(signer.address), to_bytes_versioned(unsigned.message)):
        raise MessageChanged(f"The signer {signer.address} returned a signature that is not of our message.")
    return signed


async def _ask(signer: TransactionSigner, raw: bytes, timeout_seconds: float) -> bytes:
    task = asyncio.create_task(_call(signer, raw))
    # Not asyncio.wait_for, which waits for the end of a call that ignores its cancellation.
    try:
        await asyncio.wait({task}, timeout=timeout_seconds)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_retrieve)
    if not task.done():
        raise SignerTimeout(f"The signer {signer.address} did not sign within {timeout_seconds:g} s.")
    if task.cancelled():
        raise SignerRefused(f"The signer {signer.address} refused: its call was cancelled.")
    error = task.exception()
    if error is not None:
        # The text of a signer's error may contain its credentials; only its class is shown.
        raise SignerRefused(f"The signer {signer.address} refused: {type(error).__name__}.") from None
    returned = task.result()
    if not isinstance(returned, bytes):
        raise _changed(signer)
    return returned


async def _call(signer: TransactionSigner, raw: bytes) -> bytes:
    return await signer.sign_transaction(raw)


def _retrieve(task: asyncio.Task[bytes]) -> None:
    """Take the exception of an abandoned call, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


def _changed(signer: TransactionSigner) -> MessageChanged:
    return MessageChanged(f"The signer {signer.address} returned another transaction than the one to sign.")
