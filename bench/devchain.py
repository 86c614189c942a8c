"""Measures buys per second through JSON-RPC, signatures, the program's model and the ledger's file."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from typing import Any

from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction import Transaction

from bench.environment import BenchEnvironment, RunningProcess
from zmart.chain import codec, transactions
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.run import ports

from . import history, load
from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured

WALLETS, SENDERS = 20, 8
FUNDS_LAMPORTS = 1_000_000_000_000
#: Small enough for every buy to succeed; each buy adds another amount, so that each has another signature.
SPENT_LAMPORTS = 100_000_000
STATUSES = 256


class DevchainFigure(Figure):
    """Measures transactions sent to the development chain."""

    name = "devchain"
    title = "buys into the development chain over JSON-RPC"
    unit = "buys/s"
    targets = (Target(label="buys landed", bound="at least", value=300.0),)
    method = (
        "`python -m devchain` with its traders, webhooks off. Eight senders send signed buys of twenty wallets in "
        "one open market with sendTransaction, preflight skipped; afterwards every signature must be known and "
        "without an error. Signing is done before the clock starts; the chain verifies."
    )
    limit_seconds = 240.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure rounds of buys."""
        each, rounds = effort.choose(100, 1_000), effort.choose(1, 5)
        port = ports.find_free_port()
        environment = {"DEVCHAIN_PORT": str(port), "LOG_LEVEL": "warn", "HELIUS_AUTH_HEADER": "unused-but-required"}
        with env.start_python("devchain", "--no-webhooks", environment=environment, port=port) as running:
            market = _OpenMarket(running)
            rates = [market.measure_round(each, first=number * each) for number in range(rounds + 1)]
        return [Sample(label="buys landed", unit="buys/s", values=tuple(rates[1:]))]


class _OpenMarket:
    """An open market and the wallets that buy in it."""

    def __init__(self, running: RunningProcess) -> None:
        self._running = running
        self._wallets = [Keypair.from_seed(bytes([number + 1] * 32)) for number in range(WALLETS)]
        for wallet in self._wallets:
            self._call("requestAirdrop", [str(wallet.pubkey()), FUNDS_LAMPORTS])
        held = self._call("getProgramAccounts", [history.PROGRAM, {"encoding": "base64", "commitment": "processed"}])
        decoded = [(one["pubkey"], *_account(one["account"]["data"][0])) for one in held]
        self._fees = next(fields["protocol_fee_wallet"] for _, name, fields in decoded if name == "GlobalConfig")
        self._account = self._newest_open_market(decoded)

    def _newest_open_market(self, decoded: list[tuple[str, str, dict[str, Any]]]) -> Address:
        """Return the open market that opened last, so that it stays open during the measurement."""
        active = MarketState.ACTIVE
        markets = [
            (fields["activated_at"], at)
            for at, name, fields in decoded
            if "state" in fields and fields["state"] == active
        ]
        if not markets:
            raise NotMeasured("The development chain has no open market.")
        return Address(max(markets)[1])

    def measure_round(self, count: int, *, first: int) -> float:
        """Send buys and return the number that landed per second."""
        signed = self._sign_buys(count, first)
        bodies = [
            _request("sendTransaction", [raw, {"encoding": "base64", "skipPreflight": True}]) for raw, _ in signed
        ]
        seconds = load.closed_loop(self._running, bodies, senders=SENDERS, path="/")
        self._check([signature for _, signature in signed])
        return count / seconds

    def _sign_buys(self, count: int, first: int) -> list[tuple[str, str]]:
        """Return transactions in base64, each with its signature."""
        latest = self._call("getLatestBlockhash", [{"commitment": "processed"}])
        blockhash = Hash.from_string(latest["value"]["blockhash"])
        signed = []
        for number in range(first, first + count):
            wallet = self._wallets[number % WALLETS]
            payer: Pubkey = wallet.pubkey()
            buy = transactions.instruction(
                "buy_shares",
                history.PROGRAM,
                {
                    "market": self._account,
                    "user": Address(str(payer)),
                    "protocol_fee_wallet": self._fees,
                },
                {"outcome": number % 2 == 0, "target_cost": SPENT_LAMPORTS + number},
            )
            transaction = Transaction.new_signed_with_payer([buy], payer, [wallet], blockhash)
            signed.append((base64.b64encode(bytes(transaction)).decode(), str(transaction.signatures[0])))
        return signed

    def _check(self, signatures: list[str]) -> None:
        for start in range(0, len(signatures), STATUSES):
            statuses = self._call("getSignatureStatuses", [signatures[start : start + STATUSES]])["value"]
            failed = [status for status in statuses if status is None or status["err"] is not None]
            if failed:
                raise NotMeasured(f"{len(failed)} buys did not succeed, for example: {failed[0]}.")

    def _call(self, method: str, params: list[Any]) -> Any:
        url = f"http://127.0.0.1:{self._running.port}/"
        request = urllib.request.Request(url, _request(method, params), {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            response = json.load(answer)
        if "error" in response:
            raise NotMeasured(f"{method} was refused: {response['error']}")
        return response["result"]


def _account(data: str) -> tuple[str, dict[str, Any]]:
    return codec.default().decode_account(base64.b64decode(data))


def _request(method: str, params: list[Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": time.monotonic_ns(), "method": method, "params": params}).encode()


FIGURE = DevchainFigure()
