"""Serves Solana's JSON-RPC over one ledger: the methods that clients call, and the errors of a node.

A method has the snake_case form of its JSON-RPC name, takes the call's parameters and returns the result; an
RpcError that it raises becomes the error object. Shapes and codes follow Agave, because clients parse them: solders
panics on a -32002 without `data`, web3.js reads `context.slot`, Anchor reads `logs`.

Nothing here waits. Simulated faults (`devchain_fault`) are looked up before a method runs and returned to the
server, which can wait or break a connection.
"""

from .dispatcher import Reply, Rpc, is_notification
from .node_view import COMMITMENTS

__all__ = ["COMMITMENTS", "Reply", "Rpc", "is_notification"]
