"""Generates the demo trades: buys and sells of random wallets in random markets."""

from __future__ import annotations

import itertools
import random
from bisect import bisect
from collections.abc import Iterable, Iterator

from solders.instruction import Instruction

from zmart import errors
from zmart.chain import transactions
from zmart.domain import lmsr
from zmart.domain.ids import Address
from zmart.domain.market import MarketState

from . import vault
from .accounts import MarketRecord
from .actors import ActorClient, FollowedMarket, PlannedTransaction
from .market_plans import Tempo

#: Traders buy the other side when one side is this far ahead, in units of b: beyond that, the program's exponential is
#: far from the exact value (protocol.md 2.6).
IMBALANCE_LIMIT = 1.5


class TradeGenerator:
    """Plans trades at random times; `draw` is shared with the other actors."""

    def __init__(self, client: ActorClient, tempo: Tempo, draw: random.Random) -> None:
        self._client = client
        self._tempo = tempo
        self._draw = draw
        self._next_trade_at: float | None = None
        weights = [1 / (rank + 1) ** 0.8 for rank in range(tempo.wallets)]
        self._wallet_weights = list(itertools.accumulate(weights))
        #: Chooses the trades that do not come from demo wallets, without an effect on the other draws.
        self._sender_draw = random.Random("senders")  # noqa: S311 - a demo, not a secret

    def step(self, markets: Iterable[FollowedMarket], now: float) -> Iterator[PlannedTransaction]:
        """Yield the trades that are due at an instant of the chain's clock."""
        if self._next_trade_at is None:
            self._next_trade_at = now
        config = self._client.config
        if config is None or config.is_paused:
            self._next_trade_at = now
            return
        if self._next_trade_at > now:
            return
        open_markets = self._open_markets(markets)
        while self._next_trade_at <= now:
            gap = self._draw.expovariate(self._tempo.trades_per_second)
            self._next_trade_at += min(gap, self._tempo.longest_pause_seconds)
            if open_markets:
                yield from self._trade_of_a_sender(*self._choose_market(open_markets))

    def _open_markets(self, markets: Iterable[FollowedMarket]) -> list[tuple[FollowedMarket, MarketRecord]]:
        records = ((followed, self._client.market(followed)) for followed in markets)
        return [(f, m) for f, m in records if m is not None and m.state == MarketState.ACTIVE]

    def _choose_market(
        self, open_markets: list[tuple[FollowedMarket, MarketRecord]]
    ) -> tuple[FollowedMarket, MarketRecord]:
        weights = [followed.plan.popularity for followed, _ in open_markets]
        followed, record = self._draw.choices(open_markets, weights)[0]
        return followed, self._client.market(followed) or record

    def _trade_of_a_sender(self, followed: FollowedMarket, record: MarketRecord) -> Iterator[PlannedTransaction]:
        """Yield a trade of a demo wallet, of another wallet, of the vault, or of a payer that cannot pay."""
        tempo, keys = self._tempo, self._client.keys
        point = 100 * self._sender_draw.random()
        if point < tempo.v1_percent:
            wallet = len(keys.wallets) + self._sender_draw.randrange(len(keys.outside))
            yield from self._one_trade(followed, record, wallet)
        elif point < tempo.v1_percent + tempo.vault_percent:
            yield from self._vault_trade(followed, record)
        elif point < tempo.v1_percent + tempo.vault_percent + tempo.unexecuted_percent:
            unpaid = self._buy_for(followed, record, keys.penniless.address)
            yield PlannedTransaction("unpaid trade", [unpaid], [keys.penniless])
        else:
            place = self._draw.random() * self._wallet_weights[-1]
            yield from self._one_trade(followed, record, bisect(self._wallet_weights, place))

    def _vault_trade(self, followed: FollowedMarket, record: MarketRecord) -> Iterator[PlannedTransaction]:
        member = self._client.keys.vault_member
        address = vault.vault_address(member.address)
        yield from self._client.plan_grant(member)
        yield from self._client.plan_grant_to(address)
        inner = self._buy_for(followed, record, address)
        yield PlannedTransaction("vault trade", [vault.wrap_instruction(inner, member.pubkey)], [member])

    def _one_trade(self, followed: FollowedMarket, record: MarketRecord, wallet: int) -> Iterator[PlannedTransaction]:
        key = self._client.keys.traders[wallet]
        yield from self._client.plan_grant(key)
        built = self._sell(followed, record, wallet) or self._buy(followed, record, wallet)
        if self._draw.random() < 0.03:
            built += self._buy(followed, record, wallet)
        followed.holders[wallet] = None
        config = self._client.keys.config_of(key)
        yield PlannedTransaction("trade", built, [key], config)
        if self._draw.random() < 0.01:
            yield PlannedTransaction("failing trade", [self._failing_buy(followed, wallet)], [key], config)

    def _failing_buy(self, followed: FollowedMarket, wallet: int) -> Instruction:
        """Return a buy below the program's minimum, because a realistic chain has failed transactions."""
        return self._trade_instruction(
            "buy_shares",
            followed,
            self._client.address(wallet),
            outcome=True,
            target_cost=lmsr.MIN_TRADE_LAMPORTS - 1,
        )

    def _buy(self, followed: FollowedMarket, record: MarketRecord, wallet: int) -> list[Instruction]:
        return [self._buy_for(followed, record, self._client.address(wallet))]

    def _buy_for(self, followed: FollowedMarket, record: MarketRecord, user: Address) -> Instruction:
        b = record.b_parameter
        ahead = (record.shares_yes - record.shares_no) / b
        yes = self._draw.random() < followed.plan.yes_probability
        if abs(ahead) > IMBALANCE_LIMIT:
            yes = ahead < 0
        size = min(self._draw.lognormvariate(-5.0, 0.9), 0.3)
        target = max(int(b * size), b // 50_000)
        return self._trade_instruction("buy_shares", followed, user, outcome=yes, target_cost=target)

    def _sell(self, followed: FollowedMarket, record: MarketRecord, wallet: int) -> list[Instruction]:
        """Return a sell that the program accepts, or nothing."""
        if self._draw.random() > 0.3:
            return []
        mine = self._client.position(followed, wallet)
        if mine is None:
            return []
        yes = mine.shares_yes >= mine.shares_no
        held = mine.shares_yes if yes else mine.shares_no
        shares = int(held * self._draw.choice((0.25, 0.5, 0.5, 1.0)))
        if not _can_sell(record, yes=yes, shares=shares):
            return []
        return [
            self._trade_instruction(
                "sell_shares",
                followed,
                self._client.address(wallet),
                outcome=yes,
                shares_to_sell=shares,
                min_proceeds=0,
            )
        ]

    def _trade_instruction(self, name: str, followed: FollowedMarket, user: Address, **args: object) -> Instruction:
        accounts = {
            "market": followed.account,
            "user": user,
            "protocol_fee_wallet": self._client.keys.fee_wallet.address,
        }
        return transactions.instruction(name, self._client.program_id, accounts, args)


def _can_sell(record: MarketRecord, *, yes: bool, shares: int) -> bool:
    try:
        gross = lmsr.sell(record.shares_yes, record.shares_no, record.b_parameter, yes=yes, shares=shares)
    except errors.ProgramError:
        return False
    remaining = record.current_liquidity - gross
    return gross >= lmsr.MIN_TRADE_LAMPORTS and remaining > record.initial_liquidity // 4
