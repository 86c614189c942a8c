"""Metrics: who may read them, names and units of all of them, and a page that lists each one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import psycopg_pool
import pytest
from metrics_page import collected, documented, units
from prometheus_client.parser import text_string_to_metric_families

from api.live.hub import Hub
from api.metrics import ApiMetrics
from api.reads.response_cache import ResponseCache
from devchain.app import DevchainServer
from devchain.service import DevelopmentChain, Options
from relay.metrics import RelayMetrics
from zmart import settings
from zmart.http import metrics as http_metrics
from zmart.settings import Secret

TOKEN = "a-token-for-metrics"
#: The endings that a unit has in a name; metrics of other units are named by the thing that they count.
ENDINGS = {"seconds": "_seconds", "bytes": "_bytes", "lamports": "_lamports", "slot": "_slot", "slots": "_slots"}


@pytest.mark.parametrize(
    ("address", "headers", "token", "is_allowed"),
    [
        ("127.0.0.1", {}, None, True),
        ("::1", {}, None, True),
        ("10.0.0.5", {}, None, False),
        ("unix", {}, None, False),
        (None, {}, None, False),
        ("127.0.0.1", {"x-forwarded-for": "10.0.0.5"}, None, False),
        ("127.0.0.1", {"forwarded": "for=10.0.0.5"}, TOKEN, False),
        ("127.0.0.1", {"via": "1.1 proxy"}, TOKEN, False),
        ("127.0.0.1", {"x-real-ip": "10.0.0.5"}, TOKEN, False),
        ("10.0.0.5", {"authorization": f"Bearer {TOKEN}"}, TOKEN, True),
        ("10.0.0.5", {"authorization": f"Bearer {TOKEN}x"}, TOKEN, False),
        ("10.0.0.5", {"authorization": TOKEN}, TOKEN, False),
        ("10.0.0.5", {"authorization": "Bearer "}, None, False),
        ("10.0.0.5", {"authorization": "Bearer \u20ac"}, TOKEN, False),
        ("127.0.0.1", {"x-forwarded-for": "10.0.0.5", "authorization": f"Bearer {TOKEN}"}, TOKEN, True),
    ],
)
def test_metrics_are_for_this_machine_and_for_the_token(
    address: str | None, headers: dict[str, str], token: str | None, is_allowed: bool
) -> None:
    """A request that a proxy forwards does not come from this machine, whatever its socket shows."""
    secret = None if token is None else Secret(token)
    assert http_metrics.may_read(address, headers, secret) is is_allowed


def api_metrics() -> ApiMetrics:
    """The metrics of an API process, each with what it is read from."""
    metrics = ApiMetrics()

    class SilentSignal:
        silent_seconds = 0.0

    async def no_head() -> None:
        return None

    Hub(cast("Any", None), cast("Any", SilentSignal()), metrics=metrics.push)
    metrics.register_connections({"reads": psycopg_pool.AsyncConnectionPool(open=False)})
    metrics.register_cache(ResponseCache(no_head, most_bytes=1))
    metrics.register_writes(lambda: 0.0)
    metrics.push.closed.labels("left").inc()
    metrics.count_request("GET", "/health", 200, 0.004)
    return metrics


async def test_the_page_lists_the_metrics_of_the_api() -> None:
    """Both ways, with types and labels."""
    assert collected(api_metrics().registry.collect()) == documented("zmart_api_", "zmart_push_", "process_")


async def test_requests_are_counted_without_labels_that_clients_choose() -> None:
    """A path that no handler has and an invented method make no series of their own; a client that left has no time."""
    metrics = ApiMetrics()
    for path in ("/a", "/b"):
        metrics.count_request("BREW", None, 404, 0.001)
        assert path not in metrics.render().decode()
    metrics.count_request("GET", "/api/markets/{market_id}", 0, 0.0)
    families = {one.name: one for one in text_string_to_metric_families(metrics.render().decode())}
    counts = {tuple(s.labels.values()): s.value for s in families["zmart_api_requests"].samples if s.name.endswith("l")}
    assert counts == {("other", "unmatched", "404"): 2, ("GET", "/api/markets/{market_id}", "0"): 1}
    timed = {s.labels["route"] for s in families["zmart_api_request_seconds"].samples}
    assert timed == {"unmatched"}


def test_the_page_lists_the_metrics_of_the_relay() -> None:
    """Both ways, with types and labels."""
    labels = {"zmart_relay_failures": frozenset({"kind"})}
    found = collected(RelayMetrics().registry.collect(), labels)
    assert found == documented("zmart_relay_", "process_")


def test_the_page_lists_the_metrics_of_the_development_chain(tmp_path: Path) -> None:
    """Both ways; a method that the node does not serve counts as `other`."""
    chain = DevelopmentChain(tmp_path, None, Options(traders=False), program_id=settings.load({}).chain.program_id)
    server = DevchainServer(chain)
    server.rpc.answer(b'{"jsonrpc":"2.0","id":1,"method":"getSlot"}')
    server.rpc.answer(b'{"jsonrpc":"2.0","id":1,"method":"getNonsense"}')
    text = server.metrics.render().decode()
    chain.store.close()

    labels = {"zmart_devchain_webhooks": frozenset({"outcome"})}
    assert collected(text_string_to_metric_families(text), labels) == documented("zmart_devchain_", "process_")
    assert 'zmart_devchain_requests_total{method="getSlot",outcome="ok"} 1.0' in text
    assert 'zmart_devchain_requests_total{method="other",outcome="error"} 1.0' in text
    assert "getNonsense" not in text


def test_names_end_with_their_units() -> None:
    """Base units only: no milliseconds, no kilobytes, no percent."""
    found = units()
    assert len(found) > 80
    assert {name for name, unit in found.items() if (end := ENDINGS.get(unit)) and not name.endswith(end)} == set()
    other = tuple(ENDINGS.values())
    wrong = {name for name, unit in found.items() if unit not in ENDINGS and name.endswith(other)}
    assert wrong == set()
    assert not {name for name in found if any(part in name for part in ("_ms", "_milli", "percent", "_kb", "_mib"))}


def test_a_process_reports_itself() -> None:
    """CPU, memory and files of the process are in every registry, and nothing of another registry."""
    names = {one.name for one in http_metrics.new_registry().collect()}
    assert names == {row.name for row in documented("process_")}
