"""Takes a market from its proposal to a claim through the API alone.

    make up                                              (in the project's folder, in another terminal)
    .venv/bin/python docs/examples/act.py

Wallets sign in, ballots are texts that they sign, and every step on chain is a transaction that the API builds and
simulates, the wallet signs, and the API relays and tracks. Two things are outside the API: money, which comes from
the development chain's faucet, and the steps that only the admin or the backend authority may take, which this script
signs with the development keys. The exit status is 0 if the wallet was paid the quoted amount; otherwise the script
prints the difference.

    API_PORT, DEVCHAIN_PORT   ports of the API and the development chain: 4000, 8899
    ZMART_STATE_DIR           folder with the development keys: .state
"""

from __future__ import annotations

import base64
import datetime
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction

from zmart import errors
from zmart.chain import idl, signer, transactions

API = os.environ.get("API_URL", f"http://127.0.0.1:{os.environ.get('API_PORT', '4000')}")
RPC = os.environ.get("SOLANA_RPC_URL", f"http://127.0.0.1:{os.environ.get('DEVCHAIN_PORT', '8899')}")
KEYS = Path(os.environ.get("ZMART_STATE_DIR", ".state")) / "devchain" / "keys"
SOL = 1_000_000_000
#: Long, because a new chain has an hour of history, which the API receives before any new event.
TIMEOUT_SECONDS = 120
http = httpx.Client(base_url=API, timeout=30, trust_env=False)


def fail(message: str) -> NoReturn:
    """Print the error and exit."""
    sys.exit(f"act.py: {message}")


def rpc(method: str, *params: Any) -> Any:
    """Call a method of the chain's node, for steps outside the API."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = httpx.post(RPC, json=request, timeout=30, trust_env=False).json()
    if "error" in answer:
        fail(f"{method}: {answer['error']['message']}")
    return answer["result"]


def wait_until(description: str, path: str, is_accepted: Callable[[Any], object]) -> Any:
    """Poll a path until its response is accepted, and return it."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        answer = http.get(path)
        if answer.status_code == 200 and is_accepted(answer.json()):
            return answer.json()
        time.sleep(0.2)
    return fail(f"{description} did not happen in {TIMEOUT_SECONDS} s: {answer.text}")


def clock() -> int:
    """Return the chain's time in seconds, by which the program checks deadlines."""
    return int(rpc("getBlockTime", rpc("getSlot", {"commitment": "confirmed"})))


class Wallet:
    """A key, and the steps that its owner's browser would do with it."""

    def __init__(self) -> None:
        self._key = Keypair()
        self.address = str(self._key.pubkey())
        self._headers: dict[str, str] = {}

    def sign(self, text: str) -> str:
        """Return a text's signature in base58."""
        return str(self._key.sign_message(text.encode()))

    def sign_in(self) -> None:
        """Sign In With Solana: sign the text of a nonce and exchange it for an access token."""
        nonce = http.get("/api/auth/nonce", params={"wallet": self.address}).raise_for_status().json()
        proof = {"wallet": self.address, "message": nonce["message"], "signature": self.sign(nonce["message"])}
        session = http.post("/api/auth/verify", json=proof).raise_for_status().json()
        self._headers = {"Authorization": f"Bearer {session['access_token']}"}

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Post as this wallet; retry while the protocol is paused.

        The admin of the development chain pauses it briefly now and then.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            answer = http.post(path, json=body, headers=self._headers)
            if answer.is_success:
                return answer.json()
            if "ProtocolPaused" not in answer.text or time.monotonic() > deadline:
                fail(f"POST {path} answers {answer.status_code}: {answer.text}")
            time.sleep(1)

    def land(self, prepared: dict[str, Any]) -> None:
        """Sign a prepared transaction, relay it and wait until it is confirmed."""
        message = VersionedTransaction.from_bytes(base64.b64decode(prepared["unsigned_transaction"])).message
        relay(bytes(VersionedTransaction(message, [self._key])), prepared["last_valid_block_height"])

    def cast_ballot(self, market: str, kind: str, *, vote: bool) -> None:
        """Cast a ballot off chain: sign a text that names the market and the choice."""
        asked = {"market_id": market, "kind": kind, "vote": str(vote).lower(), "wallet": self.address}
        text = http.get("/api/votes/message", params=asked).raise_for_status().json()["message"]
        proof = {"message": text, "signature": self.sign(text), "wallet": self.address}
        self.post(f"/api/votes/{kind}", {"market_id": market, "vote": vote, **proof})


def relay(raw: bytes, last_valid_block_height: int) -> None:
    """Relay a signed transaction and wait until it is confirmed, failed or expired."""
    body = {"transaction": base64.b64encode(raw).decode(), "last_valid_block_height": last_valid_block_height}
    answer = http.post("/api/transactions", json=body)
    if not answer.is_success:
        fail(f"POST /api/transactions answers {answer.status_code}: {answer.text}")
    path = f"/api/transactions/{answer.json()['signature']}?last_valid_block_height={last_valid_block_height}"
    ends = ("confirmed", "finalized", "failed", "expired")
    followed = wait_until("the transaction", path, lambda answer: answer["status"] in ends)
    if followed["status"] in ("failed", "expired"):
        # An expired transaction did nothing, so a wallet would prepare and sign it again.
        fail(f"{followed['signature']} {followed['status']}: {followed['error']}")


def send_official_step(key: signer.Signer, role: str, name: str, market: str, **args: Any) -> None:
    """Send a step that only the admin or the backend authority may take."""
    built = transactions.instruction(
        name, idl.load().address, {role: key.address}, args, market_id=bytes.fromhex(market)
    )
    latest = rpc("getLatestBlockhash", {"commitment": "confirmed"})["value"]
    signed = transactions.transaction([built], payer=key.address, blockhash=latest["blockhash"]).sign([key])
    relay(signed.raw, latest["lastValidBlockHeight"])
    print(f"  {name}")


def main() -> None:
    """Run the market's whole life."""
    admin, backend = (signer.load(KEYS / f"{name}.json") for name in ("admin", "backend"))
    creator, voters = Wallet(), [Wallet() for _ in range(3)]
    rpc("requestAirdrop", creator.address, 500 * SOL)
    wait_until(
        "the airdrop", "/health", lambda _: rpc("getBalance", creator.address, {"commitment": "confirmed"})["value"]
    )

    creator.sign_in()
    proposal = {
        "question": "Will this example reach its last line?",
        "description": "Resolved by its exit status.",
        "category": "other",
        "end_date": "2100-01-01T00:00:00Z",
        "liquidity": SOL,
    }
    created = creator.post("/api/markets", proposal)
    creator.land(created)
    market = created["market"]["id"]
    seen = wait_until("the market", f"/api/markets/{market}", lambda answer: answer["question"] == proposal["question"])
    print(f"{seen['state']}: {seen['question']} ({market})")

    for voter, vote in zip([creator, *voters], (True, True, True, False), strict=True):
        voter.cast_ballot(market, "proposal", vote=vote)
    stats = wait_until("the tally", f"/api/markets/{market}/votes", lambda answer: answer["stats"]["total"] == 4)[
        "stats"
    ]
    print(f"votes: {stats['likes']} for, {stats['dislikes']} against")
    counts = {"final_likes": stats["likes"], "final_dislikes": stats["dislikes"]}
    send_official_step(backend, "backend_authority", "aggregate_proposal_votes", market, **counts)
    send_official_step(admin, "admin", "approve_proposal", market)
    send_official_step(admin, "authority", "activate_market", market)

    order = {"market_id": market, "outcome": "YES", "shares": str(5 * SOL), "max_cost": str(10 * SOL)}
    bought = creator.post("/api/trades/buy", order)
    creator.land(bought)
    print(f"bought {bought['trade']['shares_exact']} YES for {bought['trade']['cost_exact']} lamports")

    creator.post(f"/api/markets/{market}/discussions", {"content": "It has come this far."})
    discussions = wait_until(
        "the comment", f"/api/markets/{market}/discussions", lambda answer: "this far" in str(answer)
    )
    print(f"posted: {len(discussions['discussions'] if isinstance(discussions, dict) else discussions)} comment")

    active = wait_until("the activation", f"/api/markets/{market}", lambda answer: answer["activated_at"])
    # The program accepts no outcome in the second in which trading began (protocol.md 1.4.7).
    began = datetime.datetime.fromisoformat(active["activated_at"]).timestamp()
    wait_until("a second of trading", "/health", lambda _: clock() > began)
    evidence = {"outcome": "YES", "ipfs_evidence_hash": created["market"]["ipfs_question_hash"]}
    creator.land(creator.post(f"/api/markets/{market}/resolve", evidence))
    wait_until("the resolution", f"/api/markets/{market}", lambda answer: answer["state"] == "RESOLVING")
    period = int(wait_until("the configuration", "/api/protocol", lambda _: True)["dispute_period"])
    ends = clock() + period + 2
    rpc("devchain_warp", period + 5)
    wait_until("the end of the dispute period", "/health", lambda _: clock() >= ends)
    send_official_step(
        backend, "backend_authority", "finalize_market", market, dispute_agree=None, dispute_disagree=None
    )

    before = rpc("getBalance", creator.address, {"commitment": "confirmed"})["value"]
    claim = creator.post(f"/api/markets/{market}/claim", {})
    creator.land(claim)
    path = f"/api/users/{creator.address}/positions/{market}"
    claimed = int(wait_until("the claim", path, lambda answer: answer["has_claimed"])["claimed_amount_exact"])
    paid = (
        rpc("getBalance", creator.address, {"commitment": "confirmed"})["value"] - before + int(claim["fee_lamports"])
    )
    # The creator also resolved the market, and the first claim pays the resolver (protocol.md 1.4.10).
    if not 0 < claimed <= paid:
        fail(f"The API says {claimed} lamports were claimed, the chain paid {paid}.")
    print(f"claimed {claimed} lamports; the market is {http.get(f'/api/markets/{market}').json()['state']}")


if __name__ == "__main__":
    try:
        main()
    except errors.ConfigurationError as error:
        fail(f"{error} `make up` creates the development keys; run this script in its folder.")
    except httpx.ConnectError:
        fail(f"{API} or {RPC} does not answer. Start `make up` first. For other ports set API_PORT and DEVCHAIN_PORT.")
