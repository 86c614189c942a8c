"""Dispatches JSON-RPC requests to methods, with faults and error objects."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import orjson

from ..arguments import Params
from ..faults import RpcFault, RpcFaults
from ..ledger import Ledger
from ..rpc_errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    NO_METHOD,
    PARSE_ERROR,
    RpcError,
)
from .account_methods import AccountMethods
from .block_methods import BlockMethods
from .cluster_methods import ClusterMethods
from .node_view import NodeView
from .sending_methods import SendingMethods
from .transaction_methods import TransactionMethods

_GROUPS: Final = (ClusterMethods, AccountMethods, SendingMethods, TransactionMethods, BlockMethods)


class RpcCall(NamedTuple):
    """One parsed request."""

    id: Any
    method: str
    params: Params


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The body that the server sends (empty for notifications), and the fault that it simulates."""

    body: bytes
    fault: RpcFault | None = None


class CountRequest(Protocol):
    """Counts a request of a method."""

    def __call__(self, method: str, *, is_error: bool) -> None: ...  # noqa: D102


def _count_nothing(method: str, *, is_error: bool) -> None:
    """Count nothing, where no server serves metrics."""


class AdminMethods(Protocol):
    """The administration methods `devchain_*`, for callers on this machine only."""

    def call(self, method: str, params: Params) -> Any:
        """Return the result of one method; raise RpcError where it fails."""
        ...


class Rpc:
    """Answers JSON-RPC requests over one ledger."""

    def __init__(self, chain: Ledger, *, admin: AdminMethods | None = None) -> None:
        self.node = NodeView(chain)
        self.admin = admin
        self.faults = RpcFaults()
        #: Counts each request by its method, and whether it failed.
        self.count_request: CountRequest = _count_nothing
        #: The handler of each method that this node serves.
        self.methods: dict[str, Callable[[Params], Any]] = {
            name: method for group in _GROUPS for name, method in _public_methods(group(self.node)).items()
        }

    def answer(self, body: bytes, *, is_local: bool = True) -> Reply:
        """Return the reply to a request's body; administration methods are available only to local callers."""
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _reply(None, error=RpcError(PARSE_ERROR, "Parse error"))
        if isinstance(request, list):
            return self._answer_all(request, is_local=is_local)
        return self._answer_one(request, is_local=is_local)

    def _answer_all(self, requests: list[Any], *, is_local: bool) -> Reply:
        if not requests:
            return _reply(None, error=RpcError(INVALID_REQUEST, "Invalid request"))
        replies = [self._answer_one(one, is_local=is_local) for one in requests]
        fault = next((reply.fault for reply in replies if reply.fault), None)
        bodies = [reply.body for reply in replies if reply.body]
        return Reply(body=b"[" + b",".join(bodies) + b"]" if bodies else b"", fault=fault)

    def _answer_one(self, request: Any, *, is_local: bool) -> Reply:
        if is_notification(request):
            return Reply(body=b"")
        identity = request.get("id") if isinstance(request, dict) else None
        try:
            call = _parse_call(request)
        except RpcError as error:
            return _reply(identity, error=error)
        fault = self.faults.take(call.method)
        if fault is not None and not fault.lets_through:
            return fault_reply(call, fault)
        try:
            reply = _reply(call.id, result=self.call(call.method, call.params, is_local=is_local))
            self.count_request(call.method, is_error=False)
        except RpcError as error:
            reply = _reply(call.id, error=error)
            self.count_request(call.method, is_error=True)
        return reply if fault is None else fault_reply(call, fault, reply)

    def call(self, method: str, params: Params, *, is_local: bool = True) -> Any:
        """Return the result of one method; raise RpcError where it fails."""
        handler = self.methods.get(method)
        if method.startswith("devchain_") and self.admin is not None and is_local:
            handler = functools.partial(self.admin.call, method)
        if handler is None:
            raise RpcError(NO_METHOD, "Method not found")
        try:
            return handler(params)
        except (IndexError, KeyError, TypeError, ValueError) as exc:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {exc}.") from exc


def _public_methods(group: object) -> dict[str, Callable[[Params], Any]]:
    """Return the methods of a group by their JSON-RPC names: `getSlot` is `get_slot`."""
    return {
        re.sub(r"_([a-z])", lambda match: match[1].upper(), name): getattr(group, name)
        for name in vars(type(group))
        if not name.startswith("_")
    }


def _reply(identity: Any, *, result: Any = None, error: RpcError | None = None) -> Reply:
    content = {"result": result} if error is None else {"error": error.json()}
    return Reply(body=_to_json({"jsonrpc": "2.0", **content, "id": identity}))


def _to_json(value: Any) -> bytes:
    return orjson.dumps(value)


def fault_reply(call: RpcCall, fault: RpcFault, reply: Reply | None = None) -> Reply:
    """Return the reply for a fault: the fault's own error or result, else the method's reply."""
    if fault.error is not None:
        content = {"jsonrpc": "2.0", "error": fault.error, "id": call.id}
        return Reply(body=_to_json(content), fault=fault)
    if fault.replaces_result or reply is None:
        content = {"jsonrpc": "2.0", "result": fault.result, "id": call.id}
        return Reply(body=_to_json(content), fault=fault)
    return Reply(body=reply.body, fault=fault)


def is_notification(request: Any) -> bool:
    """Return whether a request is a notification: it has no id, so a node neither runs nor answers it."""
    return (
        isinstance(request, dict)
        and request.get("jsonrpc") == "2.0"
        and isinstance(request.get("method"), str)
        and "id" not in request
    )


def _parse_call(request: Any) -> RpcCall:
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "Invalid request")
    method, params = request.get("method"), request.get("params") or []
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    if not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "Invalid params: a list is wanted")
    return RpcCall(request.get("id"), method, params)
