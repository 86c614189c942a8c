"""Defines the demo actors: their keys, their view of the chain, and the transactions they plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from solders.hash import Hash
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from zmart.chain import addresses, transactions
from zmart.domain.ids import Address

from . import builtins, wire
from .accounts import Account, ConfigRecord, MarketRecord, PositionRecord
from .blocks import Genesis
from .market_plans import SOL, MarketPlan
from .runtime import ClockSysvar, TransactionConfig
from .wire import SigningKey, WireTransaction

#: A wallet with less than this gets a grant from the faucet.
POOR_LAMPORTS = 500 * SOL
GRANT_LAMPORTS = 20_000 * SOL
OUTSIDE_WALLETS = 6
#: Enough for two instructions of the program, with a priority fee of 1,000 lamports.
OUTSIDE_CONFIG = TransactionConfig(priority_fee_lamports=1_000, unit_limit=400_000, loaded_data_limit=2 * 1024 * 1024)


class AccountReader(Protocol):
    """Reads the accounts that actors need."""

    @property
    def clock(self) -> ClockSysvar:
        """Return the time that the next transaction's programs read."""
        ...

    def account(self, address: Address) -> Account | None:
        """Return one account, or None."""
        ...

    def owned_by(self, owner: Address) -> Iterator[tuple[Address, Account]]:
        """Yield the accounts that a program owns."""
        ...


class PlannedTransaction(NamedTuple):
    """A transaction to send; the first signer pays."""

    name: str
    instructions: list[Instruction]
    signers: list[SigningKey]
    #: Makes it a transaction of version 1; without one it is a legacy transaction.
    config: TransactionConfig | None = None

    def sign(self, blockhash: Hash) -> WireTransaction:
        """Return the signed transaction."""
        if self.config is None:
            return wire.sign_transaction(self.instructions, self.signers, blockhash)
        return wire.sign_transaction_v1(self.instructions, self.signers, blockhash, self.config)


class ActorKeys:
    """The actors' keys, all derived from the chain's seed."""

    def __init__(self, genesis: Genesis, wallets: int) -> None:
        self.faucet = genesis.signer("faucet")
        self.admin = genesis.signer("admin")
        self.backend = genesis.signer("backend")
        self.fee_wallet = genesis.signer("fee wallet")
        self.wallets = [genesis.signer(f"wallet {index}") for index in range(wallets)]
        #: Wallets of other software, which sends transactions of version 1.
        self.outside = [genesis.signer(f"outside {index}") for index in range(OUTSIDE_WALLETS)]
        #: The wallet that acts through its vault, and one that never has any lamports.
        self.vault_member = genesis.signer("vault member")
        self.penniless = genesis.signer("penniless")
        #: Everybody who holds user positions, by the number of the wallet.
        self.traders = [*self.wallets, *self.outside]
        self._outside_addresses = {key.address for key in self.outside}

    def config_of(self, signer: SigningKey) -> TransactionConfig | None:
        """Return the configuration of a wallet that sends transactions of version 1, None for the others."""
        return OUTSIDE_CONFIG if signer.address in self._outside_addresses else None


class FollowedMarket:
    """A market in which the actors still have something to do."""

    __slots__ = ("account", "claims", "holders", "plan", "votes")

    def __init__(self, plan: MarketPlan, account: Address) -> None:
        self.plan = plan
        self.account = account
        #: Wallets that traded, in the order of their first trades.
        self.holders: dict[int, None] = {}
        self.claims = 0
        #: Number of ballots cast, by kind.
        self.votes = [0, 0]


class ActorClient:
    """Reads the chain for the actors and builds their transactions."""

    def __init__(self, bank: AccountReader, keys: ActorKeys, *, program_id: Address) -> None:
        self.bank = bank
        self.keys = keys
        self.program_id = program_id
        self._config = addresses.config_address(program_id)
        self._grants = 0

    @property
    def config(self) -> ConfigRecord | None:
        """Return the protocol's configuration on the chain, or None."""
        account = self.bank.account(self._config)
        record = account.record if account else None
        return record if isinstance(record, ConfigRecord) else None

    def market(self, followed: FollowedMarket) -> MarketRecord | None:
        """Return the market's record, or None."""
        account = self.bank.account(followed.account)
        record = account.record if account else None
        return record if isinstance(record, MarketRecord) else None

    def position(self, followed: FollowedMarket, wallet: int) -> PositionRecord | None:
        """Return the user position of a wallet in a market, or None."""
        user = self.address(wallet)
        address = addresses.position_address(self.program_id, followed.account, user)
        account = self.bank.account(address)
        record = account.record if account else None
        return record if isinstance(record, PositionRecord) else None

    def lamports(self, address: Address) -> int:
        """Return an account's lamports; 0 where it does not exist."""
        account = self.bank.account(address)
        return account.lamports if account else 0

    def address(self, wallet: int) -> Address:
        """Return the address of the wallet with that number."""
        return self.keys.traders[wallet].address

    def plan_transaction(
        self,
        name: str,
        signer: SigningKey,
        accounts: dict[str, Address],
        args: dict[str, object] | None = None,
        *,
        followed: FollowedMarket | None = None,
    ) -> Iterator[PlannedTransaction]:
        """Yield a transaction of one instruction, after a grant where the signer's balance is low."""
        yield from self.plan_grant(signer)
        if followed is not None:
            accounts = {"market": followed.account, **accounts}
        built = transactions.instruction(name, self.program_id, accounts, args)
        yield PlannedTransaction(name, [built], [signer], self.keys.config_of(signer))

    def plan_grant(self, key: SigningKey) -> Iterator[PlannedTransaction]:
        """Yield a transfer from the faucet where a wallet's balance is low."""
        yield from self.plan_grant_to(key.address)

    def plan_grant_to(self, address: Address) -> Iterator[PlannedTransaction]:
        """Yield a transfer from the faucet where an account's balance is low."""
        if self.lamports(address) >= POOR_LAMPORTS:
            return
        self._grants += 1
        receiver = Pubkey.from_string(address)
        params = TransferParams(from_pubkey=self.keys.faucet.pubkey, to_pubkey=receiver, lamports=GRANT_LAMPORTS)
        # Two equal grants would be the same transaction.
        limit = builtins.unit_limit_instruction(10_000 + self._grants % 100_000)
        yield PlannedTransaction("grant", [limit, transfer(params)], [self.keys.faucet])
