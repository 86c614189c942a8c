"""Prepares and relays transactions for wallets whose keys the API never has.

The API builds a transaction from the current state of the chain, simulates it (`preparing`), and returns it unsigned.
The wallet signs it and sends it itself or through the API (`relaying`). Nothing here writes a market's state: the
effects come back through the log.
"""
