"""A keeper run that kills its own process at a point: `python keeper_crash_child.py KEEPER POINT SECONDS_OF_LEASE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from orchestration.keepers import actions, runner
from orchestration.keepers.submit import Timing
from zmart import settings


def main(name: str, point: str, lease_seconds: str) -> None:
    """Run to the point, and not one statement further."""

    def checkpoint(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    timing = Timing(poll_seconds=0.02, resend_seconds=0.2, wait_seconds=5.0, lease_seconds=float(lease_seconds))
    configured = settings.load(os.environ)
    asyncio.run(
        runner.run_rounds(configured, actions.select_tasks([name]), is_dry=False, timing=timing, checkpoint=checkpoint)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
