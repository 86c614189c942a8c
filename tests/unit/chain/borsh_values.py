"""Values for any struct of the IDL, limits included, from hypothesis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from zmart.chain import idl
from zmart.domain import base58

_BODIES = idl.load().bodies
_INTEGERS = {
    "u8": (0, 2**8 - 1),
    "u16": (0, 2**16 - 1),
    "u32": (0, 2**32 - 1),
    "u64": (0, 2**64 - 1),
    "i64": (-(2**63), 2**63 - 1),
}

#: Addresses, few of them, so that caches are used, too.
addresses = st.integers(0, 255).map(lambda n: base58.encode(bytes([n]) + bytes(range(1, 32))))


def values(kind: idl.Type) -> st.SearchStrategy[Any]:
    """Values of one type."""
    match kind:
        case "bool":
            return st.booleans()
        case "pubkey":
            return addresses
        case str():
            return st.integers(*_INTEGERS[kind])
        case idl.Composite(option=inner) if inner is not None:
            return st.none() | values(inner)
        case idl.Composite(array=array) if array is not None:
            return st.binary(min_size=array[1], max_size=array[1])
        case idl.Composite(defined=defined) if defined is not None:
            return st.integers(0, len(_BODIES[defined.name].variants) - 1)
    raise AssertionError(kind)


def structs(fields: Iterable[idl.IdlField]) -> st.SearchStrategy[dict[str, Any]]:
    """Values of all fields."""
    return st.fixed_dictionaries({field.name: values(field.type) for field in fields})


def bodies(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values of an account's or event's fields."""
    return structs(_BODIES[name].fields)
