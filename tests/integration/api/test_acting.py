"""Acting on the development chain through the API: a transaction that was returned unsigned lands once it is signed."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import api_fixtures
import httpx
import msgspec
import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from wallets import SIGNING_IN, Wallet

from devchain import testing as devchain
from devchain.accounts import PositionRecord
from ingest import testing as deliveries
from ingest.decode.decoder import Decoder
from ingest.store.writer import Writer
from zmart import settings, testing
from zmart.chain import client, rpc, signer, transactions
from zmart.domain import cids

SOL = 1_000_000_000
CONFIRMED = {"commitment": "confirmed", "maxSupportedTransactionVersion": client.MAX_TRANSACTION_VERSION}
CREATION = {
    "question": "Will it rain in Lisbon tomorrow?",
    "category": "science",
    "end_date": "2100-01-01T00:00:00Z",
    "liquidity": SOL,
    "description": "By the airport's own station.",
    "tags": ["weather"],
}


@dataclasses.dataclass
class ApiStack:
    """A chain, the API before it, and a funded wallet that is signed in."""

    node: devchain.DevchainNode
    client: httpx.AsyncClient
    wallet: Wallet
    headers: dict[str, str]
    #: Admin, backend authority and fee receiver in one.
    office: signer.Signer

    async def post(self, path: str, body: Any, *, status: int) -> Any:
        """Post as the wallet; return the response, whose status must be this."""
        answer = await self.client.post(path, json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def land(self, prepared: dict[str, Any]) -> str:
        """Sign a prepared transaction, relay it, and wait until it is confirmed; return its signature."""
        signed = self.wallet.sign_transaction(prepared["unsigned_transaction"])
        relayed = await self.post("/api/transactions", {"transaction": signed}, status=202)
        path = f"/api/transactions/{relayed['signature']}"
        async with asyncio.timeout(30):
            while (await self.client.get(path)).json()["status"] not in (  # noqa: ASYNC110 - a client can only ask
                "confirmed",
                "finalized",
            ):
                await asyncio.sleep(0.05)
        return str(relayed["signature"])

    async def official(self, name: str, market: str = "", role: str = "admin", **args: Any) -> None:
        """Send a transaction of the admin or the backend authority and wait until it is confirmed."""
        accounts = {role: self.office.address}
        if name == "initialize_global_config":
            accounts["protocol_fee_wallet"] = self.office.address
        async with rpc.RpcClient([self.node.url]) as chain:
            built = transactions.instruction(
                name, devchain.PROGRAM_ID, accounts, args, market_id=bytes.fromhex(market) if market else None
            )
            latest = await chain.latest_blockhash(commitment="confirmed")
            unsigned = transactions.transaction([built], payer=self.office.address, blockhash=latest.value)
            signed = unsigned.sign([self.office])
            await chain.send(signed.raw, preflight_commitment="processed")
            async with asyncio.timeout(30):
                while True:
                    (status,) = (await chain.signature_statuses([signed.signature], search_history=True)).value
                    if status is not None and status.is_confirmed:
                        assert status.err is None
                        return
                    await asyncio.sleep(0.02)

    async def open_market(self, market: str) -> None:
        """Take a market from proposal to trading."""
        votes = {"final_likes": 7, "final_dislikes": 3}
        await self.official("aggregate_proposal_votes", market, "backend_authority", **votes)
        await self.official("approve_proposal", market)
        await self.official("activate_market", market, "authority")

    async def active_market(self) -> str:
        """Create a market of the wallet that is open for trading; return its id."""
        created = await self.post("/api/markets", CREATION, status=201)
        market = str(created["market"]["id"])
        await self.land(created)
        await self.open_market(market)
        return market


@pytest.fixture(scope="module")
def shared(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """One database for all tests here; each creates its own markets."""
    with postgres_server.clone(marts_template) as database:
        yield database


@pytest.fixture
async def stack(shared: testing.PostgresDatabase, tmp_path: Path) -> AsyncIterator[ApiStack]:
    """A chain for the test alone and the API before it."""
    reached = {"DATABASE_URL": shared.dsn(), "DATABASE_URL_API": shared.dsn("zmart_api"), **SIGNING_IN}
    async with devchain.serve(tmp_path / "chain") as node:
        configured = settings.load({**reached, "SOLANA_RPC_URL": node.url, "SOLANA_CLUSTER": "localnet"})
        async with api_fixtures.served(configured) as client:
            wallet, office = Wallet(), signer.Signer.generate()
            for address in (wallet.address, office.address):
                await node.call("requestAirdrop", address, 1_000 * SOL)
            stack = ApiStack(node, client, wallet, await wallet.signed_in(client), office)
            await stack.official("initialize_global_config", backend_authority=office.address)
            yield stack


async def test_a_market_from_creation_to_claim(stack: ApiStack) -> None:
    """Create, buy, resolve, claim: every step is returned unsigned, exact to the lamport, relayed and followed."""
    created = await stack.post("/api/markets", CREATION, status=201)
    market = created["market"]
    assert market["ipfs_question_hash"] == cids.compute_cid(created["metadata_document"].encode())
    assert (market["state"], market["b_parameter_exact"], market["is_tradable"]) == ("PROPOSED", str(100 * SOL), True)
    await stack.land(created)
    await stack.open_market(market["id"])

    purchase = {"market_id": market["id"], "outcome": True, "shares": 5 * SOL, "max_cost": 10 * SOL}
    bought = await stack.post("/api/trades/buy", purchase, status=201)
    assert (bought["transaction"], bought["signers"]) == (None, [stack.wallet.address])
    trade = bought["trade"]
    assert int(trade["shares_exact"]) >= 5 * SOL > int(trade["shares_exact"]) - 2_000_000
    signature = await stack.land(bought)
    record = (await stack.node.call("getTransaction", signature, CONFIRMED))["result"]
    paid = record["meta"]["preBalances"][0] - record["meta"]["postBalances"][0]
    rent = stack.node.ledger.rent.exempt_lamports(PositionRecord.size_bytes)
    assert paid == int(trade["cost_exact"]) + int(bought["fee_lamports"]) + rent

    proposed = await stack.post(
        f"/api/markets/{market['on_chain_address']}/resolve",
        {"outcome": "YES", "ipfs_evidence_hash": market["ipfs_question_hash"]},
        status=200,
    )
    await stack.land(proposed)
    disputed = await stack.post(f"/api/markets/{market['id']}/dispute", {}, status=200)
    await stack.land(disputed)
    voted = await stack.post(f"/api/markets/{market['id']}/dispute/vote", {"supportDispute": False}, status=200)
    await stack.land(voted)
    again = await stack.post(f"/api/markets/{market['id']}/dispute/vote", {"supportDispute": True}, status=409)
    assert again["code"] == "account_in_use"
    ballots = {"dispute_agree": 0, "dispute_disagree": 1}
    await stack.official("finalize_market", market["id"], "backend_authority", **ballots)
    claimed = await stack.post(f"/api/markets/{market['id']}/claim", {}, status=200)
    await stack.land(claimed)
    refused = await stack.post(f"/api/markets/{market['id']}/claim", {}, status=400)
    assert refused["code"] == "program_refused"
    assert "AlreadyClaimed (6022)" in refused["message"]


async def test_a_trade_keeps_its_limits_to_the_lamport(stack: ApiStack) -> None:
    """The smallest budget buys the shares, one lamport less is rejected; the same for the least proceeds of a sale."""
    market = await stack.active_market()
    order = {"market_id": market, "outcome": "NO", "shares": "3000000000", "max_cost": str(5 * SOL)}
    bought = await stack.post("/api/trades/buy", order, status=201)
    assert (bought["trade"]["outcome"], bought["trade"]["outcome_bool"]) == ("NO", False)
    limit = int(bought["trade"]["limit_exact"])
    exact = await stack.post("/api/trades/buy", {**order, "max_cost": str(limit)}, status=201)
    assert exact["trade"]["limit_exact"] == str(limit)
    short = await stack.post("/api/trades/buy", {**order, "max_cost": str(limit - 1)}, status=400)
    assert "SlippageExceeded (6015)" in short["message"]
    await stack.land(bought)

    sale = {"market_id": market, "outcome": False, "shares": SOL, "min_proceeds": 0}
    sold = await stack.post("/api/trades/sell", sale, status=201)
    assert (sold["trade"]["outcome"], sold["trade"]["outcome_bool"]) == ("NO", False)
    proceeds = int(sold["trade"]["cost_exact"])
    await stack.post("/api/trades/sell", {**sale, "min_proceeds": proceeds + 1}, status=400)
    sold = await stack.post("/api/trades/sell", {**sale, "min_proceeds": proceeds}, status=201)
    signature = await stack.land(sold)
    record = (await stack.node.call("getTransaction", signature, CONFIRMED))["result"]
    received = record["meta"]["postBalances"][0] - record["meta"]["preBalances"][0]
    assert received == proceeds - int(sold["fee_lamports"])


async def test_the_program_refuses_before_anyone_signs(stack: ApiStack) -> None:
    """Another state, a repeated vote, too small a trade, no money, no market: each has its own error."""
    created = await stack.post("/api/markets", CREATION, status=201)
    market = created["market"]["id"]
    missing = await stack.post(f"/api/markets/{market}/vote", {"approve": True}, status=404)
    assert missing["message"] == f"Market not found: {market}"
    await stack.land(created)

    purchase = {"market_id": market, "outcome": True, "max_cost": SOL}
    early = await stack.post("/api/trades/buy", purchase, status=400)
    assert (early["code"], early["error"]) == ("program_refused", "Bad Request")
    assert "InvalidMarketState (6007)" in early["message"]
    await stack.land(await stack.post(f"/api/markets/{market}/vote", {"approve": True}, status=200))
    await stack.post(f"/api/markets/{market}/vote", {"approve": False}, status=409)
    taken = await stack.post("/api/markets", {**CREATION, "market_id": market}, status=409)
    assert taken["code"] == "account_in_use"

    poor = Wallet()
    headers = await poor.signed_in(stack.client)
    answer = await stack.client.post("/api/markets", json=CREATION, headers=headers)
    assert answer.status_code in (400, 503), answer.text


BODIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "shares too few": ("/api/trades/buy", {"outcome": True, "shares": 999_999, "max_cost": 1}, "shares"),
    "cost below zero": ("/api/trades/buy", {"outcome": True, "max_cost": -1}, "max_cost"),
    "cost beyond u64": ("/api/trades/buy", {"outcome": True, "max_cost": 2**64}, "max_cost"),
    "cost beyond everything": ("/api/trades/buy", {"outcome": True, "max_cost": 10**300}, "max_cost"),
    "proceeds beyond u64": (
        "/api/trades/sell",
        {"outcome": True, "shares": SOL, "min_proceeds": str(2**64)},
        "min_proceeds",
    ),
    "question too short": ("/api/markets", {**CREATION, "question": "x" * 9}, "question"),
    "question too long": ("/api/markets", {**CREATION, "question": "x" * 201}, "question"),
    "ended already": ("/api/markets", {**CREATION, "end_date": "2020-01-01T00:00:00Z"}, "end_date"),
    "too little liquidity": ("/api/markets", {**CREATION, "liquidity": 999_999_999}, "liquidity"),
    "unknown category": ("/api/markets", {**CREATION, "category": "weather"}, "category"),
    "hash too short": (
        f"/api/markets/{'1' * 64}/resolve",
        {"outcome": True, "ipfs_evidence_hash": "x" * 45},
        "ipfs_evidence_hash",
    ),
    "no outcome": (f"/api/markets/{'1' * 64}/resolve", {"outcome": None, "ipfs_evidence_hash": "x" * 46}, "outcome"),
    "no truth": (f"/api/markets/{'1' * 64}/vote", {"approve": "yes"}, "approve"),
}


@pytest.fixture
async def stranded(shared: testing.PostgresDatabase) -> AsyncIterator[httpx.AsyncClient]:
    """The API with no chain behind it."""
    reached = {"DATABASE_URL": shared.dsn(), "DATABASE_URL_API": shared.dsn("zmart_api"), **SIGNING_IN}
    dead = {"SOLANA_RPC_URL": "http://127.0.0.1:1", "SOLANA_CLUSTER": "localnet"}
    async with api_fixtures.served(settings.load({**reached, **dead})) as client:
        yield client


@pytest.mark.parametrize("case", BODIES)
async def test_bad_bodies_name_their_field(stranded: httpx.AsyncClient, case: str) -> None:
    """400 with the field in `details`, before any request to the chain."""
    path, body, field = BODIES[case]
    headers = await Wallet().signed_in(stranded)
    answer = await stranded.post(path, json={"market_id": "1" * 64, **body}, headers=headers)
    assert answer.status_code == 400, answer.text
    assert field in str(answer.json()["details"])


async def test_without_a_chain_callers_are_asked_to_come_back(stranded: httpx.AsyncClient) -> None:
    """503 with Retry-After, after which older clients retry by themselves; the response says nothing about our node."""
    headers = await Wallet().signed_in(stranded)
    body = {"market_id": "1" * 64, "outcome": True, "max_cost": SOL}
    for answer in (
        await stranded.post("/api/trades/buy", json=body, headers=headers),
        await stranded.post("/api/markets", json=CREATION, headers=headers),
        await stranded.get(f"/api/transactions/{'5' * 87}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "chain_unavailable"), answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in answer.text


async def test_acting_takes_a_signed_in_wallet(stranded: httpx.AsyncClient) -> None:
    """401 without a token, and with an older proof while LEGACY_AUTH is off."""
    wallet = Wallet()
    body = {"market_id": "1" * 64, "outcome": True, "max_cost": SOL}
    for more, headers in (({}, {}), (wallet.in_body(), {}), ({}, wallet.in_header())):
        answer = await stranded.post("/api/trades/buy", json={**body, **more}, headers=headers)
        assert answer.status_code == 401, answer.text


async def test_the_same_bytes_are_relayed_once(stack: ApiStack) -> None:
    """Relaying a transaction again returns its status; the chain has it once."""
    created = await stack.post("/api/markets", CREATION, status=201)
    signed = {"transaction": stack.wallet.sign_transaction(created["unsigned_transaction"])}
    first = await stack.post("/api/transactions", signed, status=202)
    second = await stack.post("/api/transactions", signed, status=202)
    assert first["signature"] == second["signature"] == first["transaction"]
    await stack.land(created)
    third = await stack.post("/api/transactions", signed, status=202)
    assert third["status"] in ("confirmed", "finalized")
    history = (await stack.node.call("getSignaturesForAddress", stack.wallet.address, CONFIRMED))["result"]
    assert [entry["signature"] for entry in history].count(first["signature"]) == 1


@pytest.mark.parametrize(
    ("err", "has_run"),
    [({"InstructionError": [0, {"Custom": 6015}]}, True), ("InsufficientFundsForFee", False)],
    ids=["an instruction failed", "it may never have run"],
)
async def test_a_failure_in_the_log_ends_only_what_ran_and_is_final(
    stack: ApiStack, shared: testing.PostgresDatabase, err: Any, has_run: bool
) -> None:
    """A fork may undo what is not final, and the bytes of what never ran might land again: there the chain decides. If
    it does not know the transaction, the log's error stays provisional."""
    # The second case has the higher slot, because the first one makes its own final.
    slot = 1_000 if has_run else 2_000
    item = deliveries.item(devchain.PROGRAM_ID, [], number=7_000 + has_run, slot=slot, err=err)
    decoded = Decoder(devchain.PROGRAM_ID).decode_items([msgspec.json.encode(item)])
    (one,) = decoded.transactions
    writer = await Writer.connect(shared.dsn("zmart_ingest"))
    await writer.append(decoded.transactions, source="webhook")
    path = f"/api/transactions/{one.signature}"

    async def follow(last_valid: int | None = None) -> tuple[str, str]:
        params = {} if last_valid is None else {"last_valid_block_height": last_valid}
        found = (await stack.client.get(path, params=params)).json()
        return found["status"], found["source"]

    assert await follow() == await follow(10**9) == ("processed", "log")
    assert await follow(0) == ("expired", "chain")
    with shared.connect() as owner:
        owner.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', %s)", [slot])
    ended = ("failed", "log") if has_run else ("processed", "log")
    assert await follow() == await follow(10**9) == ended
    assert await follow(0) == (("failed", "log") if has_run else ("expired", "chain"))
    await writer.retract([one.signature])
    await writer.close()
    assert await follow(0) == ("retracted", "log")


def foreign(wallet: Wallet, blockhash: str, *instructions: Instruction) -> str:
    """A transaction of other instructions, signed, in base64."""
    message = MessageV0.try_compile(wallet.key.pubkey(), list(instructions), [], Hash.from_string(blockhash))
    return base64.b64encode(bytes(VersionedTransaction(message, [wallet.key]))).decode()


def beyond_its_accounts(raw: bytes, blockhash: str) -> bytes:
    """A legacy transaction of the same accounts, with a call of an unknown program."""
    known = VersionedTransaction.from_bytes(raw)
    keys = known.message.account_keys
    call = CompiledInstruction(program_id_index=len(keys), data=b"", accounts=b"")
    message = Message.new_with_compiled_instructions(1, 0, 0, keys, Hash.from_string(blockhash), [call])
    return bytes(VersionedTransaction.populate(message, known.signatures))


async def test_only_our_program_is_relayed(stack: ApiStack) -> None:
    """Transfers, other programs, ComputeBudget alone, unsigned, changed, padded, oversized, inconsistent: 422."""
    created = await stack.post("/api/markets", CREATION, status=201)
    wallet, blockhash = stack.wallet, created["blockhash"]
    good = base64.b64decode(wallet.sign_transaction(created["unsigned_transaction"]))
    payer = wallet.key.pubkey()
    memo = Instruction(Pubkey.new_unique(), b"x", [AccountMeta(payer, True, True)])
    ours = Instruction(Pubkey.from_string(devchain.PROGRAM_ID), b"x", [AccountMeta(payer, True, True)])
    paid = transfer(TransferParams(from_pubkey=payer, to_pubkey=Pubkey.new_unique(), lamports=1))
    changed = bytearray(good)
    changed[-1] ^= 1
    refused = {
        "transfer": foreign(wallet, blockhash, paid),
        "transfer beside ours": foreign(wallet, blockhash, ours, paid),
        "another program": foreign(wallet, blockhash, ours, memo),
        "compute budget alone": foreign(wallet, blockhash, *transactions.Cost(units=1).instructions()),
        "unsigned": created["unsigned_transaction"],
        "changed": base64.b64encode(bytes(changed)).decode(),
        "padded": base64.b64encode(good + b"\0").decode(),
        "cut": base64.b64encode(good[:-1]).decode(),
        "oversized": base64.b64encode(good + b"\0" * 1_232).decode(),
        "nothing": base64.b64encode(b"\0").decode(),
        "index that leads nowhere": base64.b64encode(beyond_its_accounts(good, created["blockhash"])).decode(),
    }
    for what, transaction in refused.items():
        answer = await stack.client.post("/api/transactions", json={"transaction": transaction})
        assert (answer.status_code, what) == (422, what), answer.text
    garbled = await stack.client.post("/api/transactions", json={"transaction": "no base64!"})
    assert garbled.status_code == 400
    history = (await stack.node.call("getSignaturesForAddress", wallet.address, CONFIRMED))["result"]
    assert len(history) == 1  # the airdrop
