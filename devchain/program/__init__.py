"""The program itself: eighteen instructions by the rules of protocol.md 1.4, to the lamport.

A handler has the order of its table in protocol.md: the checks in the order the program makes them, then
the writes, then the event. Oddities of the program are copied: the liquidity that nobody deposits
(1.4.2), the fees that alone increase it (1.4.5), the payout from that number (1.4.10), the dispute
that sends a market back or ends it without an outcome (1.4.15), the overwritten `was_disputed` (1.4.9).

One difference is a switch. On the deployed program every sell fails, because its payout is a System
transfer out of an account that holds data, without a signature (1.4.6). `faulty_sells` selects that
behavior; without it the payout moves lamports directly, as claims do, so that sells are exercised.
"""

from .handlers import HANDLERS, Program

__all__ = ["HANDLERS", "Program"]
