"""The client and the development chain: every instruction lands, and every rejection is decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from devchain import testing
from devchain.service import Options
from devchain.testing import PROGRAM_ID, DevchainNode
from zmart import errors
from zmart.chain import addresses, client, codec, idl, logs, rpc_errors, transactions
from zmart.chain.client import DataSize, DataSlice, Memcmp
from zmart.chain.rpc import RpcClient
from zmart.chain.signer import Signer
from zmart.domain import base58, ids
from zmart.domain.ids import Address, Signature
from zmart.settings import Cluster

SOL = 1_000_000_000
CID = b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG"
COST = transactions.Cost(units=300_000, micro_lamports_per_unit=1_000)
RATES = {
    "protocol_fee_bps": 300,
    "resolver_reward_bps": 200,
    "liquidity_provider_fee_bps": 500,
    "proposal_approval_threshold": 7_000,
    "dispute_success_threshold": 6_000,
}


class ClientHarness:
    """A chain that advances only on request, with funded signers."""

    def __init__(self, node: DevchainNode, chain: RpcClient) -> None:
        self.node, self.chain = node, chain
        self.admin, self.backend, self.creator, self.user = (Signer.generate() for _ in range(4))
        self.fees = Signer.generate().address
        #: The program's instructions that landed, with their events.
        self.landed: list[tuple[str, list[str]]] = []

    async def fund(self) -> None:
        """Fund all signers."""
        for person in (self.admin, self.backend, self.creator, self.user):
            await self.chain.request_airdrop(person.address, 1_000 * SOL, commitment="confirmed")
        await self.pass_blocks()

    async def pass_blocks(self, blocks: int = 3, seconds: int = 1) -> None:
        """Close blocks: a sent transaction is confirmed after three."""
        await self.node.call("devchain_advance", blocks, seconds)

    async def signed(
        self, name: str, signer: Signer, accounts: dict[str, Address], args: dict[str, Any], **more: Any
    ) -> transactions.SendableTransaction:
        """An instruction of the program as a transaction, with a fresh blockhash."""
        instruction = transactions.instruction(name, PROGRAM_ID, accounts, args, **more)
        recent = await self.chain.latest_blockhash(commitment="confirmed")
        return transactions.transaction([instruction], payer=signer.address, blockhash=recent.value, cost=COST).sign(
            [signer]
        )

    async def act(
        self,
        name: str,
        signer: Signer,
        role: str,
        args: dict[str, Any] | None = None,
        market: bytes | None = None,
        **accounts: Address,
    ) -> Signature:
        """Send an instruction as `role` and wait until it landed; return its signature."""
        known = {role: signer.address, **accounts}
        more = {} if market is None or "market_id" in (args or {}) else {"market_id": market}
        ours = await self.signed(name, signer, known, args or {}, **more)
        sent = await self.chain.send(ours.raw, preflight_commitment="confirmed")
        await self.pass_blocks()
        status = (await self.chain.signature_statuses([sent], search_history=False)).value[0]
        assert status is not None
        assert status.is_confirmed
        assert status.err is None
        self.landed.append((name, [event.name for event in await self.events(sent)]))
        return sent

    async def events(self, signature: Signature) -> Sequence[Any]:
        """The program's events in a landed transaction."""
        found = await self.chain.transaction(signature, commitment="confirmed")
        assert found is not None
        return [event for _, event in logs.program_events(found["meta"]["logMessages"], PROGRAM_ID)]

    async def configure(self) -> None:
        """Instructions 1, 16 and 17."""
        authority = {"backend_authority": self.backend.address}
        await self.act("initialize_global_config", self.admin, "admin", authority, protocol_fee_wallet=self.fees)
        periods = {"min_resolution_delay": None, "dispute_period": 3_600}
        await self.act("update_global_config", self.admin, "admin", {**RATES, **periods})
        for _ in range(2):
            await self.act("emergency_pause", self.admin, "admin")

    async def propose(self, market: bytes) -> None:
        """Create a market."""
        args = {"market_id": market, "b_parameter": 100 * SOL, "initial_liquidity": SOL, "ipfs_question_hash": CID}
        await self.act("create_market", self.creator, "creator", args, market)

    async def open(self, market: bytes) -> None:
        """A market from its proposal to trading."""
        await self.propose(market)
        await self.act("submit_proposal_vote", self.user, "user", {"vote": True}, market)
        tally = {"final_likes": 9, "final_dislikes": 1}
        await self.act("aggregate_proposal_votes", self.backend, "backend_authority", tally, market)
        await self.act("approve_proposal", self.admin, "admin", None, market)
        await self.act("activate_market", self.creator, "authority", None, market)

    async def dispute(self, market: bytes) -> None:
        """From trading to a dispute with a vote in it."""
        proposed = {"proposed_outcome": True, "ipfs_evidence_hash": CID}
        await self.act("resolve_market", self.creator, "resolver", proposed, market)
        await self.act("initiate_dispute", self.user, "initiator", None, market)
        await self.act("submit_dispute_vote", self.user, "user", {"vote": True}, market)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClientHarness]:
    """A funded stage without a program configuration."""
    async with testing.serve(tmp_path, Options(traders=False)) as node:
        await node.call("devchain_freeze", True)
        async with RpcClient([node.url], program_id=PROGRAM_ID) as chain:
            stage = ClientHarness(node, chain)
            await stage.fund()
            yield stage


async def test_all_eighteen_instructions_land(stage: ClientHarness) -> None:
    """Built from the IDL, signed, sent, landed, and each decoded again as its event (protocol.md 1.3)."""
    first, second, third = (bytes([number]) * 32 for number in (1, 2, 3))
    payee = {"protocol_fee_wallet": stage.fees}
    await stage.configure()
    await stage.open(first)
    await stage.act("buy_shares", stage.user, "user", {"outcome": True, "target_cost": 10 * SOL}, first, **payee)
    sale = {"outcome": True, "shares_to_sell": SOL // 2, "min_proceeds": 1}
    await stage.act("sell_shares", stage.user, "user", sale, first, **payee)
    await stage.dispute(first)
    counts = {"dispute_agree": 0, "dispute_disagree": 1}
    await stage.act("finalize_market", stage.backend, "backend_authority", counts, first)
    await stage.act("claim_winnings", stage.user, "user", None, first, resolver=stage.creator.address)
    await stage.act("withdraw_liquidity", stage.creator, "creator", None, first)
    await stage.propose(second)
    await stage.act("cancel_market", stage.admin, "admin", None, second)
    await stage.open(third)
    await stage.dispute(third)
    settled = {"final_agrees": 0, "final_disagrees": 1}
    await stage.act("aggregate_dispute_votes", stage.backend, "backend_authority", settled, third)

    assert {name for name, _ in stage.landed} == {each.name for each in idl.load().instructions}
    assert {event for _, events in stage.landed for event in events} == {each.name for each in idl.load().events}
    assert all(len(events) == 1 for _, events in stage.landed)


async def test_the_history_is_complete(stage: ClientHarness) -> None:
    """The pages of one node together are every transaction of the program, in the order of the blocks."""
    await stage.configure()
    await stage.open(bytes([1]) * 32)
    await stage.pass_blocks(40)
    slot = await stage.chain.slot(commitment="finalized")
    walk = client.iterate_history(stage.chain, PROGRAM_ID, commitment="finalized", page=3, min_context_slot=slot)
    found = [info async for page in walk for info in page]
    until = client.iterate_history(stage.chain, PROGRAM_ID, commitment="finalized", until=found[2].signature)
    block = await stage.chain.block_signatures(found[0].slot, commitment="finalized")

    assert len(found) == len(stage.landed) == 9
    assert [info.slot for info in found] == sorted((info.slot for info in found), reverse=True)
    assert [info.signature async for page in until for info in page] == [info.signature for info in found[:2]]
    assert block is not None
    assert found[0].signature in block.signatures
    assert await stage.chain.block_time(found[0].slot) == found[0].block_time


async def test_accounts_of_the_program(stage: ClientHarness) -> None:
    """The configuration decodes; votes of one market are counted by addresses alone."""
    await stage.configure()
    market = bytes([1]) * 32
    await stage.open(market)
    home = addresses.market_address(PROGRAM_ID, market)
    config = await stage.chain.account(addresses.config_address(PROGRAM_ID), commitment="confirmed")
    votes = await stage.chain.program_accounts(
        PROGRAM_ID,
        commitment="confirmed",
        filters=[DataSize(83), Memcmp(8, base58.decode(home))],
        data_slice=DataSlice(0, 0),
    )
    nobody, found = (await stage.chain.accounts([stage.fees, home], commitment="confirmed")).value

    assert config.value is not None
    name, fields = codec.default().decode_account(config.value.data)
    assert (name, fields["backend_authority"], fields["dispute_period"]) == (
        "GlobalConfig",
        stage.backend.address,
        3_600,
    )
    assert [account.data for account in votes.value] == [b""]
    assert nobody is None
    assert found is not None
    assert codec.default().decode_account(found.data)[1]["market_id"] == market


async def test_unauthorized_signer_is_refused_by_error_name(stage: ClientHarness) -> None:
    """Preflight, simulation and a transaction that landed all give the same rejection (protocol.md 4.5)."""
    await stage.configure()
    ours = await stage.signed("emergency_pause", stage.user, {"admin": stage.user.address}, {})
    simulated = (await stage.chain.simulate(ours.raw, commitment="confirmed")).error(PROGRAM_ID)
    with pytest.raises(rpc_errors.InstructionRefused) as caught:
        await stage.chain.send(ours.raw, preflight_commitment="confirmed")
    await stage.chain.send(ours.raw, preflight_commitment="confirmed", skip_preflight=True)
    await stage.pass_blocks()
    (status,) = (await stage.chain.signature_statuses([ours.signature], search_history=True)).value

    assert status is not None
    landed = rpc_errors.error_from_transaction(status.err, program_id=PROGRAM_ID)
    for refused in (simulated, caught.value, landed):
        assert isinstance(refused, rpc_errors.InstructionRefused)
        assert (refused.name, refused.code, refused.program, refused.instruction) == (
            "Unauthorized",
            6029,
            PROGRAM_ID,
            2,
        )


async def test_a_second_vote(stage: ClientHarness) -> None:
    """It fails in the System program, because the record exists (protocol.md 1.4.12)."""
    await stage.configure()
    market = bytes([1]) * 32
    await stage.propose(market)
    await stage.act("submit_proposal_vote", stage.user, "user", {"vote": True}, market)
    with pytest.raises(rpc_errors.AccountInUse):
        await stage.act("submit_proposal_vote", stage.user, "user", {"vote": False}, market)


async def test_a_wrong_account(stage: ClientHarness) -> None:
    """Anchor's own errors have Anchor's names (protocol.md 1.4)."""
    await stage.configure()
    wrong: dict[str, Any] = {"global_config": stage.user.address}
    with pytest.raises(rpc_errors.InstructionRefused) as caught:
        await stage.act("emergency_pause", stage.admin, "admin", **wrong)
    assert caught.value.name in {"AccountNotInitialized", "AccountOwnedByWrongProgram", "ConstraintSeeds"}


async def test_the_same_bytes_land_once(stage: ClientHarness) -> None:
    """Sending again is harmless, and reports that it landed already."""
    ours = await stage.signed(
        "initialize_global_config",
        stage.admin,
        {"admin": stage.admin.address, "protocol_fee_wallet": stage.fees},
        {"backend_authority": stage.backend.address},
    )
    await stage.chain.send(ours.raw, preflight_commitment="confirmed")
    with pytest.raises(rpc_errors.AlreadyProcessed):
        await stage.chain.send(ours.raw, preflight_commitment="confirmed")
    await stage.chain.send(ours.raw, preflight_commitment="confirmed", skip_preflight=True)
    await stage.pass_blocks(40)
    found = [
        info async for page in client.iterate_history(stage.chain, PROGRAM_ID, commitment="finalized") for info in page
    ]

    assert [info.signature for info in found] == [ours.signature]


async def test_a_transaction_grows_old(stage: ClientHarness) -> None:
    """Past its last valid height the node no longer knows the blockhash, and history proves that it never landed."""
    recent = await stage.chain.latest_blockhash(commitment="confirmed")
    ours = await stage.signed("emergency_pause", stage.user, {"admin": stage.user.address}, {})
    assert await stage.chain.block_height(commitment="finalized") <= recent.last_valid_block_height
    await stage.pass_blocks(200)
    height = await stage.chain.block_height(commitment="finalized")
    with pytest.raises(rpc_errors.BlockhashUnknown):
        await stage.chain.send(ours.raw, preflight_commitment="confirmed")
    (status,) = (await stage.chain.signature_statuses([ours.signature], search_history=True)).value

    assert height > recent.last_valid_block_height
    assert status is None


async def test_an_unsigned_transaction_can_be_simulated(stage: ClientHarness) -> None:
    """Before signing, simulation shows that a prepared transaction works, and its compute units."""
    instruction = transactions.instruction(
        "initialize_global_config",
        PROGRAM_ID,
        {"admin": stage.admin.address, "protocol_fee_wallet": stage.fees},
        {"backend_authority": stage.backend.address},
    )
    recent = await stage.chain.latest_blockhash(commitment="confirmed")
    unsigned = transactions.transaction([instruction], payer=stage.admin.address, blockhash=recent.value, cost=COST)
    simulated = await stage.chain.simulate(unsigned.raw, commitment="confirmed")

    assert simulated.error(PROGRAM_ID) is None
    assert 0 < simulated.units_consumed < COST.units
    assert [event.name for _, event in logs.program_events(simulated.logs, PROGRAM_ID)] == ["GlobalConfigInitialized"]


async def test_a_node_that_lags(stage: ClientHarness) -> None:
    """A read that needs a slot is rejected by a node that has not reached it."""
    seen = await stage.chain.slot(commitment="confirmed")
    await stage.node.call("devchain_behind", 2)
    with pytest.raises(rpc_errors.NodeBehind):
        await stage.chain.account(stage.user.address, commitment="confirmed", min_context_slot=seen)


async def test_faults_on_the_way(stage: ClientHarness) -> None:
    """A transaction may land although its response was lost; the other node reports it."""
    async with testing.serve(stage.node.chain.directory / "other", Options(traders=False)) as other_node:
        fault = {"method": "sendTransaction", "status": 503, "lets_through": True}
        await stage.node.call("devchain_fault", fault)
        ours = await stage.signed("emergency_pause", stage.user, {"admin": stage.user.address}, {})
        with pytest.raises(rpc_errors.NodeError):
            await stage.chain.send(ours.raw, preflight_commitment="confirmed", skip_preflight=True)
        await stage.pass_blocks()
        (status,) = (await stage.chain.signature_statuses([ours.signature], search_history=True)).value
        async with RpcClient([stage.node.url, other_node.url]) as two:
            await stage.node.call("devchain_fault", {"method": "getSlot", "status": 503})
            with pytest.raises(errors.ConfigurationError, match="to nodes of one cluster"):
                await two.slot(commitment="confirmed")
    assert status is not None


async def test_where_we_are(stage: ClientHarness) -> None:
    """The development chain is a localnet and nothing else, and its clock is the programs' clock."""
    assert await client.verify_cluster(stage.chain, Cluster.LOCALNET) == stage.node.ledger.genesis.hash
    for cluster in (Cluster.DEVNET, Cluster.MAINNET):
        with pytest.raises(errors.ConfigurationError, match=f"is {cluster.value}, but the node is on localnet"):
            await client.verify_cluster(stage.chain, cluster)
    clock = await stage.chain.clock(commitment="confirmed")
    await stage.pass_blocks(40, seconds=10)
    now, final = [await stage.chain.clock(commitment=each) for each in ("confirmed", "finalized")]
    sysvar = await stage.chain.account(client.CLOCK, commitment="finalized")

    assert sysvar.value is not None
    assert sysvar.value.owner == "Sysvar1111111111111111111111111111111111111"
    assert final.slot == sysvar.slot
    assert final.unix_timestamp == await stage.chain.block_time(final.slot)
    assert final.slot < now.slot
    assert final.unix_timestamp < now.unix_timestamp
    assert now.slot > clock.slot
    assert await stage.chain.recent_priority_fees() != ()
    assert ids.parse_address(stage.user.address)
