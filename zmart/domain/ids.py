"""Defines the identifiers of markets, wallets and transactions, and the order key of an event.

A market has two identifiers: the 32 bytes that its creator chose (`MarketId`, written as 64 lower-case hex digits) and
the address of its account (`Address`), which the program derives from them.

The order key is one integer, `slot << 24 | index in block << 9 | ordinal in transaction`, so that "earlier on the
chain" is `<` in both Python and SQL. It fits a bigint until slot 2**39.
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
    """The parts of an order key."""

    slot: int
    index_in_block: int
    ordinal: int


def order_key(slot: int, index: int, ordinal: int) -> int:
    """Return the order key of an event; raise InvalidInput where a part does not fit its bits."""
    if slot < 0 or not 0 <= index < 1 << INDEX_BITS or not 0 <= ordinal < 1 << ORDINAL_BITS:
        raise errors.InvalidInput(
            f"No order key for slot {slot}, index {index}, ordinal {ordinal}: the index must be "
            f"below {1 << INDEX_BITS} and the ordinal below {1 << ORDINAL_BITS}, none negative."
        )
    return slot << INDEX_BITS + ORDINAL_BITS | index << ORDINAL_BITS | ordinal


def order_key_parts(key: int) -> OrderKeyParts:
    """Return the parts of a key; the inverse of `order_key`."""
    return OrderKeyParts(
        key >> INDEX_BITS + ORDINAL_BITS,
        key >> ORDINAL_BITS & (1 << INDEX_BITS) - 1,
        key & (1 << ORDINAL_BITS) - 1,
    )


def market_id(raw: bytes) -> MarketId:
    """Return the text of a market id's 32 bytes."""
    if len(raw) != 32:
        raise errors.InvalidInput(f"A market id has 32 bytes, not {len(raw)}.")
    return MarketId(raw.hex())


def market_id_bytes(identity: MarketId) -> bytes:
    """Return the 32 bytes of a market id's text."""
    return bytes.fromhex(identity)


def parse_market_id(text: str) -> MarketId:
    """Parse a market id in untrusted text; upper case is accepted and converted to lower case."""
    lowered = text.lower()
    if len(lowered) != 64 or not set(lowered) <= set("0123456789abcdef"):
        raise errors.InvalidInput("A market id is 64 hexadecimal digits.")
    return MarketId(lowered)


def parse_address(text: str) -> Address:
    """Parse an address in untrusted text: base58 of 32 bytes."""
    if not 32 <= len(text) <= 44 or len(base58.decode(text)) != 32:
        raise errors.InvalidInput("An address is 32 bytes in base58, 32 to 44 characters.")
    return Address(text)


def parse_signature(text: str) -> Signature:
    """Parse a signature in untrusted text: base58 of 64 bytes."""
    if not 64 <= len(text) <= 88 or len(base58.decode(text)) != 64:
        raise errors.InvalidInput("A signature is 64 bytes in base58, 64 to 88 characters.")
    return Signature(text)
