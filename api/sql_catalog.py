"""Prints the API's statements as they are sent to Postgres: `python -m api.sql_catalog [NAME]`.

The files of `sql` are templates, which neither psql nor an editor can run. The catalog composes each of them with the
functions that the routes use. A template whose text depends on the request has an entry per variant, such as
`markets.newest`; `live.` and `writes.` begin the names of the other files.

A printed statement has psql's variables in place of its parameters, and an example value for each. This runs it:
`zmart sql show NAME | zmart psql zmart_api`. Under load the API may send it for several values at once
(`reads/batching.py`); the plan of one value is the same.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import itertools
import re
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from zmart import errors

from . import schemas, writes
from .live import reader
from .reads import pagination, statements
from .routes import activity, batches, charts, discussions, leaderboard, lifecycle, users

_INSTANT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
_MARKET = "0" * 63 + "1"
_WALLET = "11111111111111111111111111111111"

#: A plausible value for each parameter, of the type that the API sends.
EXAMPLES: Mapping[str, Any] = {
    "action": "hide",
    "after": 0,
    "before": 1_000_000,
    "bio": "A text.",
    "body": b"{}",
    "bucket": "127.0.0.1",
    "by": "profit",
    "category": "crypto",
    "claim_seconds": 60,
    "cid": "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
    "content": "A comment.",
    "content_type": "application/json",
    "creator": _WALLET,
    "cursor_key": "1",
    "cursor_no": 1,
    "description": "A description.",
    "digest": "00" * 32,
    "display_name": "Ann",
    "eligibility": "known",
    "ends_at": _INSTANT,
    "envelope": bytes(64),
    "expires_at": _INSTANT,
    "flags": 3,
    "from_at": _INSTANT - datetime.timedelta(days=1),
    "has_texts": False,
    "height": 1,
    "image": bytes(64),
    "interval": "1h",
    "keep_seconds": 86400,
    "key": "a key",
    "key_id": "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11",
    "kind": "proposal",
    "limit": 20,
    "market": _MARKET,
    "market_id": _MARKET,
    "market_names": f"{_MARKET} {_WALLET}",
    "media_type": "image/png",
    "markets": [_MARKET],
    "message": "A signed text.",
    "most": 20,
    "name": "A name.",
    "next_hash": bytes(32),
    "nonce": "nonce",
    "nonce_expires_at": _INSTANT,
    "number": 1,
    "numbers": ["1", "2"],
    "offset": 0,
    "others": 5,
    "parent_no": 1,
    "part": "%coin%",
    "path": "epoch-00000000-0000-0000-0000-000000000000/log/000000000001-000000100000/manifest.json",
    "period": "all",
    "prefix": "'coin':*",
    "question": "Does this question have an answer?",
    "question_cid": "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
    "reason": "A reason.",
    "refresh_hash": bytes(32),
    "replies": 3,
    "request_hash": bytes(32),
    "scopes": ["read"],
    "secret_hash": bytes(32),
    "signature": "1" * 88,
    "slug": "will-it-rain-in-lisbon",
    "sort": "newest",
    "state_code": 2,
    "status": 201,
    "tags": ["example"],
    "title": "Weather in Lisbon",
    "to_at": _INSTANT,
    "topics": ["markets", f"market:{_MARKET}", f"user:{_WALLET}"],
    "trades": 10,
    "vote": "up",
    "wallet": _WALLET,
    "wallet_names": _WALLET,
    "wanted": 1,
    "width": 1,
    "width_seconds": 3600,
    "window": 60,
    "words": "coin",
}
#: Parameters whose type depends on the statement.
_OTHER_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "find_api_key": {"secret_hash": "00" * 32},
    "own_history": {"seq": 1},
    "markets.next_page": {"cursor_key": "2026-01-31 12:00:00+00"},
    "writes.cast_ballot": {"vote": True},
}
_PARAMETER = re.compile(r"%\((\w+)\)s")


@functools.cache
def texts() -> Mapping[str, str]:
    """Return the composed text of every statement by its name."""
    variants = {f"{name}.{variant}": text for name, variant, text in _variants()}
    with_variants = {name.partition(".")[0] for name in variants}
    plain = {name: statements.compose(name) for name in statements.names() if name not in with_variants}
    live = {f"live.{name}": text for name, text in reader.STATEMENTS.items()}
    written = {f"writes.{name}": writes.statement(name) for name in writes.names()}
    return dict(sorted({**plain, **variants, **live, **written}.items()))


def parameters(name: str) -> dict[str, Any]:
    """Return the parameters of a statement with their examples, in the order in which the text uses them."""
    examples = {**EXAMPLES, **_OTHER_EXAMPLES.get(name, {})}
    return {parameter: examples[parameter] for parameter in _PARAMETER.findall(texts()[name])}


def render(name: str) -> str:
    """Return a statement as psql runs it; raise NotFound with similar names if it does not exist."""
    if name not in texts():
        raise errors.NotFound(f"There is no statement {name}.", help=_advise(name))
    examples = parameters(name)
    settings = [f"\\set {parameter} {_quote(value)}" for parameter, value in examples.items()]
    text = _PARAMETER.sub(lambda found: _variable(found[1], examples[found[1]]), texts()[name]).replace("%%", "%")
    return "\n".join([*settings, f"{text};"])


def summarize(name: str) -> str:
    """Return the first sentence about a statement."""
    lines = itertools.takewhile(lambda line: line.startswith("--"), texts()[name].splitlines())
    sentences = " ".join(line.removeprefix("--").strip() for line in lines)
    return re.split(r"(?<=\.) (?=[A-Z])", sentences)[0]


def _variants() -> Iterator[tuple[str, str, str]]:
    yield from _market_variants()
    yield from _list_variants()
    for side, name in {"YES": "yes", "NO": "no", None: "both"}.items():
        yield "holders", name, pagination.holders_statement(typing.cast("Literal['YES', 'NO'] | None", side), _page())
    yield "holders", "next_page", pagination.holders_statement(None, _next_page())
    for ranking in typing.get_args(schemas.RankedBy):
        yield "leaderboard", ranking, leaderboard.leaderboard_statement(ranking)
    yield "candles", "filled", charts.candles_statement(is_filled=True)
    yield "candles", "traded", charts.candles_statement(is_filled=False)
    yield "market_batch", "sparklines", batches.markets_statement(25)
    yield "market_batch_rows", "sparklines", batches.market_rows_statement(25)
    yield "candle_batch", "filled", batches.candles_statement(is_filled=True)
    yield "candle_batch", "traded", batches.candles_statement(is_filled=False)
    yield "position_batch", "all", batches.positions_statement(is_of_one_market=False)
    yield "position_batch", "market", batches.positions_statement(is_of_one_market=True)
    yield "price_history", "newest", charts.price_history_statement(_page())
    yield "lifecycle", "market", lifecycle.lifecycle_statement()
    yield "positions", "list", users.positions_statement(is_empty_found=True)
    yield "positions", "legacy", users.positions_statement(is_empty_found=False)


def _market_variants() -> Iterator[tuple[str, str, str]]:
    newest = pagination.MARKET_SORTS["newest"]
    filters = ("where_state", "where_category", "where_creator")
    for name, sort in pagination.MARKET_SORTS.items():
        yield "markets", name, pagination.markets_statement(sort, (), _page())
    yield "markets", "filtered", pagination.markets_statement(newest, filters, _page())
    yield "markets", "next_page", pagination.markets_statement(newest, (), _next_page())
    yield "markets", "words", pagination.markets_statement(newest, (), _page(), pagination.Search("two words"))
    yield "markets", "part", pagination.markets_statement(newest, (), _page(), pagination.Search("coin"))


def _list_variants() -> Iterator[tuple[str, str, str]]:
    for name, filters in {"all": (), "market": ("where_market",), "wallet": ("where_wallet",)}.items():
        yield "trades", name, pagination.trades_statement(filters, _page())
        yield "trades", f"{name}.next_page", pagination.trades_statement(filters, _next_page())
        yield "trades", f"{name}.rendered", pagination.TRADES.with_rows(pagination.trades_statement(filters, _page()))
    for of in typing.get_args(Literal["market", "wallet"]):
        yield "activity", of, pagination.activity_statement(of, _page())
        yield "activity", f"{of}.next_page", pagination.activity_statement(of, _next_page())
    for of_type in (None, "trade", "resolution", "creation"):
        yield "newest_activity", of_type or "mixed", activity.newest_statement(of_type)
    for view, template in {"threads": "threads", "all": "discussions"}.items():
        yield template, "first_page", discussions.posts_statement(_page(view))
        yield template, "next_page", discussions.posts_statement(_next_page(view))


def _page(sort: str = "newest") -> pagination.PageRequest:
    return pagination.PageRequest(sort, EXAMPLES["limit"], EXAMPLES["offset"], None)


def _next_page(sort: str = "newest") -> pagination.PageRequest:
    cursor = pagination.Cursor(sort, EXAMPLES["cursor_key"], EXAMPLES["cursor_no"])
    return pagination.PageRequest(sort, EXAMPLES["limit"], EXAMPLES["offset"], cursor)


def _variable(parameter: str, example: Any) -> str:
    """Return psql's variable for a parameter: its text for a number or a boolean, a literal for everything else."""
    return f":{parameter}" if isinstance(example, int) else f":'{parameter}'"


def _quote(value: Any) -> str:
    """Return a value in the form of psql's \\set."""
    if isinstance(value, int):
        return str(value).lower()
    if isinstance(value, list):
        value = "{" + ",".join(value) + "}"
    if isinstance(value, bytes):
        value = f"\\x{value.hex()}"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _advise(name: str) -> str:
    begun = [known for known in texts() if known.startswith(f"{name}.")]
    similar = begun or difflib.get_close_matches(name, texts(), n=5, cutoff=0.5)
    return f"Similar: {', '.join(similar)}." if similar else "List all: zmart sql list"


def main(arguments: Sequence[str]) -> int:
    """Print the named statement, or all names; return 2 for an unknown name."""
    if not arguments:
        print("\n".join(f"{name:<30}  {summarize(name)}" for name in texts()))
        return 0
    try:
        print(render(arguments[0]))
    except errors.NotFound as unknown:
        print(f"zmart: {unknown}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
