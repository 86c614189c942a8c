"""A keeper killed before and after each of its steps: nothing is sent twice, and nothing that was intended is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from keeper_stack import DISPUTE_PERIOD, Village

pytestmark = pytest.mark.slow

KEEPER = "market_finalizations"
STEPS = ("plan", "sign", "store", "send", "confirm", "close")
#: Those after which bytes are signed and have not left.
UNSENT = ["after sign", "after store", "before send"]
#: More blocks than a blockhash is good for.
A_LONG_TIME = 200


async def killed(village: Village, point: str, *, lease_seconds: float = 60.0) -> None:
    """A round in a process of its own that is killed at the point."""
    script = Path(__file__).with_name("keeper_crash_child.py")
    async with village.beating():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            KEEPER,
            point,
            str(lease_seconds),
            env={**village.environment(), "PATH": os.environ["PATH"]},
            cwd=Path(__file__).parents[3],
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == -signal.SIGKILL, said.decode()[-2_000:]


async def due_market(village: Village, number: int) -> str:
    """A market whose outcome is due to be final, and a log that knows it."""
    market = village.open(number)
    village.resolve(market)
    village.pass_time(DISPUTE_PERIOD)
    await village.log()
    return market


async def recovered(village: Village) -> None:
    """Rounds as the schedule and the sensor make them, until nothing is open."""
    # As if the minute had passed for which the dead one's lease lasts.
    village.ask("select ops.give_lease(name, epoch) from ops.leases")
    for _ in range(6):
        await village.keep(KEEPER)
        await village.log()
        await village.sweep()
        if not village.ask("select from ops.intents where state not in ('done', 'refused')"):
            return
    raise AssertionError(village.intents())


@pytest.mark.parametrize(
    ("points", "has_passed_long"),
    [*(([f"before {step}", f"after {step}"], False) for step in STEPS), (UNSENT, True)],
    ids=[*STEPS, "when the blockhash is dead"],
)
async def test_killed_at_every_step(village: Village, points: list[str], has_passed_long: bool) -> None:
    """Twelve points of the way, found again at once; and where signed bytes can never land any more."""
    for number, point in enumerate(points, start=1):
        market = await due_market(village, number)
        if point.endswith("close"):
            await village.keep(KEEPER)
            await village.log()
        await killed(village, point)
        if has_passed_long:
            village.pass_blocks(A_LONG_TIME)

        await recovered(village)

        assert village.state(market) == "FINALIZED", point
        assert len(village.landed(market, "finalize_market")) == 1, f"{point}: sent twice"
        (found,) = village.ask(
            "select i.intent_no, i.state from ops.intents as i inner join raw.markets_seen as m using (market_no) "
            "where m.account = %s",
            market,
        )
        endings = village.ask("select ending from ops.submissions where intent_no = %s", found[0])
        assert found[1] == "done", point
        assert [ending for (ending,) in endings].count("landed") == 1, point
        assert {ending for (ending,) in endings} <= {"landed", "expired"}, point
        assert len(endings) == (2 if has_passed_long and point != "after sign" else 1), point
    assert village.alerts() == set()


async def test_while_the_dead_ones_lease_lasts_nobody_acts(village: Village) -> None:
    """The next keeper waits rather than guesses; afterwards it acts under another epoch."""
    market = await due_market(village, 1)
    await killed(village, "after sign", lease_seconds=3.0)

    report = await village.keep(KEEPER)
    assert "Another keeper is at work" in report.skipped
    assert village.state(market) == "RESOLVING"
    async with asyncio.timeout(30):
        while report.skipped:
            await asyncio.sleep(0.1)
            report = await village.keep(KEEPER)

    assert village.state(market) == "FINALIZED"
    assert village.ask("select lease_epoch > 1 from ops.submissions") == [(True,)]
