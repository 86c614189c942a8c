"""Converts accounts, transactions and blocks to the JSON of JSON-RPC and of webhooks."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from zmart import errors
from zmart.domain import base58
from zmart.domain.ids import Address

from . import arguments, wire
from .accounts import Account
from .arguments import Options
from .blocks import Block, LandedTransaction
from .rpc_errors import INVALID_PARAMS, INVALID_REQUEST, UNSUPPORTED_VERSION, RpcError
from .runtime import InnerInstruction

MAX_BASE58_BYTES: Final = 128

#: Agave's u64::MAX, the `rentEpoch` of an account that is exempt from rent.
RENT_EPOCH: Final = (1 << 64) - 1


def account_json(account: Account, options: Options) -> dict[str, Any]:
    """Return an account in the requested encoding."""
    return {
        "data": _encode_data(account.data, options),
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": account.owner,
        "rentEpoch": RENT_EPOCH,
        "space": account.size_bytes,
    }


def _encode_data(data: bytes, options: Options) -> Any:
    encoding = options.get("encoding")
    data_slice = options.get("dataSlice")
    if data_slice is not None:
        start = arguments.read_integer(data_slice["offset"])
        data = data[start : start + arguments.read_integer(data_slice["length"])]
    if encoding in (None, "binary", "base58"):
        if len(data) > MAX_BASE58_BYTES:
            text = "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding."
            raise RpcError(INVALID_REQUEST, text)
        text = wire.base58_text(data)
        return [text, "base58"] if encoding == "base58" else text
    if encoding in ("base64", "jsonParsed"):
        return [base64.b64encode(data).decode(), "base64"]
    raise RpcError(INVALID_PARAMS, f"Invalid params: unknown variant `{encoding}`")


def account_filter(filter_: Mapping[str, Any]) -> Callable[[Account], bool]:
    """Return a predicate for a filter of getProgramAccounts: `dataSize`, or `memcmp` at an offset."""
    if "dataSize" in filter_:
        size = arguments.read_integer(filter_["dataSize"])
        return lambda account: account.size_bytes == size
    comparison = filter_["memcmp"]
    offset, expected = arguments.read_integer(comparison["offset"]), _comparison_bytes(comparison)
    return lambda account: account.data[offset : offset + len(expected)] == expected


def _comparison_bytes(comparison: Mapping[str, Any]) -> bytes:
    value = comparison["bytes"]
    if isinstance(value, list):
        return bytes(value)
    if comparison.get("encoding") == "base64":
        return base64.b64decode(value, validate=True)
    try:
        return base58.decode(value)
    except errors.InvalidInput as exc:
        raise RpcError(INVALID_PARAMS, "Invalid param: invalid base58 in memcmp") from exc


def transaction_json(landed: LandedTransaction, options: Options) -> dict[str, Any]:
    """Return `meta`, `transaction` and, where the client supports versions, `version`."""
    version = _supported_version(landed.transaction, options)
    return {
        "meta": {**meta_json(landed), "status": status_json(landed)},
        "transaction": _encode_transaction(landed.transaction, options.get("encoding") or "json"),
        **version,
    }


def _supported_version(transaction: wire.WireTransaction, options: Options) -> dict[str, Any]:
    """Return the field `version`, absent where the client names no maximum; raise RpcError above the maximum."""
    supported = options.get("maxSupportedTransactionVersion")
    ceiling = None if supported is None else arguments.read_version(supported)
    version = transaction.version
    if version is not None and (ceiling is None or version > ceiling):
        text = (
            f"Transaction version ({version}) is not supported by the requesting "
            "client. Please try the request again with the following configuration parameter: "
            f'"maxSupportedTransactionVersion": {version}'
        )
        raise RpcError(UNSUPPORTED_VERSION, text)
    return {} if ceiling is None else {"version": version_json(transaction)}


def version_json(transaction: wire.WireTransaction) -> str | int:
    """Return `legacy`, 0 or 1."""
    return "legacy" if transaction.version is None else transaction.version


def status_json(landed: LandedTransaction) -> dict[str, Any]:
    """Return success or the error, in the form that older clients read."""
    return {"Ok": None} if landed.err is None else {"Err": landed.err}


def _encode_transaction(transaction: wire.WireTransaction, encoding: str) -> Any:
    match encoding:
        case "json":
            return message_json(transaction)
        case "jsonParsed":
            return _parsed_json(transaction)
        case "base64":
            return [base64.b64encode(transaction.raw).decode(), "base64"]
        case "base58" | "binary":
            text = base58.encode(transaction.raw)
            return [text, "base58"] if encoding == "base58" else text
    raise RpcError(INVALID_PARAMS, f"Invalid params: unknown variant `{encoding}`")


def _parsed_json(transaction: wire.WireTransaction) -> dict[str, Any]:
    """Return the form with addresses in place of indices, as a node does for programs it cannot parse."""
    keys = transaction.keys
    message = {
        "accountKeys": [
            {
                "pubkey": key,
                "signer": transaction.is_signer(index),
                "source": "transaction",
                "writable": transaction.is_writable(index),
            }
            for index, key in enumerate(keys)
        ],
        "instructions": [
            {
                "accounts": [keys[index] for index in compiled.account_indices],
                "data": wire.base58_text(compiled.data),
                "programId": keys[compiled.program_index],
                "stackHeight": None,
            }
            for compiled in transaction.instructions
        ],
        "recentBlockhash": transaction.blockhash,
        **_version_fields(transaction),
    }
    return {"message": message, "signatures": list(transaction.signatures)}


def _version_fields(transaction: wire.WireTransaction) -> dict[str, Any]:
    """Return the fields that only messages of one version have."""
    if transaction.config is not None:
        return {"transactionConfig": transaction.config.json()}
    return {} if transaction.version is None else {"addressTableLookups": []}


def transactions_json(block: Block, options: Options) -> dict[str, Any]:
    """Return a block's transactions in the requested detail."""
    match options.get("transactionDetails") or "full":
        case "none":
            return {}
        case "signatures":
            return {"signatures": [landed.signature for landed in block.transactions]}
        case "full":
            found = [transaction_json(landed, options) for landed in block.transactions]
            return {"transactions": found}
        case "accounts":
            return {"transactions": list(_account_lists(block, options))}
    raise RpcError(INVALID_PARAMS, "Invalid params: unknown variant of transactionDetails")


def _account_lists(block: Block, options: Options) -> Iterator[dict[str, Any]]:
    for landed in block.transactions:
        version = _supported_version(landed.transaction, options)
        parsed = _parsed_json(landed.transaction)
        keys = {"accountKeys": parsed["message"]["accountKeys"]}
        transaction = {**keys, "signatures": parsed["signatures"]}
        yield {"meta": meta_json(landed), "transaction": transaction, **version}


def meta_json(landed: LandedTransaction) -> dict[str, Any]:
    """Return the `meta` of a transaction in the form of `getTransaction` and Helius."""
    return {
        "err": landed.err,
        "fee": landed.fee_lamports,
        "innerInstructions": inner_json(landed.transaction.keys, landed.inner) if landed.was_executed else None,
        "loadedAddresses": {"readonly": [], "writable": []},
        "logMessages": landed.logs if landed.was_executed else None,
        "postBalances": landed.post_balances,
        "postTokenBalances": [],
        "preBalances": landed.pre_balances,
        "preTokenBalances": [],
        "rewards": [],
        "computeUnitsConsumed": landed.units_consumed,
    }


def inner_json(keys: Sequence[Address], inner: Mapping[int, Iterable[InnerInstruction]]) -> list[dict[str, Any]]:
    """Return calls between programs, with indices into the transaction's accounts."""
    place = {key: index for index, key in enumerate(keys)}
    return [
        {
            "index": index,
            "instructions": [
                {
                    "accounts": [place[address] for address in call.addresses],
                    "data": wire.base58_text(call.data),
                    "programIdIndex": place[call.program_id],
                    "stackHeight": call.stack_height,
                }
                for call in calls
            ],
        }
        for index, calls in inner.items()
    ]


def message_json(transaction: wire.WireTransaction) -> dict[str, Any]:
    """Return the `transaction` of `getTransaction` and of a webhook item."""
    signers, readonly_signers, readonly_others = transaction.header
    message: dict[str, Any] = {
        "accountKeys": list(transaction.keys),
        "header": {
            "numReadonlySignedAccounts": readonly_signers,
            "numReadonlyUnsignedAccounts": readonly_others,
            "numRequiredSignatures": signers,
        },
        "instructions": [compiled.json() for compiled in transaction.instructions],
        "recentBlockhash": transaction.blockhash,
        **_version_fields(transaction),
    }
    return {"message": message, "signatures": list(transaction.signatures)}
