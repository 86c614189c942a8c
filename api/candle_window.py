"""Parses the time range of a chart: the width of its candles, and the instants between which they begin.

A client's input is either a valid window or raises InvalidWindow, which explains what is expected instead.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, get_args

from . import errors, schemas

#: Seconds of each width, as in marts.candles_1m and the views over it.
WIDTHS: dict[str, int] = {"1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}
assert set(WIDTHS) == set(get_args(schemas.Interval))

_SECONDS = re.compile(r"[0-9]{1,12}")
_EARLIEST = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LATEST = datetime.datetime(9999, 12, 30, tzinfo=datetime.UTC)


@dataclass(frozen=True, kw_only=True)
class CandleWindow:
    """Candles of one width that begin at or after `begin` and before `end`; None is unbounded."""

    interval: str
    begin: datetime.datetime | None
    end: datetime.datetime | None

    @classmethod
    def parse(cls, interval: str, begin: str | None, end: str | None) -> CandleWindow:
        """Parse a client's input; raise InvalidWindow with the parameter and its valid values."""
        if interval not in WIDTHS:
            raise errors.InvalidWindow("interval", f"expected one of {', '.join(WIDTHS)}")
        window = cls(interval=interval, begin=_instant("from", begin), end=_instant("to", end))
        if window.begin is not None and window.end is not None and window.begin >= window.end:
            raise errors.InvalidWindow("from", "expected an instant before `to`")
        return window

    def parameters(self) -> dict[str, Any]:
        """Return the statement's parameters for the window."""
        return {
            "interval": self.interval,
            "width_seconds": WIDTHS[self.interval],
            "from_at": self.begin,
            "to_at": self.end,
        }


def _instant(field: str, text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        read = _parse_instant(text)
    except (ValueError, OverflowError):
        read = None
    if read is None or not _EARLIEST <= read <= _LATEST:
        raise errors.InvalidWindow(field, "expected Unix seconds or an ISO 8601 instant such as 2026-01-31T12:00:00Z")
    return read


def _parse_instant(text: str) -> datetime.datetime:
    if _SECONDS.fullmatch(text):
        return datetime.datetime.fromtimestamp(int(text), datetime.UTC)
    read = datetime.datetime.fromisoformat(text)
    return read if read.tzinfo is not None else read.replace(tzinfo=datetime.UTC)
