"""What things are called: markets, wallets, transactions, and the place of an event in the chain.

A market has two names: the 32 bytes its creator chose (`MarketId`, written as 64 lower-case hex
digits) and the address of its account (`Address`), which the program derives from them.

The place of an event is one integer, `slot << 24 | index in block << 9 | ordinal in transaction`,
so that "earlier on the chain" is `<` in Python and in SQL alike. It fits a bigint until slot 2**39.
"""

from __future__ import annotations

from typing import NamedTuple, NewType

from zmart import errors
from zmart.domain import base58

#: 32 bytes as 64 lower-case hex digits.
MarketId = NewType("MarketId", str)
#: 32 bytes in base58: a wallet, a program or an account.
Address = NewType("Address", str)
#: 64 bytes in base58.
Signature = NewType("Signature", str)
#: A slot of the chain's clock.
Slot = NewType("Slot", int)
#: A billionth of a SOL.
Lamports = NewType("Lamports", int)

INDEX_BITS = 15
ORDINAL_BITS = 9


class OrderKeyParts(NamedTuple):
    """An order key taken apart."""

    slot: int
    index_in_block: int
    ordinal: int


def order_key(slot: int, index: int, ordinal: int) -> int:
    """The place of an event; InvalidInput where a part does not fit its bits."""
    if slot < 0 or not 0 <= index < 1 << INDEX_BITS or not 0 <= ordinal < 1 << ORDINAL_BITS:
        raise errors.InvalidInput(
            f"No order key for slot {slot}, index {index}, ordinal {ordinal}: the index must be "
            f"below {1 << INDEX_BITS} and the ordinal below {1 << ORDINAL_BITS}, none negative."
        )
    return slot << INDEX_BITS + ORDINAL_BITS | index << ORDINAL_BITS | ordinal


def order_key_parts(key: int) -> OrderKeyParts:
    """The inverse of `order_key`."""
    return OrderKeyParts(
        key >> INDEX_BITS + ORDINAL_BITS,
        key >> ORDINAL_BITS & (1 << INDEX_BITS) - 1,
        key & (1 << ORDINAL_BITS) - 1,
    )


def market_id(raw: bytes) -> MarketId:
    """The text of a market id's 32 bytes."""
    if len(raw) != 32:
        raise errors.InvalidInput(f"A market id has 32 bytes, not {len(raw)}.")
    return MarketId(raw.hex())


def market_id_bytes(identity: MarketId) -> bytes:
    """The 32 bytes behind a market id's text."""
    return bytes.fromhex(identity)


def parse_market_id(text: str) -> MarketId:
    """A market id out of a stranger's text; upper case is accepted and lowered."""
    lowered = text.lower()
    if len(lowered) != 64 or not set(lowered) <= set("0123456789abcdef"):
        raise errors.InvalidInput("A market id is 64 hexadecimal digits.")
    return MarketId(lowered)


def parse_address(text: str) -> Address:
    """An address out of a stranger's text: base58 of 32 bytes."""
    if not 32 <= len(text) <= 44 or len(base58.decode(text)) != 32:
        raise errors.InvalidInput("An address is 32 bytes in base58, 32 to 44 characters.")
    return Address(text)


def parse_signature(text: str) -> Signature:
    """A signature out of a stranger's text: base58 of 64 bytes."""
    if not 64 <= len(text) <= 88 or len(base58.decode(text)) != 64:
        raise errors.InvalidInput("A signature is 64 bytes in base58, 64 to 88 characters.")
    return Signature(text)
