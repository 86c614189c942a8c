"""The cluster that a chain plays: finality, clock, rent, and the answers of nodes of several versions."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from devchain import wire
from devchain.accounts import Rent
from devchain.blocks import Genesis
from devchain.cluster import ClusterProfile, Consensus, NodeVersion
from devchain.ledger import CLOCK, CLOCK_LAYOUT, Ledger
from devchain.rpc import Rpc
from devchain.rpc_errors import RpcError
from devchain.store import LedgerStore
from zmart.domain.ids import Address

PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
NOW = 1_762_600_000
SOL = 1_000_000_000


def chain_of(**profile: Any) -> Ledger:
    """A new chain in memory."""
    return Ledger(Genesis.from_seed(bytes(32), NOW), program_id=PROGRAM_ID, cluster=ClusterProfile(**profile))


def stored_rpc(folder: Path, **profile: Any) -> Rpc:
    """The RPC of a new chain with a file."""
    store = LedgerStore(folder / "ledger.sqlite", program_id=PROGRAM_ID)
    return Rpc(Ledger(store.genesis(NOW), program_id=PROGRAM_ID, store=store, cluster=ClusterProfile(**profile)))


def error_code(rpc: Rpc, method: str, *params: Any) -> int:
    """The code of a method's error."""
    with pytest.raises(RpcError) as raised:
        rpc.call(method, params)
    return raised.value.code


@pytest.mark.parametrize(("consensus", "depth"), [("alpenglow", 1), ("tower", 32), ("unknown", 32)])
def test_the_consensus_decides_when_a_block_is_final(consensus: Consensus, depth: int) -> None:
    """Under Alpenglow confirmed and finalized are the same slot; else 32 slots pass."""
    chain = chain_of(consensus=consensus)
    for _ in range(40):
        chain.advance(NOW)
    assert chain.confirmed_slot == chain.slot - 1
    assert chain.finalized_slot == chain.slot - depth


def test_a_final_block_cannot_be_undone() -> None:
    """A fork under Alpenglow drops the open block only, which is the one that is processed."""
    chain = chain_of()
    final = chain.airdrop(chain.genesis.signer("alice").address, SOL)
    chain.advance(NOW)
    dropped = chain.airdrop(chain.genesis.signer("alice").address, SOL)
    assert chain.fork(5) == [dropped]
    assert chain.is_known(final.signature)


@pytest.mark.parametrize(("consensus", "lag"), [("alpenglow", 3), ("tower", 0)])
def test_programs_read_the_parents_time_under_alpenglow(consensus: Consensus, lag: int) -> None:
    """The block's own time is that of blockTime; the Clock account of a closed block shows it."""
    chain = chain_of(consensus=consensus)
    chain.advance(NOW + 10)
    chain.advance(NOW + 13)
    landed = chain.airdrop(chain.faucet.address, 1)
    assert landed.block_time == NOW + 13
    assert chain.clock.unix_timestamp == NOW + 13 - lag
    assert clock_time(chain, chain.slot) == NOW + 13 - lag
    closed = chain.advance(NOW + 20)
    assert clock_time(chain, closed.slot) == NOW + 13


def clock_time(chain: Ledger, slot: int) -> int:
    """The time in the Clock account at a slot."""
    account = chain.account(CLOCK, at_slot=slot)
    assert account is not None
    return int(CLOCK_LAYOUT.unpack(account.data)[-1])


def test_a_restarted_chain_reads_its_parents_time(tmp_path: Path) -> None:
    """The first block after a restart continues after the last stored one."""
    chain = stored_rpc(tmp_path).node.ledger
    chain.advance(NOW + 10)
    chain.advance(NOW + 13)
    again = stored_rpc(tmp_path).node.ledger
    assert again.clock.unix_timestamp == NOW + 10


@pytest.mark.parametrize(
    ("consensus", "version", "code"),
    [
        ("alpenglow", (4, 3, 0), None),
        ("tower", (4, 3, 0), None),
        ("unknown", (4, 3, 0), -32601),
        ("alpenglow", (4, 2, 9), -32601),
    ],
)
def test_the_certificate_names_the_consensus(consensus: Consensus, version: NodeVersion, code: int | None) -> None:
    """An object under Alpenglow, null under Tower, -32601 from a node that does not know the method."""
    rpc = Rpc(chain_of(consensus=consensus, node_version=version))
    if code is not None:
        assert error_code(rpc, "getAgGenesisCert") == code
        return
    certificate = rpc.call("getAgGenesisCert", [])
    assert certificate == rpc.call("getAgGenesisCert", [])
    if consensus == "tower":
        assert certificate is None
    else:
        assert (certificate["block"]["slot"], len(certificate["block"]["blockId"])) == (0, 32)
        assert len(certificate["signature"]["signature"]) == 192


def test_the_node_names_its_version() -> None:
    """In getVersion and in the context of answers."""
    rpc = Rpc(chain_of(node_version=(4, 4, 1)))
    assert rpc.call("getVersion", [])["solana-core"] == "4.4.1"
    assert rpc.call("getBalance", [rpc.node.ledger.faucet.address])["context"]["apiVersion"] == "4.4.1"


@pytest.mark.parametrize("name", ["before", "until"])
@pytest.mark.parametrize(("version", "is_refused"), [((4, 0, 0), True), ((3, 9, 9), False)])
def test_an_unknown_filter_is_an_error_since_4_0(
    tmp_path: Path, name: str, version: NodeVersion, is_refused: bool
) -> None:
    """Earlier nodes return nothing before an unknown signature, and ignore it as a lower end."""
    rpc = stored_rpc(tmp_path, node_version=version)
    landed = rpc.node.ledger.airdrop(rpc.node.ledger.faucet.address, 1)
    rpc.node.ledger.advance(NOW)
    address = rpc.node.ledger.faucet.address
    unknown = {name: "1" * 64}
    if is_refused:
        assert error_code(rpc, "getSignaturesForAddress", address, unknown) == -32020
    else:
        found = [one["signature"] for one in rpc.call("getSignaturesForAddress", [address, unknown])]
        assert found == ([] if name == "before" else [landed.signature])


@pytest.mark.parametrize(
    ("version", "is_on", "is_returned"), [((4, 0, 0), True, True), ((4, 3, 0), False, False), ((3, 9, 0), True, False)]
)
def test_the_place_in_the_block_is_returned_since_4_0(
    tmp_path: Path, version: NodeVersion, is_on: bool, is_returned: bool
) -> None:
    """`transactionIndex` in getTransaction and getSignaturesForAddress; a switch turns it off."""
    rpc = stored_rpc(tmp_path, node_version=version, has_transaction_index=is_on)
    address = rpc.node.ledger.faucet.address
    second = [rpc.node.ledger.airdrop(address, 1) for _ in range(2)][1]
    rpc.node.ledger.advance(NOW)
    found = rpc.call("getTransaction", [second.signature])
    listed = rpc.call("getSignaturesForAddress", [address])[0]
    expected = 1 if is_returned else None
    assert (found.get("transactionIndex"), listed.get("transactionIndex")) == (expected, expected)


@pytest.mark.parametrize(("version", "is_simulated"), [((3, 1, 0), True), ((3, 0, 9), False)])
def test_an_invalid_signature_is_simulated_since_3_1(version: NodeVersion, is_simulated: bool) -> None:
    """`SignatureFailure` in the result and in the preflight's data; -32003 before."""
    chain = chain_of(node_version=version)
    alice = chain.genesis.signer("alice")
    chain.airdrop(alice.address, SOL)
    params = TransferParams(from_pubkey=alice.pubkey, to_pubkey=Pubkey.new_unique(), lamports=SOL // 10)
    raw = bytearray(wire.sign_transaction([transfer(params)], [alice], chain.blockhash).raw)
    raw[5] ^= 1
    text, options = base64.b64encode(raw).decode(), {"encoding": "base64", "commitment": "processed"}
    rpc = Rpc(chain)
    assert error_code(rpc, "sendTransaction", text, options) == (-32002 if is_simulated else -32003)
    if is_simulated:
        result = rpc.call("simulateTransaction", [text, {**options, "sigVerify": True}])
        assert result["value"]["err"] == "SignatureFailure"
    else:
        assert error_code(rpc, "simulateTransaction", text, {**options, "sigVerify": True}) == -32003


def test_statuses_count_confirmations_under_tower_only() -> None:
    """Under Alpenglow a block is processed with 0 confirmations, or final."""
    for consensus, expected in (("alpenglow", [0, None]), ("tower", [0, 1])):
        chain = chain_of(consensus=consensus)
        signature = chain.airdrop(chain.faucet.address, 1).signature
        seen = []
        for _ in range(2):
            (status,) = Rpc(chain).call("getSignatureStatuses", [[signature]])["value"]
            seen.append(status["confirmations"])
            chain.advance(NOW)
        assert seen == expected


def test_rent_is_a_setting() -> None:
    """It decides the answer of the node and the balance that an account needs."""
    chain = chain_of(rent=Rent(696))
    assert Rpc(chain).call("getMinimumBalanceForRentExemption", [488]) == 616 * 696
    alice, bob = chain.genesis.signer("alice"), chain.genesis.signer("bob")
    chain.airdrop(alice.address, SOL)
    params = TransferParams(from_pubkey=alice.pubkey, to_pubkey=bob.pubkey, lamports=128 * 696)
    assert chain.send([transfer(params)], [alice]).err is None
    assert Rpc(chain_of()).call("getMinimumBalanceForRentExemption", [0]) == 128 * 5_080
