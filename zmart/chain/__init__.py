"""Encodes and decodes what is on chain: the program's interface, its codec, logs, addresses and instructions.

Nothing here decides anything about a market; that is the task of `zmart.domain`.
"""
