"""Base58 as Bitcoin and Solana write bytes: one big number in 58 digits, leading zeros kept as `1`.

Plain and quadratic, for the few texts people type. Streams of keys go through solders.
"""

from __future__ import annotations

from zmart import errors

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """The base58 text of bytes."""
    number, digits = int.from_bytes(data, "big"), []
    while number:
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def decode(text: str) -> bytes:
    """The bytes of a base58 text; InvalidInput for a character outside the alphabet."""
    number = 0
    for character in text:
        if character not in _VALUES:
            raise errors.InvalidInput(f"{character!r} is not a base58 character.")
        number = number * 58 + _VALUES[character]
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
