"""`zmart keeper approve`: what a plan leaves to an operator is sent on an operator's word, with a record of it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from keeper_stack import DISPUTE_PERIOD, QUICK, WINDOW, KeeperStack, reasons
from psycopg.types.json import Jsonb

from orchestration.keepers import __main__ as command
from orchestration.keepers import intent_store, runner
from orchestration.keepers.reasons import Reason
from orchestration.keepers.round_report import RoundReport
from zmart import errors, testing
from zmart.chain.signer import Signer
from zmart.settings import Settings

WHO, WHY = "operator", "The voters are members of our forum."


async def approve(
    stack: KeeperStack, market: str, *, reason: str = WHY, configured: Settings | None = None
) -> RoundReport:
    """Approve as `zmart keeper approve` does, then let the log see it."""
    dsn = stack.database.dsn("zmart_keeper")
    async with (
        stack.producing_blocks(),
        runner.open_runner(configured or stack.configured, timing=QUICK, dsn=dsn) as keepers,
    ):
        report = await keepers.approve(market, who=WHO, reason=reason)
    await stack.sync_log()
    assert report is not None
    return report


def fresh(count: int) -> dict[str, bool]:
    """Ballots in favour by new wallets."""
    return {Signer.generate().address: True for _ in range(count)}


def audited(stack: KeeperStack) -> Sequence[tuple[Any, ...]]:
    """Return the recorded decisions."""
    return stack.fetch_all(
        "select who, login, action, subject, reason, details ->> 'task', details ->> 'left_because'"
        " from ops.audit order by audit_no"
    )


def sent(stack: KeeperStack) -> int:
    """Return the number of transactions that were signed and stored."""
    return int(stack.fetch_all("select count(*) from ops.submissions")[0][0])


async def test_keepers_wait_only_for_markets_that_an_accepted_gap_concerns(stack: KeeperStack) -> None:
    """The market of an unproven transaction waits, also for an operator's approval; another one is tallied. A missing
    transaction concerns the markets that it names, or all if that is unknown. A filled gap concerns none."""
    first, second = stack.propose(1), stack.propose(2)
    await stack.sync_log()
    rows = stack.fetch_all(
        "select distinct on (m.market_id) m.market_no, t.signature, t.slot from raw.transactions as t"
        " inner join raw.events as e using (transaction_no) inner join raw.markets_seen as m using (market_no)"
        " where e.name = 'ProposalVoteSubmitted' order by m.market_id, e.seq"
    )
    (_, signature, slot), (second_no, _, _) = rows
    plans: list[dict[str, Any]] = [
        {"signature": signature, "slot": slot, "kind": "unlisted"},
        {"signature": "missing", "slot": slot, "kind": "unfetched", "market_nos": [second_no]},
        {"signature": "unknown", "slot": slot, "kind": "unfetched", "market_nos": None},
    ]

    def accept(*transactions: dict[str, Any]) -> None:
        with psycopg.connect(stack.database.dsn("zmart_ingest"), autocommit=True) as ingest:
            accepted = ingest.execute(
                "select ops.accept_gap(%s, %s, %s, %s, '{}', %s)", [slot, slot, WHO, WHY, Jsonb(list(transactions))]
            ).fetchone()
        assert accepted is not None
        assert accepted[0] is not None

    def fill(name: str) -> None:
        stack.fetch_all(
            "update ops.gap_transactions set outcome = 'listed', closed_at = now() where signature = %s returning 1",
            name,
        )

    async def planned() -> dict[str, Reason]:
        return reasons(await stack.run_keepers("proposal_tallies", is_dry=True))

    for plan, waiting in zip(plans, ({first}, {second}, {first, second}), strict=True):
        accept(plan)
        expected = {one: Reason.GAP if one in waiting else Reason.DUE for one in (first, second)}
        assert await planned() == expected
        fill(plan["signature"])
    assert await planned() == {first: Reason.DUE, second: Reason.DUE}

    accept(plans[0] | {"signature": signature})
    report = await stack.run_keepers("proposal_tallies")
    assert [one.state for one in report.sent] == ["landed"]
    assert stack.market(first).proposal_likes == 0 != stack.market(second).proposal_likes


async def test_an_operator_opens_a_market_that_unseen_wallets_want(stack: KeeperStack) -> None:
    """Tally, approval and activation: each is left to an operator, each is sent on a decision, and each is recorded."""
    market = stack.propose(1, likes=2, dislikes=0)
    await stack.sync_log()
    stack.cast(market, "proposal", fresh(10))
    steps = ("proposal_tallies", "proposal_approvals", "market_activations")
    for task in steps:
        assert reasons(await stack.run_keepers(task)) == {market: Reason.UNSEEN_DECIDE}
        report = await approve(stack, market)
        assert (report.task.name, [one.state for one in report.sent]) == (task, ["landed"])
    assert (stack.market(market).proposal_likes, stack.market(market).proposal_dislikes) == (2, 0)
    assert stack.state(market) == "ACTIVE"

    login = stack.fetch_all("select distinct login from ops.audit")
    assert audited(stack) == [
        (WHO, login[0][0], "keeper approve", "01" * 32, WHY, task, "unseen_decide") for task in steps
    ]
    linked = stack.fetch_all(
        "select i.plan ->> 'task', a.details ->> 'task' from ops.intents as i"
        " inner join ops.audit as a on a.audit_no = (i.plan ->> 'audit_no')::bigint order by a.audit_no"
    )
    assert linked == [(task, task) for task in steps]


async def test_an_operator_sends_an_approval_that_keepers_may_not_send(stack: KeeperStack) -> None:
    """KEEPER_APPROVES=false, the default on mainnet."""
    market = stack.propose(1)
    await stack.sync_log()
    await stack.run_keepers("proposal_tallies")
    await stack.sync_log()
    left = stack.with_settings(keepers={"approves": False})
    await stack.run_keepers("proposal_approvals", configured=left)
    assert stack.state(market) == "PROPOSED"

    await approve(stack, "01" * 32, configured=left)

    assert stack.state(market) == "APPROVED"
    assert [row[5:] for row in audited(stack)] == [("proposal_approvals", "left_to_operator")]


async def test_an_operator_settles_a_dispute_without_the_ballots_of_unseen_wallets(stack: KeeperStack) -> None:
    """The counts and the outcome are those of the other ballots, also on a decision."""
    market = stack.open(1)
    stack.resolve(market)
    stack.dispute(market, agree=2, disagree=4)
    await stack.sync_log()
    stack.cast(market, "dispute", fresh(9))
    stack.pass_time(WINDOW)
    await stack.sync_log()
    assert reasons(await stack.run_keepers("dispute_settlements")) == {market: Reason.UNSEEN_DECIDE}

    await approve(stack, market)

    assert (stack.market(market).dispute_agree, stack.market(market).dispute_disagree) == (2, 4)
    assert (stack.state(market), stack.market(market).final_outcome) == ("FINALIZED", True)
    await stack.sweep()
    assert [(task, state) for task, state, _ in stack.intents()] == [("dispute_settlements", "done")]
    assert "outcome_differs" not in {kind for kind, _ in stack.alerts()}


async def test_a_decision_cannot_replace_a_proof(stack: KeeperStack) -> None:
    """Nothing is sent or recorded where nothing was left to an operator, or the program would refuse it."""
    waiting = stack.propose(1, likes=1, dislikes=1)
    free = stack.propose(2, likes=0, dislikes=0)
    running = stack.open(3)
    stack.resolve(running)
    stack.dispute(running, agree=2, disagree=4)
    await stack.sync_log()
    stack.cast(free, "proposal", fresh(10))
    stack.cast(running, "dispute", fresh(9))

    for market, message in (
        (waiting, "Nothing is left to an operator there: proposal_approvals: no sufficient tally"),
        (free, "on such a tally the program approves nothing"),
        (running, "Nothing is left to an operator there: dispute_settlements: voting runs"),
    ):
        with pytest.raises(errors.Conflict, match=message):
            await approve(stack, market)
    with pytest.raises(errors.NotFound):
        await approve(stack, Signer.generate().address)
    with pytest.raises(errors.InvalidInput):
        await approve(stack, free, reason=" ")
    stack.act("emergency_pause", stack.people["admin"], "admin")
    await stack.sync_log()
    with pytest.raises(errors.Conflict, match="the protocol is paused"):
        await approve(stack, free)
    assert (audited(stack), sent(stack)) == ([], 0)


async def test_the_command_sends_and_lists_a_decision(
    stack: KeeperStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 2 where nothing is left to an operator, and the list shows who decided."""
    market = stack.propose(1, likes=2, dislikes=0)
    await stack.sync_log()
    stack.cast(market, "proposal", fresh(10))
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("zmart.log.configure", lambda *_, **__: None)

    async def run(*arguments: str) -> int:
        async with stack.producing_blocks():
            return await asyncio.to_thread(command.main, arguments)

    monkeypatch.setenv("MARKET_MONITOR_DRY_RUN", "true")
    assert await run("approve", market, "--reason", WHY) == 2
    assert "MARKET_MONITOR_DRY_RUN is on" in capsys.readouterr().err
    monkeypatch.delenv("MARKET_MONITOR_DRY_RUN")
    assert await run("approve", market, "--reason", WHY) == 0
    assert "1 sent" in capsys.readouterr().out
    assert await run("approve", market, "--reason", WHY) == 2
    assert "under way" in capsys.readouterr().err
    assert await run("decisions") == 0
    shown = capsys.readouterr().out
    assert getpass.getuser() in shown
    assert WHY.rsplit(maxsplit=1)[-1] in shown


async def test_a_keeper_without_the_admins_key_approves_nothing(stack: KeeperStack) -> None:
    """The decision does not replace the key; nothing is recorded."""
    market = stack.propose(1, likes=2, dislikes=0)
    await stack.sync_log()
    stack.cast(market, "proposal", fresh(10))
    await approve(stack, market)
    without = stack.with_settings(chain={"admin_keypair_path": None})
    with pytest.raises(errors.ConfigurationError, match="signs as the admin"):
        await approve(stack, market, configured=without)
    assert [row[5] for row in audited(stack)] == ["proposal_tallies"]


def test_no_login_changes_the_record(marts_database: Any) -> None:
    """Decisions are added by the function and by nothing else; a decision has an operator and a reason."""
    record = "select ops.record_audit(%s, 'keeper approve', 'market', %s, '{}')"
    with marts_database.connect("zmart_keeper") as keeper:
        keeper.execute(record, (WHO, WHY))
        for statement in (
            "insert into ops.audit (who, action, subject, reason) values ('a', 'b', 'c', 'd')",
            "update ops.audit set who = 'another'",
            "delete from ops.audit",
            "truncate ops.audit",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                keeper.execute(statement)
        for who, reason in (("", WHY), (WHO, " ")):
            with pytest.raises(psycopg.errors.CheckViolation):
                keeper.execute(record, (who, reason))
        rows = keeper.execute("select who, login = session_user, reason from ops.audit").fetchall()
    assert rows == [(WHO, True, WHY)]
    with marts_database.connect("zmart_api") as api, pytest.raises(psycopg.errors.InsufficientPrivilege):
        api.execute(record, (WHO, WHY))


async def test_a_release_is_recorded_when_it_releases(
    stack: KeeperStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`zmart keeper release` leaves who, which intent and why; a release of nothing leaves nothing."""
    market = stack.open(1)
    stack.resolve(market)
    stack.pass_time(DISPUTE_PERIOD)
    await stack.sync_log()
    monkeypatch.setattr(intent_store, "MAX_ATTEMPTS", 1)
    refused = {"code": -32005, "message": "Node is behind", "data": {"numSlotsBehind": 9}}
    await stack.node.call("devchain_fault", {"method": "sendTransaction", "count": 10**6, "error": refused})
    await stack.run_keepers("market_finalizations", timing=replace(QUICK, wait_seconds=0.1))
    stack.pass_blocks(200)
    await stack.sync_log()
    await stack.sweep()
    assert [state for _, state, _ in stack.intents()] == ["quarantined"]
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("zmart.log.configure", lambda *_, **__: None)

    assert await asyncio.to_thread(command.main, ("release", "2", "--reason", WHY)) == 2
    assert audited(stack) == []
    assert await asyncio.to_thread(command.main, ("release", "1", "--reason", WHY)) == 0

    assert [state for _, state, _ in stack.intents()] == ["refused"]
    ((who, login, *rest),) = audited(stack)
    assert (who, login, rest) == (getpass.getuser(), "zmart_keeper", ["keeper release", "1", WHY, None, None])
    assert await asyncio.to_thread(command.main, ("release", "1", "--reason", WHY)) == 2
    assert len(audited(stack)) == 1
    capsys.readouterr()


@pytest.mark.parametrize("role", ["zmart_ingest", "zmart_keeper", "zmart_api", "analyst"])
def test_readers_of_the_record(marts_database: testing.PostgresDatabase, role: str) -> None:
    """Every login may read decisions; only the services that decide may add one, and none changes one."""
    may_add = role in ("zmart_ingest", "zmart_keeper")
    with marts_database.connect(role) as reader:
        assert reader.execute("select count(*) from ops.audit").fetchone() == (0,)
        rights = reader.execute(
            "select has_function_privilege('ops.record_audit(text, text, text, text, jsonb)', 'execute'),"
            " has_table_privilege('ops.audit', 'insert, update, delete, truncate')"
        ).fetchone()
    assert rights == (may_add, False)
