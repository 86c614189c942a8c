"""The chain as bytes: the program's interface, its codec, logs, addresses and instructions.

Nothing here decides anything about a market; that is `zmart.domain`.
"""
