"""Follows the log on NATS JetStream: python docs/examples/follow_bus.py nats://127.0.0.1:4222 [MARKET].

The bus delivers each message at least once and in order. `EntryFilter` is the whole rule of a consumer: drop what is
not above the last entry. Store `last` together with what you compute from the entries, in one transaction of your
database. Then nothing is missed and nothing counts twice, however often this program, the bus or the relay is killed.

A `resync` message means that the log is another one from here on (a restored backup, a failover with loss), or that the
bus lost messages. Discard what you computed, read the current state from the API, and go on.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import nats
import nats.errors
from nats.js import api

STREAM = "ZMART"


class EntryFilter:
    """Decides which messages are new."""

    def __init__(self, last: tuple[str, int] | None = None) -> None:
        #: Epoch and seq of the last entry that counted; None before the first.
        self.last = last

    def accept(self, message: dict[str, Any]) -> bool:
        """Return whether the message is new; a message of an epoch that was replaced is not."""
        epoch, seq = message["epoch"], message["seq"]
        if message["kind"] == "resync":
            is_new = self.last != (epoch, seq)
        else:
            is_new = self.last is None or (epoch == self.last[0] and seq > self.last[1])
        if is_new:
            self.last = (epoch, seq)
        return is_new


async def follow(url: str, market: str | None) -> None:
    """Print each entry once."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    # A durable consumer remembers what it has delivered; the filter drops what it delivers again after a crash.
    subscription = await jetstream.pull_subscribe(
        "zmart.>" if market is None else f"zmart.market.{market}.>",
        durable="follow-example" if market is None else f"follow-example-{market}",
        stream=STREAM,
        config=api.ConsumerConfig(ack_wait=30, max_ack_pending=1_000),
    )
    entries = EntryFilter()
    while True:
        try:
            delivered = await subscription.fetch(100, timeout=5)
        except nats.errors.TimeoutError:
            continue
        for each in delivered:
            message = json.loads(each.data)
            if not entries.accept(message):
                continue
            if message["kind"] == "resync":
                print(f"resync ({message['reason']}): read the state again, then go on after {message['position']}")
            else:
                event = message["event"] or {}
                print(message["seq"], message["kind"], event.get("name", ""), message["market"] or "", flush=True)
        # Acknowledged only now: a crash before this line delivers the messages again.
        for each in delivered:
            await each.ack()


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
