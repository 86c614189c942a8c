"""The list of exported files, the files themselves, and the statement of a wallet."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from api_fixtures import SOL, Log, market_id, served
from assertions import body

from api import schemas
from api.auth.service import AuthService
from api.routes.exports import write_statement
from ingest.testing import address
from zmart.run.export import exporter
from zmart.run.export.store import FolderStore

Client = httpx.AsyncClient
SECRET = "a secret of at least thirty-two characters"


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    """The folder of the exported files."""
    return FolderStore(tmp_path / "export")


@pytest.fixture
async def client(markets: Log, folder: FolderStore) -> AsyncIterator[Client]:
    """An application with a folder for files, and a wallet that is signed in."""
    configuration = markets.settings(JWT_SECRET=SECRET, EXPORT_URL=folder.location)
    token = AuthService(configuration, None, None).tokens.issue(address(2))  # type: ignore[arg-type]
    async with served(configuration) as found:
        found.headers["Authorization"] = f"Bearer {token}"
        yield found


async def test_files_are_listed_and_returned(client: Client, markets: Log, folder: FolderStore) -> None:
    """Nothing before the first export; then segments in pages, with files whose bytes have the digests."""
    empty = await body(client, "/api/exports", schemas.Exports)
    assert (empty["segments"], empty["exported_through"], empty["next_after"]) == ([], 0, None)

    exporter.export(markets.database.dsn(), folder)
    markets.buy(1, 4)
    await markets.deliver()
    result = exporter.export(markets.database.dsn(), folder)

    first = await body(client, "/api/exports?limit=1", schemas.Exports)
    second = await body(client, f"/api/exports?limit=1&after={first['next_after']}", schemas.Exports)
    segments = first["segments"] + second["segments"]
    assert [each["first_seq"] for each in segments] == [1, segments[0]["last_seq"] + 1]
    assert segments[1]["last_seq"] == first["exported_through"] == result.through
    assert second["next_after"] is None
    (snapshot, newest) = (await body(client, "/api/exports?dataset=marts", schemas.Exports))["segments"]
    assert snapshot["last_seq"] < newest["last_seq"]
    for file in [*segments[0]["files"], newest["files"][0]]:
        content = (await client.get(file["url"])).content
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    manifest = await client.get(segments[0]["manifest"])
    assert hashlib.sha256(manifest.content).hexdigest() == segments[0]["manifest_sha256"]


async def test_only_published_files_are_returned(
    client: Client, markets: Log, folder: FolderStore, tmp_path: Path
) -> None:
    """Any other path is 404, whatever it spells; a damaged segment is not offered; a lost file is 503."""
    exporter.export(markets.database.dsn(), folder, exports_marts=False)
    (segment,) = (await client.get("/api/exports")).json()["segments"]
    (tmp_path / "export" / "secret.txt").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    base = segment["manifest"].removesuffix("manifest.json")
    for path in ("secret.txt", "../secret.txt", "%2e%2e/secret.txt", "/etc/passwd"):
        for prefix in ("/api/exports/files/", base):
            answer = await client.get(prefix + path)
            assert answer.status_code == 404, path
            assert "secret" not in answer.text.replace("secret.txt", "")
    lost = segment["files"][0]["url"]
    folder.delete(lost.removeprefix("/api/exports/files/"))
    assert (await client.get(lost)).status_code == 503
    exporter.verify(markets.database.dsn(), folder)
    assert (await client.get("/api/exports")).json()["segments"] == []
    assert (await client.get(lost)).status_code == 404


async def lines(client: Client, query: str = "") -> list[dict[str, str]]:
    """The lines of the statement, by column."""
    answer = await client.get(f"/api/users/me/statement.csv{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["zmart-seq"]
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_statement_has_exact_amounts(client: Client, markets: Log) -> None:
    """Trades and payouts of the wallet alone, oldest first; lamports and SOL are the same amount, to the last one."""
    markets.story.append(
        (
            "SharesSold",
            1,
            2,
            {"outcome": True, "shares": str(SOL), "proceeds": "18446744073709551615", "new_price_yes": "5"},
            None,
        )
    )
    markets.story.append(("WinningsClaimed", 1, 2, {"amount": "7", "outcome": True}, None))
    await markets.deliver()

    found = await lines(client)

    assert [line["type"] for line in found] == ["buy", "buy", "sell", "claim"]
    assert {line["market_id"] for line in found} == {market_id(1), market_id(3)}
    assert found[0]["amount_lamports"] == f"-{11 * SOL // 10}"
    assert found[0]["amount_sol"] == "-1.100000000"
    assert found[0]["shares"] == "5.000000000"
    assert found[2]["amount_lamports"] == "18446744073709551615"
    assert found[2]["amount_sol"] == "18446744073.709551615"
    assert (found[3]["amount_lamports"], found[3]["amount_sol"], found[3]["fees_lamports"]) == ("7", "0.000000007", "0")
    for line in found:
        assert Decimal(line["amount_sol"]) * SOL == int(line["amount_lamports"])
    buy = found[0]
    assert int(buy["gross_lamports"]) + int(buy["fees_lamports"]) == -int(buy["amount_lamports"])


async def test_a_statement_of_some_days(client: Client) -> None:
    """Both days are included; a day before or after has no lines; days in the wrong order are refused."""
    day = (await lines(client))[0]["time_utc"][:10]
    assert len(await lines(client, f"?first_day={day}&last_day={day}")) == 2
    assert await lines(client, "?last_day=2000-01-01") == []
    assert await lines(client, "?first_day=2100-01-01&last_day=9999-12-31") == []
    refused = await client.get("/api/users/me/statement.csv?first_day=2026-01-02&last_day=2026-01-01")
    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "last_day")
    del client.headers["Authorization"]
    assert (await client.get("/api/users/me/statement.csv")).status_code == 401


def test_a_text_of_a_line_is_quoted() -> None:
    """A line has as many fields as the header, also for empty values."""
    text = write_statement([["t", "claim", "m", None, None, "7", "0", True, "-7", "s", 5, "confirmed"]])
    header, line = list(csv.reader(io.StringIO(text)))
    assert len(header) == len(line)
    assert line[header.index("shares")] == ""
    assert line[header.index("amount_sol")] == "-0.000000007"
