"""Signers that are slow, refuse, or sign another message: nothing is stored or sent, and an alert names it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from keeper_stack import QUICK, KeeperStack, due, reasons, row_of
from test_keeper_refusals import due_market, sent

from orchestration.keepers.reasons import Reason
from zmart import settings
from zmart.chain import signer
from zmart.chain.signer import Signer
from zmart.domain.ids import Address

HASTY = replace(QUICK, signing_seconds=0.1)


class FakeSigner:
    """A signer of the keeper's address that misbehaves."""

    def __init__(self, key: Signer) -> None:
        self.address: Address = key.address
        self.key = key
        self.calls = 0

    async def sign_transaction(self, raw: bytes) -> bytes:
        """Count the call, then misbehave."""
        self.calls += 1
        return await self.misbehave(raw)

    async def misbehave(self, raw: bytes) -> bytes:
        """Return what the test needs."""
        raise NotImplementedError


class SlowSigner(FakeSigner):
    """It signs after a minute."""

    async def misbehave(self, raw: bytes) -> bytes:
        """Wait."""
        await asyncio.sleep(60)
        return await self.key.sign_transaction(raw)


class RefusingSigner(FakeSigner):
    """Its policy does not allow the transaction."""

    async def misbehave(self, raw: bytes) -> bytes:
        """Refuse."""
        raise PermissionError("the policy of token=s3cret denies it")


class ChangingSigner(FakeSigner):
    """It changes the counts of the instruction, and signs that validly."""

    async def misbehave(self, raw: bytes) -> bytes:
        """Sign another message: its last byte counts lookup tables, the one before is of the instruction's data."""
        return await self.key.sign_transaction(raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:])


@pytest.fixture
def use_signer(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[FakeSigner]], list[FakeSigner]]:
    """Let keepers sign with a signer of this class; return those that were made."""
    load = signer.backend

    def use(kind: type[FakeSigner]) -> list[FakeSigner]:
        made: list[FakeSigner] = []

        def backend(chain: settings.ChainSettings) -> FakeSigner | None:
            key = load(chain)
            if key is not None:
                made.append(kind(key))
            return made[-1] if key is not None else None

        monkeypatch.setattr("zmart.chain.signer.backend", backend)
        return made

    return use


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (SlowSigner, "did not sign within 0.1 s"),
        (RefusingSigner, "refused: PermissionError."),
        (ChangingSigner, "returned another transaction"),
    ],
)
async def test_a_signer_that_fails_sends_nothing(
    stack: KeeperStack,
    monkeypatch: pytest.MonkeyPatch,
    use_signer: Callable[[type[FakeSigner]], list[FakeSigner]],
    kind: type[FakeSigner],
    message: str,
) -> None:
    """The intent stays planned without a submission, no attempt is counted, and a later round sends it once."""
    market = await due_market(stack)
    made = use_signer(kind)
    for _ in range(2):
        report = await stack.run_keepers("market_finalizations", timing=HASTY)
        assert reasons(report) == {market: Reason.SIGNER}
        assert message in row_of(report, market).detail
        assert "s3cret" not in row_of(report, market).detail
    assert [one.calls for one in made] == [1, 1]
    assert sent(stack) == 0
    assert stack.landed_signatures(market, "finalize_market") == []
    assert stack.intents() == [("market_finalizations", "planned", 0)]
    assert stack.alerts() == {("keeper_signer", "market_finalizations")}

    monkeypatch.undo()
    assert due(await stack.run_keepers("market_finalizations")) == [market]
    assert len(stack.landed_signatures(market, "finalize_market")) == 1
    assert stack.intents() == [("market_finalizations", "landed", 0)]
    assert stack.alerts() == set()


async def test_a_signer_that_failed_is_not_asked_again_in_the_round(
    stack: KeeperStack, monkeypatch: pytest.MonkeyPatch, use_signer: Callable[[type[FakeSigner]], list[FakeSigner]]
) -> None:
    """Otherwise a hundred markets would wait five seconds each, one wave after another."""
    monkeypatch.setattr("orchestration.keepers.submit.MAX_CONCURRENT", 1)
    markets = [stack.open(number) for number in (1, 2, 3)]
    for market in markets:
        stack.resolve(market)
    stack.pass_time(3_600)
    await stack.sync_log()
    made = use_signer(SlowSigner)

    report = await stack.run_keepers("market_finalizations", timing=HASTY)

    assert reasons(report) == dict.fromkeys(markets, Reason.SIGNER)
    assert [one.calls for one in made] == [1]
    assert len(stack.intents()) == 1
    assert sent(stack) == 0
