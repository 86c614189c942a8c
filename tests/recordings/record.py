"""Write the recorded deliveries and their decoded rows; see README.md beside this file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "unit" / "ingest")]

from ingest_cases import (  # noqa: E402
    ACCOUNT,
    BOUGHT,
    CID,
    CREATED,
    FEES,
    FINALIZED,
    MARKET,
    NOW,
    OTHER_PROGRAM,
    PROGRAM,
    SOLD,
    USER,
    buy,
    call,
    create,
    sell,
    transfer,
)

from devchain.runtime import LogCollector  # noqa: E402
from ingest import testing  # noqa: E402
from ingest.decode.decoder import DecodedDelivery, Decoder  # noqa: E402
from zmart.domain import events  # noqa: E402

RENT = 4_287_360


def lifecycle() -> Iterator[dict[str, Any]]:
    """A market's life, one event per transaction but for two trades at once."""
    balance = RENT
    claimed = events.WinningsClaimed(ACCOUNT, USER, True, 999_928_380, NOW)
    finalize = call("finalize_market", {"dispute_agree": 6, "dispute_disagree": 4})
    steps: list[tuple[list[events.Event], list[Any], int]] = [
        ([events.GlobalConfigInitialized(USER, FEES, 300, NOW)], [], 0),
        ([events.ConfigUpdated(300, 200, 500, 7000, 6000, 86_400, 259_200, NOW)], [], 0),
        ([CREATED], [create()], 0),
        ([events.ProposalVoteSubmitted(MARKET, USER, True, NOW)], [], 0),
        ([events.ProposalAggregated(MARKET, 7, 3, 70, True, NOW)], [], 0),
        ([events.ProposalApproved(MARKET, USER, NOW)], [], 0),
        ([events.MarketActivated(MARKET, USER, 5_000_000_000, NOW)], [], 0),
        ([BOUGHT], [buy()], 972_657_607),
        ([BOUGHT, BOUGHT._replace(outcome=False)], [buy(), buy()], 1_945_315_214),
        ([SOLD], [sell()], -469_328_220),
        ([events.MarketResolved(MARKET, USER, True, CID, NOW)], [], 0),
        ([events.DisputeInitiated(MARKET, FEES, True, NOW)], [], 0),
        ([events.DisputeVoteSubmitted(MARKET, FEES, True, NOW)], [], 0),
        ([events.DisputeAggregated(MARKET, 6, 4, 60, True, NOW)], [], 0),
        ([FINALIZED], [finalize], 0),
        ([claimed], [call("claim_winnings")], -999_928_380),
        ([events.LiquidityWithdrawn(MARKET, USER, 1_000, NOW)], [], -1_000),
        ([events.MarketCancelled(bytes([3]) * 32, USER, NOW)], [], 0),
        ([events.ProtocolPauseStatusChanged(True, USER, NOW)], [], 0),
    ]  # fmt: skip
    for number, (emitted, instructions, change) in enumerate(steps, start=100):
        lamports = {ACCOUNT: (balance, balance + change)}
        balance += change
        yield testing.item(
            PROGRAM, emitted, number=number, slot=400_000_000 + number, index=number % 7,
            instructions=instructions, lamports=lamports,
        )  # fmt: skip


def versions() -> Iterator[dict[str, Any]]:
    """The same transactions in other formats."""
    lamports = {ACCOUNT: (8_000_000, 7_000_000)}
    yield testing.item(
        PROGRAM, [SOLD], number=200, instructions=[sell()], lamports=lamports,
        loaded=((testing.address(9), ACCOUNT), (testing.address(8),)),
    )  # fmt: skip
    yield testing.item(PROGRAM, [events.WinningsClaimedV0(MARKET, USER, 7, 3, NOW)], number=201)
    lines = [
        f"Program {OTHER_PROGRAM} invoke [1]",
        f"Program {PROGRAM} invoke [2]",
        testing.data_line(CREATED),
        f"Program {PROGRAM} success",
        f"Program {OTHER_PROGRAM} success",
    ]
    yield testing.item(PROGRAM, lines=lines, number=202, instructions=[transfer(USER)], inner={0: [create()]})
    yield testing.item(PROGRAM, [BOUGHT], number=203, index=None, block_time=None)


def truncated() -> Iterator[dict[str, Any]]:
    """Logs beyond ten kilobytes, as validators truncate them: a verbose program, then ours."""
    voted = events.ProposalVoteSubmitted(MARKET, USER, True, NOW)
    vote = call("submit_proposal_vote", {"vote": True})
    resolve = call("resolve_market", {"proposed_outcome": True, "ipfs_evidence_hash": CID})
    withdraw = call("withdraw_liquidity")
    resolved = events.MarketResolved(MARKET, USER, True, CID, NOW)
    withdrawn = events.LiquidityWithdrawn(MARKET, USER, 4_702_640, NOW)
    lamports = {ACCOUNT: (9_000_000, 4_297_360)}
    cases: list[tuple[list[tuple[Any, events.Event]], dict[str, tuple[int, int]]]] = [
        ([(vote, voted), (resolve, resolved)], {}),
        ([(buy(), BOUGHT), (vote, voted)], {}),
        ([(withdraw, withdrawn)], lamports),
    ]
    for number, (calls, balances) in enumerate(cases, start=400):
        log = LogCollector()
        lines = [
            f"Program {OTHER_PROGRAM} invoke [1]",
            *[f"Program log: {'talk ' * 19}"] * 91,
            f"Program {OTHER_PROGRAM} success",
        ]
        for _, event in calls:
            lines += testing.log_lines(PROGRAM, [testing.data_line(event)])
        for line in lines:
            log.add(line)
        yield testing.item(
            PROGRAM, number=number, lines=log.lines, instructions=[instruction for instruction, _ in calls],
            lamports=balances,
        )  # fmt: skip


def hostile() -> Iterator[object]:
    """Items that must not affect any other item."""
    bought = testing.data_line(BOUGHT)
    yield testing.item(
        PROGRAM, number=300, lines=[f"Program {OTHER_PROGRAM} invoke [1]", bought,
        f"Program {PROGRAM} invoke [2]", f"Program {PROGRAM} success", bought,
        f"Program {OTHER_PROGRAM} success"],
    )  # fmt: skip
    printed = ["Program data: AAAAAAAAAAA=", bought, "Program data: !", "Program log: \0 \ud800"]
    yield testing.item(PROGRAM, number=301, lines=testing.log_lines(PROGRAM, printed))
    cut = [*testing.log_lines(PROGRAM, [bought])[:-2], "Log truncated"]
    yield testing.item(PROGRAM, number=302, lines=cut)
    yield testing.item(PROGRAM, [BOUGHT], number=303, err={"InstructionError": [0, {"Custom": 6024}]})
    yield {"slot": "four", "transaction": {"signatures": []}}
    yield None
    yield testing.enhanced_item(PROGRAM, 304)
    yield testing.item(OTHER_PROGRAM, [BOUGHT], number=305)
    yield testing.item(PROGRAM, [BOUGHT], number=306)
    yield testing.item(PROGRAM, [BOUGHT], number=306)


def rows_as_json(decoded: DecodedDelivery) -> dict[str, Any]:
    """Return the decoded rows of a body in a readable form."""
    return {
        "transactions": [
            {
                **row._asdict(),
                "body": None,
                "digest": row.digest.hex(),
                "events": [
                    {
                        **event._asdict(),
                        "payload": json.loads(event.payload),
                        "context": event.context and json.loads(event.context),
                        "logged": event.logged.hex(),
                    }
                    for event in row.events
                ],
                "dead_letters": [_dead_letter_as_json(dead_letter) for dead_letter in row.dead_letters],
            }
            for row in decoded.transactions
        ],
        "dead_letters": [_dead_letter_as_json(dead_letter) for dead_letter in decoded.dead_letters],
        "wanted": decoded.wanted,
        "ignored": decoded.ignored,
    }


def _dead_letter_as_json(dead_letter: Any) -> dict[str, Any]:
    return dead_letter._asdict() | {"bytes": dead_letter.bytes and dead_letter.bytes.hex()}


def bodies() -> list[Path]:
    """Return the recorded deliveries: arrays, and not decoded rows."""
    recorded = [path for path in sorted(HERE.glob("*.json")) if not path.name.endswith(".rows.json")]
    return [path for path in recorded if path.read_bytes().lstrip().startswith(b"[")]


def main() -> None:
    """Write the bodies, unless only --rows is asked for, and the rows of every body."""
    if "--rows" not in sys.argv:
        for record in (lifecycle, versions, truncated, hostile):
            body = ",\n".join(json.dumps(item, separators=(",", ":")) for item in record())
            (HERE / f"{record.__name__}.json").write_text(f"[\n{body}\n]\n")
    for path in bodies():
        rows = rows_as_json(Decoder(PROGRAM).decode_body(path.read_bytes()))
        path.with_suffix(".rows.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
