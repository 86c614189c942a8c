"""Relays signed transactions and reports their status."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import get, post
from litestar.params import PathParameter, QueryParameter

from zmart import errors as zmart_errors
from zmart.chain import rpc_errors
from zmart.domain import ids

from .. import response_docs
from ..acting import relaying
from ..dependencies import FromDatabase, FromRelay, FromServices
from ..reads import statements
from ..schemas import acting as shapes

_WEIGHT: Final = {"weight": 5}
LastValidBlockHeight = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        description="That of the prepared transaction. With it, a transaction that can no longer land has the status "
        "expired: nothing happened, and it is safe to prepare and sign another one.",
    ),
]
#: A transaction that is not in the log is looked up at a node, whose calls cost credits. Clients ask once a second.
_LOOKUP_WEIGHT: Final = {"weight": 2}
SignatureName = Annotated[str, PathParameter(description="The transaction's signature in base58.")]


class _LoggedTransaction(msgspec.Struct):
    """The body of the statement followed_transaction."""

    slot: int
    is_final: bool
    is_retracted: bool
    err: str | None
    events: list[shapes.TransactionEvent]


@post(
    "/api/transactions",
    tags=["acting"],
    summary="Send a signed transaction",
    opt=_WEIGHT,
    status_code=202,
    responses=response_docs.problems(409),
)
async def relay_transaction(
    services: FromServices, relay: FromRelay, data: shapes.SignedTransaction
) -> shapes.RelayedTransaction:
    """Simulate and send a transaction, which may contain only instructions of this program and ComputeBudget.

    If the same bytes are sent again, the response contains the transaction's current status. With the
    `last_valid_block_height` of the prepared transaction, one that can no longer land has the status expired: nothing
    happened, and it is safe to prepare and sign another one. Without it, the response is a 409 (blockhash_unknown).
    """
    followed = await relay.send(data.transaction, last_valid_block_height=data.last_valid_block_height)
    return shapes.RelayedTransaction(
        message="Follow it with GET /api/transactions/{signature}.",
        signature=followed.signature,
        status=followed.stage,
        slot=followed.slot,
        error=followed.error,
        transaction=followed.signature,
        explorer=relaying.explorer_url(followed.signature, services.settings.chain.cluster),
    )


@get(
    "/api/transactions/{signature:str}",
    tags=["acting"],
    summary="Get the status of a transaction",
    opt=_LOOKUP_WEIGHT,
    responses=response_docs.problems(404),
)
async def follow_transaction(
    services: FromServices,
    database: FromDatabase,
    relay: FromRelay,
    signature: SignatureName,
    last_valid_block_height: LastValidBlockHeight = None,
) -> shapes.TransactionStatus:
    """Return the status from the log, else from the chain; 404 while neither knows the transaction."""
    try:
        name = ids.parse_signature(signature)
    except zmart_errors.InvalidInput:
        raise zmart_errors.NotFound("There is no such transaction; a signature is 64 bytes in base58.") from None
    explorer = relaying.explorer_url(name, services.settings.chain.cluster)
    try:
        logged = await _read_logged(database, name)
    except zmart_errors.NotFound:
        found = await _status_from_chain(relay, name, explorer, last_valid_block_height)
        if found is None:
            raise zmart_errors.NotFound("Neither the log nor the chain contains this transaction (yet).") from None
        return found
    from_log = _status_from_log(name, logged, explorer)
    if logged.err is None or from_log.status != "processed":
        return from_log
    # Only the chain knows whether the error is final, or whether the same bytes can still land.
    return await _status_from_chain(relay, name, explorer, last_valid_block_height) or from_log


def _status_from_log(signature: ids.Signature, logged: _LoggedTransaction, explorer: str) -> shapes.TransactionStatus:
    """Return what the log proves."""
    return shapes.TransactionStatus(
        signature=signature,
        status=_proven_stage(logged),  # type: ignore[arg-type]
        slot=logged.slot,
        error=logged.err,
        source="log",
        events=logged.events,
        explorer=explorer,
    )


def _proven_stage(logged: _LoggedTransaction) -> str:
    """Return the stage: an error is `processed` where it may still be undone, or if nothing may have run."""
    if logged.is_retracted:
        return "retracted"
    if logged.err is None:
        return "finalized" if logged.is_final else "confirmed"
    is_over = logged.is_final and rpc_errors.has_run(msgspec.json.decode(logged.err))
    return "failed" if is_over else "processed"


async def _read_logged(database: FromDatabase, signature: str) -> _LoggedTransaction:
    answer = await database.read(statements.compose("followed_transaction"), {"signature": signature})
    return msgspec.json.decode(answer.body or b"", type=_LoggedTransaction)


async def _status_from_chain(
    relay: FromRelay, signature: ids.Signature, explorer: str, last_valid_block_height: int | None
) -> shapes.TransactionStatus | None:
    found = await relay.follow(signature, last_valid_block_height=last_valid_block_height)
    if found is None or found.stage == "sent":
        return None
    return shapes.TransactionStatus(
        signature=signature,
        status=found.stage,
        slot=found.slot,
        error=found.error,
        source="chain",
        events=[],
        explorer=explorer,
    )


HANDLERS = [relay_transaction, follow_transaction]
