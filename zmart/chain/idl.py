"""Parses the program's interface description (IDL) into types: instructions, accounts, events and errors.

The file is in the format of Anchor 0.30 and later: a discriminator for every instruction, account and event, and the
bodies of accounts and events under `types`. Only the elements that this program uses are modelled; any other element
raises an error instead of being skipped.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TypeAlias

import msgspec

from zmart import errors


class Defined(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name of another type in the same file."""

    name: str


class Composite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A type composed of another type; exactly one of the three fields is set."""

    option: Type | None = None
    array: tuple[str, int] | None = None
    defined: Defined | None = None


#: A scalar's name (`u64`, `bool`, `pubkey`) or a composite.
Type: TypeAlias = str | Composite


class IdlField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named value."""

    name: str
    type: Type


class Seed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One seed of a derived address: a constant, an argument or another account."""

    kind: str
    value: list[int] | None = None
    path: str | None = None
    account: str | None = None


class Pda(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The derivation of an address."""

    seeds: list[Seed]


class IdlInstructionAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An account of an instruction, in the order of the wire."""

    name: str
    writable: bool = False
    signer: bool = False
    address: str | None = None
    pda: Pda | None = None
    relations: list[str] = []


class IdlInstruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An instruction of the program."""

    name: str
    discriminator: list[int]
    accounts: list[IdlInstructionAccount]
    args: list[IdlField]


class Discriminated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account or event: eight bytes, and a body of the same name under `types`."""

    name: str
    discriminator: list[int]


class IdlErrorCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error of the program."""

    code: int
    name: str
    msg: str = ""


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A variant without data."""

    name: str


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A struct's fields or an enum's variants."""

    kind: str
    fields: list[IdlField] = []
    variants: list[Variant] = []


class Representation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The layout of a type in memory; it has no effect on the wire."""

    kind: str


class TypeDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A named type."""

    name: str
    type: Body
    repr: Representation | None = None


class IdlMetadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name and version of the program, and the version of the format."""

    name: str
    version: str
    spec: str


class Idl(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The whole description."""

    address: str
    metadata: IdlMetadata
    instructions: list[IdlInstruction]
    accounts: list[Discriminated]
    events: list[Discriminated]
    errors: list[IdlErrorCode]
    types: list[TypeDefinition]

    @functools.cached_property
    def bodies(self) -> dict[str, Body]:
        """Return the types by name."""
        return {definition.name: definition.type for definition in self.types}


def parse(text: bytes) -> Idl:
    """Return the IDL in a JSON text; raise ConfigurationError where its form is not supported."""
    try:
        return msgspec.json.decode(text, type=Idl)
    except msgspec.MsgspecError as exc:
        message = f"This is not an Anchor IDL of version 0.30 or later: {exc}."
        raise errors.ConfigurationError(message) from exc


@functools.cache
def load() -> Idl:
    """Return the program's IDL that is part of this package."""
    return parse(resources.files("zmart.chain").joinpath("idl/zmart_core.json").read_bytes())
