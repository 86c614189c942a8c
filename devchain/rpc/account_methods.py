"""Implements the JSON-RPC methods about accounts, and the airdrop."""

from __future__ import annotations

from typing import Any, Final

from zmart.domain.ids import Address

from .. import arguments, views
from ..admission import TransactionRejected
from ..arguments import Options, Params
from ..rpc_errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    RpcError,
)
from .node_view import NodeView

MAX_ACCOUNTS: Final = 100
MAX_FILTERS: Final = 4


class AccountMethods:
    """The methods about accounts."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def get_balance(self, params: Params) -> dict[str, Any]:
        """Return an account's lamports."""
        slot = self._node.slot(arguments.read_options(params, 1))
        account = self._node.ledger.account(arguments.read_address(params[0]), at_slot=slot)
        return self._node.with_context(slot, account.lamports if account else 0)

    def get_account_info(self, params: Params) -> dict[str, Any]:
        """Return one account, or null."""
        options = arguments.read_options(params, 1)
        slot = self._node.slot(options)
        return self._node.with_context(slot, self._account(arguments.read_address(params[0]), options, slot))

    def get_multiple_accounts(self, params: Params) -> dict[str, Any]:
        """Return accounts in the order of their addresses, null for those that do not exist."""
        options = {"encoding": "base64", **arguments.read_options(params, 1)}
        addresses = arguments.read_list(params[0], MAX_ACCOUNTS)
        slot = self._node.slot(options)
        found = [self._account(arguments.read_address(text), options, slot) for text in addresses]
        return self._node.with_context(slot, found)

    def get_program_accounts(self, params: Params) -> Any:
        """Return a program's accounts that pass every filter."""
        options = arguments.read_options(params, 1)
        owner, slot = arguments.read_address(params[0]), self._node.slot(options)
        filters = options.get("filters") or ()
        if len(filters) > MAX_FILTERS:
            raise RpcError(INVALID_PARAMS, f"Too many filters provided; max {MAX_FILTERS}")
        matches = [views.account_filter(words) for words in filters]
        found = [
            {"account": views.account_json(account, options), "pubkey": address}
            for address, account in self._node.ledger.owned_by(owner, at_slot=slot)
            if all(match(account) for match in matches)
        ]
        return self._node.with_context(slot, found) if options.get("withContext") else found

    def request_airdrop(self, params: Params) -> str:
        """Transfer lamports from the faucet and return the signature of the transfer."""
        address, lamports = arguments.read_address(params[0]), arguments.read_integer(params[1])
        try:
            return self._node.ledger.airdrop(address, lamports).signature
        except TransactionRejected as rejected:
            raise RpcError(INVALID_REQUEST, f"Airdrop failed: {rejected}") from rejected

    def _account(self, address: Address, options: Options, slot: int) -> Any:
        account = self._node.ledger.account(address, at_slot=slot)
        return None if account is None else views.account_json(account, options)
