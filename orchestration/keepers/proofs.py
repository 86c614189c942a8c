"""What must hold of a row before it is signed: the market's account now, its vote records, the configuration now.

The log is proven complete, and still the account is read: somebody else may have acted a second ago, and a proof that
costs one request is worth having. Vote records are counted where ballots are (protocol.md 1.5): every vote on chain
made one, none is ever closed, so those voted before the plan's instant are exactly the vote events of the log until
then. The records tell nothing of off-chain ballots; those are the log's alone, and their digest goes into the plan.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from zmart import errors
from zmart.chain import client, codec
from zmart.domain.market import MarketState
from zmart.domain.votes import VoteKind

from .plans import MarketFacts, PlanRow, ProtocolConfig
from .reasons import Reason

#: Places in a VoteRecord (protocol.md 1.5): the market, the kind, and from there vote and instant.
RECORD_BYTES: Final = 83
_MARKET_AT, _KIND_AT, _VOTE_AT = 8, 72, 73
_VOTE: Final = struct.Struct("<?q")
RECORD_SLICE: Final = client.DataSlice(_VOTE_AT, _VOTE.size)


@dataclass(frozen=True, kw_only=True)
class Ballots:
    """What the log holds of a market's ballots until an instant."""

    #: Votes on chain, those included that an earlier ballot of their wallet outdid.
    agree: int
    disagree: int
    #: SHA-256 of the counted ballots in the order of their wallets.
    digest: str


def record_filters(market: bytes, kind: VoteKind) -> list[client.Memcmp | client.DataSize]:
    """Which of the program's accounts are a market's vote records of a kind; `market` is the address's 32 bytes.

    The type is asked for as well: a buffer for an IDL, which Anchor lets anybody make for most programs, can have this
    size and hold any market's address and any vote. One such account would refuse a market's tally for good.
    """
    return [
        client.DataSize(RECORD_BYTES),
        client.Memcmp(0, codec.default().account_tag("VoteRecord")),
        client.Memcmp(_MARKET_AT, market),
        client.Memcmp(_KIND_AT, bytes([kind])),
    ]


def count_records(records: Iterable[bytes], *, before: int) -> tuple[int, int]:
    """Agreeing and disagreeing vote records of before an instant, from their slices."""
    votes = [vote for vote, voted_at in map(_VOTE.unpack, records) if voted_at < before]
    return sum(votes), len(votes) - sum(votes)


def check_records(row: PlanRow, ballots: Ballots, records: tuple[int, int]) -> PlanRow:
    """The row with its ballots proven, or refused."""
    proof = {
        **row.proof,
        "vote_records": {"agree": records[0], "disagree": records[1]},
        "ballots_sha256": ballots.digest,
    }
    if records != (ballots.agree, ballots.disagree):
        detail = f"The chain has {records[0]}:{records[1]}, the log {ballots.agree}:{ballots.disagree}."
        return replace(row, proof=proof).with_reason(Reason.RECORDS_DIFFER, detail)
    return replace(row, proof=proof)


def check_config(row: PlanRow, planned: ProtocolConfig, now: ProtocolConfig) -> PlanRow:
    """The row if the program's configuration is still what it was planned under, or refused."""
    if planned == now:
        return row
    changed = [name for name, old, new in zip(ProtocolConfig._fields, planned, now, strict=True) if old != new]
    return row.with_reason(Reason.CONFIG_CHANGED, f"{', '.join(changed)} changed between plan and send.")


def check_account(row: PlanRow, account: client.AccountInfo | None, *, program_id: str) -> PlanRow:
    """The row if the market's account says what the log says, or refused."""
    if account is None or account.owner != program_id:
        return row.with_reason(Reason.MARKET_MOVED, f"There is no market account at {row.market.address}.")
    try:
        fields = _fields(account, "MarketAccount")
    except errors.DecodeError as error:
        return row.with_reason(Reason.MARKET_MOVED, f"Its account cannot be read: {error}")
    different = [
        f"{name} is {theirs} on chain, {ours} in the log"
        for name, ours, theirs in _compared_fields(row.market, fields)
        if ours != theirs
    ]
    return row.with_reason(Reason.MARKET_MOVED, "; ".join(different) + ".") if different else row


def _compared_fields(market: MarketFacts, fields: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    yield "market_id", market.market_id, bytes(fields["market_id"]).hex()
    yield "state", market.state.name, MarketState(int(fields["state"])).name
    yield "proposed_outcome", market.proposed_outcome, fields["proposed_outcome"]
    yield "resolution_proposed_at", market.resolution_proposed_at, fields["resolution_proposed_at"]
    yield "dispute_initiated_at", market.dispute_initiated_at, fields["dispute_initiated_at"]
    yield "tally on chain", (market.likes, market.dislikes), (fields["proposal_likes"], fields["proposal_dislikes"])


def config_of(account: client.AccountInfo | None, *, program_id: str, address: str) -> ProtocolConfig:
    """The program's configuration out of its account; ConfigurationError where that is none."""
    if account is None:
        raise errors.ConfigurationError(
            f"Program {program_id} has no configuration at {address} (seed global-config, with a hyphen).",
            help="Check SOLANA_PROGRAM_ID_CORE and SOLANA_CLUSTER; a new program waits for initialize_global_config.",
        )
    if account.owner != program_id:
        raise errors.ConfigurationError(
            f"The account {address} belongs to {account.owner}, not to program {program_id}.",
            help="Check SOLANA_PROGRAM_ID_CORE.",
        )
    try:
        fields = _fields(account, "GlobalConfig")
    except errors.DecodeError as error:
        raise errors.ConfigurationError(
            f"The configuration at {address} cannot be read: {error}", help="Check SOLANA_PROGRAM_ID_CORE."
        ) from error
    return ProtocolConfig(*(fields[name] for name in ProtocolConfig._fields))


def _fields(account: client.AccountInfo, kind: str) -> dict[str, Any]:
    name, fields = codec.default().decode_account(account.data)
    if name != kind:
        raise errors.DecodeError(f"It is a {name}, not a {kind}.")
    return fields
