"""`python -m orchestration.snapshots` is the process that `zmart snapshot` starts.

The exit status is 0 if everything succeeds, 1 if a service does not answer or a snapshot differs, and 2 if the snapshot
does not exist.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from zmart import errors, exit_status, settings
from zmart import log as logs

from ..resources import Connection, DatabaseResource
from . import publish


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status."""
    options = parser().parse_args(arguments)
    try:
        logs.configure(settings.load(), service="snapshots")
        with DatabaseResource().connect() as connection:
            return _list(connection, options.limit) if options.command == "list" else _verify(connection, options)
    except errors.ZmartError as error:
        print(f"zmart snapshot: {error}", file=sys.stderr)
        return exit_status.of_error(error)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the commands and their options."""
    top = argparse.ArgumentParser(prog="zmart snapshot", description="List and verify discussion snapshots.")
    commands = top.add_subparsers(dest="command", required=True)
    listed = commands.add_parser("list", help="list the newest snapshots")
    listed.add_argument("--limit", type=int, default=20, help="maximum, newest first")
    verify = commands.add_parser("verify", help="recompute from the log and compare")
    verify.add_argument("cid", help="CID of the snapshot, version 0 or 1")
    verify.add_argument("--show", action="store_true", help="print the document")
    return top


def _list(connection: Connection, limit: int) -> int:
    table = Table(box=None, pad_edge=False)
    for name in ("day", "market", "cid", "comments", "bytes", "published", "pinned"):
        table.add_column(name, overflow="fold")
    for day, market, cid, count, size, published, pinned in connection.execute(
        publish.sql.newest_snapshots, {"limit": limit}
    ):
        instants = ("" if at is None else f"{at:%Y-%m-%d %H:%M}" for at in (published, pinned))
        table.add_row(str(day), f"{market[:12]}…", cid, str(count), str(size or ""), *instants)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return exit_status.OK


def _verify(connection: Connection, options: argparse.Namespace) -> int:
    anchored, document = publish.recompute(connection, options.cid)
    if options.show:
        sys.stdout.buffer.write(document.content + b"\n")
        sys.stdout.buffer.flush()
    about = f"{document.day} of market {document.market_id}, {len(document.comments)} comments"
    if document.cid != anchored:
        print(f"differs: {about}: anchored as {anchored}, the log results in {document.cid}", file=sys.stderr)
        return exit_status.FAILED
    print(f"equal: {about}, {len(document.content):,} bytes, {document.cid}", file=sys.stderr if options.show else None)
    return exit_status.OK


if __name__ == "__main__":
    sys.exit(main())
