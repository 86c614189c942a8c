"""Implements the operations that only a development chain has: forks, time, faults, direct account writes.

They are the `devchain_*` methods of its JSON-RPC, only for callers on this machine:

    devchain_status []                       return the state of the chain
    devchain_fork [depth]                    drop the newest blocks; return the dropped signatures
    devchain_skip [lands_again]              skip the open block after it was processed; by default its transactions
                                             land again in the next one; return their signatures
    devchain_advance [blocks, seconds]       close blocks now, moving the clock forward by `seconds` before each
    devchain_freeze [true or false]          stop or resume the slots
    devchain_warp [seconds]                  move the clock forward
    devchain_behind [slots]                  respond as a node that is that far behind
    devchain_fault [{method, count, status, error, result, delay_seconds, lets_through ...}]
    devchain_pages [{shuffles, repeats, drops, truncations, seed}]   faults of getTransactionsForAddress
    devchain_clear []                        remove all faults
    devchain_account [address, {lamports, owner, data}]   write an account, data in base64
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from typing import Any

from . import accounts, arguments
from .accounts import Account
from .arguments import Params
from .faults import PageFaults, RpcFault
from .rpc import Rpc
from .rpc_errors import NO_METHOD, RpcError
from .service import DevelopmentChain


class Admin:
    """The administration methods of one chain and its RPC."""

    def __init__(self, chain: DevelopmentChain, rpc: Rpc) -> None:
        self._chain = chain
        self._rpc = rpc
        self._methods: dict[str, Callable[[Params], Any]] = {
            f"devchain_{name}": getattr(self, name) for name in METHODS
        }

    def call(self, method: str, params: Params) -> Any:
        """Return the result of one method; raise RpcError for an unknown one."""
        if method not in self._methods:
            raise RpcError(NO_METHOD, "Method not found")
        return self._methods[method](params)

    def status(self, params: Params) -> dict[str, Any]:
        """Return the state of the chain."""
        ledger, webhooks = self._chain.ledger, self._chain.webhooks
        return {
            "genesisHash": ledger.genesis.hash,
            "programId": ledger.program_id,
            "slot": ledger.slot,
            "confirmedSlot": ledger.confirmed_slot,
            "finalizedSlot": ledger.finalized_slot,
            "unixTimestamp": ledger.clock.unix_timestamp,
            "accounts": len(ledger.accounts),
            "frozen": self._chain.is_frozen,
            "slotsBehind": self._rpc.node.slots_behind,
            "deliveries": None
            if webhooks is None
            else {
                "delivered": webhooks.delivered,
                "refused": webhooks.refused,
                "lost": webhooks.lost,
            },
        }

    def fork(self, params: Params) -> list[str]:
        """Drop the newest blocks and return the signatures of the dropped transactions."""
        depth = arguments.read_integer(params[0] if params else 3)
        return [landed.signature for landed in self._chain.ledger.fork(depth)]

    def skip(self, params: Params) -> list[str]:
        """Skip the open block and return the signatures of its transactions."""
        lands_again = bool(params[0]) if params else True
        return [landed.signature for landed in self._chain.skip_block(relanding=float(lands_again))]

    def advance(self, params: Params) -> int:
        """Close blocks and return the slot that is open then."""
        seconds = arguments.read_integer(params[1]) if len(params) > 1 else 0
        for _ in range(arguments.read_integer(params[0]) if params else 1):
            self._chain.warp(seconds)
            self._chain.close_block(int(self._chain.now))
        return self._chain.ledger.slot

    def freeze(self, params: Params) -> bool:
        """Stop the slots, or let them pass again."""
        self._chain.is_frozen = bool(params[0]) if params else True
        return self._chain.is_frozen

    def warp(self, params: Params) -> int:
        """Move the clock forward and return its new time."""
        self._chain.warp(arguments.read_integer(params[0]))
        return int(self._chain.now)

    def behind(self, params: Params) -> int:
        """Respond as a node that is that many slots behind."""
        self._rpc.node.slots_behind = arguments.read_integer(params[0])
        return self._rpc.node.slots_behind

    def fault(self, params: Params) -> dict[str, Any]:
        """Simulate a fault for a number of calls."""
        fault = RpcFault.of(params[0])
        self._rpc.faults.add(fault)
        return dataclasses.asdict(fault)

    def pages(self, params: Params) -> dict[str, Any]:
        """Simulate faults of the pages of getTransactionsForAddress until `clear`."""
        self._rpc.node.page_faults = PageFaults(**params[0])
        return dataclasses.asdict(self._rpc.node.page_faults)

    def clear(self, params: Params) -> bool:
        """Remove all faults, and report no slots behind."""
        self._rpc.faults.clear()
        self._rpc.node.page_faults = PageFaults()
        self._rpc.node.slots_behind = 0
        return True

    def account(self, params: Params) -> bool:
        """Write an account directly, without a transaction."""
        address, fields = arguments.read_address(params[0]), params[1]
        owner = arguments.read_address(fields.get("owner", accounts.SYSTEM_PROGRAM))
        data = base64.b64decode(fields.get("data", ""), validate=True)
        self._chain.ledger.put(address, Account(arguments.read_integer(fields["lamports"]), owner, data))
        return True


METHODS = ("status", "fork", "skip", "advance", "freeze", "warp", "behind", "fault", "pages", "clear", "account")
