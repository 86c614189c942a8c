"""A keeper killed before and after each of its steps: nothing is sent twice, and no intent is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from keeper_stack import DISPUTE_PERIOD, KeeperStack

#: More than 40 s in all: each test kills keepers and starts them again.
pytestmark = [pytest.mark.drill, pytest.mark.slow]

KEEPER = "market_finalizations"
STEPS = ("plan", "sign", "store", "send", "confirm", "close")
#: The points after which bytes are signed and not sent.
UNSENT = ["after sign", "after store", "before send"]
#: More blocks than the life of a blockhash.
A_LONG_TIME = 200


async def killed(stack: KeeperStack, point: str, *, lease_seconds: float = 60.0) -> None:
    """Run a keeper in a separate process that is killed at the point."""
    script = Path(__file__).with_name("keeper_crash_child.py")
    async with stack.producing_blocks():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            KEEPER,
            point,
            str(lease_seconds),
            env={**stack.environment(), "PATH": os.environ["PATH"]},
            cwd=Path(__file__).parents[3],
            stderr=asyncio.subprocess.PIPE,
        )
        _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == -signal.SIGKILL, stderr.decode()[-2_000:]


async def due_market(stack: KeeperStack, number: int) -> str:
    """A market that is due for finalization, and a log that contains it."""
    market = stack.open(number)
    stack.resolve(market)
    stack.pass_time(DISPUTE_PERIOD)
    await stack.sync_log()
    return market


async def recovered(stack: KeeperStack) -> None:
    """Run keepers like the schedule and the sensor, until nothing is open."""
    # As if the lease of the dead process had expired after its minute.
    stack.fetch_all("select ops.release_lease(name, epoch) from ops.leases")
    for _ in range(6):
        await stack.run_keepers(KEEPER)
        await stack.sync_log()
        await stack.sweep()
        if not stack.fetch_all("select from ops.intents where state not in ('done', 'refused')"):
            return
    raise AssertionError(stack.intents())


@pytest.mark.parametrize(
    ("points", "has_passed_long"),
    [*(([f"before {step}", f"after {step}"], False) for step in STEPS), (UNSENT, True)],
    ids=[*STEPS, "when the blockhash is dead"],
)
async def test_killed_at_every_step(stack: KeeperStack, points: list[str], has_passed_long: bool) -> None:
    """Twelve points of a run, resumed at once; also when signed bytes can never land any more."""
    for number, point in enumerate(points, start=1):
        market = await due_market(stack, number)
        if point.endswith("close"):
            await stack.run_keepers(KEEPER)
            await stack.sync_log()
        await killed(stack, point)
        if has_passed_long:
            stack.pass_blocks(A_LONG_TIME)

        await recovered(stack)

        assert stack.state(market) == "FINALIZED", point
        assert len(stack.landed_signatures(market, "finalize_market")) == 1, f"{point}: sent twice"
        (found,) = stack.fetch_all(
            "select i.intent_no, i.state from ops.intents as i inner join raw.markets_seen as m using (market_no) "
            "where m.account = %s",
            market,
        )
        endings = stack.fetch_all("select ending from ops.submissions where intent_no = %s", found[0])
        assert found[1] == "done", point
        assert [ending for (ending,) in endings].count("landed") == 1, point
        assert {ending for (ending,) in endings} <= {"landed", "expired"}, point
        assert len(endings) == (2 if has_passed_long and point != "after sign" else 1), point
    assert stack.alerts() == set()


async def test_while_the_dead_ones_lease_lasts_nobody_acts(stack: KeeperStack) -> None:
    """The next keeper waits for the lease; afterwards it acts under another epoch."""
    market = await due_market(stack, 1)
    await killed(stack, "after sign", lease_seconds=3.0)

    report = await stack.run_keepers(KEEPER)
    assert "has ended without giving its lease back" in report.skipped
    assert stack.state(market) == "RESOLVING"
    async with asyncio.timeout(30):
        while report.skipped:
            await asyncio.sleep(0.1)
            report = await stack.run_keepers(KEEPER)

    assert stack.state(market) == "FINALIZED"
    assert stack.fetch_all("select lease_epoch > 1 from ops.submissions") == [(True,)]
