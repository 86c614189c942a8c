"""The checks of a row before it is signed, from accounts as bytes."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from test_keeper_plans import CONFIG, proposed

from devchain import accounts
from ingest.testing import address
from orchestration.keepers import proofs
from orchestration.keepers.plan_inputs import MarketFacts
from orchestration.keepers.plans import PlanRow
from orchestration.keepers.proofs import Ballots
from orchestration.keepers.reasons import Reason
from zmart import errors
from zmart.chain import client
from zmart.domain.ids import Address
from zmart.domain.votes import VoteKind

PROGRAM = address(50)


def row(**changes: Any) -> PlanRow:
    """A tally that is due."""
    return PlanRow(task="proposal_tallies", market=proposed(9, 1, **changes), reason=Reason.DUE)


def account(market: MarketFacts, *, owner: str = PROGRAM, **changes: Any) -> client.AccountInfo:
    """The market's account, equal to the log by default."""
    fields = {
        "market_id": bytes.fromhex(market.market_id),
        "state": int(market.state),
        "proposed_outcome": market.proposed_outcome,
        **changes,
    }
    data = accounts.MarketRecord(**fields).encode()
    return client.AccountInfo(address=market.address, lamports=1, owner=Address(owner), data=data)


def test_an_account_that_agrees_proves_the_row() -> None:
    """Field by field, all that a decision read."""
    due = row()

    assert proofs.check_account(due, account(due.market), program_id=PROGRAM) is due


@pytest.mark.parametrize(
    "changes",
    [
        {"state": 1},
        {"proposed_outcome": True},
        {"resolution_proposed_at": 7},
        {"dispute_initiated_at": 7},
        {"proposal_likes": 9},
        {"market_id": bytes(32)},
    ],
)
def test_a_differing_account_refuses_the_row(changes: dict[str, Any]) -> None:
    """Another wallet acted after the log's state."""
    due = row()
    checked = proofs.check_account(due, account(due.market, **changes), program_id=PROGRAM)

    assert checked.reason is Reason.MARKET_MOVED
    assert next(iter(changes)).split("_")[0] in checked.detail or "tally" in checked.detail


def test_a_missing_or_foreign_account_refuses_the_row() -> None:
    """Missing, of another program, of another kind."""
    due = row()
    config = client.AccountInfo(
        address=due.market.address,
        lamports=1,
        owner=PROGRAM,
        data=bytes(8),
    )

    for found in (None, account(due.market, owner=address(51)), config):
        assert proofs.check_account(due, found, program_id=PROGRAM).reason is Reason.MARKET_MOVED


@pytest.mark.parametrize("name", CONFIG._fields)
def test_a_changed_configuration_refuses_the_row(name: str) -> None:
    """A threshold, a period or an authority that changed between plan and send: the row is planned again."""
    changed = CONFIG._replace(**{name: "other"})

    checked = proofs.check_config(row(), CONFIG, changed)

    assert (checked.reason, name in checked.detail) == (Reason.CONFIG_CHANGED, True)
    assert proofs.check_config(row(), CONFIG, CONFIG).reason is Reason.DUE


def test_vote_records_are_counted_until_the_instant() -> None:
    """Vote and time from nine bytes each; later votes are not counted."""
    records = [struct.pack("<?q", vote, at) for vote, at in [(True, 1), (True, 9), (False, 9), (True, 10), (False, 11)]]

    assert proofs.count_records(records, before=10) == (2, 1)
    assert proofs.count_records([], before=10) == (0, 0)


def test_vote_records_must_be_the_logs() -> None:
    """Equal on both sides, or it is not signed; the counts are stored either way."""
    ballots = Ballots(agree=9, disagree=1, digest="ab")

    proven = proofs.check_records(row(), ballots, (9, 1))
    differing = proofs.check_records(row(), ballots, (10, 0))

    assert proven.reason is Reason.DUE
    assert proven.proof == {"vote_records": {"agree": 9, "disagree": 1}, "ballots_sha256": "ab"}
    assert differing.reason is Reason.RECORDS_DIFFER
    assert differing.proof["vote_records"] == {"agree": 10, "disagree": 0}


def test_the_filter_finds_one_kind_of_one_market() -> None:
    """Size, type, market and kind at their fixed places (protocol.md 1.5)."""
    filters = proofs.record_filters(b"m" * 32, VoteKind.DISPUTE)

    assert filters == [
        client.DataSize(83),
        client.Memcmp(0, accounts.VoteRecord().encode()[:8]),
        client.Memcmp(8, b"m" * 32),
        client.Memcmp(72, b"\x01"),
    ]


def test_a_missing_or_foreign_configuration_is_refused() -> None:
    """Missing, of another program, of another kind."""
    other = client.AccountInfo(address=address(1), lamports=1, owner=address(51), data=b"")
    broken = replace(other, owner=PROGRAM)

    for found, message in ((None, "has no configuration"), (other, "belongs to"), (broken, "cannot be decoded")):
        with pytest.raises(errors.ConfigurationError, match=message):
            proofs.config_of(found, program_id=PROGRAM, address=address(1))
