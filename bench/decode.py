"""Decode: from the bytes of Helius raw webhook deliveries to typed events.

A delivery is a JSON array of transactions with everything getTransaction gives; what a reader needs
of it is the error and the log. The deliveries are made here: buys and sells with their transfers, a
claim, a vote, a failed transaction now and then, in the proportions of a busy market.

    python -m bench.decode [FILE]      measures; with FILE also writes the deliveries, one a line,
                                       so that another reader can be measured on the same bytes
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from zmart.chain import codec, logs
from zmart.domain import base58, events
from zmart.domain.ids import Address

PROGRAM = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"
SYSTEM = "11111111111111111111111111111111"
BUDGET = "ComputeBudget111111111111111111111111111111"
T = TypeVar("T")

DELIVERIES, TRANSACTIONS_EACH, ROUNDS = 200, 50, 5


class Meta(msgspec.Struct, rename="camel", gc=False):
    """What a reader needs of a transaction's meta."""

    err: object = None
    log_messages: list[str] | None = None


class Transaction(msgspec.Struct, gc=False):
    """What a reader needs of a transaction."""

    slot: int
    meta: Meta


def deliveries(seed: int = 1) -> list[bytes]:
    """Webhook bodies, the same for the same seed."""
    rng = random.Random(seed)
    wallets = [Address(base58.encode(rng.randbytes(32))) for _ in range(500)]
    markets = [rng.randbytes(32) for _ in range(40)]
    return [
        json.dumps(
            [_transaction(rng, wallets, markets) for _ in range(TRANSACTIONS_EACH)],
            separators=(",", ":"),
        ).encode()
        for _ in range(DELIVERIES)
    ]


def read(body: bytes) -> list[events.Event]:
    """The events of one delivery, as ingest reads them."""
    return [
        event
        for transaction in _DECODER.decode(body)
        if transaction.meta.err is None
        for _, event in logs.read(transaction.meta.log_messages, PROGRAM).events
    ]


_DECODER = msgspec.json.Decoder(list[Transaction])


def measure() -> dict[str, float]:
    """Events a second of whole deliveries, of log lines alone, of event bytes alone; best round."""
    bodies = deliveries()
    log = [t.meta.log_messages or [] for body in bodies for t in _DECODER.decode(body)]
    found = [event for body in bodies for event in read(body)]
    decode = codec.default().decode_event
    encoded = [codec.default().encode_event(event) for event in found]
    seconds = {
        "webhook_json_events_per_second": _best(read, bodies),
        "log_lines_events_per_second": _best(lambda lines: logs.read(lines, PROGRAM), log),
        "event_bytes_events_per_second": _best(decode, encoded),
    }
    return {
        **{name: round(len(found) / took) for name, took in seconds.items()},
        "events": len(found),
        "body_bytes": sum(map(len, bodies)),
    }


def _best(work: Callable[[T], object], things: list[T]) -> float:
    """Seconds for all things, one after another and none kept, in the best round."""
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for thing in things:
            work(thing)
        took.append(time.perf_counter() - start)
    return min(took)


def _transaction(rng: random.Random, wallets: list[Address], markets: list[bytes]) -> dict[str, object]:
    wallet, market = rng.choice(wallets), rng.choice(markets)
    event = _event(rng, wallet, market)
    failed = rng.random() < 0.03
    keys = [wallet, *(base58.encode(rng.randbytes(32)) for _ in range(4)), SYSTEM, BUDGET, PROGRAM]
    balances = [rng.randrange(10**12) for _ in keys]
    return {
        "blockTime": 1_762_600_000 + rng.randrange(10**6),
        "indexWithinBlock": rng.randrange(1_500),
        "meta": {
            "err": {"InstructionError": [2, {"Custom": 6015}]} if failed else None,
            "fee": 5_000,
            "innerInstructions": [
                {
                    "index": 2,
                    "instructions": [
                        {"accounts": [0, n], "data": "3Bxs4h24hBtQy9rw", "programIdIndex": 5} for n in (1, 4)
                    ],
                }
            ],
            "loadedAddresses": {"readonly": [], "writable": []},
            "logMessages": _log(event, failed),
            "postBalances": balances,
            "postTokenBalances": [],
            "preBalances": balances,
            "preTokenBalances": [],
            "rewards": [],
        },
        "slot": 400_000_000 + rng.randrange(10**6),
        "transaction": {
            "message": {
                "accountKeys": keys,
                "addressTableLookups": None,
                "header": {
                    "numReadonlySignedAccounts": 0,
                    "numReadonlyUnsignedAccounts": 3,
                    "numRequiredSignatures": 1,
                },
                "instructions": [
                    {"accounts": [], "data": "3DTZbgwsozUF", "programIdIndex": 6},
                    {"accounts": [], "data": "LCQ37u", "programIdIndex": 6},
                    {
                        "accounts": [3, 1, 2, 0, 4, 5],
                        "data": base58.encode(rng.randbytes(17)),
                        "programIdIndex": 7,
                    },
                ],
                "recentBlockhash": base58.encode(rng.randbytes(32)),
            },
            "signatures": [base58.encode(rng.randbytes(64))],
        },
        "version": "legacy",
    }


def _event(rng: random.Random, wallet: Address, market: bytes) -> events.Event:
    at = 1_762_600_000 + rng.randrange(10**6)
    amount, shares, price = rng.randrange(10**11), rng.randrange(10**11), rng.randrange(10**9)
    outcome = rng.random() < 0.5
    kind = rng.random()
    if kind < 0.7:
        return events.SharesBought(market, wallet, outcome, shares, amount, price, at)
    if kind < 0.9:
        return events.SharesSold(market, wallet, outcome, shares, amount, price, at)
    if kind < 0.95:
        return events.WinningsClaimed(Address(base58.encode(market)), wallet, outcome, amount, at)
    return events.DisputeVoteSubmitted(market, wallet, outcome, at)


def _log(event: events.Event, failed: bool) -> list[str]:
    data = base64.b64encode(codec.default().encode_event(event)).decode()
    budget = [f"Program {BUDGET} invoke [1]", f"Program {BUDGET} success"]
    transfer = [f"Program {SYSTEM} invoke [2]", f"Program {SYSTEM} success"]
    end = (
        [
            "Program log: AnchorError thrown in programs/zmart-core/src/instructions/buy_shares.rs:"
            "118. Error Code: SlippageExceeded. Error Number: 6015.",
            f"Program {PROGRAM} consumed 48211 of 199700 compute units",
            f"Program {PROGRAM} failed: custom program error: 0x177f",
        ]
        if failed
        else [
            f"Program data: {data}",
            f"Program {PROGRAM} consumed 61874 of 199700 compute units",
            f"Program {PROGRAM} success",
        ]
    )
    return [
        *budget,
        *budget,
        f"Program {PROGRAM} invoke [1]",
        "Program log: Instruction: BuyShares",
        *transfer,
        *transfer,
        *end,
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_bytes(b"\n".join(deliveries()) + b"\n")
    print(json.dumps(measure(), indent=2))
