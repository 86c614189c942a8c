"""Encodes and decodes base58 as in Bitcoin and Solana: one big number in 58 digits, leading zeros written as `1`.

Simple and quadratic, for the few texts that users type. Large numbers of keys are converted by solders.
"""

from __future__ import annotations

from zmart import errors

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Return the base58 text of bytes."""
    number, digits = int.from_bytes(data, "big"), []
    while number:
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def decode(text: str) -> bytes:
    """Return the bytes of a base58 text; raise InvalidInput for a character outside the alphabet."""
    number = 0
    for character in text:
        if character not in _VALUES:
            raise errors.InvalidInput(f"{character!r} is not a base58 character.")
        number = number * 58 + _VALUES[character]
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
