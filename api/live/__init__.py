"""Pushes changes to clients: one listener and one hub per process, one bounded queue per client.

    feed --change signal--> hub --one statement per window--> messages --by topic--> clients --> SSE

The hub has a position and always reads the entries after it from the log. A lost change signal or a restarted
server therefore only adds delay. The place up to which a client has received messages is also a position. A client
that reconnects sends this position back and receives the rest from the same statement.
"""
