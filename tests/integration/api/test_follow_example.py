"""A bot with an API key follows 1,000 wallets, and misses and repeats nothing over a restart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
from recorded_chain import RecordedChain
from solders.keypair import Keypair
from wallets import bearer

from api.live import topics

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "examples" / "follow.py"
TIMEOUT_SECONDS = 90


def test_a_bot_follows_a_thousand_wallets(played: RecordedChain, tmp_path: Path) -> None:
    """Two runs of the example give the trades of its wallets in the log's order; a revoked key ends it."""
    traders = played.fetch_all("select distinct user_wallet from marts.trades order by 1")
    followed = [wallet for (wallet,) in traders][: topics.MAX_TOPICS // 2]
    others = [str(Keypair().pubkey()) for _ in range(topics.MAX_TOPICS - len(followed))]
    wallets = tmp_path / "wallets.txt"
    wallets.write_text("\n".join([*others, *followed]))
    session = bearer(played.signed_in()["access_token"])
    with httpx.Client(base_url=played.url, trust_env=False, headers=session) as client:
        created = client.post("/api/account/keys", json={"name": "bot", "scopes": ["read"]}).json()
        names = ",".join(followed)
        query = (
            f"select seq, user_wallet from marts.trades where user_wallet = any('{{{names}}}') order by seq limit 12"
        )
        expected = played.fetch_all(query)
        ((epoch,),) = played.fetch_all("select epoch::text from raw.identity")
        (tmp_path / "position").write_text(f"{epoch}:0")

        def run(most_trades: int) -> subprocess.CompletedProcess[str]:
            environ = {
                **os.environ,
                "API_URL": played.url,
                "ZMART_API_KEY": created["key"],
                "POSITION_FILE": str(tmp_path / "position"),
                "MOST_TRADES": str(most_trades),
            }
            command = [sys.executable, str(SCRIPT), str(wallets)]
            return subprocess.run(
                command, env=environ, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )

        printed = []
        for _ in range(2):
            ran = run(len(expected) // 2)
            assert ran.returncode == 0, ran.stderr
            printed += [line.split()[:2] for line in ran.stdout.splitlines()]
        assert printed == [[str(seq), wallet] for seq, wallet in expected[: len(printed)]]
        assert len(printed) >= len(expected) // 2 * 2

        client.delete(f"/api/account/keys/{created['api_key']['id']}")
        refused = run(1)
        assert (refused.returncode, "not_signed_in" in refused.stderr) == (1, True)
