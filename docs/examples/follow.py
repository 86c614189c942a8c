"""Follows up to 1,000 wallets with an API key, and prints each trade of theirs once, also after a restart.

    .venv/bin/python docs/examples/follow.py wallets.txt

`wallets.txt` has one address a line. The script stores its position in `follow.position` after each frame that it has
printed. When it starts again it resumes there, so no trade is missed and none is printed twice.

    ZMART_API_KEY    an API key with any scope, of POST /api/account/keys
    API_PORT         port of the API: 4000
    POSITION_FILE    where the position is stored: follow.position
    MOST_TRADES      ends after this number of trades; unlimited unless set
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients" / "python"))

from zmart_client import StreamRejected, Zmart

API = os.environ.get("API_URL", f"http://127.0.0.1:{os.environ.get('API_PORT', '4000')}")
POSITION = Path(os.environ.get("POSITION_FILE", "follow.position"))
MOST_TRADES = int(os.environ.get("MOST_TRADES", "0"))


def read_position() -> str | None:
    """Return the position of the last frame that was printed; None at the first start."""
    return POSITION.read_text().strip() if POSITION.exists() else None


def store_position(position: str) -> None:
    """Store the position after a frame that was printed."""
    POSITION.write_text(position)


async def follow(wallets: list[str]) -> None:
    """Print the trades of these wallets, from the stored position or from now on."""
    trades = 0
    async with Zmart(API, api_key=os.environ["ZMART_API_KEY"]) as zmart:
        topics = [f"wallet:{wallet}" for wallet in wallets]
        # An address of 1,000 topics would be too long for server-sent events.
        async for frame in zmart.follow(*topics, since=read_position(), transport="websocket"):
            for message in frame["messages"]:
                if message["type"] == "trade":
                    trade = message["data"]
                    print(
                        frame["seq"],
                        trade["user_wallet"],
                        trade["trade_type"],
                        trade["shares_exact"],
                        trade["outcome"],
                        flush=True,
                    )
                    trades += 1
            store_position(frame["position"])
            if MOST_TRADES and trades >= MOST_TRADES:
                return


def main() -> int:
    """Follow the wallets of a file; return 2 if there is none, 1 if the server refuses the stream."""
    if len(sys.argv) != 2 or "ZMART_API_KEY" not in os.environ:
        print("Usage: ZMART_API_KEY=zmk_... follow.py WALLETS_FILE", file=sys.stderr)
        return 2
    wallets = Path(sys.argv[1]).read_text().split()
    try:
        asyncio.run(follow(wallets))
    except StreamRejected as refused:
        print(f"The server refuses the stream: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
