"""One word for one thing in both documents: a field's name has one type, an outcome is YES or NO, amounts are exact."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from api.contract import __main__ as contract

Document = dict[str, Any]

_JSON_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
#: Names with several types, each with the reason. A new name does not belong here: choose another word for it.
TWO_TYPES: Final[Mapping[str, str]] = {
    "state": "the earlier backend's user positions have the number of a market's state",
    "status": "RFC 9457 defines the number of a problem, the earlier backend the text of a market",
    "code": "RFC 9457 problems have a word, the program's errors a number",
    "vote": "the earlier vote aggregator's ballots are words, those of the earlier backend booleans",
    "data": "the payload of a message, and the earlier backend's list of recorded ballots",
    "market": "a filter and the earlier activity have a name, prepared transactions and states the market itself",
    "total": "a number of ballots, and the total of a quote",
    "price_after": "earlier trades have a fraction, quotes whole billionths",
    "invested": "the earlier alias of total_invested, and the sum of a day",
    "open": "a number of alerts, and the first price of a candle",
    "missing": "a number of transactions, and names that are no market",
    "rows": "a number of rows of a file, and the rows of a query",
    "edits": "a number on a post, and its edits on their own page",
    "discussions": "a number for a wallet, and posts on their own page",
    "proposal_votes": "a number for a wallet, sums for a market, and votes on their own page",
    "dispute_votes": "a number for a wallet, sums for a market, and votes on their own page",
    # Requests take a number as well as text.
    "liquidity": "an amount in a request",
    "max_cost": "an amount in a request",
    "min_proceeds": "an amount in a request",
    "outcome": "earlier clients send a boolean",
}
#: Requests, where an amount may be a number without an exact form beside it.
REQUESTS: Final = frozenset({"BuyShares", "SellShares", "CreateMarket", "ResolveMarket"})
#: The fields of the configuration, described by their sources.
SOURCES: Final = frozenset({"ConfigSources"})
#: Not an outcome of a market.
RUNS: Final = frozenset({"KeeperStatus"})
#: Numbers below 2**53, whose exact form elsewhere is of another amount or of older rows.
SMALL: Final = frozenset({"limit", "new_price_yes"})


@pytest.fixture(scope="module")
def schemas() -> dict[str, Document]:
    """Every named schema of both documents."""
    found: dict[str, Document] = {}
    for build in contract.DOCUMENTS.values():
        found |= build()["components"]["schemas"]
    return found


def fields(schemas: Mapping[str, Document]) -> Iterator[tuple[str, str, Document]]:
    """Each schema's name with each of its fields."""
    for name, schema in schemas.items():
        for field, found in schema.get("properties", {}).items():
            yield name, field, found


def types(schemas: Mapping[str, Document], schema: Document) -> set[str]:
    """The JSON types of a schema, without null."""
    match schema:
        case {"$ref": reference}:
            return types(schemas, schemas[reference.rpartition("/")[2]])
        case {"anyOf": choices}:
            return {found for one in choices for found in types(schemas, one)}
        case {"const": value}:
            return {_JSON_TYPES[type(value)]}
        case {"enum": values}:
            return {_JSON_TYPES[type(value)] for value in values if value is not None}
        case {"type": str(kind)}:
            return {kind} - {"null"}
    return set(schema.get("type", [])) - {"null"}


def exact_names(schemas: Mapping[str, Document]) -> set[str]:
    """The amounts: names that have an exact form somewhere."""
    found = {field.removesuffix("_exact") for _, field, one in fields(schemas) if field.endswith("_exact")}
    return found - SMALL


def test_a_name_has_one_type(schemas: dict[str, Document]) -> None:
    """Amounts are numbers in rows that earlier clients read, and text in newer ones; the rest is listed."""
    found: dict[str, set[str]] = collections.defaultdict(set)
    for name, field, schema in fields(schemas):
        if name not in SOURCES:
            found[field] |= types(schemas, schema)
    amounts = exact_names(schemas)
    several = {
        field
        for field, kinds in found.items()
        if len(kinds) > 1 and not (field in amounts and kinds <= {"integer", "string"})
    }
    assert several == set(TWO_TYPES)


def test_an_amount_that_is_a_number_has_its_exact_form_beside_it(schemas: dict[str, Document]) -> None:
    """JavaScript loses the precision of numbers above 2**53."""
    amounts = exact_names(schemas)
    assert {"cost", "shares", "total_invested", "realized_pnl"} <= amounts
    inexact = [
        f"{name}.{field}"
        for name, field, schema in fields(schemas)
        if field in amounts
        and name not in REQUESTS
        and types(schemas, schema) == {"integer"}
        and f"{field}_exact" not in schemas[name]["properties"]
    ]
    assert inexact == []


def test_an_outcome_is_a_word(schemas: dict[str, Document]) -> None:
    """YES, NO or INVALID in answers and messages, YES or NO in requests, which also take earlier clients' booleans."""
    outcomes = {name: schema for name, field, schema in fields(schemas) if field == "outcome" and name not in RUNS}
    assert {"Market", "Trade", "TradeEvent", "ProposedTrade", "Quote", "BuyShares"} <= outcomes.keys()
    for name, schema in outcomes.items():
        kinds = types(schemas, schema)
        assert kinds == ({"string", "boolean"} if name in REQUESTS - {"CreateMarket"} else {"string"}), name
        assert _words(schema) <= {"YES", "NO", "INVALID", None}, name
        assert {"YES", "NO"} <= _words(schema), name


def test_a_boolean_of_an_outcome_has_its_own_name(schemas: dict[str, Document]) -> None:
    """`outcome_bool` stands beside `outcome`."""
    found = [name for name, field, _ in fields(schemas) if field == "outcome_bool"]
    assert "Trade" in found
    assert [name for name in found if "outcome" not in schemas[name]["properties"]] == []


def test_a_side_is_buying_or_selling(schemas: dict[str, Document]) -> None:
    """YES and NO are outcomes, not sides."""
    sides = {name: _words(schema) for name, field, schema in fields(schemas) if field == "side"}
    assert [name for name, words in sides.items() if words != {"buy", "sell"}] == []
    assert sides != {}


def test_a_parameter_has_the_type_of_the_field_with_its_name() -> None:
    """A query's text may stand for a number in rows of earlier clients, but words are the same words."""
    document = contract.DOCUMENTS["openapi"]()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "outcome":
                    assert _words(parameter["schema"]) == {"YES", "NO"}, path
                if parameter["name"] == "side" and not parameter.get("deprecated"):
                    assert _words(parameter["schema"]) == {"buy", "sell"}, path


def _words(schema: Document) -> set[Any]:
    if "anyOf" in schema:
        return {word for one in schema["anyOf"] for word in _words(one)}
    return set(schema.get("enum", ()))
