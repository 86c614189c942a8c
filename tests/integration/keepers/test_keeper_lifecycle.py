"""From creation to claims, without any write to the database: users act on chain, keepers do the rest."""

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
from keeper_stack import DISPUTE_PERIOD, QUICK, WINDOW, KeeperStack

from orchestration import keeper_jobs
from orchestration.assets import keepers as keeper_assets
from orchestration.definitions import define
from orchestration.keepers import __main__ as command
from orchestration.keepers import actions
from orchestration.resources import DatabaseResource
from zmart.settings import Settings


def cast(stack: KeeperStack, market: str, kind: str, ballots: dict[int, bool]) -> None:
    """Cast ballots off chain, by the voters' numbers."""
    stack.cast(market, kind, {stack.voters[voter].address: vote for voter, vote in ballots.items()})


async def rounds(stack: KeeperStack, count: int, configured: Settings | None = None) -> None:
    """Run the schedule this number of times."""
    for _ in range(count):
        await stack.run_keepers(*actions.NAMES, configured=configured)
        await stack.sync_log()
        await stack.sweep()


@pytest.mark.parametrize(
    ("agree", "disagree", "outcome"),
    [(None, None, True), (2, 4, True), (5, 1, False)],
    ids=["undisputed", "a dispute that fails", "a dispute that succeeds"],
)
async def test_a_market_from_creation_to_claims(
    stack: KeeperStack, agree: int | None, disagree: int | None, outcome: bool
) -> None:
    """Votes on chain and off, approval, activation, trading, resolution, settlement, claims."""
    # Another proposal, so that the wallets that vote off chain have appeared on chain; it has no other events.
    stack.propose(2, likes=5, dislikes=5)
    market = stack.propose(1, likes=4, dislikes=1)
    await stack.sync_log()
    cast(stack, market, "proposal", {5: True, 6: True, 7: True, 8: True, 9: False})
    await rounds(stack, 3)
    assert stack.state(market) == "ACTIVE"
    assert (stack.market(market).proposal_likes, stack.market(market).proposal_dislikes) == (8, 2)

    for voter in (0, 1):
        stack.buy(market, voter, yes=True)
        stack.buy(market, voter + 2, yes=False)
    stack.resolve(market, outcome=True)
    if agree is not None and disagree is not None:
        stack.dispute(market, agree=agree - 1, disagree=disagree)
        await stack.sync_log()
        cast(stack, market, "dispute", {3: True} if agree + disagree <= 3 else {agree + disagree: True})
        stack.pass_time(WINDOW)
    else:
        stack.pass_time(DISPUTE_PERIOD)
    await stack.sync_log()
    await rounds(stack, 1)

    ended = stack.market(market)
    assert stack.state(market) == "FINALIZED"
    assert ended.final_outcome is outcome
    assert ended.was_disputed is (agree is not None)
    if agree is not None:
        assert (ended.dispute_agree, ended.dispute_disagree) == (agree, disagree)
    for voter in (0, 1) if outcome else (2, 3):
        who = stack.voters[voter]
        stack.act("claim_winnings", who, "user", market=market, resolver=ended.resolver)
    await stack.sync_log()
    assert stack.fetch_all(
        "select state, outcome, claims_count from marts.markets where on_chain_address = %s", market
    ) == [("FINALIZED", "YES" if outcome else "NO", 2)]
    assert {state for _, state, _ in stack.intents()} == {"done"}
    assert len(stack.intents()) == 4
    assert stack.landed_signatures(market, "aggregate_dispute_votes") == []
    assert stack.alerts() == set()


@pytest.mark.drill
async def test_the_job_of_the_ui_does_the_same(stack: KeeperStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asset shows its plan, its simulations and its transactions; only a confirmed run of keepers alone signs."""
    market = stack.propose(1)
    await stack.sync_log()
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    database = DatabaseResource(dsn_of=stack.database.dsn)
    confirmed = keeper_assets.confirmed_config(actions.NAMES)
    dry = {"ops": {f"keepers__{name}": {"config": {"confirm": True, "dry_run": True}} for name in actions.NAMES}}

    async with stack.producing_blocks():
        planned = await asyncio.to_thread(_run, database, {})
        tried = await asyncio.to_thread(_run, database, dry)
        bulk = [dg.AssetKey(["keepers", "proposal_tallies"]), dg.AssetKey(["marts", "holders"])]
        some = keeper_assets.confirmed_config(["proposal_tallies"])
        with_others = await asyncio.to_thread(_run, database, some, "__ASSET_JOB", bulk)
        assert stack.fetch_all("select count(*) from ops.submissions") == [(0,)]
        done = await asyncio.to_thread(_run, database, confirmed)

    modes = [str(each["proposal_tallies"]["mode"]) for each in (planned, tried, with_others, done)]
    assert [mode.partition(":")[0] for mode in modes] == [*["PLAN ONLY, nothing was signed"] * 3, "ACTED"]
    assert "`confirm: true`" in modes[0]
    assert "`dry_run: true`" in modes[1]
    assert "other assets" in modes[2]
    assert f"#/market/{'01' * 32}" in str(done["proposal_tallies"]["plan"])

    tried_plan, plan = (str(each["proposal_tallies"]["plan"]) for each in (tried, done))
    assert "| PROPOSED | due | due | final_likes 9, final_dislikes 1 |" in tried_plan
    assert "| PROPOSED | due |" in plan
    assert "aggregate" in str(tried["proposal_tallies"]["simulations"]).lower()
    assert stack.landed_signatures(market, "aggregate_proposal_votes")[0] in str(
        done["proposal_tallies"]["submissions"]
    )
    assert done["proposal_tallies"]["due"] == 1
    assert done.keys() == set(actions.NAMES)

    await stack.sync_log()
    result = await asyncio.to_thread(keeper_jobs.keeper_sweep, dg.build_sensor_context(), database=database)
    assert isinstance(result, dg.SkipReason)
    assert result.skip_message == "1 done."
    assert stack.intents() == [("proposal_tallies", "done", 0)]


def _run(
    database: DatabaseResource,
    config: dict[str, Any],
    name: str = keeper_jobs.JOB,
    selection: list[dg.AssetKey] | None = None,
) -> dict[str, dict[str, Any]]:
    with dg.DagsterInstance.ephemeral() as instance:
        job = define(database).resolve_job_def(name)
        result = job.execute_in_process(instance=instance, run_config=config, asset_selection=selection)
        (run,) = instance.get_runs()
        acted = any(
            "ACTED" in str(e.materialization.metadata.get("mode")) for e in result.get_asset_materialization_events()
        )
        assert run.tags["zmart/keepers"] == ("acts" if acted else "plan only")
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


async def test_the_command_line_does_the_same(
    stack: KeeperStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plan, run, intents and rejections, with statuses for scripts."""
    market = stack.open(1)
    stack.resolve(market)
    stack.pass_time(DISPUTE_PERIOD)
    disputed = stack.open(2)
    stack.resolve(disputed)
    stack.dispute(disputed)
    stack.pass_time(WINDOW)
    await stack.sync_log()

    ask = functools.partial(keeper, stack, monkeypatch, capsys)

    code, output, _ = await ask("plan", "market_finalizations", "--json")
    assert code == 0
    assert [row["reason"] for row in json.loads(output)["rows"]] == ["due"]
    code, output = await started(stack, "run", "market_finalizations")
    assert code == 0
    assert "market_finalizations: 1 due; 1 sent" in output
    code, output, _ = await ask("run", "dispute_settlements")
    assert code == 3
    assert "a dispute without a ballot" in output
    code, _, output = await ask("plan", "market_finalisations")
    assert code == 2
    assert "Use one of: proposal_tallies" in output
    code, _, output = await ask("run", ADMIN_KEYPAIR_PATH=str(stack.folder / "backend.json"))
    assert code == 2
    assert "The admin on chain is" in output
    code, _, output = await ask("plan", SOLANA_RPC_URL="http://127.0.0.1:9")
    assert code == 1
    assert "cannot be reached" in output
    code, output, _ = await ask("intents")
    assert "market_finalizations" in output
    assert stack.state(market) == "FINALIZED"


async def keeper(
    stack: KeeperStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    **variables: str,
) -> tuple[int, str, str]:
    """Return the output of the keepers' command in this process, and its status."""
    for name, value in {**stack.environment(), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("zmart.log.configure", lambda *_, **__: None)
    async with stack.producing_blocks():
        code = await asyncio.to_thread(command.main, arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


async def started(stack: KeeperStack, *arguments: str) -> tuple[int | None, str]:
    """Return the output of `zmart keeper`, and its status."""
    async with stack.producing_blocks():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "zmart.cli", "keeper", *arguments),
            env={**stack.environment(), "PATH": os.environ["PATH"]},
            cwd=Path(__file__).parents[3],
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


async def test_overdue_markets_raise_alerts(stack: KeeperStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day late, or without the pool that its winners should receive."""
    stuck, pulled = stack.open(1), stack.open(2)
    stack.buy(pulled, 0)
    stack.resolve(stuck)
    stack.resolve(pulled)
    stack.pass_time(DISPUTE_PERIOD)
    counts = {"dispute_agree": None, "dispute_disagree": None}
    stack.act("finalize_market", stack.people["backend"], "backend_authority", counts, market=pulled)
    stack.act("withdraw_liquidity", stack.people["creator"], "creator", market=pulled)
    stack.pass_time(90_000)
    stack.propose(3)
    await stack.sync_log()
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    database = DatabaseResource(dsn_of=stack.database.dsn)

    for _ in range(2):
        await asyncio.to_thread(keeper_jobs.overdue_markets, dg.build_sensor_context(), database=database)

    assert stack.alerts() == {("market_overdue", "01" * 32), ("liquidity_pulled", "02" * 32)}
    await stack.run_keepers("market_finalizations", timing=QUICK)
    await stack.sync_log()
    await asyncio.to_thread(keeper_jobs.overdue_markets, dg.build_sensor_context(), database=database)
    assert stack.alerts() == {("liquidity_pulled", "02" * 32)}
