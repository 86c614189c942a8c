"""Converts a transaction of the stream into the JSON of getTransaction, so that one decoder reads every source.

The fields that decide whether two deliveries are the same (slot, error, log lines) must come out equal to those of
JSON-RPC. Where that is not certain, the conversion raises DecodeError and the signature is fetched instead.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from solders.pubkey import Pubkey

from zmart import errors
from zmart.domain import base58

from . import transaction_errors
from .geyser_pb2 import InnerInstruction, Instruction, Message, TransactionInfo, TransactionMeta, TransactionUpdate

_encode: Final = msgspec.json.Encoder().encode


def signature_of(update: TransactionUpdate) -> str:
    """Return the signature of a transaction, in base58."""
    return base58.encode(update.transaction.signature)


def to_json(update: TransactionUpdate, block_time: int | None) -> bytes:
    """Return a transaction as one item in the form of getTransaction.

    `block_time`, in seconds since 1970, comes from the block's metadata. Raises DecodeError where the update is not
    complete, or has an error that is not known.
    """
    info = update.transaction
    if not info.HasField("transaction") or not info.HasField("meta") or not info.signature:
        raise errors.DecodeError("The update lacks the transaction or its results.")
    message = info.transaction.message
    item = {
        "blockTime": block_time,
        "meta": _meta(info.meta),
        "slot": update.slot,
        "transaction": {"message": _message(message), "signatures": _signatures(info)},
        "transactionIndex": info.index,
        "version": _version(message),
    }
    return _encode(item)


def _address(data: bytes) -> str:
    """Return 32 bytes in base58; solders is much faster at it."""
    return str(Pubkey(data)) if len(data) == Pubkey.LENGTH else base58.encode(data)


def _signatures(info: TransactionInfo) -> list[str]:
    found = [base58.encode(one) for one in info.transaction.signatures]
    if found[:1] != [base58.encode(info.signature)]:
        raise errors.DecodeError("The update's signature is not the first one of its transaction.")
    return found


def _version(message: Message) -> str | int:
    if message.HasField("config"):
        return 1
    return 0 if message.versioned else "legacy"


def _message(message: Message) -> dict[str, Any]:
    header = message.header
    fields: dict[str, Any] = {
        "accountKeys": [_address(key) for key in message.account_keys],
        "header": {
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
            "numRequiredSignatures": header.num_required_signatures,
        },
        "instructions": [_instruction(one) for one in message.instructions],
        "recentBlockhash": _address(message.recent_blockhash),
    }
    if message.HasField("config"):
        fields["transactionConfig"] = _config(message)
    elif message.versioned:
        fields["addressTableLookups"] = [
            {
                "accountKey": _address(one.account_key),
                "readonlyIndexes": list(one.readonly_indexes),
                "writableIndexes": list(one.writable_indexes),
            }
            for one in message.address_table_lookups
        ]
    return fields


def _config(message: Message) -> dict[str, int | None]:
    config = message.config
    fields = {
        "priorityFee": "priority_fee",
        "computeUnitLimit": "compute_unit_limit",
        "loadedAccountsDataSizeLimit": "loaded_accounts_data_size_limit",
        "heapSize": "heap_size",
    }
    return {name: getattr(config, field) if config.HasField(field) else None for name, field in fields.items()}


def _instruction(one: Instruction | InnerInstruction) -> dict[str, Any]:
    return {
        "accounts": list(one.accounts),
        "data": base58.encode(one.data),
        "programIdIndex": one.program_id_index,
    }


def _meta(meta: TransactionMeta) -> dict[str, Any]:
    inner = [
        {
            "index": one.index,
            "instructions": [
                _instruction(each) | {"stackHeight": each.stack_height if each.HasField("stack_height") else None}
                for each in one.instructions
            ],
        }
        for one in meta.inner_instructions
    ]
    return {
        "computeUnitsConsumed": meta.compute_units_consumed if meta.HasField("compute_units_consumed") else None,
        "err": transaction_errors.decode(meta.err.err) if meta.HasField("err") else None,
        "fee": meta.fee,
        "innerInstructions": None if meta.inner_instructions_none else inner,
        "loadedAddresses": {
            "readonly": [_address(one) for one in meta.loaded_readonly_addresses],
            "writable": [_address(one) for one in meta.loaded_writable_addresses],
        },
        "logMessages": None if meta.log_messages_none else list(meta.log_messages),
        "postBalances": list(meta.post_balances),
        "preBalances": list(meta.pre_balances),
    }
