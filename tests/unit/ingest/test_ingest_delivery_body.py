"""Splitting a body into items."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.decode import delivery_body
from zmart import errors


def test_items_are_the_bytes_that_came() -> None:
    """Spaces, order of members and escapes inside an item are stored as delivered."""
    first, second = b'{ "b":1,\n "a": "\\u0041" }', b"[1, 2]"
    assert delivery_body.split_items(b" [" + first + b" , " + second + b"]\n") == [first, second]


def test_an_empty_array_has_no_items() -> None:
    """Helius may send an empty array, which is valid."""
    assert delivery_body.split_items(b"[]") == []


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"", "nothing"),
        (b"   ", "nothing"),
        (b"{}", "a JSON object"),
        (b'"text"', "a JSON string"),
        (b"null", "null"),
        (b"12", "a JSON number"),
        (b"not json", "something that is not JSON"),
        (b'[{"a":1}', "an array without an end"),
        (b'[{"a":1},]', "something that is not JSON"),
        (b'[{"a":1}{"b":2}]', "something that is not JSON"),
        (b"[] []", "something that is not JSON"),
        (b"[NaN]", "something that is not JSON"),
        (b"\xff\xfe", "something that is not JSON"),
        (b'["\\ud800"] x', "an array with trailing data"),
        (b'["\\ud8zz"]', "something that is not JSON"),
    ],
)
def test_a_refusal_names_what_was_expected_and_what_came(body: bytes, came: str) -> None:
    """The error has the expected and the received form."""
    with pytest.raises(errors.InvalidInput, match=r"Expected a JSON array of transactions") as caught:
        delivery_body.split_items(body)
    assert f", received {came}." in str(caught.value)


def test_half_a_surrogate_pair_does_not_affect_other_items() -> None:
    """JSON may contain `\\ud800`; the item's bytes are unchanged and its neighbours stay items."""
    odd = b'{"log":["\\ud800","\\udc00 ]","\\\\ud800"]}'
    assert delivery_body.split_items(b"[" + odd + b',{"a":2}]') == [odd, b'{"a":2}']


def test_deep_nesting_does_not_affect_other_items() -> None:
    """An extremely nested item is split off like any other."""
    deep = b"[" * 100_000 + b"]" * 100_000
    assert delivery_body.split_items(b'[{"a":"]"},' + deep + b"]") == [b'{"a":"]"}', deep]


def test_only_lone_surrogates_are_replaced() -> None:
    """Only characters that no decoder accepts are replaced, and no offset changes."""
    raw = rb'"\ud83d\ude00 \ud83d \udc00x \\ud800 \n"'
    assert delivery_body.replace_lone_surrogates(raw) == rb'"\ud83d\ude00 \ufffd \ufffdx \\ud800 \n"'


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(_JSON), st.booleans())
def test_any_array_splits_into_its_elements(values: list[object], is_ascii: bool) -> None:
    """For every array the items, parsed alone, are its elements; lone surrogates included."""
    text = json.dumps(values, ensure_ascii=is_ascii)
    if not is_ascii and any("\ud800" <= sign <= "\udfff" for sign in text):
        text = json.dumps(values)
    assert [json.loads(item) for item in delivery_body.split_items(text.encode())] == values
