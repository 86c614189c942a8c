"""docs/protocol.md agrees with the code: discriminators, layouts, fields, errors, rent and addresses are the same."""

from __future__ import annotations

import base64
import functools
import re
from pathlib import Path

import pytest

from devchain import accounts
from zmart.chain import addresses, client, codec, idl, rpc_errors, transactions
from zmart.domain import market
from zmart.domain.program_errors import FIRST_CODE, ErrorCode

ROOT = Path(__file__).resolve().parents[3]
IDL = idl.load()
SCALAR_BYTES = {"bool": 1, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "i64": 8, "pubkey": 32}


@functools.cache
def sections(page: str) -> dict[str, str]:
    """Return the text below each heading of a page, by the heading."""
    text = (ROOT / "docs" / page).read_text()
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of every table row of a section, without backticks."""
    lines = [line for line in sections(page)[heading].splitlines() if line.startswith("|") and "|---" not in line]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def type_name(type_: idl.Type) -> str:
    """Return a type as the page writes it."""
    if isinstance(type_, str):
        return type_
    if type_.option is not None:
        return f"Option<{type_name(type_.option)}>"
    if type_.array is not None:
        return f"[{type_.array[0]};{type_.array[1]}]"
    assert type_.defined is not None
    return type_.defined.name


def sizes(type_: idl.Type) -> tuple[int, int]:
    """Return the least and the greatest number of bytes of a type; the enums of the program have one byte."""
    if isinstance(type_, str):
        return SCALAR_BYTES[type_], SCALAR_BYTES[type_]
    if type_.option is not None:
        return 1, 1 + sizes(type_.option)[1]
    if type_.array is not None:
        return type_.array[1], type_.array[1]
    return 1, 1


def span(low: int, high: int, word: str) -> str:
    """Return a range as the page writes it."""
    return str(low) if low == high else f"{low} {word} {high}"


def test_instructions() -> None:
    """Discriminator, arguments and accounts of each instruction are those of the IDL, and every one has its rules."""
    documented = {row[1]: row[2:] for row in rows("protocol.md", "1.3 Instructions") if row[0].isdigit()}
    expected = {
        each.name: [
            bytes(each.discriminator).hex(),
            ", ".join(f"{arg.name} {type_name(arg.type)}" for arg in each.args) or "none",
            ", ".join(f"{it.name}{' W' * it.writable}{' S' * it.signer}" for it in each.accounts),
        ]
        for each in IDL.instructions
    }

    assert documented == expected
    assert {heading.split()[1] for heading in sections("protocol.md") if heading.startswith("1.4.")} == set(expected)


@pytest.mark.parametrize("account", IDL.accounts, ids=lambda account: account.name)
def test_accounts(account: idl.Discriminated) -> None:
    """Discriminator, sizes and the place of every field are those of the IDL."""
    low = high = 8
    expected = []
    for field in IDL.bodies[account.name].fields:
        least, most = sizes(field.type)
        expected.append([field.name, type_name(field.type), span(least, most, "or"), span(low, high, "to")])
        low, high = low + least, high + most

    assert [row[:4] for row in rows("protocol.md", account.name)[1:]] == expected
    used = f"{span(low, high, 'to')} bytes used of {codec.ALLOCATED_BYTES[account.name]} allocated."
    assert f"Discriminator `{bytes(account.discriminator).hex()}`, {used}" in sections("protocol.md")[account.name]


def test_events() -> None:
    """Discriminator, size and fields of each event are those of the IDL."""
    expected = {}
    for event in IDL.events:
        fields = IDL.bodies[event.name].fields
        bytes_ = span(8 + sum(sizes(it.type)[0] for it in fields), 8 + sum(sizes(it.type)[1] for it in fields), "or")
        tag = bytes(event.discriminator)
        text = ", ".join(f"{it.name} {type_name(it.type)}" for it in fields)
        expected[event.name] = [tag.hex(), base64.b64encode(tag).decode()[:10], bytes_, text]

    assert {row[0]: row[1:] for row in rows("protocol.md", "1.7 Events")[1:]} == expected


def test_errors() -> None:
    """Number and name of each error are those of the code, in the same order."""
    expected = [[str(number), f"{number:#x}", code.name] for number, code in enumerate(ErrorCode, FIRST_CODE)]

    assert [row[:3] for row in rows("protocol.md", "1.8 Errors")[1:]] == expected


def test_addresses_and_rent() -> None:
    """The page has the default program id, the addresses of its seeds, and the rent of each account."""
    text = (ROOT / "docs" / "protocol.md").read_text()
    program = "6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw"

    assert f"| configuration | `{addresses.config_address(program)}` |" in text
    assert f"| market | `{addresses.market_address(program, bytes([1]) * 32)}` |" in text
    for size in codec.ALLOCATED_BYTES.values():
        assert f"{accounts.Rent(6_960).exempt_lamports(size):,}" in sections("protocol.md")["1.5 Accounts"] + text
    assert f"{market.LIFETIME_SECONDS:,} s" in text


def test_codes_of_nodes() -> None:
    """docs/solana.md has the class of each error code, and the limits and hashes of the client."""
    documented = {
        int(code): row[2]
        for row in rows("solana.md", "6. Errors of nodes")[1:]
        for code in re.findall(r"-?\d+", row[0])
    }
    classes = {code: type(_error(code)).__name__ for code in (*range(-33_000, -32_000), *range(600))}
    assert documented.pop(-32002) == "the transaction's own error"
    assert documented == {
        code: name for code, name in classes.items() if name != rpc_errors.NodeFailed.__name__ and code != -32002
    }

    clusters = {row[1]: row[0] for row in rows("solana.md", "8. Clusters")[1:]}
    assert clusters == dict(client.CLUSTER_BY_GENESIS_HASH)
    assert f"{transactions.MAX_TRANSACTION_BYTES:,} bytes" in sections("solana.md")["1. Transactions"]


def _error(code: int) -> Exception:
    return rpc_errors.error_from_rpc(rpc_errors.JsonRpcError(code, "message", None), method="getSlot")


def test_the_cost_of_votes_is_the_fee_and_the_rent_of_a_record() -> None:
    """Each row of the table in docs/keepers.md follows from the size of a vote record and the fee of a signature."""
    fee_lamports = 5_000
    for per_byte, *costs in rows("keepers.md", "Conditions for signing")[1:4]:
        rate = int(per_byte.replace(",", ""))
        one = accounts.Rent(lamports_per_byte=rate).exempt_lamports(accounts.VoteRecord.size_bytes) + fee_lamports
        assert costs == [f"{one * votes:,}" for votes in (1, 10, 100)]
