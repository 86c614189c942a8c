"""Push: one listener and one hub per process, a bounded queue per client.

    feed --doorbell--> hub --one statement a window--> messages --by topic--> clients --> SSE

The hub stands at a position and always reads "what comes after it" from the log, so a lost doorbell
or a restarted server costs time and nothing else. What a client has been sent is a position too; it
comes back with it and is given the rest, from the same statement.
"""
