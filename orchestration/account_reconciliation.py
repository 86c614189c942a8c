"""Compares the marts with the program's accounts, field by field (protocol.md 1.5).

The accounts are the program's state at one slot; the marts are the state of the log now. They can be compared if
nothing happened since that slot (`differences`). A market that changed since, or a configuration that was changed, is
compared with the marts as of the slot (`differences_as_of`), which are folded from the same SQL text. Three
differences are no errors. Anybody can send lamports to a market's account without an event. The program forgets an
earlier dispute when it finalizes (protocol.md 1.4.15). A wallet that voted off chain before it voted on chain is
counted here by its first vote, which is the off-chain one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg.rows import dict_row

from zmart.chain import codec
from zmart.db import queries

sql = queries.load("orchestration")

#: Accounts by kind (`config`, `markets`, `positions`, `votes`) and address: the program's fields, and `lamports`.
ProgramAccounts: TypeAlias = Mapping[str, Mapping[Any, Mapping[str, Any]]]

KINDS = {"GlobalConfig": "config", "MarketAccount": "markets", "UserPosition": "positions", "VoteRecord": "votes"}

#: Columns of a mart that have the same name as a field of the account.
MARKET = (
    "b_parameter",
    "initial_liquidity",
    "current_liquidity",
    "shares_yes",
    "shares_no",
    "total_volume",
    "accumulated_resolver_fees",
    "accumulated_lp_fees",
    "proposal_likes",
    "proposal_dislikes",
    "proposal_total_votes",
    "dispute_agree",
    "dispute_disagree",
    "dispute_total_votes",
    "proposed_outcome",
    "final_outcome",
)
INSTANTS = (
    "created_at",
    "approved_at",
    "activated_at",
    "resolution_proposed_at",
    "dispute_initiated_at",
    "resolved_at",
    "finalized_at",
    "cancelled_at",
)
POSITION = ("shares_yes", "shares_no", "total_invested", "trades_count", "has_claimed", "claimed_amount")
CONFIG = (
    "admin",
    "backend_authority",
    "protocol_fee_bps",
    "resolver_reward_bps",
    "liquidity_provider_fee_bps",
    "proposal_approval_threshold",
    "dispute_success_threshold",
    "min_resolution_delay",
    "dispute_period",
    "is_paused",
)
DEFAULT_PUBKEY = "11111111111111111111111111111111"
ABSENT = "absent"


class Difference(NamedTuple):
    """A difference between the marts and the chain."""

    #: The address of the market's account, or `config` for the configuration.
    market: str
    #: The wallet, and for a ballot the vote, if the difference is not about the market itself.
    subject: str
    field: str
    ours: Any
    theirs: Any


class ChangedMarkets(NamedTuple):
    """Changes after the accounts were read; they are excluded from a comparison with the current marts."""

    #: Addresses of the markets' accounts.
    markets: Collection[str] = ()
    is_config_changed: bool = False


def decode_accounts(raw_accounts: Iterable[tuple[str, int, bytes]]) -> ProgramAccounts:
    """Decode accounts, given by address, lamports and bytes. Raises DecodeError for bytes of any other account."""
    on_chain: dict[str, dict[Any, dict[str, Any]]] = {kind: {} for kind in KINDS.values()}
    for address, lamports, data in raw_accounts:
        name, fields = codec.default().decode_account(data)
        on_chain[KINDS[name]][address] = {**fields, "lamports": lamports}
    return on_chain


def differences(
    connection: psycopg.Connection[Any], on_chain: ProgramAccounts, changed: ChangedMarkets | None = None
) -> list[Difference]:
    """Return where the marts differ from the accounts, lack one, or have one more; empty if they agree.

    The marts know only the part of the configuration that events carry: neither its fee wallet nor the least
    reputation.
    """
    changed = changed or ChangedMarkets()
    found = _compare_all(on_chain, _markets(connection), _positions(connection), _ballots(connection))
    return [
        *(each for each in found if each.market not in changed.markets),
        *(() if changed.is_config_changed else _compare_configuration(on_chain, _configuration(connection))),
    ]


def differences_as_of(
    connection: psycopg.Connection[Any], on_chain: ProgramAccounts, market_no: int | None, slot: int
) -> list[Difference]:
    """Return the differences of one market, or of the configuration if `market_no` is None, as of a slot.

    `on_chain` holds the accounts of this market only. The function reads the market's whole history. The connection's
    role must be allowed to read marts as of a slot.
    """
    if market_no is None:
        return list(_compare_configuration(on_chain, _configuration(connection, slot)))
    then = {"market_no": market_no, "slot": slot}
    markets = _markets(connection, sql.markets_as_of, then)
    positions = _positions(connection, sql.positions_as_of, then)
    return list(_compare_all(on_chain, markets, positions, _ballots(connection, sql.ballots_as_of, then)))


def split_by_market(on_chain: ProgramAccounts) -> dict[str | None, ProgramAccounts]:
    """Return the accounts by the address of the market they belong to; the configuration's by None."""
    parts: dict[str | None, dict[str, dict[Any, Mapping[str, Any]]]] = {}
    for kind, found in on_chain.items():
        for address, account in found.items():
            market = None if kind == "config" else address if kind == "markets" else account["market"]
            part = parts.setdefault(market, {each: {} for each in KINDS.values()})
            part[kind][address] = account
    return dict(parts)


def fetch_rows(
    connection: psycopg.Connection[Any], query: str, params: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a query as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, params).fetchall()


def _compare_all(
    on_chain: ProgramAccounts,
    markets: Mapping[str, Mapping[str, Any]],
    positions: Mapping[tuple[str, str], Mapping[str, Any]],
    mart_ballots: Mapping[tuple[str, str, str], Mapping[str, Any]],
) -> Iterator[Difference]:
    """Compare markets, positions and ballots of the marts with the accounts."""
    votes = {_ballot(one): {"vote": one["vote"]} for one in on_chain["votes"].values()}
    ballots = {
        key: {"vote": row["vote"]} if row["source"] == "chain" else votes[key]
        for key, row in mart_ballots.items()
        if row["source"] == "chain" or key in votes
    }
    yield from _compare_rows(markets, {address: _market(account) for address, account in on_chain["markets"].items()})
    yield from _compare_rows(positions, {_owner(one): _position(one) for one in on_chain["positions"].values()})
    yield from _compare_rows(ballots, votes)


def _compare_rows(
    ours: Mapping[Any, Mapping[str, Any]], theirs: Mapping[Any, Mapping[str, Any]]
) -> Iterator[Difference]:
    for key in sorted(ours.keys() | theirs.keys(), key=str):
        mine, other = ours.get(key), theirs.get(key)
        if mine is None or other is None:
            yield Difference(*_name(key), "itself", _presence(mine), _presence(other))
            continue
        for field in other:
            if not _is_equal(field, mine[field], other[field]):
                yield Difference(*_name(key), field, mine[field], other[field])


def _name(key: Any) -> tuple[str, str]:
    market, *rest = (key,) if isinstance(key, str) else key
    return market, " ".join(rest)


def _presence(row: Mapping[str, Any] | None) -> str:
    return ABSENT if row is None else "there"


def _is_equal(field: str, ours: Any, theirs: Any) -> bool:
    match field:
        case "was_disputed":
            # The program forgets an earlier dispute when it finalizes (protocol.md 1.4.15); the mart does not.
            return bool(ours >= theirs)
        case "market_lamports":
            # The mart reads it from transactions that carry balances; it is null before the first. Anybody may send
            # more.
            return ours is None or bool(ours <= theirs)
    return bool(ours == theirs)


# State of the program


def _compare_configuration(on_chain: ProgramAccounts, mart_config: Mapping[str, Any]) -> Iterator[Difference]:
    account = next(iter(on_chain["config"].values()), None)
    theirs = {} if account is None else {"config": {name: account[name] for name in CONFIG}}
    yield from _compare_rows({"config": mart_config} if mart_config else {}, theirs)


def _market(account: Mapping[str, Any]) -> dict[str, Any]:
    """Return a market's account with the column names of the mart."""
    return {
        **{name: account[name] for name in (*MARKET, *INSTANTS)},
        "cancelled_at": account["cancelled_at"] or 0,
        "market_id": account["market_id"].hex(),
        "creator": account["creator"],
        "resolver": account["resolver"],
        "dispute_initiator": account["dispute_initiator"],
        "state": int(account["state"]),
        "was_disputed": account["was_disputed"],
        "market_lamports": account["lamports"],
    }


def _position(account: Mapping[str, Any]) -> dict[str, Any]:
    return {name: account[name] for name in (*POSITION, "last_trade_at")}


def _owner(account: Mapping[str, Any]) -> tuple[str, str]:
    return account["market"], account["user"]


def _ballot(account: Mapping[str, Any]) -> tuple[str, str, str]:
    return account["market"], account["user"], "dispute" if int(account["vote_type"]) else "proposal"


# State of the marts


def _markets(
    connection: psycopg.Connection[Any], query: str = sql.markets_known, params: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    return {row["on_chain_address"]: _market_fields(row) for row in fetch_rows(connection, query, params)}


def _market_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a market's account as the log has them."""
    return {
        **{name: row[name] for name in MARKET},
        **{name: _seconds(row[name]) for name in INSTANTS},
        "market_id": row["id"],
        "creator": row["creator_wallet"],
        "resolver": row["resolver_wallet"] or DEFAULT_PUBKEY,
        "dispute_initiator": row["dispute_initiator"] or DEFAULT_PUBKEY,
        "state": row["state_code"],
        "was_disputed": row["was_disputed"],
        "market_lamports": row["market_lamports"],
    }


def _positions(
    connection: psycopg.Connection[Any],
    query: str = "select * from marts.positions",
    params: Mapping[str, Any] | None = None,
) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (row["on_chain_address"], row["user_wallet"]): {
            **{name: row[name] for name in POSITION},
            "last_trade_at": _seconds(row["last_trade_at"]),
        }
        for row in fetch_rows(connection, query, params)
    }


def _ballots(
    connection: psycopg.Connection[Any], query: str = sql.ballots_by_account, params: Mapping[str, Any] | None = None
) -> dict[tuple[str, str, str], dict[str, Any]]:
    found = fetch_rows(connection, query, params)
    return {(row["account"], row["user_wallet"], row["kind"]): row for row in found}


def _configuration(connection: psycopg.Connection[Any], slot: int | None = None) -> dict[str, Any]:
    """Return the configuration from all events up to a slot, or from all events; a null field was not in the event."""
    values: dict[str, Any] = {}
    for row in fetch_rows(connection, sql.configuration_as_of, {"slot": slot}):
        values |= {name: row[name] for name in CONFIG if row[name] is not None}
    return dict.fromkeys(CONFIG) | values if values else {}


def _seconds(at: datetime | None) -> int:
    """Return an instant as the program stores it: Unix seconds, zero for never."""
    return 0 if at is None else int(at.astimezone(UTC).timestamp())
