"""A change of the contract that breaks its clients is found, and the last committed contract is not broken."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.contract import __main__ as contract
from api.contract import compatibility

ROOT = Path(__file__).resolve().parents[3]
#: Sentences of breaking changes that were decided; each is announced in the changelog and in docs/migrating.md.
DECIDED = frozenset(
    {
        # Still served; the document omits it, because it made addresses ambiguous.
        "GET /api/discussions/ipfs/{cid} is gone.",
        # `outcome` is YES or NO in every answer, and `side` is buying or selling. The earlier backend's answer had a
        # boolean, but its call could not succeed (docs/protocol.md 5.2).
        *(
            f"POST {prefix}/trades/{kind}, answer 201.trade{change}"
            for prefix in ("/api", "")
            for kind in ("buy", "sell")
            for change in (".outcome may now be string.", " has no member side.")
        ),
    }
)
Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    """The OpenAPI document."""
    return contract.openapi_document()


def committed(name: str, revision: str) -> Document | None:
    """A document of a revision, or None without a repository or without it there."""
    command = ["git", "show", f"{revision}:docs/{name}.json"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return json.loads(shown.stdout) if shown.returncode == 0 else None


@pytest.mark.parametrize("name", contract.DOCUMENTS)
def test_the_last_committed_contract_is_not_broken(name: str) -> None:
    """Neither by a change that is not committed yet, nor by the last commit."""
    earlier = [found for revision in ("HEAD", "HEAD~1") if (found := committed(name, revision)) is not None]
    if not earlier:
        pytest.skip("this is not a repository with a history")
    document = contract.DOCUMENTS[name]()
    broken = {sentence for one in earlier for sentence in compatibility.breaking_changes(one, document)}
    assert sorted(broken - DECIDED) == []


def remove_operation(document: Document) -> None:
    """A call is gone."""
    del document["paths"]["/api/trades"]["get"]


def remove_parameter(document: Document) -> None:
    """A filter is gone."""
    parameters = document["paths"]["/api/markets"]["get"]["parameters"]
    parameters[:] = [one for one in parameters if one["name"] != "category"]


def require_parameter(document: Document) -> None:
    """A filter is needed."""
    parameters = document["paths"]["/api/markets"]["get"]["parameters"]
    next(one for one in parameters if one["name"] == "category")["required"] = True


def remove_member(document: Document) -> None:
    """An answer lacks a member."""
    del document["components"]["schemas"]["Market"]["properties"]["question"]


def remove_nested_member(document: Document) -> None:
    """A row of a list lacks a member; the list itself refers to the same schema as before."""
    del document["components"]["schemas"]["Trade"]["properties"]["cost_exact"]


def remove_alternative_member(document: Document) -> None:
    """An object that may be null lacks a member."""
    del document["components"]["schemas"]["Refusal"]["properties"]["code"]


def change_type(document: Document) -> None:
    """A member of an answer has another type."""
    document["components"]["schemas"]["Market"]["properties"]["question"]["type"] = "integer"


def make_member_optional(document: Document) -> None:
    """A member of an answer may be missing."""
    document["components"]["schemas"]["Market"]["required"].remove("question")


def require_member(document: Document) -> None:
    """A request needs more."""
    schema = document["components"]["schemas"]["NewApiKey"]
    schema["required"] = [*schema["required"], "expires_in_days"]


def narrow_values(document: Document) -> None:
    """A request accepts less."""
    values = next(p for p in document["paths"]["/api/markets"]["get"]["parameters"] if p["name"] == "sort")["schema"]
    values["enum"] = values["enum"][1:]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (remove_operation, "GET /api/trades is gone."),
        (remove_parameter, "GET /api/markets no longer takes the parameter category."),
        (require_parameter, "GET /api/markets requires the parameter category."),
        (remove_member, "has no member question."),
        (remove_nested_member, "GET /api/trades, answer 200.trades[] has no member cost_exact."),
        (remove_alternative_member, ".refusal has no member code."),
        (change_type, "question may now be integer."),
        (make_member_optional, "may lack the member question."),
        (require_member, "requires the member expires_in_days."),
        (narrow_values, "has other values: "),
    ],
)
def test_a_breaking_change_is_found(document: Document, change: Callable[[Document], None], sentence: str) -> None:
    """Each is named once for each place."""
    later = copy.deepcopy(document)
    change(later)
    found = compatibility.breaking_changes(document, later)
    assert any(sentence in one for one in found), found
    # In the other direction it adds something, which breaks nobody, unless it changes a type or a set of values.
    if change in (remove_operation, remove_member, require_member):
        assert compatibility.breaking_changes(later, document) == []


def remove_topic(document: Document) -> None:
    """A topic is gone."""
    del document["channels"]["websocket"]["x-topics"]["votes"]


def remove_query(document: Document) -> None:
    """A parameter of the address is gone."""
    del document["operations"]["sendServerSentEvents"]["bindings"]["http"]["query"]["properties"]["since"]


def remove_channel(document: Document) -> None:
    """A channel has another address."""
    document["channels"]["stream"]["address"] = "/api/events"


def stop_sending(document: Document) -> None:
    """The server sends a message no longer."""
    messages = document["operations"]["sendToWebSocket"]["messages"]
    messages[:] = [one for one in messages if not one["$ref"].endswith("/Pong")]


def stop_accepting(document: Document) -> None:
    """The server accepts a message no longer."""
    messages = document["operations"]["receiveFromWebSocket"]["messages"]
    messages[:] = [one for one in messages if not one["$ref"].endswith("/Ping")]


def remove_message_member(document: Document) -> None:
    """A message inside frames lacks a member."""
    del document["components"]["schemas"]["TradeEvent"]["properties"]["cost_exact"]


def change_message_type(document: Document) -> None:
    """A message has another name."""
    document["components"]["schemas"]["TradeMessage"]["properties"]["type"]["const"] = "bought"


def require_of_client(document: Document) -> None:
    """A message of the client needs more."""
    document["components"]["schemas"]["Subscribe"]["required"].append("since")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (remove_topic, "The topic votes is gone."),
        (remove_query, "/api/stream no longer takes the parameter since."),
        (remove_channel, "The channel /api/stream is gone."),
        (stop_sending, "The message Pong is no longer sent."),
        (stop_accepting, "The message Ping is no longer accepted."),
        (remove_message_member, "TradeMessage.data has no member cost_exact."),
        (change_message_type, "TradeMessage.type has other values: bought."),
        (require_of_client, "Subscribe requires the member since."),
    ],
)
def test_a_breaking_change_of_the_streams_is_found(change: Callable[[Document], None], sentence: str) -> None:
    """Each is named."""
    document = contract.DOCUMENTS["asyncapi"]()
    later = copy.deepcopy(document)
    change(later)
    assert sentence in compatibility.breaking_changes(document, later)


def test_a_new_message_breaks_no_stream() -> None:
    """Clients skip types that they do not know, so a new one breaks no client; nor does a new topic."""
    later = contract.DOCUMENTS["asyncapi"]()
    earlier = copy.deepcopy(later)
    del earlier["components"]["messages"]["ProfileMessage"]
    del earlier["components"]["schemas"]["ProfileMessage"]
    del earlier["channels"]["websocket"]["x-topics"]["votes"]
    items = earlier["components"]["schemas"]["Frame"]["properties"]["messages"]["items"]
    items["anyOf"] = [one for one in items["anyOf"] if not one["$ref"].endswith("/ProfileMessage")]
    assert compatibility.breaking_changes(earlier, later) == []
    assert compatibility.breaking_changes(later, earlier) != []


def test_no_two_paths_match_the_same_address(document: Document) -> None:
    """For each pair, one is more specific at every place where they differ, so that no tool has to guess."""
    paths = [path.split("/") for path in document["paths"]]
    ambiguous = [
        (one, other)
        for number, one in enumerate(paths)
        for other in paths[number + 1 :]
        if len(one) == len(other) and set(_differences(one, other)) == {"left", "right"}
    ]
    assert ambiguous == []


def _differences(one: list[str], other: list[str]) -> list[str]:
    """For each place where two paths differ, which of them has a name there; apart if both have."""
    found = []
    for left, right in zip(one, other, strict=True):
        is_left, is_right = "{" not in left, "{" not in right
        if is_left and is_right and left != right:
            found.append("apart")
        elif is_left != is_right:
            found.append("left" if is_left else "right")
    return found
