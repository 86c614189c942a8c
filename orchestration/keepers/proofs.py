"""Checks a row before it is signed: the market's account, its vote records and the configuration, as they are now.

The log is proven complete, and the account is still read: another party may have acted a second ago, and this proof
costs only one request. Vote records are counted where a decision depends on ballots (protocol.md 1.5): every vote on
chain creates a record and no record is ever closed, so the records voted before the plan's instant are exactly the
vote events of the log until then. The records contain no off-chain ballots; those exist only in the log, and their
digest is stored with the plan.
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

from .plan_inputs import MarketFacts, ProtocolConfig
from .plans import PlanRow
from .reasons import Reason

#: Offsets in a VoteRecord (protocol.md 1.5): the market, the kind, and the vote, which the instant follows.
RECORD_BYTES: Final = 83
_MARKET_AT, _KIND_AT, _VOTE_AT = 8, 72, 73
_VOTE: Final = struct.Struct("<?q")
RECORD_SLICE: Final = client.DataSlice(_VOTE_AT, _VOTE.size)


@dataclass(frozen=True, kw_only=True)
class Ballots:
    """A market's ballots in the log until an instant."""

    #: Votes on chain, including those that an earlier ballot of the same wallet supersedes.
    agree: int
    disagree: int
    #: SHA-256 of the counted ballots, ordered by wallet.
    digest: str


def record_filters(market: bytes, kind: VoteKind) -> list[client.Memcmp | client.DataSize]:
    """Return the filters that select a market's vote records of a kind; `market` is the address's 32 bytes.

    The filters include the account type: a buffer for an IDL, which Anchor lets anybody create for most programs, can
    have this size and hold any market's address and any vote. One such account would block a market's tally forever.
    """
    return [
        client.DataSize(RECORD_BYTES),
        client.Memcmp(0, codec.default().account_tag("VoteRecord")),
        client.Memcmp(_MARKET_AT, market),
        client.Memcmp(_KIND_AT, bytes([kind])),
    ]


def count_records(records: Iterable[bytes], *, before: int) -> tuple[int, int]:
    """Return the agreeing and disagreeing vote records from before an instant, counted from their slices."""
    votes = [vote for vote, voted_at in map(_VOTE.unpack, records) if voted_at < before]
    return sum(votes), len(votes) - sum(votes)


def check_records(row: PlanRow, ballots: Ballots, records: tuple[int, int]) -> PlanRow:
    """Return the row with its ballots proven, or refused."""
    proof = {
        **row.proof,
        "vote_records": {"agree": records[0], "disagree": records[1]},
        "ballots_sha256": ballots.digest,
    }
    if records != (ballots.agree, ballots.disagree):
        detail = f"The chain counts {records[0]}:{records[1]}, the log {ballots.agree}:{ballots.disagree}."
        return replace(row, proof=proof).with_reason(Reason.RECORDS_DIFFER, detail)
    return replace(row, proof=proof)


def check_config(row: PlanRow, planned: ProtocolConfig, now: ProtocolConfig) -> PlanRow:
    """Return the row unchanged if the program's configuration is still the planned one, otherwise refused."""
    if planned == now:
        return row
    changed = [name for name, old, new in zip(ProtocolConfig._fields, planned, now, strict=True) if old != new]
    return row.with_reason(Reason.CONFIG_CHANGED, f"{', '.join(changed)} changed between plan and send.")


def check_account(row: PlanRow, account: client.AccountInfo | None, *, program_id: str) -> PlanRow:
    """Return the row unchanged if the market's account agrees with the log, otherwise refused."""
    if account is None or account.owner != program_id:
        return row.with_reason(Reason.MARKET_MOVED, f"There is no market account at {row.market.address}.")
    try:
        fields = _fields(account, "MarketAccount")
    except errors.DecodeError as error:
        return row.with_reason(Reason.MARKET_MOVED, f"Its account cannot be decoded: {error}")
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
    """Return the program's configuration from its account. Raises ConfigurationError for any other account."""
    if account is None:
        raise errors.ConfigurationError(
            f"Program {program_id} has no configuration at {address} (seed global-config, with a hyphen).",
            help="Check SOLANA_PROGRAM_ID_CORE and SOLANA_CLUSTER; a new program needs initialize_global_config first.",
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
            f"The configuration at {address} cannot be decoded: {error}", help="Check SOLANA_PROGRAM_ID_CORE."
        ) from error
    return ProtocolConfig(*(fields[name] for name in ProtocolConfig._fields))


def _fields(account: client.AccountInfo, kind: str) -> dict[str, Any]:
    name, fields = codec.default().decode_account(account.data)
    if name != kind:
        raise errors.DecodeError(f"It is a {name}, not a {kind}.")
    return fields
