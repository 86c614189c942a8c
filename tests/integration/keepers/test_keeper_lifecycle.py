"""From creation to claims, no hand on the database: people act on chain, keepers do the rest."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from keeper_stack import DISPUTE_PERIOD, QUICK, WINDOW, Village

from orchestration import keeper_jobs
from orchestration.definitions import define
from orchestration.keepers import __main__ as command
from orchestration.keepers import actions
from orchestration.resources import DatabaseResource
from zmart.settings import Settings


def cast(village: Village, market: str, kind: str, ballots: dict[int, bool]) -> None:
    """Ballots off chain, by the voters' numbers."""
    village.cast(market, kind, {village.voters[voter].address: vote for voter, vote in ballots.items()})


async def rounds(village: Village, count: int, configured: Settings | None = None) -> None:
    """What the schedule does, so many times."""
    for _ in range(count):
        await village.keep(*actions.NAMES, configured=configured)
        await village.log()
        await village.sweep()


@pytest.mark.parametrize(
    ("agree", "disagree", "outcome"),
    [(None, None, True), (2, 4, True), (5, 1, False)],
    ids=["undisputed", "a dispute that fails", "a dispute that succeeds"],
)
async def test_a_market_from_creation_to_claims(
    village: Village, agree: int | None, disagree: int | None, outcome: bool
) -> None:
    """Votes on chain and off, approval, activation, trading, resolution, settlement, claims."""
    # Another proposal, so that the chain has shown the wallets that vote off chain; nothing else happens to it.
    village.propose(2, likes=5, dislikes=5)
    market = village.propose(1, likes=4, dislikes=1)
    await village.log()
    cast(village, market, "proposal", {5: True, 6: True, 7: True, 8: True, 9: False})
    await rounds(village, 3)
    assert village.state(market) == "ACTIVE"
    assert (village.market(market).proposal_likes, village.market(market).proposal_dislikes) == (8, 2)

    for voter in (0, 1):
        village.buy(market, voter, yes=True)
        village.buy(market, voter + 2, yes=False)
    village.resolve(market, outcome=True)
    if agree is not None and disagree is not None:
        village.dispute(market, agree=agree - 1, disagree=disagree)
        await village.log()
        cast(village, market, "dispute", {3: True} if agree + disagree <= 3 else {agree + disagree: True})
        village.pass_time(WINDOW)
    else:
        village.pass_time(DISPUTE_PERIOD)
    await village.log()
    await rounds(village, 1)

    ended = village.market(market)
    assert village.state(market) == "FINALIZED"
    assert ended.final_outcome is outcome
    assert ended.was_disputed is (agree is not None)
    if agree is not None:
        assert (ended.dispute_agree, ended.dispute_disagree) == (agree, disagree)
    for voter in (0, 1) if outcome else (2, 3):
        who = village.voters[voter]
        village.act("claim_winnings", who, "user", market=market, resolver=ended.resolver)
    await village.log()
    assert village.ask(
        "select state, outcome, claims_count from marts.markets where on_chain_address = %s", market
    ) == [("FINALIZED", "YES" if outcome else "NO", 2)]
    assert {state for _, state, _ in village.intents()} == {"done"}
    assert len(village.intents()) == 4
    assert village.landed(market, "aggregate_dispute_votes") == []
    assert village.alerts() == set()


async def test_the_job_of_the_ui_does_the_same(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asset shows its plan, its simulations and what it sent; a dry run signs nothing."""
    market = village.propose(1)
    await village.log()
    for name, value in village.environment().items():
        monkeypatch.setenv(name, value)
    database = DatabaseResource(dsn_of=village.database.dsn)
    dry = {"ops": {f"keepers__{name}": {"config": {"dry_run": True}} for name in actions.NAMES}}

    async with village.beating():
        tried = await asyncio.to_thread(_run, database, dry)
        assert village.ask("select count(*) from ops.submissions") == [(0,)]
        done = await asyncio.to_thread(_run, database, {})

    tried_plan, plan = (str(each["proposal_tallies"]["plan"]) for each in (tried, done))
    assert "| PROPOSED | due | due | final_likes 9, final_dislikes 1 |" in tried_plan
    assert "| PROPOSED | due |" in plan
    assert "aggregate" in str(tried["proposal_tallies"]["simulations"]).lower()
    assert village.landed(market, "aggregate_proposal_votes")[0] in str(done["proposal_tallies"]["submissions"])
    assert done["proposal_tallies"]["due"] == 1
    assert done.keys() == set(actions.NAMES)

    await village.log()
    said = await asyncio.to_thread(keeper_jobs.keeper_sweep, dg.build_sensor_context(), database=database)
    assert isinstance(said, dg.SkipReason)
    assert said.skip_message == "1 done."
    assert village.intents() == [("proposal_tallies", "done", 0)]


def _run(database: DatabaseResource, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    with dg.DagsterInstance.ephemeral() as instance:
        job = define(database).resolve_job_def(keeper_jobs.JOB)
        result = job.execute_in_process(instance=instance, run_config=config)
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


async def test_the_command_line_does_the_same(
    village: Village, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plan, run, intents and refusals, with statuses that a script can use."""
    market = village.open(1)
    village.resolve(market)
    village.pass_time(DISPUTE_PERIOD)
    disputed = village.open(2)
    village.resolve(disputed)
    village.dispute(disputed)
    village.pass_time(WINDOW)
    await village.log()

    ask = functools.partial(keeper, village, monkeypatch, capsys)

    code, said, _ = await ask("plan", "market_finalizations", "--json")
    assert code == 0
    assert [row["reason"] for row in json.loads(said)["rows"]] == ["due"]
    code, said = await started(village, "run", "market_finalizations")
    assert code == 0
    assert "market_finalizations: 1 due; 1 sent" in said
    code, said, _ = await ask("run", "dispute_settlements")
    assert code == 3
    assert "a dispute without a ballot" in said
    code, _, said = await ask("plan", "market_finalisations")
    assert code == 2
    assert "There are: proposal_tallies" in said
    code, _, said = await ask("run", ADMIN_KEYPAIR_PATH=str(village.folder / "backend.json"))
    assert code == 2
    assert "The admin on chain is" in said
    code, _, said = await ask("plan", SOLANA_RPC_URL="http://127.0.0.1:9")
    assert code == 1
    assert "cannot be reached" in said
    code, said, _ = await ask("intents")
    assert "market_finalizations" in said
    assert village.state(market) == "FINALIZED"


async def keeper(
    village: Village,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    **variables: str,
) -> tuple[int, str, str]:
    """What the keepers' command says in this process, and its status."""
    for name, value in {**village.environment(), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("zmart.log.configure", lambda *_, **__: None)
    async with village.beating():
        code = await asyncio.to_thread(command.main, arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


async def started(village: Village, *arguments: str) -> tuple[int | None, str]:
    """What `zmart keeper` says, and its status."""
    async with village.beating():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "zmart.cli", "keeper", *arguments),
            env={**village.environment(), "PATH": os.environ["PATH"]},
            cwd=Path(__file__).parents[3],
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode()


async def test_markets_that_stand_are_told_of(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day late, or without the pool its winners were promised."""
    stuck, pulled = village.open(1), village.open(2)
    village.buy(pulled, 0)
    village.resolve(stuck)
    village.resolve(pulled)
    village.pass_time(DISPUTE_PERIOD)
    counts = {"dispute_agree": None, "dispute_disagree": None}
    village.act("finalize_market", village.people["backend"], "backend_authority", counts, market=pulled)
    village.act("withdraw_liquidity", village.people["creator"], "creator", market=pulled)
    village.pass_time(90_000)
    village.propose(3)
    await village.log()
    for name, value in village.environment().items():
        monkeypatch.setenv(name, value)
    database = DatabaseResource(dsn_of=village.database.dsn)

    for _ in range(2):
        await asyncio.to_thread(keeper_jobs.overdue_markets, dg.build_sensor_context(), database=database)

    assert village.alerts() == {("market_overdue", "01" * 32), ("liquidity_pulled", "02" * 32)}
    await village.keep("market_finalizations", rhythm=QUICK)
    await village.log()
    await asyncio.to_thread(keeper_jobs.overdue_markets, dg.build_sensor_context(), database=database)
    assert village.alerts() == {("liquidity_pulled", "02" * 32)}
