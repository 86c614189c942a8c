"""Lists exported files and returns them, and writes the account statement of the signed-in wallet."""

from __future__ import annotations

import asyncio
import csv
import datetime
import hashlib
import io
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.params import PathParameter, QueryParameter
from litestar.response import Redirect

from zmart import errors as zmart_errors
from zmart.run.export import store
from zmart.run.export.manifest import SegmentMissing

from .. import errors, response_docs, schemas
from ..auth.signed_in import SECURITY, FromSignedIn
from ..dependencies import FromDatabase, FromServices
from ..reads import statements

#: A signed address of a store is valid for so long.
LINK_SECONDS = 3_600
#: Lines of one statement; a longer period is divided by its dates.
MOST_LINES = 50_000
_COLUMNS = (
    "time_utc",
    "type",
    "market_id",
    "side",
    "shares",
    "gross_lamports",
    "fees_lamports",
    "fees_are_exact",
    "amount_lamports",
    "amount_sol",
    "transaction",
    "log_seq",
    "commitment",
)

Dataset = Annotated[
    Literal["log", "marts"], QueryParameter(description="Entries of the log, or snapshots of the marts.")
]
After = Annotated[int, QueryParameter(ge=0, le=2**53, description="Only segments whose last entry is after this one.")]
SegmentLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="Segments on a page.")]
FilePath = Annotated[str, PathParameter(description="As in `url` of a file or in `manifest`.")]
FirstDay = Annotated[datetime.date | None, QueryParameter(description="A day (UTC); without it, from the beginning.")]
LastDay = Annotated[datetime.date | None, QueryParameter(description="A day (UTC), included; without it, up to now.")]


@get(
    "/api/exports",
    tags=["exports"],
    summary="List exported files",
    responses=response_docs.read_responses(),
)
async def list_exports(
    database: FromDatabase, dataset: Dataset = "log", after: After = 0, limit: SegmentLimit = 100
) -> Response[schemas.Exports]:
    """List published segments of Parquet files with their digests, the oldest first.

    Each file was read back and compared before its segment was published. The same files can be imported by
    `zmart replay`, which computes the chain and the marts again.
    """
    return await database.answer(
        statements.compose("exports"), {"kind": dataset, "after": after, "limit": limit}, is_cacheable=False
    )


@get(
    "/api/exports/files/{path:path}",
    tags=["exports"],
    summary="Get an exported file",
    responses=response_docs.problems(404),
    media_type="application/octet-stream",
    status_code=200,
    opt={"weight": 5},
)
async def get_exported_file(database: FromDatabase, services: FromServices, path: FilePath) -> Response[bytes]:
    """Return the file, or redirect (307) to a signed address of its store, which is valid for an hour."""
    name = path.strip("/")
    rows = await database.rows(statements.compose("exported_file"), {"path": name})
    if not rows:
        raise zmart_errors.NotFound(f"No exported file has the path {name[:200]}.")
    files = store.open_location(str(rows[0][0]), services.settings.export)
    address = await asyncio.to_thread(files.sign, name, LINK_SECONDS)
    if address is not None:
        return Redirect(address, status_code=307)
    try:
        content = await asyncio.to_thread(files.get, name)
    except SegmentMissing as error:
        raise zmart_errors.Unavailable("The file is not readable at this server.") from error
    headers = {
        "etag": f'"{hashlib.sha256(content).hexdigest()}"',
        "content-security-policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type="application/octet-stream", headers=headers)


@get(
    "/api/users/me/statement.csv",
    tags=["wallets"],
    summary="Get the signed-in wallet's statement",
    security=SECURITY,
    responses=response_docs.problems(401),
    media_type="text/csv",
    opt={"weight": 10},
)
async def get_statement(
    database: FromDatabase, signed_in: FromSignedIn, first_day: FirstDay = None, last_day: LastDay = None
) -> Response[str]:
    """Return trades and payouts as CSV, the oldest first, with exact amounts; at most 50,000 lines.

    `amount_lamports` and `amount_sol` are what the wallet received; a payment is negative and includes the fees. Shares
    and SOL have nine decimals. `fees_are_exact` is false where the chain does not decide between two fees. Network fees
    are not in it.
    """
    if first_day is not None and last_day is not None and last_day < first_day:
        raise errors.InvalidParameter("last_day", "expected a day that is not before first_day")
    answer = await database.read(
        statements.compose("wallet_statement"),
        {
            "wallet": signed_in.wallet,
            "from_at": None if first_day is None else _midnight(first_day),
            "to_at": _day_after(last_day),
            "limit": MOST_LINES,
        },
    )
    lines = msgspec.json.decode(answer.body)
    if len(lines) > MOST_LINES:
        raise errors.InvalidParameter(
            "first_day", f"the period has more than {MOST_LINES:,} lines; choose a shorter one"
        )
    headers = {**answer.headers(), "content-disposition": 'attachment; filename="statement.csv"'}
    return Response(write_statement(lines), media_type="text/csv", headers=headers)


def write_statement(lines: list[list[Any]]) -> str:
    """Return the statement as CSV: a header and a line for each trade and payout, lines end with CRLF."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for time, kind, market, side, shares, gross, fees, is_exact, amount, signature, seq, commitment in lines:
        writer.writerow(
            [
                *(time, kind, market, side or "", _with_nine_decimals(shares), gross, fees),
                *("true" if is_exact else "false", amount, _with_nine_decimals(amount), signature, seq, commitment),
            ]
        )
    return text.getvalue()


def _with_nine_decimals(units: str | None) -> str:
    """Return billionths as a decimal text, exactly; empty for null."""
    if units is None:
        return ""
    sign, digits = ("-", units[1:]) if units.startswith("-") else ("", units)
    digits = digits.rjust(10, "0")
    return f"{sign}{digits[:-9]}.{digits[-9:]}"


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)


def _day_after(day: datetime.date | None) -> datetime.datetime | None:
    if day is None or day == datetime.date.max:
        return None
    return _midnight(day + datetime.timedelta(days=1))


HANDLERS = [list_exports, get_exported_file, get_statement]
