"""Models the deployed program: its eighteen instructions by the rules of protocol.md 1.4, exact to the lamport.

A handler follows the order of its table in protocol.md: first the checks in the order in which the program makes
them, then the writes, then the event. Oddities of the program are copied: liquidity that is recorded but not
deposited (1.4.2), fees as the only thing that increases it (1.4.5), the payout from that number (1.4.10), the
dispute that sends a market back or ends it without an outcome (1.4.15), the overwritten `was_disputed` (1.4.9).

One difference is optional. On the deployed program every sell fails, because its payout is a System transfer out of
an account that holds data, without a signature (1.4.6). `faulty_sells` selects that behavior. Without it the payout
moves lamports directly, as claims do, so that sells are exercised.
"""

from .handlers import HANDLERS, Program

__all__ = ["HANDLERS", "Program"]
