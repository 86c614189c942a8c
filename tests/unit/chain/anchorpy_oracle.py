"""anchorpy as a second implementation for every byte: it reads our IDL in the format before Anchor 0.30.

anchorpy supports neither the present format nor the present solana library, so the description is
converted here and the two moved names are restored before its first import.
"""

from __future__ import annotations

import functools
import json
import sys
import types
from typing import Any

import msgspec
import solana.rpc.models
import solana.rpc.types
from solders.pubkey import Pubkey

from zmart.chain import idl

for moved in ("TxOpts", "MemcmpOpts"):
    setattr(solana.rpc.types, moved, getattr(solana.rpc.models, moved))
sys.modules.setdefault("anchorpy.utils.token", types.ModuleType("anchorpy.utils.token"))

# The names above must be in place first.
from anchorpy.coder.coder import Coder  # noqa: E402
from anchorpy.program.common import NamedInstruction  # noqa: E402
from anchorpy_core.idl import Idl  # noqa: E402


class Oracle:
    """anchorpy's encoders and decoders for our program, with our values."""

    def __init__(self) -> None:
        description = idl.load()
        self._idl = Idl.from_json(json.dumps(_legacy(description)))
        self._coder = Coder(self._idl)
        self._bodies = description.bodies
        self._args = {i.name: i.args for i in description.instructions}

    def encode_instruction(self, name: str, args: dict[str, Any]) -> bytes:
        """An instruction's bytes."""
        values = {field.name: _theirs(field.type, args[field.name]) for field in self._args[name]}
        return bytes(self._coder.instruction.encode(name, values))

    def encode_account(self, name: str, fields: dict[str, Any]) -> bytes:
        """An account's bytes without padding."""
        values = {f.name: self._with_variants(f, fields[f.name]) for f in self._bodies[name].fields}
        account = NamedInstruction(name=name, data=values)
        return bytes(self._coder.accounts.build(account))

    def encode_event(self, name: str, fields: dict[str, Any]) -> bytes:
        """An event's bytes."""
        layout = self._coder.events.layouts[name]
        values = {f.name: _theirs(f.type, fields[f.name]) for f in self._bodies[name].fields}
        tag = next(t for t, n in self._coder.events.discriminators.items() if n == name)
        return bytes(tag + layout.build(values))

    def decode_event(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """An event's name and its fields in our values."""
        event = self._coder.events.parse(data)
        fields = self._bodies[event.name].fields
        return event.name, {f.name: _ours(f.type, getattr(event.data, f.name)) for f in fields}

    def _with_variants(self, field: idl.IdlField, value: Any) -> Any:
        """Return a value in which an enum's number is anchorpy's own object."""
        if not (isinstance(field.type, idl.Composite) and field.type.defined):
            return _theirs(field.type, value)
        layout: Any = self._coder.types._get_layout(field.type.defined.name)
        variant = self._bodies[field.type.defined.name].variants[value].name
        return getattr(layout.enum, variant)()


@functools.cache
def oracle() -> Oracle:
    """The one oracle; creating it takes a fifth of a second."""
    return Oracle()


def _theirs(kind: idl.Type, value: Any) -> Any:
    if value is None:
        return None
    if kind == "pubkey":
        return Pubkey.from_string(value)
    if isinstance(kind, idl.Composite) and kind.array:
        return list(value)
    return value


def _ours(kind: idl.Type, value: Any) -> Any:
    if kind == "pubkey":
        return str(value)
    if isinstance(kind, idl.Composite) and kind.array:
        return bytes(value)
    return value


def _legacy(description: idl.Idl) -> dict[str, Any]:
    bodies = description.bodies
    named = {entry.name for entry in (*description.accounts, *description.events)}
    return {
        "version": description.metadata.version,
        "name": description.metadata.name,
        "instructions": [
            {
                "name": instruction.name,
                "accounts": [
                    {"name": meta.name, "isMut": meta.writable, "isSigner": meta.signer}
                    for meta in instruction.accounts
                ],
                "args": [_legacy_field(field) for field in instruction.args],
            }
            for instruction in description.instructions
        ],
        "accounts": [{"name": entry.name, "type": _legacy_body(bodies[entry.name])} for entry in description.accounts],
        "events": [
            {
                "name": entry.name,
                "fields": [{**_legacy_field(field), "index": False} for field in bodies[entry.name].fields],
            }
            for entry in description.events
        ],
        "errors": msgspec.to_builtins(description.errors),
        "types": [{"name": name, "type": _legacy_body(body)} for name, body in bodies.items() if name not in named],
    }


def _legacy_body(body: idl.Body) -> dict[str, Any]:
    if body.kind == "enum":
        return {"kind": "enum", "variants": [{"name": each.name} for each in body.variants]}
    return {"kind": "struct", "fields": [_legacy_field(field) for field in body.fields]}


def _legacy_field(field: idl.IdlField) -> dict[str, Any]:
    return {"name": field.name, "type": _legacy_type(field.type)}


def _legacy_type(kind: idl.Type) -> Any:
    match kind:
        case "pubkey":
            return "publicKey"
        case idl.Composite(option=inner) if inner is not None:
            return {"option": _legacy_type(inner)}
        case idl.Composite(array=array) if array is not None:
            return {"array": list(array)}
        case idl.Composite(defined=defined) if defined is not None:
            return {"defined": defined.name}
    return kind
