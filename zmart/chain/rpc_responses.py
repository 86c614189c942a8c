"""Defines the JSON results of nodes, as msgspec reads them, before they become the types of `client`."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Generic, Literal, TypeVar

import msgspec

from zmart.domain.ids import Address, Slot

from . import client, rpc_errors

_T = TypeVar("_T")


Anything: Any = Any
OptionalInt: Any = int | None
OptionalObject: Any = dict[str, Any] | None
OptionalBlock: Any = client.BlockSignatures | None


class Context(msgspec.Struct):
    """The state from which a node answered."""

    slot: int


class InContext(msgspec.Struct, Generic[_T]):
    """A result together with the slot for which it is valid."""

    context: Context
    value: _T

    @property
    def slot(self) -> Slot:
        """Return the slot for which the value is valid."""
        return Slot(self.context.slot)


class RawBlockhash(msgspec.Struct, rename="camel"):
    """The result of `getLatestBlockhash`."""

    blockhash: str
    last_valid_block_height: int


class PriorityFeeEstimate(msgspec.Struct, rename="camel"):
    """The result of `getPriorityFeeEstimate` with all levels."""

    priority_fee_levels: client.PriorityFeeLevels


class RawSimulation(msgspec.Struct, rename="camel"):
    """The result of `simulateTransaction`."""

    err: Any = None
    logs: list[str] | None = None
    units_consumed: int | None = None


class RawAccount(msgspec.Struct):
    """An account, its data in base64."""

    data: tuple[str, Literal["base64"]]
    lamports: int
    owner: str

    def to_account_info(self, address: str) -> client.AccountInfo:
        """Return the account in our type; raise InvalidResponse where its data is not base64."""
        try:
            data = base64.b64decode(self.data[0], validate=True)
        except binascii.Error as exc:
            raise rpc_errors.InvalidResponse(f"The node's data of account {address} is not base64.") from exc
        return client.AccountInfo(
            address=Address(address), lamports=self.lamports, owner=Address(self.owner), data=data
        )


class RawProgramAccount(msgspec.Struct):
    """An account with its address."""

    account: RawAccount
    pubkey: str
