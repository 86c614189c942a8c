"""Declares and checks the path and query parameters that clients send."""

from __future__ import annotations

import datetime
import json
import unicodedata
from typing import Annotated
from urllib.parse import unquote_to_bytes

from litestar.params import PathParameter, QueryParameter
from litestar.types import Scope

from zmart import errors as zmart_errors
from zmart.domain import ids
from zmart.domain.market import MarketState

from . import errors

#: No market, wallet or text has a longer name.
_LONGEST_NAME = 100

MarketName = Annotated[
    str,
    PathParameter(description="64 hexadecimal digits, or the address of the market's account."),
]
Wallet = Annotated[str, PathParameter(description="A wallet's address in base58.")]
PageLimit = Annotated[int, QueryParameter(ge=1, le=100, description="Rows on a page.")]
TradeLimit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows on a page.")]
VoteLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="Rows on a page.")]
#: Limits of earlier clients' lists: a number outside of the range becomes the nearest one inside (protocol.md 5.1).
ClampedPageLimit = Annotated[
    int, QueryParameter(description="Rows on a page, 1 to 100; the nearest of these for any other number.")
]
ClampedTradeLimit = Annotated[
    int, QueryParameter(description="Rows on a page, 1 to 500; the nearest of these for any other number.")
]
#: The most rows on a page of markets or posts, and of trades.
MAX_PAGE, MAX_TRADES = 100, 500
Offset = Annotated[int, QueryParameter(ge=0, le=1_000_000, description="Rows to skip.")]
CursorText = Annotated[
    str | None,
    QueryParameter(max_length=300, description="`next_cursor` of the previous page; exact and fast."),
]
StateText = Annotated[
    str | None,
    QueryParameter(name="state", max_length=20, description="PROPOSED, APPROVED, ACTIVE ..., or 0 to 6."),
]
SearchText = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=200, description="Words of the question or description, or parts of words."
    ),
]
MarketFilter = Annotated[str | None, QueryParameter(description="Only of this market: its id or its address.")]
WalletFilter = Annotated[str | None, QueryParameter(description="Only of this wallet.")]


def clamp(limit: int, most: int) -> int:
    """Return the limit, or the nearest one from 1 to `most`."""
    return min(max(limit, 1), most)


def market(text: str) -> str:
    """Return a market's name in the spelling of the log; raise NotFound for text that cannot be a market."""
    for read in (ids.parse_market_id, ids.parse_address):
        try:
            return read(text)
        except zmart_errors.InvalidInput:
            continue
    raise zmart_errors.NotFound(market_not_found_message(text))


def market_not_found_message(text: str) -> str:
    """Return the message about a market that does not exist."""
    return f"Market not found: {text[:_LONGEST_NAME]}"


def wallet(text: str, *, field: str = "wallet") -> ids.Address:
    """Return a wallet's address; raise InvalidParameter for anything else."""
    try:
        return ids.parse_address(text)
    except zmart_errors.InvalidInput:
        raise errors.InvalidParameter(field, "expected a wallet address in base58") from None


def future_instant(field: str, instant: datetime.datetime) -> datetime.datetime:
    """Return a future instant in UTC; one without a zone is UTC. Raise InvalidParameter for anything else."""
    try:
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=datetime.UTC)
        found = zoned.astimezone(datetime.UTC)
    except OverflowError:
        raise errors.InvalidParameter(field, "expected a date and time that exists in the calendar") from None
    if found <= datetime.datetime.now(datetime.UTC):
        raise errors.InvalidParameter(field, "expected an instant in the future")
    return found


def visible_text(field: str, text: str | None, *, other_allowed: str = "") -> str | None:
    """Return a text in NFC without spaces around it; raise InvalidParameter where it hides or reorders characters."""
    if text is None:
        return None
    normal = unicodedata.normalize("NFC", text).strip()
    # Controls, and marks of direction and of no width, with which one name can pass for another.
    if any(
        unicodedata.category(character) in {"Cc", "Cf", "Cn", "Co"} and character not in other_allowed
        for character in normal
    ):
        raise errors.InvalidParameter(field, "expected text without control characters and marks of direction")
    return normal or None


def state_code(text: str) -> int:
    """Return the code of a state given by name or number (protocol.md 1.6, 5.3)."""
    states = {state.name: int(state) for state in MarketState}
    numbers = {str(code): code for code in states.values()}
    code = (states | numbers).get(text.upper())
    if code is None:
        names = ", ".join(states)
        raise errors.InvalidParameter("state", f"expected one of {names}, or 0 to 6")
    return code


def require_valid_text(scope: Scope) -> None:
    """Raise InvalidText if path or query contain U+0000 or are not UTF-8 once decoded."""
    for encoded in (scope.get("raw_path") or b"", scope.get("query_string") or b""):
        if b"%" in encoded or not encoded.isascii():
            _require_valid_utf8(unquote_to_bytes(encoded))


def require_valid_body(body: bytes) -> None:
    """Raise InvalidText if a body is not UTF-8, or its JSON contains U+0000 or a lone surrogate."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.InvalidText("The body must be UTF-8 without surrogates.") from None
    if "\0" in text:
        raise errors.InvalidText("The body must not contain U+0000.")
    if "\\u" in text:
        _require_valid_json(text)


def _require_valid_json(text: str) -> None:
    # After decoding, an escaped surrogate pair is one character and a lone one stays a surrogate.
    try:
        decoded = json.dumps(json.loads(text), ensure_ascii=False)
        decoded.encode()
    except UnicodeEncodeError:
        raise errors.InvalidText("The body must not contain lone surrogates.") from None
    except (ValueError, RecursionError):
        return
    if "\\u0000" in decoded.replace("\\\\", ""):
        raise errors.InvalidText("The body must not contain U+0000.")


def _require_valid_utf8(decoded: bytes) -> None:
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.InvalidText("Path and query must be UTF-8 without surrogates.") from None
    if b"\0" in decoded:
        raise errors.InvalidText("Path and query must not contain U+0000.")
