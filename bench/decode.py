"""Measures decoding from the bytes of webhook deliveries to events, beside Anchor's TypeScript client.

`python -m bench.decode FILE` writes the deliveries, one per line, so that any other reader can be measured.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import environment, history
from ingest.decode.decoder import Decoder
from ingest.store import body_compression
from zmart.chain import logs
from zmart.domain import events

from .figure import Effort, Figure, Sample, Target, ratio
from .not_measured import NotMeasured

TRANSACTIONS_PER_DELIVERY = 25
FAILURES = 0.03


class DeliveredMeta(msgspec.Struct, rename="camel", gc=False):
    """The fields of a transaction's meta that a reader needs."""

    err: object = None
    log_messages: list[str] | None = None


class DeliveredTransaction(msgspec.Struct, gc=False):
    """The fields of a transaction that a reader needs."""

    meta: DeliveredMeta


_DECODER = msgspec.json.Decoder(list[DeliveredTransaction])


def deliveries(transactions: int) -> list[bytes]:
    """Return webhook bodies, which are the same for every call with the same number."""
    return list(history.bodies(transactions, each=TRANSACTIONS_PER_DELIVERY, failures=FAILURES))


def read_events(body: bytes) -> list[events.Event]:
    """Return only the events of one delivery, as the peer reads them."""
    return [
        event
        for transaction in _DECODER.decode(body)
        if transaction.meta.err is None
        for _, event in logs.read(transaction.meta.log_messages, history.PROGRAM).events
    ]


class DecodeFigure(Figure):
    """Measures decoding deliveries to events."""

    name = "decode"
    title = "webhook JSON to events"
    unit = "x"
    targets = (Target(label="events, ours to Anchor", bound="at least", value=6.0),)
    method = (
        "The same file of raw webhook deliveries (25 transactions each, 3 % failed) is decoded by both in turn, in "
        "memory, one thread each. `events` compares equal work: JSON to typed events, and the target is about "
        "that. `rows` is everything that ingest.decode makes of a delivery (market accounts derived, payloads "
        "written, context from instructions and balances, digests); `rows and bodies` also compresses the "
        "delivered bytes for the log."
    )
    limit_seconds = 300.0

    def measure(self, env: environment.BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure the methods in alternating rounds."""
        bodies = deliveries(effort.choose(2_000, 5_000))
        file = env.folder / "deliveries.jsonl"
        file.write_bytes(b"\n".join(bodies) + b"\n")
        ways: dict[str, Callable[[], float]] = {
            "events, ours": lambda: _time_ours(read_events, bodies),
            "rows, ours": lambda: _time_ours(Decoder(history.PROGRAM).decode_body, bodies),
            "rows and bodies, ours": lambda: _time_ours(_rows_and_bodies, bodies),
        }
        found = sum(len(read_events(body)) for body in bodies)
        with _anchor_reader(file) as decode_once:
            ways["events, Anchor"] = lambda: decode_once(found)
            samples = _alternate(ways, found, effort.choose(2, 15))
        anchor = samples["events, Anchor"]
        ratios = [
            ratio(f"{what}, ours to Anchor", samples[f"{what}, ours"], anchor)
            for what in ("events", "rows", "rows and bodies")
        ]
        return [*ratios, *samples.values()]


def _alternate(ways: dict[str, Callable[[], float]], found: int, rounds: int) -> dict[str, Sample]:
    for way in ways.values():
        way()
    seconds = [[way() for way in ways.values()] for _ in range(rounds)]
    return {
        label: Sample(label=label, unit="events/s", values=tuple(found / took for took in column))
        for label, column in zip(ways, zip(*seconds, strict=True), strict=True)
    }


def _rows_and_bodies(body: bytes) -> object:
    """Return the compressed bodies that the log stores, after decoding the rows."""
    return body_compression.compress(row.body for row in Decoder(history.PROGRAM).decode_body(body).transactions)


def _time_ours(work: Callable[[bytes], object], bodies: Sequence[bytes]) -> float:
    """Return the seconds for all bodies, one after another; results are discarded."""
    began = time.perf_counter()
    for body in bodies:
        work(body)
    return time.perf_counter() - began


@contextmanager
def _anchor_reader(file: Path) -> Iterator[Callable[[int], float]]:
    """Run Anchor's reader in a process that has the file in memory; each call decodes the whole file once."""
    script = environment.install_peers() / "decode.mjs"
    command = [environment.node_command(), str(script), str(environment.IDL), history.PROGRAM, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        def decode_once(found: int) -> float:
            stdin.write(b"\n")
            stdin.flush()
            answer = environment.parse_line(stdout.readline(), "Anchor's reader")
            if answer["events"] != found:
                raise NotMeasured(f"Anchor found {answer['events']} events, ours {found}.")
            return float(answer["seconds"])

        try:
            environment.parse_line(stdout.readline(), "Anchor's reader")
            yield decode_once
        finally:
            child.kill()


FIGURE = DecodeFigure()

if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(b"\n".join(deliveries(10_000)) + b"\n")
