"""`make fuzz`: random bytes, guided by coverage, for all code that reads untrusted input.

    body     a webhook's body    -> items -> rows, dead letters, signatures  (ingest.webhook, ingest.decode)
    logs     a transaction's log -> events                                   (zmart.chain.logs, zmart.chain.codec)
    answers  a node's response   -> transactions, lists, blocks, statuses    (zmart.chain.rpc, ingest.sync)

Only documented errors may be raised, Postgres must accept every row, and time and memory are limited (libFuzzer's own
limits). The corpus starts with the recorded deliveries and is stored below ZMART_STATE_DIR; an input that fails is
stored there as `crash-...`, to be turned into a test.

The three share FUZZ_SECONDS (60); `python tests/fuzz/ingest_fuzz.py body` runs one until it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["ingest", "zmart.chain", "zmart.domain"]):
    from ingest.decode import decoder, delivery_body
    from ingest.sync import fetch
    from ingest.testing import signature
    from zmart import errors, settings
    from zmart.chain import logs, node, rpc

PROGRAM: Final = settings.DEFAULT_PROGRAM_ID
RECORDINGS: Final = Path(__file__).parents[1] / "recordings"
DECODER: Final = decoder.Decoder(PROGRAM)
FETCHER: Final = fetch.Fetcher(None, DECODER, None, None)  # type: ignore[arg-type]
DUE: Final = fetch.DueSignature(signature(1), "walk", 0)
CLIENT: Final = rpc.RpcClient(["http://127.0.0.1:1"])
LOOP: Final = asyncio.new_event_loop()


def assert_storable(decoded: decoder.DecodedDelivery) -> None:
    """Postgres must accept every text, and every number must fit its column."""
    for row in decoded.transactions:
        assert 0 <= row.slot < decoder.SLOT_LIMIT
        assert row.index_in_block is None or 0 <= row.index_in_block < decoder.INDEX_LIMIT
        assert "\0" not in (row.err or "").encode().decode()
        ordinals = [event.ordinal for event in row.events]
        assert ordinals == sorted(set(ordinals))
        for event in row.events:
            assert 0 <= event.ordinal < decoder.ORDINAL_LIMIT
            assert -(1 << 63) <= event.clock < 1 << 63
            for text in (event.payload, event.context or b"{}"):
                json.loads(text.decode())
                assert b"\\u0000" not in text
    for dead_letter in [*decoded.dead_letters, *(each for row in decoded.transactions for each in row.dead_letters)]:
        dead_letter.reason.encode()
        assert "\0" not in (dead_letter.signature or "")


def body(data: bytes) -> None:
    """A delivery."""
    try:
        items = delivery_body.split_items(data)
    except errors.InvalidInput:
        return
    assert_storable(DECODER.decode_items(items))


def log(data: bytes) -> None:
    """A log, with lines separated as in bytes."""
    # Bytes that are not UTF-8 become halves of surrogate pairs, which JSON can represent as well.
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    read = logs.read(lines, PROGRAM)
    ordinals = sorted([ordinal for ordinal, _ in read.events] + [each.ordinal for each in read.undecodable])
    assert ordinals == list(range(len(ordinals)))


def answer(data: bytes) -> None:
    """The responses of a node to all requests."""
    text = data.decode("utf-8", "replace")

    async def respond(*_: Any) -> str:
        return text

    node.RpcNode.post = respond  # type: ignore[method-assign, assignment]
    for call in (
        CLIENT.transaction(DUE.signature, commitment="confirmed"),
        CLIENT.signatures_for_address(PROGRAM, commitment="confirmed", limit=10),
        CLIENT.signature_statuses([DUE.signature], search_history=True),
        CLIENT.block_signatures(1, commitment="finalized"),  # type: ignore[arg-type]
        CLIENT.slot(commitment="confirmed"),
        CLIENT.genesis_hash(),
    ):
        try:
            result: Any = LOOP.run_until_complete(call)
        except errors.ZmartError:
            continue
        if isinstance(result, dict):
            found = FETCHER.decode_response(DUE, result)
            decoded = decoder.DecodedDelivery()
            decoded.add(found.outcome)
            assert_storable(decoded)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {"body": body, "logs": log, "answers": answer}


def seeds(target: str) -> list[bytes]:
    """Return the first inputs of a target: the recordings, in the target's form."""
    recorded = [path.read_bytes() for path in RECORDINGS.glob("*.json") if not path.name.endswith(".rows.json")]
    bodies = [each for each in recorded if each.lstrip().startswith(b"[")]
    items = [item for each in bodies for item in delivery_body.split_items(each)]
    if target == "body":
        return [*(b"[" + item + b"]" for item in items), *(each for each in bodies if len(each) < 8_000)]
    read = [json.loads(item) for item in items]
    whole = [one for one in read if isinstance(one, dict) and isinstance(one.get("meta"), dict)]
    if target == "logs":
        return ["\n".join(one["meta"]["logMessages"]).encode("utf-8", "surrogatepass") for one in whole]
    results: list[Any] = [*whole, [], None, 7, "hash", {"context": {"slot": 1}, "value": [None]}]
    results += [[{"signature": DUE.signature, "slot": 5, "err": None}], {"signatures": [DUE.signature], "blockTime": 1}]
    answers = [{"jsonrpc": "2.0", "id": 1, "result": result} for result in results]
    refused = [{"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}} for code in (-32005, -32004, 429)]
    return [json.dumps(each).encode() for each in [*answers, *refused]]


def fuzz(target: str, seconds: int) -> None:
    """Fuzz one target; does not return."""
    folder = settings.load().state_dir / "fuzz" / target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = ["-max_len=16384", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"]
    times = [f"-max_total_time={seconds}"] if seconds else []
    atheris.Setup([sys.argv[0], *limits, *times, f"-artifact_prefix={folder}/", str(corpus)], TARGETS[target])
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Run one target by name, or all of them within FUZZ_SECONDS."""
    if arguments:
        fuzz(arguments[0], int(arguments[1]) if len(arguments) > 1 else 0)
    each = max(1, int(os.environ.get("FUZZ_SECONDS", "60")) // len(TARGETS))
    failed = []
    for target in TARGETS:
        done = subprocess.run([sys.executable, __file__, target, str(each)], check=False)
        if done.returncode:
            failed.append(target)
    print("fuzz:", f"{', '.join(failed)} broke something; see the crash- files" if failed else "nothing broke")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
