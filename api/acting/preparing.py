"""Builds transactions for a wallet to sign, and simulates them first.

Reads go to the chain, not to the marts: a trade must fit the current market, and its accounts must be those of the
current configuration. If the program would refuse, the caller receives the program's own error name here, before a fee
is paid.

A blockhash lives for 150 blocks, about 30 s at 0.2 s a slot, and a user has to read and sign within that time. So it is
taken last, after the simulation, which replaces the blockhash by the node's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from zmart import errors
from zmart.chain import addresses, client, codec, transactions
from zmart.chain.client import AccountInfo, ChainClient
from zmart.domain import ids
from zmart.domain.ids import Address, MarketId
from zmart.domain.market import MarketState
from zmart.domain.quote import MarketSnapshot

#: The budget that the earlier frontend requests (protocol.md 1.9); a simulation that needs more reports it.
COST: Final = transactions.Cost(units=200_000, micro_lamports_per_unit=1)
#: Stands for the blockhash in a simulation, which the node replaces.
_ANY_BLOCKHASH: Final = "1" * 32


@dataclass(frozen=True, kw_only=True)
class PreparedTransaction:
    """A transaction that would succeed now."""

    unsigned: transactions.UnsignedTransaction
    #: The last block height at which it can land.
    last_valid_block_height: int
    #: About how long that is from now, by the measured slot length.
    expires_in_seconds: int
    #: The slot of the simulation.
    slot: int
    units_consumed: int


@dataclass(frozen=True, kw_only=True)
class OnChainMarket:
    """A market and the configuration, from one slot."""

    address: Address
    slot: int
    #: Fields by the program's names.
    market: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def market_id(self) -> MarketId:
        """Return the market's id, 64 hexadecimal digits."""
        return ids.market_id(bytes(self.market["market_id"]))

    @property
    def pool(self) -> MarketSnapshot:
        """Return the market's state as the input of a trade."""
        return MarketSnapshot(
            state=MarketState(self.market["state"]),
            is_paused=self.config["is_paused"],
            b=self.market["b_parameter"],
            shares_yes=self.market["shares_yes"],
            shares_no=self.market["shares_no"],
            current_liquidity=self.market["current_liquidity"],
            protocol_bps=self.config["protocol_fee_bps"],
            resolver_bps=self.config["resolver_reward_bps"],
            lp_bps=self.config["liquidity_provider_fee_bps"],
        )


class Preparer:
    """Reads the accounts that a transaction needs, builds it and simulates it."""

    def __init__(self, chain: ChainClient, program_id: Address) -> None:
        self._chain = chain
        self.program_id = program_id

    async def market(self, name: str) -> OnChainMarket:
        """Return a market by its id or account; raise NotFound if the chain has none, NodeError without a node."""
        address = self._address(name)
        commitment = await self._chain.read_commitment()
        found = await self._chain.accounts([addresses.config_address(self.program_id), address], commitment=commitment)
        config, market = found.value
        if market is None:
            raise errors.NotFound(f"Market not found: {name}")
        if config is None:
            raise errors.NotFound(f"The program {self.program_id} has no configuration on this chain.")
        return OnChainMarket(
            address=address,
            slot=found.slot,
            market=self._fields(market, "MarketAccount", f"Market not found: {name}"),
            config=self._fields(config, "GlobalConfig", "The program has no configuration on this chain."),
        )

    async def prepare(
        self,
        instruction: str,
        wallet: Address,
        accounts: Mapping[str, Address],
        args: Mapping[str, Any] | None = None,
    ) -> PreparedTransaction:
        """Return a transaction with one instruction, paid and signed by a wallet.

        Raises ProgramError if the program would refuse, TransactionRefused if the chain would, NodeError if no node
        answers.
        """
        built = transactions.instruction(instruction, self.program_id, accounts, args)
        commitment = await self._chain.read_commitment()
        tried = transactions.transaction([built], payer=wallet, blockhash=_ANY_BLOCKHASH, cost=COST)
        simulation = await self._chain.simulate(tried.raw, commitment=commitment, replace_blockhash=True)
        refusal = simulation.error(self.program_id)
        if refusal is not None:
            raise refusal
        slot_seconds = await self._chain.slot_seconds()
        blockhash = await self._chain.latest_blockhash(commitment=commitment)
        return PreparedTransaction(
            unsigned=transactions.transaction([built], payer=wallet, blockhash=blockhash.value, cost=COST),
            last_valid_block_height=blockhash.last_valid_block_height,
            expires_in_seconds=int(client.blockhash_seconds(slot_seconds)),
            slot=simulation.slot,
            units_consumed=simulation.units_consumed,
        )

    def _address(self, name: str) -> Address:
        if len(name) == 64:
            return addresses.market_address(self.program_id, ids.market_id_bytes(MarketId(name)))
        return Address(name)

    def _fields(self, account: AccountInfo, kind: str, missing: str) -> Mapping[str, Any]:
        if account.owner != self.program_id:
            raise errors.NotFound(missing)
        try:
            name, fields = codec.default().decode_account(account.data)
        except errors.DecodeError as error:
            raise errors.NotFound(missing) from error
        if name != kind:
            raise errors.NotFound(missing)
        return fields
