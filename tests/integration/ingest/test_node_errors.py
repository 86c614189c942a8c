"""Every error of a node for every call of the sync task: nothing is skipped or retracted, and each ends in progress or
in an alert with a name."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from scripted_node import HANG_UP, SILENCE, ScriptedNode, ScriptedReply, error, result, value

from ingest import testing as deliveries
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync import fetch, reconcile
from ingest.sync import task as sync_task
from ingest.sync.database import SyncDatabase
from ingest.sync.task import Intervals, SyncTask
from zmart import errors, testing
from zmart.chain import cluster_facts, rpc_errors
from zmart.chain.rpc import RpcClient
from zmart.domain.ids import Address
from zmart.settings import Cluster

#: More than 40 s in all: each test walks a chain of its own while the node fails.
pytestmark = pytest.mark.drill

PROGRAM = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
GENESIS = "4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZAMdL4VZHirAn"
CERTIFICATE = {"block": {"slot": 3, "blockId": [7] * 32}, "signature": {"signature": [1] * 192, "bitmap": [1]}}

#: One of each class of zmart.chain.rpc_errors, and those whose meaning was mistaken before.
CODES = (-32001, -32002, -32004, -32007, -32009, -32015, -32016, -32020, -32429, -32601, -32602, -32603)
REPLIES = {
    # First, while nothing is final: later an empty list ends above proven ground.
    "empty list": result([]),
    **{str(code): error(code, "played by a test") for code in CODES},
    **{f"HTTP {status}": ScriptedReply(body=b"no", status=status) for status in (403, 404, 429, 503)},
    "null": result(None),
    "text": result("something else"),
    "no JSON": ScriptedReply(body=b"<html>"),
    "hang up": HANG_UP,
    "silence": SILENCE,
}
CALLS = (
    *("getGenesisHash", "getAgGenesisCert", "getRecentPerformanceSamples", "getBlockTime", "getSlot"),
    *("getBlockHeight", "getSignaturesForAddress", "getSignatureStatuses", "getTransaction", "getBlock"),
)
#: The calls of a walk, which differs by consensus.
WALKED = {"getSignaturesForAddress", "getSignatureStatuses", "getTransaction", "getBlock"}
#: The alerts that may stand for a node that does not do its part.
NAMED = {"unverified", "unfetched", "unsupported_version", "unlisted", "finality_stuck"}


class PlayedChain:
    """A chain of one transaction a slot, and a node that serves it and may have lost some."""

    def __init__(self, node: ScriptedNode, certificate: Any) -> None:
        self.node = node
        self.height = 0
        #: The newest slot.
        self.top = 10
        #: Signatures by slot.
        self.landed: dict[int, str] = {}
        #: Slots that the node does not list, and of whose signatures it knows nothing.
        self.lost: set[int] = set()
        node.answers = {
            "getGenesisHash": lambda _: result(GENESIS),
            "getAgGenesisCert": lambda _: result(certificate),
            "getRecentPerformanceSamples": lambda _: result([{"slot": 1, "numSlots": 300, "samplePeriodSecs": 60}]),
            "getBlockTime": lambda params: result(1_700_000_000 + params[0]),
            "getSlot": lambda _: result(self.top),
            "getBlockHeight": lambda _: result(self.height),
            "getSignaturesForAddress": self._list,
            "getSignatureStatuses": self._statuses,
            "getTransaction": self._transaction,
            "getBlock": self._block,
        }

    def land(self, count: int) -> list[int]:
        """Land transactions in slots of their own, above all slots that the node has shown; the slots."""
        slots = [self.top + 1 + place for place in range(count)]
        self.landed |= {slot: deliveries.signature(slot) for slot in slots}
        self.top = slots[-1] + 2
        return slots

    def item(self, slot: int) -> dict[str, Any]:
        """A slot's transaction as a webhook or a node gives it, without its index."""
        return deliveries.item(PROGRAM, [], number=slot, slot=slot, index=None)

    def _list(self, params: Any) -> ScriptedReply:
        before = params[1].get("before")
        end = next((slot for slot, signature in self.landed.items() if signature == before), 10**9)
        slots = [slot for slot in sorted(self.landed, reverse=True) if slot < end and slot not in self.lost]
        return result([{"signature": self.landed[slot], "slot": slot, "err": None} for slot in slots])

    def _statuses(self, params: Any) -> ScriptedReply:
        slots = {signature: slot for slot, signature in self.landed.items() if slot not in self.lost}
        known = {"err": None, "confirmations": None, "confirmationStatus": "finalized"}
        return value([known | {"slot": slots[one]} if one in slots else None for one in params[0]], slot=self.top)

    def _transaction(self, params: Any) -> ScriptedReply:
        return result(next((self.item(slot) for slot, one in self.landed.items() if one == params[0]), None))

    def _block(self, params: Any) -> ScriptedReply:
        signatures = [self.landed[params[0]]] if params[0] in self.landed else []
        return result({"blockhash": "h", "parentSlot": params[0] - 1, "signatures": signatures})


class PlayedSync:
    """A sync task whose clocks do not matter: every step is due, and every limit of time has passed."""

    def __init__(self, database: testing.PostgresDatabase, chain: PlayedChain, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.chain = chain
        self._now = 0.0
        for limit in ("fetch.UNFETCHED_SECONDS", "reconcile.UNLISTED_SECONDS", "task.STUCK_SECONDS"):
            monkeypatch.setattr(f"ingest.sync.{limit}", 0.0)

    async def connect(self) -> Writer:
        """A writer of the log."""
        return await Writer.connect(self.database.dsn("zmart_ingest"))

    async def steps(self, count: int, delivered: list[dict[str, Any]]) -> None:
        """Restart the task, deliver, and let it try some times with a minute between."""
        database = SyncDatabase(self.database.dsn("zmart_ingest"))
        async with (
            RpcClient([self.chain.node.url], timeout_seconds=0.15) as client,
            Pipeline(self.connect) as pipeline,
        ):
            decoded = Decoder(PROGRAM).decode_items([msgspec.json.encode(item) for item in delivered])
            await pipeline.submit(decoded.transactions)
            task = SyncTask(client, database, pipeline, cluster=Cluster.LOCALNET, program_id=PROGRAM)
            task.intervals = replace(Intervals(), walk_seconds=0.0, probe_seconds=0.0, unverified_alert_seconds=0.0)
            task.block_order.clock = lambda: self._now
            for _ in range(count):
                await self._step(task)
        await database.close()

    async def _step(self, task: SyncTask) -> None:
        self._now += 600.0
        self.chain.height += 200
        self.execute("update raw.pending_signatures set next_attempt_at = now()")
        try:
            await task.tick()
            await task.fetcher.report()
        except errors.ConfigurationError:
            raise
        except errors.ZmartError as failed:
            await task.on_error(failed)
            await task.fetcher.report()

    def execute(self, statement: str) -> None:
        """Change the database."""
        with self.database.connect() as connection:
            connection.execute(statement)

    def fetch_all(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with self.database.connect() as connection:
            return connection.execute(query).fetchall()

    def alerts(self) -> set[str]:
        """The kinds of open alerts."""
        return {kind for (kind,) in self.fetch_all("select kind from ops.alerts where resolved_at is null")}

    def require_nothing_skipped(self) -> None:
        """Check that all slots that count as proven are in the log, and that nothing was retracted or given up."""
        stored = {slot for (slot,) in self.fetch_all("select slot from raw.transactions where retracted_at is null")}
        ((verified, final),) = self.fetch_all(
            "select coalesce(raw.verified_through(), -1), coalesce(raw.finalized_through(), -1)"
        )
        listed = set(self.chain.landed) - self.chain.lost
        assert not [slot for slot in listed - stored if slot <= max(verified, final)]
        assert not [slot for slot in set(self.chain.landed) - stored if slot <= final]
        assert self.fetch_all("select signature from raw.transactions where retracted_at is not null") == []
        assert self.fetch_all("select signature, reason from raw.dead_letters") == []

    def is_done(self, slot: int) -> bool:
        """Whether everything up to a slot is stored and final."""
        stored = {found for (found,) in self.fetch_all("select slot from raw.transactions where retracted_at is null")}
        ((final,),) = self.fetch_all("select coalesce(raw.finalized_through(), -1)")
        return final >= slot and stored >= {one for one in self.chain.landed if one <= slot}


CASES = [
    *(pytest.param(method, CERTIFICATE, id=f"{method} alpenglow") for method in CALLS),
    # The same walk with two lists; it takes ten seconds a call.
    *(
        pytest.param(method, None, id=f"{method} tower", marks=pytest.mark.drill)
        for method in CALLS
        if method in WALKED
    ),
]


@pytest.mark.parametrize(("method", "certificate"), CASES)
async def test_no_error_of_a_node_skips_or_retracts_anything(
    marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch, method: str, certificate: Any
) -> None:
    """In each round three transactions land: one is only listed, one is delivered without its index, and one is
    delivered although the node has lost it. Then one call fails in one way: what is proven stays true, and an alert
    stands unless the log goes on. When the call works again, everything is stored and final, without an alert."""
    monkeypatch.setattr(cluster_facts, "moved_clusters", set())
    async with ScriptedNode().serving() as node:
        chain = PlayedChain(node, certificate)
        sync = PlayedSync(marts_database, chain, monkeypatch)
        for name, reply in REPLIES.items():
            if (method, name) == ("getGenesisHash", "text"):
                # That is the hash of another chain: see the test below.
                continue
            cluster_facts.moved_clusters.clear()
            listed, delivered, lost, last = chain.land(4)
            chain.lost = {lost}
            node.will(method, reply)
            await sync.steps(2, [chain.item(delivered), chain.item(lost)])
            sync.require_nothing_skipped()
            assert sync.is_done(last) or sync.alerts() & NAMED, name

            node.heal(method)
            chain.lost = set()
            await sync.steps(2, [])
            sync.require_nothing_skipped()
            assert sync.is_done(last), (name, listed, sync.alerts())
            assert sync.alerts() == set(), name
        assert set(node.asked()) <= set(CALLS), "a call without a played error"


def test_every_class_of_error_is_played() -> None:
    """The replies of this module cause each class of error that a node can cause by a code or a status."""
    played: set[type[errors.ZmartError]] = set()
    for reply in REPLIES.values():
        found = msgspec.json.decode(reply.body) if reply.body.startswith(b"{") else {}
        if reply.status != 200:
            failed = rpc_errors.error_from_http(reply.status, {}, None, method="m", node="n", now=0.0)
            played.add(type(failed))
        elif "error" in found:
            played.add(type(rpc_errors.error_from_rpc(rpc_errors.JsonRpcError.of(found["error"]), method="m")))
    codes = [*range(-32800, -31999), *range(400, 430), 0]
    possible = {type(rpc_errors.error_from_rpc(rpc_errors.JsonRpcError(code, "no"), method="m")) for code in codes}
    assert played == possible


def test_every_alert_is_raised_within_five_minutes() -> None:
    """The limits that the tests here set to zero, with the longest pause before the next attempt."""
    limits = (
        fetch.UNFETCHED_SECONDS,
        reconcile.UNLISTED_SECONDS,
        sync_task.STUCK_SECONDS,
        Intervals().unverified_alert_seconds,
    )
    assert max(limits) + sync_task.LONGEST_PAUSE_SECONDS + Intervals().walk_seconds <= 300


async def test_a_node_that_becomes_one_of_another_chain_ends_the_task(
    marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers are not believed: an alert names the chain, and nothing is skipped or retracted."""
    monkeypatch.setattr(cluster_facts, "moved_clusters", set())
    async with ScriptedNode().serving() as node:
        chain = PlayedChain(node, CERTIFICATE)
        sync = PlayedSync(marts_database, chain, monkeypatch)
        (slot,) = chain.land(1)
        await sync.steps(2, [chain.item(slot)])
        assert sync.is_done(slot)

        node.will("getGenesisHash", result("another chain"))
        chain.landed.clear()
        async with RpcClient([node.url]) as client, Pipeline(sync.connect) as pipeline:
            database = SyncDatabase(marts_database.dsn("zmart_ingest"))
            task = SyncTask(client, database, pipeline, cluster=Cluster.LOCALNET, program_id=PROGRAM)
            task.start()
            try:
                deadline = time.monotonic() + 30
                # Nothing tells when a row appears.
                while "wrong_chain" not in sync.alerts() and time.monotonic() < deadline:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            finally:
                await task.stop()
        assert sync.alerts() == {"wrong_chain"}
        assert task.completeness.state == "refused"
        chain.landed[slot] = deliveries.signature(slot)
        sync.require_nothing_skipped()
