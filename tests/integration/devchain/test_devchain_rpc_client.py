"""The RPC with solana's own client, unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.core import RPCException
from solana.rpc.models import MemcmpOpts, TxOpts
from solana.rpc.websocket_api import SolanaWsClient
from solders.account import Account
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from devchain import testing
from devchain.testing import PROGRAM_ID, DevchainNode
from zmart.chain import addresses, codec, logs, transactions
from zmart.domain.events import SharesBought
from zmart.domain.ids import Address

SOL = 1_000_000_000
MARKET_ID = bytes([7]) * 32
CID = b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[DevchainNode]:
    """A fast chain without actors."""
    async with testing.serve(tmp_path) as served:
        yield served


@pytest.fixture
async def client(node: DevchainNode) -> AsyncIterator[AsyncClient]:
    """A client of it."""
    async with AsyncClient(node.url, commitment=Confirmed) as connected:
        yield connected


def address(key: Keypair) -> Address:
    """A key's address."""
    return Address(str(key.pubkey()))


async def rich(client: AsyncClient, key: Keypair) -> Keypair:
    """A key with confirmed funds."""
    sent = await client.request_airdrop(key.pubkey(), 100 * SOL)
    await client.confirm_transaction(sent.value, Confirmed, sleep_seconds=0.02)
    return key


async def signed(client: AsyncClient, key: Keypair, *instructions: Instruction) -> Any:
    """A versioned transaction with a fresh blockhash."""
    blockhash = (await client.get_latest_blockhash(Processed)).value.blockhash
    message = MessageV0.try_compile(key.pubkey(), instructions, [], blockhash)
    return VersionedTransaction(message, [key])


def payment(key: Keypair, lamports: int = 1_000_000) -> Instruction:
    """A transfer to another account."""
    to = Pubkey.from_bytes(bytes([3]) * 32)
    return transfer(TransferParams(from_pubkey=key.pubkey(), to_pubkey=to, lamports=lamports))


async def market(client: AsyncClient, admin: Keypair) -> Address:
    """An open market, created through the RPC; one key has all roles."""
    me = address(admin)
    steps: list[tuple[str, dict[str, Address], dict[str, Any]]] = [
        (
            "initialize_global_config",
            {"admin": me, "protocol_fee_wallet": me},
            {"backend_authority": me},
        ),
        (
            "create_market",
            {"creator": me},
            {
                "market_id": MARKET_ID,
                "b_parameter": 100 * SOL,
                "initial_liquidity": SOL,
                "ipfs_question_hash": CID,
            },
        ),
        (
            "aggregate_proposal_votes",
            {"backend_authority": me},
            {"final_likes": 9, "final_dislikes": 1},
        ),
        ("approve_proposal", {"admin": me}, {}),
        ("activate_market", {"authority": me}, {}),
    ]
    for name, accounts, args in steps:
        built = transactions.instruction(name, PROGRAM_ID, accounts, args, market_id=MARKET_ID)
        sent = await client.send_raw_transaction(bytes(await signed(client, admin, built)))
        await client.confirm_transaction(sent.value, Confirmed, sleep_seconds=0.02)
    return addresses.market_address(PROGRAM_ID, MARKET_ID)


def buy(user: Keypair, fee_wallet: Address, target: int = SOL) -> Instruction:
    """A YES buy."""
    accounts = {"user": address(user), "protocol_fee_wallet": fee_wallet}
    args = {"outcome": True, "target_cost": target}
    return transactions.instruction("buy_shares", PROGRAM_ID, accounts, args, market_id=MARKET_ID)


async def test_a_market_is_made_and_traded_over_the_wire(client: AsyncClient) -> None:
    """Real transactions, confirmed, with the program's events in their logs."""
    admin = await rich(client, Keypair())
    place = await market(client, admin)
    wanted = await signed(client, admin, buy(admin, address(admin)))
    sent = await client.send_raw_transaction(bytes(wanted))
    assert sent.value == wanted.signatures[0]
    await client.confirm_transaction(sent.value, Confirmed, sleep_seconds=0.02)
    found = await client.get_transaction(sent.value, max_supported_transaction_version=1)
    assert found.value is not None
    meta = found.value.transaction.meta
    assert meta is not None
    assert meta.err is None
    ((_, event),) = logs.program_events(list(meta.log_messages or ()), PROGRAM_ID)
    assert isinstance(event, SharesBought)
    assert (event.shares, event.cost) == (1_835_823_062, 999_928_380)
    account = (await client.get_account_info(Pubkey.from_string(place))).value
    assert isinstance(account, Account)
    name, fields = codec.default().decode_account(account.data)
    assert (name, fields["shares_yes"]) == ("MarketAccount", 1_935_823_062)
    assert len(account.data) == 488


async def test_preflight_refuses_with_the_programs_log(client: AsyncClient) -> None:
    """-32002 with data like a node's: the error, the log, the units."""
    admin = await rich(client, Keypair())
    await market(client, admin)
    wanted = await signed(client, admin, buy(admin, address(admin), target=9_999))
    with pytest.raises(RPCException) as raised:
        await client.send_raw_transaction(bytes(wanted))
    refused = raised.value.args[0]
    assert "custom program error: 0x1782" in refused.message
    assert any("Error Code: TradeTooSmall" in line for line in refused.data.logs)


async def test_without_preflight_a_failure_lands(client: AsyncClient) -> None:
    """The signature is returned, and the status has the error."""
    admin = await rich(client, Keypair())
    await market(client, admin)
    wanted = await signed(client, admin, buy(admin, address(admin), target=9_999))
    options = TxOpts(skip_preflight=True)
    sent = await client.send_raw_transaction(bytes(wanted), opts=options)
    (status,) = (await client.get_signature_statuses([sent.value])).value
    assert status is not None
    assert "6018" in str(status.err)


async def test_simulation_reports_units_and_changes_nothing(client: AsyncClient) -> None:
    """Units and logs, without any effect."""
    key = await rich(client, Keypair())
    wanted = await signed(client, key, payment(key))
    simulated = (await client.simulate_transaction(wanted, sig_verify=True)).value
    assert (simulated.err, simulated.units_consumed) == (None, 150)
    assert (await client.get_balance(key.pubkey(), Processed)).value == 100 * SOL


async def test_a_legacy_transaction_works_too(client: AsyncClient) -> None:
    """Its version is legacy."""
    key = await rich(client, Keypair())
    blockhash = (await client.get_latest_blockhash()).value.blockhash
    message = Message.new_with_blockhash([payment(key)], key.pubkey(), blockhash)
    legacy = VersionedTransaction(message, [key])
    sent = await client.send_raw_transaction(bytes(legacy))
    await client.confirm_transaction(sent.value, Finalized, sleep_seconds=0.02)
    found = await client.get_transaction(sent.value, encoding="base64")
    assert found.value is not None


async def test_statuses_climb_to_finalized(client: AsyncClient) -> None:
    """Processed at once, finalized after thirty-two slots, unknown if it was never sent."""
    key = await rich(client, Keypair())
    sent = await client.send_raw_transaction(bytes(await signed(client, key, payment(key))))
    first, never = (await client.get_signature_statuses([sent.value, Signature.new_unique()])).value
    assert first is not None
    assert first.confirmation_status is not None
    assert never is None
    await client.confirm_transaction(sent.value, Finalized, sleep_seconds=0.02)
    (last,) = (await client.get_signature_statuses([sent.value])).value
    assert last is not None
    assert last.confirmations is None


async def test_reads_of_every_kind_parse(client: AsyncClient, node: DevchainNode) -> None:
    """The client's typed responses parse for each method that a backend calls."""
    key = await rich(client, Keypair())
    sent = await client.send_raw_transaction(bytes(await signed(client, key, payment(key))))
    await client.confirm_transaction(sent.value, Finalized, sleep_seconds=0.02)
    assert str((await client.get_genesis_hash()).value) == node.ledger.genesis.hash
    height = (await client.get_block_height(Finalized)).value
    assert height <= (await client.get_slot(Finalized)).value
    assert (await client.get_epoch_info()).value.slots_in_epoch == 432_000
    assert (await client.get_version()).value.solana_core
    assert (await client.get_minimum_balance_for_rent_exemption(488)).value == 4_287_360
    assert (await client.get_first_available_block()).value == 0
    assert (await client.get_recent_prioritization_fees()).value
    latest = (await client.get_latest_blockhash()).value
    message = MessageV0.try_compile(key.pubkey(), [payment(key)], [], latest.blockhash)
    assert (await client.get_fee_for_message(message)).value == 5_000
    (first, *_) = (await client.get_signatures_for_address(key.pubkey())).value
    assert first.signature == sent.value
    block = (await client.get_block(first.slot, max_supported_transaction_version=1)).value
    assert block is not None
    assert (await client.get_block_time(first.slot)).value == first.block_time
    assert first.slot in (await client.get_blocks(first.slot, first.slot + 3)).value
    many = (await client.get_multiple_accounts([key.pubkey(), Keypair().pubkey()])).value
    assert many[0] is not None
    assert many[1] is None


async def test_program_accounts_are_filtered(client: AsyncClient) -> None:
    """By size and by bytes at an offset, as a keeper counts vote records."""
    admin = await rich(client, Keypair())
    place = await market(client, admin)
    program = Pubkey.from_string(PROGRAM_ID)
    found = (await client.get_program_accounts(program, encoding="base64", filters=[488])).value
    assert [str(each.pubkey) for each in found] == [place]
    here = MemcmpOpts(offset=40, bytes=address(admin))
    assert len((await client.get_program_accounts(program, encoding="base64", filters=[488, here])).value) == 1
    other = MemcmpOpts(offset=40, bytes=place)
    assert not (await client.get_program_accounts(program, encoding="base64", filters=[488, other])).value


async def test_logs_and_signatures_are_pushed(client: AsyncClient, node: DevchainNode) -> None:
    """Subscriptions notify of their subject, at the requested commitment."""
    admin = await rich(client, Keypair())
    await market(client, admin)
    async with SolanaWsClient(node.ws_url) as sockets:
        wanted = RpcTransactionLogsFilterMentions(Pubkey.from_string(PROGRAM_ID))
        await sockets.logs_subscribe(filter_=wanted, commitment=Confirmed)
        transaction = await signed(client, admin, buy(admin, address(admin)))
        sent = await client.send_raw_transaction(bytes(transaction))
        await sockets.signature_subscribe(signature=sent.value, commitment=Confirmed)
        kinds: set[str] = set()
        async with asyncio.timeout(20):
            while len(kinds) < 2:
                notification: Any = await sockets.recv()
                value = notification.result.value
                kinds.add(type(value).__name__)
                if hasattr(value, "logs"):
                    assert value.signature == sent.value
                    assert any(line.startswith("Program data: ") for line in value.logs)


async def test_slots_and_accounts_are_pushed(client: AsyncClient, node: DevchainNode) -> None:
    """A changed account arrives with its bytes; slots arrive one after another."""
    key = await rich(client, Keypair())
    async with SolanaWsClient(node.ws_url) as sockets:
        await sockets.account_subscribe(pubkey=key.pubkey(), commitment=Confirmed)
        await client.send_raw_transaction(bytes(await signed(client, key, payment(key))))
        async with asyncio.timeout(20):
            notification: Any = await sockets.recv()
        assert notification.result.value.lamports == 100 * SOL - 1_000_000 - 5_000


async def test_a_dead_blockhash_is_refused(client: AsyncClient) -> None:
    """Preflight reports that the blockhash is not found."""
    key = await rich(client, Keypair())
    message = MessageV0.try_compile(key.pubkey(), [payment(key)], [], Hash.default())
    with pytest.raises(RPCException, match="Blockhash not found"):
        await client.send_raw_transaction(bytes(VersionedTransaction(message, [key])))
