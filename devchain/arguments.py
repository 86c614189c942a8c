"""Parses the parameters of a call, and rejects invalid ones with the errors of a node."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from solders.hash import Hash
from solders.message import Message, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature

from zmart import errors
from zmart.domain import base58
from zmart.domain.ids import Address, Signature

from . import wire
from .rpc_errors import INVALID_PARAMS, RpcError

Params = Sequence[Any]
Options = Mapping[str, Any]
#: The largest transaction version that a client may name.
MAX_VERSION: Final = 255


def read_options(params: Params, index: int) -> Options:
    """Return the configuration object at an index; older clients give the encoding alone."""
    value = params[index] if len(params) > index else None
    if value is None:
        return {}
    if isinstance(value, str):
        return {"encoding": value}
    if not isinstance(value, dict):
        raise RpcError(INVALID_PARAMS, "Invalid params: a configuration object is wanted")
    return value


def read_integer(value: Any) -> int:
    """Return a whole number that is not negative; raise RpcError for another value."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RpcError(INVALID_PARAMS, f"Invalid params: {value!r} is not a whole number")
    return value


def read_version(value: Any) -> int:
    """Return a maximum transaction version, which is one byte; raise RpcError for another value."""
    version = read_integer(value)
    if version > MAX_VERSION:
        raise RpcError(INVALID_PARAMS, f"Invalid params: invalid value: integer `{version}`, expected u8.")
    return version


def read_list(values: Any, limit: int) -> list[Any]:
    """Return a list of at most `limit` values; raise RpcError for another value."""
    if not isinstance(values, list):
        raise RpcError(INVALID_PARAMS, "Invalid params: a list is wanted")
    if len(values) > limit:
        raise RpcError(INVALID_PARAMS, f"Too many inputs provided; max {limit}")
    return values


def read_address(text: Any) -> Address:
    """Return an address; raise RpcError where the text is not one."""
    try:
        return Address(str(Pubkey.from_string(text)))
    except (TypeError, ValueError) as exc:
        word = "WrongSize" if isinstance(text, str) and _is_base58(text) else "Invalid"
        raise RpcError(INVALID_PARAMS, f"Invalid param: {word}") from exc


def read_signature(text: Any) -> Signature:
    """Return a signature; raise RpcError where the text is not one."""
    try:
        return Signature(str(SoldersSignature.from_string(text)))
    except (TypeError, ValueError) as exc:
        word = "WrongSize" if isinstance(text, str) and _is_base58(text) else "Invalid"
        raise RpcError(INVALID_PARAMS, f"Invalid param: {word}") from exc


def read_blockhash(text: Any) -> str:
    """Return a blockhash; raise RpcError where the text is not one."""
    try:
        return str(Hash.from_string(text))
    except (TypeError, ValueError) as exc:
        raise RpcError(INVALID_PARAMS, f"Invalid param: {exc}") from exc


def _is_base58(text: str) -> bool:
    return bool(text) and set(text) <= set(base58.ALPHABET)


def _decode_bytes(text: Any, encoding: str) -> bytes:
    try:
        if encoding == "base64":
            return base64.b64decode(text, validate=True)
        if encoding == "base58":
            return base58.decode(text)
    except (binascii.Error, TypeError, ValueError, errors.InvalidInput) as exc:
        raise RpcError(INVALID_PARAMS, f"invalid {encoding} encoding: {exc}") from exc
    known = "Supported encodings: base58, base64"
    raise RpcError(INVALID_PARAMS, f"unsupported encoding: {encoding}. {known}")


_TYPE: Final = "solana_transaction::versioned::VersionedTransaction"


def read_transaction(text: Any, options: Options) -> wire.WireTransaction:
    """Return a transaction in the encoding that the options name; raise RpcError where it is invalid."""
    encoding = options.get("encoding") or "base58"
    raw = _decode_bytes(text, encoding)
    # Nodes read base58 up to the size of one packet only, whatever the version.
    most = wire.max_bytes(raw) if encoding == "base64" else wire.MAX_BYTES
    if len(raw) > most:
        limits = f"(max: encoded/raw {_encoded_length(most, encoding)}/{most})"
        text = f"{encoding} encoded {_TYPE} too large: {len(raw)} bytes {limits}"
        raise RpcError(INVALID_PARAMS, text)
    try:
        return wire.parse(raw)
    except errors.DecodeError as exc:
        raise RpcError(INVALID_PARAMS, f"failed to deserialize {_TYPE}: {exc}") from exc


def _encoded_length(size_bytes: int, encoding: str) -> int:
    """Return the length of the text of that many bytes; the one in base58 is the longest possible."""
    return 4 * -(-size_bytes // 3) if encoding == "base64" else math.ceil(size_bytes * math.log(256, 58))


def read_message(text: Any) -> Any:
    """Return a message without its signatures, from base64; raise RpcError where it is invalid."""
    raw = _decode_bytes(text, "base64")
    try:
        return from_bytes_versioned(raw) if raw[:1] > b"\x7f" else Message.from_bytes(raw)
    except Exception as exc:
        raise RpcError(INVALID_PARAMS, f"failed to deserialize a message: {exc}") from exc
