"""Follows the log on NATS JetStream.

    python docs/examples/follow_bus.py nats://127.0.0.1:4222 --api http://127.0.0.1:4000 [--market ACCOUNT]

The bus delivers each message at least once and in order. `EntryFilter` is the whole rule of a consumer. Store its
`last` together with what you compute from the entries, in one transaction of your database, and begin with it. Then
nothing is missed and nothing counts twice, however often this program, the bus or the relay is killed.

A message that is judged `resync` means that the log is another one from here on (a restored backup, a failover with
loss), or that messages are missing. Then discard what you computed, read the current state from the API, at least as of
the message's position, and go on after the position of that answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any, Literal

import httpx
import nats
import nats.errors
from nats.js import JetStreamContext, api

STREAM = "ZMART"
#: How often it is looked whether the stream's limits removed messages before they came here.
LIMITS_SECONDS = 5.0


class EntryFilter:
    """Judges messages by their position, `epoch:seq:mark`."""

    def __init__(self, last: str | None = None, *, is_whole_log: bool = True) -> None:
        #: The position of the last entry that counted, or of the state that was read; None before the first.
        self.last = last
        #: Whether every entry is expected, so that a missing seq is a lost message.
        self.is_whole_log = is_whole_log

    def judge(self, message: dict[str, Any]) -> Literal["new", "known", "resync"]:
        """Return what to do with a message; of a resync, set `last` to the position of the state that you then read."""
        if message["kind"] == "resync":
            return "known" if message["position"] == self.last else "resync"
        if self.last is not None:
            epoch, seq = self.last.split(":")[:2]
            if message["epoch"] != epoch or message["seq"] <= int(seq):
                return "known"
            if self.is_whole_log and message["seq"] > int(seq) + 1:
                return "resync"
        self.last = message["position"]
        return "new"


def read_state(api_url: str, position: str) -> str:
    """Read the state that is computed anew, at least as of a position; return the position that it has.

    Read everything from one answer, or from one `POST /api/batch`, so that all of it has one position.
    """
    while True:
        answer = httpx.get(f"{api_url}/api/markets", headers={"Zmart-Min-Position": position}, timeout=30)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            return answer.raise_for_status().headers["Zmart-Seq"]
        # No server has the position yet.
        time.sleep(int(answer.headers.get("Retry-After", 1)))


class LimitWatch:
    """Notices that limits of the stream removed messages which a consumer had not read.

    Entries of one market have no contiguous seqs, so only the stream itself can tell.
    """

    def __init__(self, jetstream: JetStreamContext, durable: str) -> None:
        self._jetstream = jetstream
        self._durable = durable
        #: Everything up to this number of the stream has been read; None while that is not known.
        self._read_through: int | None = None
        self._next_look = 0.0

    async def has_lost(self) -> bool:
        """Return whether messages were removed unread since the last look; call it when what came is acknowledged."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LIMITS_SECONDS
        stream = (await self._jetstream.stream_info(STREAM)).state
        consumer = await self._jetstream.consumer_info(STREAM, self._durable)
        is_lost = self._read_through is not None and stream.first_seq > self._read_through + 1
        if is_lost or (consumer.num_pending == 0 and consumer.num_ack_pending == 0):
            self._read_through = stream.last_seq
        return is_lost


async def follow(url: str, api_url: str, market: str | None, last: str | None = None) -> None:
    """Print each entry once; `last` is the position that an earlier run ended with."""
    client = await nats.connect(url)
    try:
        await follow_stream(client.jetstream(), api_url, market, last)
    finally:
        # Else the bus delivers to this connection what nobody reads, and again only after `ack_wait`.
        await client.close()


async def follow_stream(jetstream: JetStreamContext, api_url: str, market: str | None, last: str | None) -> None:
    """Print each entry once, from one connection to the bus."""
    # A durable consumer remembers what it has delivered; the filter drops what it delivers again after a crash.
    durable = "follow-example" if market is None else f"follow-example-{market}"
    subjects = ["zmart.>"] if market is None else [f"zmart.market.{market}.>", "zmart.log.resync"]
    subscription = await jetstream.pull_subscribe(
        subjects[0],
        durable=durable,
        stream=STREAM,
        config=api.ConsumerConfig(ack_wait=30, max_ack_pending=1_000, filter_subjects=subjects),
    )
    entries = EntryFilter(last, is_whole_log=market is None)
    limits = LimitWatch(jetstream, durable)
    while True:
        try:
            delivered = await subscription.fetch(100, timeout=1)
        except nats.errors.TimeoutError:
            delivered = []
        for each in delivered:
            message = json.loads(each.data)
            verdict = entries.judge(message)
            if verdict == "resync":
                entries.last = await asyncio.to_thread(read_state, api_url, message["position"])
                reason = message.get("reason", "messages are missing")
                print(f"resync ({reason}): the state is that of {entries.last}", flush=True)
            elif verdict == "new":
                event = message["event"] or {}
                print(message["seq"], message["kind"], event.get("name", ""), message["market"] or "", flush=True)
        # Acknowledged only now: a crash before this line delivers the messages again.
        for each in delivered:
            await each.ack_sync()
        if await limits.has_lost() and entries.last is not None:
            entries.last = await asyncio.to_thread(read_state, api_url, entries.last)
            print(f"resync (trimmed): the state is that of {entries.last}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the entries of the log from the bus.")
    parser.add_argument("url", help="address of the NATS server")
    parser.add_argument("--api", default="http://127.0.0.1:4000", help="address of the API")
    parser.add_argument("--market", help="account of one market")
    arguments = parser.parse_args()
    asyncio.run(follow(arguments.url, arguments.api, arguments.market))
