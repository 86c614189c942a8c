"""The actors: always active, resuming after a restart, and different for each seed."""

from __future__ import annotations

import itertools

from devchain import questions
from devchain.history import History
from devchain.ledger import TransactionRejected
from devchain.market_plans import Tempo, plan_market
from devchain.traders import Traders
from zmart.chain import logs
from zmart.domain.market import MarketState


def act(history: History, traders: Traders, begin: int, seconds: float) -> list[tuple[float, str]]:
    """Run in slots of 0.4 s; return the times of successful events with their names."""
    seen, now, ledger = [], float(begin), history.ledger
    while now < begin + seconds:
        for move in traders.step(now):
            try:
                landed = ledger.send(move.instructions, move.signers)
            except TransactionRejected:
                continue
            for _, event in logs.program_events(landed.logs, ledger.program_id):
                seen.append((now, event.name))
        ledger.advance(int(now))
        now += 0.4
    return seen


def test_somebody_trades_at_least_every_five_seconds() -> None:
    """In the chain's own time, pauses and failures included, once a market is open."""
    history = History(11)
    begin = history.ledger.clock.unix_timestamp
    seen = act(history, history.traders, begin, 900)
    trades = [at for at, name in seen if name in ("SharesBought", "SharesSold")]
    assert len(trades) > 200
    assert max(later - earlier for earlier, later in itertools.pairwise(trades)) <= 5.0


def test_several_markets_are_alive_at_once() -> None:
    """After a while, more than one is open and others are in earlier states."""
    history = History(12)
    list(history.play(800))
    states = [fields["state"] for fields in history.accounts()["markets"].values()]
    assert states.count(MarketState.ACTIVE) >= 3
    assert states.count(MarketState.FINALIZED) >= 3


def test_actors_go_on_after_a_restart() -> None:
    """New actors over the same chain finish the markets of the old ones, and create more."""
    history = History(13)
    list(history.play(500))
    ledger = history.ledger
    again = Traders(ledger, ledger.genesis, program_id=ledger.program_id, seed=13)
    assert again.markets == history.traders.markets
    known = set(history.accounts()["markets"])
    seen = act(history, again, ledger.clock.unix_timestamp + 5, 1_200)
    names = [name for _, name in seen]
    assert {"MarketFinalized", "WinningsClaimed", "MarketCreated", "SharesBought"} <= set(names)
    after = history.accounts()["markets"]
    assert known < set(after)
    ended = sum(after[address]["state"] >= MarketState.FINALIZED for address in known)
    assert ended >= len(known) // 2


def test_popularity_and_outcomes_are_skewed() -> None:
    """One market has far more trades than another, and both sides are bought."""
    history = History(14, tempo=Tempo(trades_per_second=2.0))
    counts: dict[bytes, int] = {}
    sides: set[bool] = set()
    for landed in history.play_landed(1_500):
        for _, event in logs.program_events(landed.logs, history.ledger.program_id):
            if event.name == "SharesBought":
                market_id, outcome = event[0], event[2]
                assert isinstance(market_id, bytes)
                assert isinstance(outcome, bool)
                counts[market_id] = counts.get(market_id, 0) + 1
                sides.add(outcome)
    assert max(counts.values()) > 5 * min(counts.values())
    assert sides == {True, False}


def test_a_fate_is_a_function_of_seed_and_number() -> None:
    """The same plan at every call, another for another seed."""
    assert plan_market(1, 5, Tempo()) == plan_market(1, 5, Tempo())
    assert plan_market(1, 5, Tempo()).market_id != plan_market(2, 5, Tempo()).market_id


def test_leaving_the_backend_out_leaves_its_work_undone() -> None:
    """With `plays_backend` off there are no tallies, approvals and finalizations."""
    history = History(15, tempo=Tempo(plays_backend=False))
    begin = history.ledger.clock.unix_timestamp
    names = {name for _, name in act(history, history.traders, begin, 200)}
    assert "ProposalVoteSubmitted" in names
    assert not names & {"ProposalAggregated", "ProposalApproved", "MarketFinalized"}


def test_a_content_id_is_the_one_ipfs_computes() -> None:
    """CIDv0 of `hello world` with a newline, as `ipfs add` prints it."""
    assert questions.content_id(b"hello world\n") == b"QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"


def test_where_keepers_play_the_backend_traders_leave_it_to_them() -> None:
    """No tally, approval or ending; both keys are funded, and unapproved markets do not block new ones."""
    history = History(5, tempo=Tempo(plays_backend=False, proposal_seconds=5, markets=3))
    begin = history.ledger.clock.unix_timestamp
    seen = {name for _, name in act(history, history.traders, begin, 400)}
    cast = history.traders.actors

    assert "ProposalVoteSubmitted" in seen
    assert not seen & {"ProposalAggregated", "ProposalApproved", "MarketFinalized", "DisputeAggregated"}
    assert history.traders.markets > 3
    for key in (cast.backend, cast.admin):
        account = history.ledger.account(key.address)
        assert account is not None
        assert account.lamports > 0
