"""From signed bytes to their ending, whoever signed them: at the start of each round, at its end, and by a sensor.

What our own log holds, finalized, is done. The rest is put to one node: first the finalized height, then the statuses
with the whole history searched, so that "unknown" comes from a node that has seen the blockhash die. What may still
land is sent again. Nothing is signed here, so no key is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zmart import errors
from zmart.chain import client, rpc_errors

from . import error_policy, submission_status
from .actions import TASKS
from .error_policy import Meaning, Outcome
from .intent_store import Books, Closed, Unclosed
from .submission_status import Ending
from .submit import Checkpoint, Rhythm, nothing


@dataclass(kw_only=True)
class Swept:
    """What a sweep found."""

    #: Intents that are done now, open again, and those whose submission can never land.
    closed: list[Closed] = field(default_factory=list)
    reopened: list[int] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    quarantined: list[int] = field(default_factory=list)
    #: Submissions that may still land, or have landed and wait for our log.
    open: int = 0

    def words(self) -> str:
        """For people."""
        parts = {
            "done": len(self.closed),
            "reopened": len(self.reopened),
            "expired": len(self.expired),
            "failed": len(self.failed),
            "quarantined": len(self.quarantined),
            "still open": self.open,
        }
        return ", ".join(f"{count} {word}" for word, count in parts.items() if count) or "nothing open"


class Sweep:
    """One sweep over everything that has not ended."""

    def __init__(
        self,
        node: client.ChainClient,
        books: Books,
        *,
        program_id: str,
        rhythm: Rhythm,
        checkpoint: Checkpoint = nothing,
    ) -> None:
        self._node = node
        self._books = books
        self._program_id = program_id
        self._rhythm = rhythm
        self._checkpoint = checkpoint
        self._swept = Swept()

    async def run(self) -> Swept:
        """Look at everything once. Raises NodeTrouble; what was found by then stays found."""
        await self._reopen()
        await self._close()
        open_ones = await self._books.unclosed()
        for start in range(0, len(open_ones), client.MAX_STATUSES):
            await self._judge(open_ones[start : start + client.MAX_STATUSES])
        return self._swept

    async def close(self) -> Swept:
        """Only what our own log says; no node is asked."""
        await self._close()
        self._swept.open = len(await self._books.unclosed())
        return self._swept

    async def _reopen(self) -> None:
        for number in await self._books.reopen_retracted():
            self._swept.reopened.append(number)
            await self._books.alert(
                "keeper_reopened",
                str(number),
                "warning",
                f"Intent {number} was done, and the chain took its transaction back. It is decided anew.",
            )

    async def _close(self) -> None:
        self._checkpoint("before close")
        closed = await self._books.close_done()
        if closed:
            self._checkpoint("after close")
        for one in closed:
            await self._books.resolve("keeper_unconfirmed", str(one.intent_no))
            await self._books.resolve("keeper_reopened", str(one.intent_no))
            await self._compare(one)
        self._swept.closed += closed

    async def _compare(self, one: Closed) -> None:
        """A settled market must have the outcome that was planned; the program alone decides, so a person is told."""
        if "final_outcome" not in one.event or one.event["final_outcome"] == one.expected_outcome:
            return
        await self._books.alert(
            "outcome_differs",
            one.market_id,
            "critical",
            f"Market {one.market_id} was finalized as {one.event['final_outcome']}, planned as "
            f"{one.expected_outcome}: "
            f"the program's configuration changed while intent {one.intent_no} was on its way.",
        )

    async def _judge(self, found: Sequence[Unclosed]) -> None:
        one_node = self._node.pin_node()
        height = await one_node.block_height(commitment="finalized")
        statuses = await one_node.signature_statuses([each.signature for each in found], search_history=True)
        landed: dict[str, int] = {}
        for each, status in zip(found, statuses.value, strict=True):
            ending = submission_status.decide(
                status,
                finalized_height=height,
                last_valid_block_height=each.last_valid_block_height,
                searched=True,
                in_log=each.in_log,
            )
            if ending is Ending.LANDED and status is not None:
                landed[each.signature] = status.slot
            await self._act(each, ending, status)
        await self._books.land(landed)

    async def _act(self, one: Unclosed, ending: Ending, status: client.SignatureStatus | None) -> None:
        match ending:
            case Ending.EXPIRED:
                await self._expire(one)
            case Ending.FAILED:
                assert status is not None
                await self._fail(one, status)
            case Ending.RESEND:
                self._swept.open += 1
                await self._resend(one)
            case Ending.LANDED | Ending.WAIT:
                self._swept.open += 1
                await self._doubt(one)

    async def _resend(self, one: Unclosed) -> None:
        try:
            await self._node.send(one.raw, preflight_commitment="confirmed", skip_preflight=True)
        except errors.ZmartError:
            return
        await self._books.mark_sent([one.signature])

    async def _expire(self, one: Unclosed) -> None:
        words = f"Its blockhash died at height {one.last_valid_block_height}, and the chain does not know it."
        outcome = Outcome(meaning=Meaning.RETRY, kind="Expired", words=words)
        state = await self._books.expire(one.signature, outcome)
        self._swept.expired.append(one.intent_no)
        await self._told(one, state, outcome)

    async def _fail(self, one: Unclosed, status: client.SignatureStatus) -> None:
        error = rpc_errors.error_from_transaction(status.err, program_id=self._program_id)
        outcome = error_policy.of(error, TASKS[one.task])
        is_over = outcome.meaning in (Meaning.MOVED, Meaning.WAIT)
        state = await self._books.fail(one.signature, outcome, slot=status.slot, is_over=is_over)
        self._swept.failed.append(one.intent_no)
        await self._told(one, state, outcome)

    async def _told(self, one: Unclosed, state: str | None, outcome: Outcome) -> None:
        if state == "quarantined":
            self._swept.quarantined.append(one.intent_no)
            await self._books.alert(
                "intent_quarantined",
                str(one.intent_no),
                "critical",
                f"{one.task} of market {one.market_id} ended without success three times: {outcome.words} "
                f"Look at it, then: zmart keeper release {one.intent_no}",
            )
        if outcome.meaning in (Meaning.STOP, Meaning.PERSON):
            await self._books.alert(
                "keeper_refused_on_chain",
                one.market_id,
                "critical",
                f"{one.task} of intent {one.intent_no}: {outcome.words}",
            )

    async def _doubt(self, one: Unclosed) -> None:
        """A node says that it landed, and our own log does not show it: it is neither done nor signed again."""
        if one.age_seconds > self._rhythm.unconfirmed:
            await self._books.alert(
                "keeper_unconfirmed",
                str(one.intent_no),
                "warning",
                f"{one.signature} is said to have landed {one.age_seconds:.0f} s ago, but is not final in the log. "
                "Nothing is sent again. See whether ingest is verified (zmart status) and whether the node is honest.",
            )
