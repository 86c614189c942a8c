"""Generates a seedable history of the program's events with realistic skew, as rows or as webhook bodies.

Few markets draw most trades and few wallets make most of them (Zipf). A market is created, voted on, approved,
activated and traded; at intervals one is resolved, finalized and paid out, and another takes its place. No wallet
sells shares that it does not hold, and a market's lamports follow its trades; prices are plausible, not the
program's.

    transactions(1_000_000)          rows for the writer, as decoding returns them, about a hundred thousand a second
    items(10_000)                    the same transactions as Helius raw webhook items
    bodies(10_000, each=25)          those items as JSON arrays

The same seed gives the same history, and decoding its items gives its rows, because both are made from one stream.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec
from solders.pubkey import Pubkey
from solders.signature import Signature

from ingest.decode import event_rows
from ingest.records import TransactionRow
from zmart.chain import addresses, codec, event_digests
from zmart.domain import base58, events
from zmart.domain.ids import Address
from zmart.settings import DEFAULT_PROGRAM_ID

PROGRAM = DEFAULT_PROGRAM_ID
GENESIS_CLOCK = 1_760_000_000
FIRST_SLOT = 300_000_000
TRANSACTIONS_PER_SLOT, TRANSACTIONS_PER_SECOND = 25, 50
LIQUIDITY_LAMPORTS, B_PARAMETER = 100_000_000_000, 500_000_000_000
FEE_LAMPORTS = 5_000
#: A market ends after this many trades of the whole history, so that the number of finished markets grows slowly.
TRADES_PER_RESOLUTION = 2_000
#: Markets with an index below this are too popular to end.
PERMANENT_MARKETS = 20
CLAIMS = 20
QUESTION = b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"[:46]

Items: TypeAlias = Iterator[dict[str, Any]]
_encode = msgspec.json.Encoder().encode
_BODY = b"{}" * 400


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The numbers of markets and wallets, and the skew of their popularity."""

    markets: int = 500
    wallets: int = 5_000
    skew: float = 1.1


class GeneratedTransaction(NamedTuple):
    """One transaction: its event, and the data of the transaction that the event lacks."""

    number: int
    event: events.Event
    account: Address
    #: Lamports of the market's account before and after.
    before: int
    after: int


@dataclass(slots=True)
class _SimulatedMarket:
    id: bytes
    account: Address
    creator: Address
    lamports: int = 0
    #: Shares by (wallet, side).
    shares: dict[tuple[Address, bool], int] = field(default_factory=dict)


def transactions(events: int, *, after: int = 0, seed: int = 1, scale: Scale | None = None) -> Iterator[TransactionRow]:
    """Return transactions of one event each, as rows; the first `after` transactions are skipped."""
    stream = generate(after + events, seed=seed, scale=scale)
    return (_row(seed, happening) for happening in itertools.islice(stream, after, None))


def items(events: int, *, seed: int = 1, scale: Scale | None = None, failures: float = 0.0) -> Items:
    """Yield the same transactions as raw webhook items; a share of `failures` failed and has no event."""
    draw = random.Random(f"{seed} failures")
    for happening in generate(events, seed=seed, scale=scale):
        yield _item(seed, happening, failed=draw.random() < failures)


def bodies(
    events: int, *, each: int, seed: int = 1, scale: Scale | None = None, failures: float = 0.0
) -> Iterator[bytes]:
    """Yield the items as request bodies of `each` items."""
    stream = items(events, seed=seed, scale=scale, failures=failures)
    while batch := list(itertools.islice(stream, each)):
        yield body(batch)


def body(delivered: Iterable[dict[str, Any]]) -> bytes:
    """Return items as one request body."""
    return _encode(list(delivered))


def generate(count: int, *, seed: int = 1, scale: Scale | None = None) -> Iterator[GeneratedTransaction]:
    """Return the stream from which rows and items are made."""
    return itertools.islice(_Generator(seed, scale or Scale()).generate(), count)


class _Generator:
    """Generates an endless sequence of transactions, in order."""

    def __init__(self, seed: int, scale: Scale) -> None:
        self._seed = seed
        self._draw = random.Random(seed)
        self._wallets = [_address(seed, "wallet", n) for n in range(scale.wallets)]
        self._markets: list[_SimulatedMarket] = []
        self._markets_created = self._number = 0
        self._scale = scale

    def generate(self) -> Iterator[GeneratedTransaction]:
        for place in range(self._scale.markets):
            self._markets.append(self._new_market())
            yield from self._open_market(self._markets[place])
        chosen = zip(self._draw_indexes(self._scale.markets), self._draw_indexes(self._scale.wallets), strict=False)
        for trades, (market, wallet) in enumerate(chosen, start=1):
            yield self._trade(self._markets[market], self._wallets[wallet])
            if trades % TRADES_PER_RESOLUTION == 0 and self._scale.markets > PERMANENT_MARKETS:
                yield from self._replace(self._draw.randrange(PERMANENT_MARKETS, self._scale.markets))

    def _draw_indexes(self, population: int) -> Iterator[int]:
        weights = list(itertools.accumulate(1 / (n + 1) ** self._scale.skew for n in range(population)))
        places = range(population)
        while True:
            yield from self._draw.choices(places, cum_weights=weights, k=1000)

    def _new_market(self) -> _SimulatedMarket:
        market_id = hashlib.sha256(f"{self._seed} market {self._markets_created}".encode()).digest()
        self._markets_created += 1
        account = addresses.market_address(PROGRAM, market_id)
        return _SimulatedMarket(market_id, account, self._draw.choice(self._wallets))

    def _open_market(self, market: _SimulatedMarket) -> Iterator[GeneratedTransaction]:
        creator, at = market.creator, self._clock
        yield self._emit(
            market, events.MarketCreated(market.id, creator, B_PARAMETER, 0, at()), moved=LIQUIDITY_LAMPORTS
        )
        for voter in self._draw.sample(self._wallets, 5):
            yield self._emit(market, events.ProposalVoteSubmitted(market.id, voter, True, at()))
        yield self._emit(market, events.ProposalAggregated(market.id, 5, 0, 100, True, at()))
        yield self._emit(market, events.ProposalApproved(market.id, self._wallets[0], at()))
        yield self._emit(market, events.MarketActivated(market.id, creator, LIQUIDITY_LAMPORTS, at()))

    def _trade(self, market: _SimulatedMarket, wallet: Address) -> GeneratedTransaction:
        draw = self._draw.random
        outcome, price = draw() < 0.55, 200_000_000 + int(draw() * 600_000_000)
        held = market.shares.get((wallet, outcome), 0)
        if held and draw() < 0.4:
            shares = 1 + int(draw() * held)
            gross = shares * price // 10**9
            market.shares[wallet, outcome] = held - shares
            sold = events.SharesSold(market.id, wallet, outcome, shares, gross - gross // 10, price, self._clock())
            return self._emit(market, sold, moved=-(gross * 93 // 100))
        shares = 10**8 + int(draw() ** 3 * 10**10)
        gross = shares * price // 10**9
        market.shares[wallet, outcome] = held + shares
        bought = events.SharesBought(market.id, wallet, outcome, shares, gross + gross // 10, price, self._clock())
        return self._emit(market, bought, moved=gross * 107 // 100)

    def _replace(self, place: int) -> Iterator[GeneratedTransaction]:
        market, outcome = self._markets[place], self._draw.random() < 0.5
        yield self._emit(market, events.MarketResolved(market.id, market.creator, outcome, QUESTION, self._clock()))
        yield self._emit(market, events.MarketFinalized(market.id, outcome, False, self._clock()))
        winners = [(wallet, shares) for (wallet, side), shares in market.shares.items() if side == outcome and shares]
        for wallet, shares in winners[:CLAIMS]:
            amount = min(shares, market.lamports)
            claimed = events.WinningsClaimed(market.account, wallet, outcome, amount, self._clock())
            yield self._emit(market, claimed, moved=-amount)
        self._markets[place] = self._new_market()
        yield from self._open_market(self._markets[place])

    def _clock(self) -> int:
        return GENESIS_CLOCK + self._number // TRANSACTIONS_PER_SECOND

    def _emit(self, market: _SimulatedMarket, event: events.Event, *, moved: int = 0) -> GeneratedTransaction:
        before, number = market.lamports, self._number
        market.lamports = max(before + moved, 0)
        self._number += 1
        return GeneratedTransaction(number, event, market.account, before, market.lamports)


# Rows


def _row(seed: int, happening: GeneratedTransaction) -> TransactionRow:
    number, event, _, before, after = happening
    digest = hashlib.sha512(b"%d %d" % (seed, number)).digest()
    context = _context(event, before, after)
    row = event_rows.row(event, 0, event_rows.market(event, PROGRAM), context)
    return TransactionRow(
        str(Signature(digest)),
        FIRST_SLOT + number // TRANSACTIONS_PER_SLOT,
        number % TRANSACTIONS_PER_SLOT,
        GENESIS_CLOCK + number // TRANSACTIONS_PER_SECOND,
        None,
        FEE_LAMPORTS,
        _BODY,
        digest[:32],
        (row,),
        (),
    )


def _context(event: events.Event, before: int, after: int) -> bytes:
    """Return the context that decoding derives from `_item` in addition to the event, in the same field order."""
    match event:
        case events.SharesSold():
            return b'{"market_lamports_delta":"%d","market_lamports":"%d"}' % (after - before, after)
        case events.MarketCreated():
            found = {
                "initial_liquidity": str(LIQUIDITY_LAMPORTS),
                "ipfs_question_hash": event_rows.text_or_hex(QUESTION),
            }
            return _encode({**found, "market_lamports": str(after)})
        case events.MarketFinalized():
            return b'{"dispute_agree":null,"dispute_disagree":null,"market_lamports":"%d"}' % after
        case _:
            return b'{"market_lamports":"%d"}' % after


# Webhook items

#: Indexes of the accounts in every transaction here.
_WALLET, _MARKET, _OTHER, _FEES, _CONFIG, _SYSTEM, _BUDGET, _PROGRAM = range(8)
_TRADERS = [_CONFIG, _MARKET, _OTHER, _WALLET, _FEES, _SYSTEM]


def _item(seed: int, happening: GeneratedTransaction, *, failed: bool) -> dict[str, Any]:
    number, event, account, before, after = happening
    name, args, places = _instruction(event)
    keys = [
        _actor(event) or _address(seed, "backend", 0),
        account,
        _address(seed, "other", number % 5_000),
        _address(seed, "fees", 0),
        addresses.config_address(PROGRAM),
        addresses.SYSTEM_PROGRAM,
        addresses.COMPUTE_BUDGET_PROGRAM,
        PROGRAM,
    ]
    other_balances = [2_000_000_000 + number, 2_500_000, 5_000_000_000 + number, 3_000_000, 1, 1, 1_141_440]
    return {
        "blockTime": GENESIS_CLOCK + number // TRANSACTIONS_PER_SECOND,
        "indexWithinBlock": number % TRANSACTIONS_PER_SLOT,
        "meta": {
            "computeUnitsConsumed": 62_174,
            "err": {"InstructionError": [2, {"Custom": 6015}]} if failed else None,
            "fee": FEE_LAMPORTS,
            "innerInstructions": [_transfers()],
            "loadedAddresses": {"readonly": [], "writable": []},
            "logMessages": _failed_log(name) if failed else _log(name, event),
            "postBalances": [other_balances[0] - FEE_LAMPORTS, before if failed else after, *other_balances[1:]],
            "postTokenBalances": [],
            "preBalances": [other_balances[0], before, *other_balances[1:]],
            "preTokenBalances": [],
            "rewards": [],
        },
        "slot": FIRST_SLOT + number // TRANSACTIONS_PER_SLOT,
        "transaction": {
            "message": {
                "accountKeys": keys,
                "addressTableLookups": None,
                "header": {
                    "numReadonlySignedAccounts": 0,
                    "numReadonlyUnsignedAccounts": 4,
                    "numRequiredSignatures": 1,
                },
                "instructions": [
                    {"accounts": [], "data": "3DTZbgwsozUF", "programIdIndex": _BUDGET, "stackHeight": 1},
                    {"accounts": [], "data": "LCQ37u", "programIdIndex": _BUDGET, "stackHeight": 1},
                    {
                        "accounts": places,
                        "data": base58.encode(codec.default().encode_instruction(name, args)),
                        "programIdIndex": _PROGRAM,
                        "stackHeight": 1,
                    },
                ],
                "recentBlockhash": _address(seed, "blockhash", number // TRANSACTIONS_PER_SLOT),
            },
            "signatures": [str(Signature(hashlib.sha512(b"%d %d" % (seed, number)).digest()))],
        },
        "version": "legacy",
    }


def _instruction(event: events.Event) -> tuple[str, Mapping[str, Any], list[int]]:
    """Return the instruction that emits an event, its arguments and its account indexes (protocol.md 1.3, 1.4)."""
    match event:
        case events.SharesBought(outcome=outcome, cost=cost):
            return "buy_shares", {"outcome": outcome, "target_cost": cost}, _TRADERS
        case events.SharesSold(outcome=outcome, shares=shares, proceeds=proceeds):
            args = {"outcome": outcome, "shares_to_sell": shares, "min_proceeds": proceeds}
            return "sell_shares", args, _TRADERS
        case events.MarketCreated(market_id=market_id, b_parameter=b):
            identity = {"market_id": market_id, "ipfs_question_hash": QUESTION}
            amounts = {"b_parameter": b, "initial_liquidity": LIQUIDITY_LAMPORTS}
            return "create_market", {**identity, **amounts}, [_WALLET, _MARKET, _CONFIG, _SYSTEM]
        case events.ProposalVoteSubmitted(vote=vote):
            return "submit_proposal_vote", {"vote": vote}, [_MARKET, _OTHER, _WALLET, _SYSTEM]
        case events.ProposalAggregated(likes=likes, dislikes=dislikes):
            args = {"final_likes": likes, "final_dislikes": dislikes}
            return "aggregate_proposal_votes", args, [_MARKET, _CONFIG, _WALLET]
        case events.ProposalApproved():
            return "approve_proposal", {}, [_WALLET, _MARKET, _CONFIG]
        case events.MarketActivated():
            return "activate_market", {}, [_WALLET, _MARKET, _CONFIG]
        case events.MarketResolved(outcome=proposed, evidence_hash=evidence):
            named = {"proposed_outcome": proposed, "ipfs_evidence_hash": evidence}
            return "resolve_market", named, [_CONFIG, _MARKET, _WALLET]
        case events.MarketFinalized():
            return "finalize_market", {"dispute_agree": None, "dispute_disagree": None}, [_CONFIG, _MARKET, _WALLET]
        case events.WinningsClaimed():
            return "claim_winnings", {}, [_CONFIG, _MARKET, _OTHER, _WALLET, _FEES, _SYSTEM]
    raise AssertionError(f"{event.name} does not occur in this history.")


def _actor(event: events.Event) -> Address | None:
    actor = event_digests.ACTOR.get(str(event.name))
    return Address(getattr(event, actor)) if actor else None


def _transfers() -> dict[str, Any]:
    paid = [
        {"accounts": [_WALLET, place], "data": "3Bxs4h24hBtQy9rw", "programIdIndex": _SYSTEM, "stackHeight": 2}
        for place in (_MARKET, _FEES)
    ]
    return {"index": 2, "instructions": paid}


def _log(name: str, event: events.Event) -> list[str]:
    data = base64.b64encode(codec.default().encode_event(event)).decode()
    return [*_log_start(name), f"Program data: {data}", _CONSUMED, f"Program {PROGRAM} success"]


def _failed_log(name: str) -> list[str]:
    return [
        *_log_start(name),
        "Program log: AnchorError thrown in programs/zmart-core/src/instructions/buy_shares.rs:118. "
        "Error Code: SlippageExceeded. Error Number: 6015. Error Message: Slippage exceeded.",
        _CONSUMED,
        f"Program {PROGRAM} failed: custom program error: 0x177f",
    ]


_CONSUMED = f"Program {PROGRAM} consumed 61874 of 199700 compute units"
_BUDGET_CALL = [
    f"Program {addresses.COMPUTE_BUDGET_PROGRAM} invoke [1]",
    f"Program {addresses.COMPUTE_BUDGET_PROGRAM} success",
]
_TRANSFER_CALL = [f"Program {addresses.SYSTEM_PROGRAM} invoke [2]", f"Program {addresses.SYSTEM_PROGRAM} success"]


@functools.cache
def _log_start(name: str) -> tuple[str, ...]:
    title = "".join(word.capitalize() for word in name.split("_"))
    return (
        *_BUDGET_CALL,
        *_BUDGET_CALL,
        f"Program {PROGRAM} invoke [1]",
        f"Program log: Instruction: {title}",
        *_TRANSFER_CALL,
        *_TRANSFER_CALL,
    )


@functools.lru_cache(maxsize=1 << 14)
def _address(seed: int, kind: str, number: int) -> Address:
    return Address(str(Pubkey(hashlib.sha256(f"{seed} {kind} {number}".encode()).digest())))
