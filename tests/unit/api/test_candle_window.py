"""The window of a chart: valid and invalid values."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import errors
from api.candle_window import CandleWindow

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "text", ["1769860800", "2026-01-31T12:00:00Z", "2026-01-31T12:00", "2026-01-31T14:00:00+02:00", "20260131T120000Z"]
)
def test_an_instant_can_be_written_in_several_ways(text: str) -> None:
    """Unix seconds, ISO 8601 with a zone or in UTC."""
    assert CandleWindow.parse("1h", text, None).begin == NOON


@given(st.text(), st.text(), st.text())
def test_no_text_surprises_the_window(interval: str, begin: str, end: str) -> None:
    """Any text is a window or an InvalidWindow."""
    try:
        window = CandleWindow.parse(interval, begin, end)
    except errors.InvalidWindow:
        return
    assert window.begin is not None
    assert window.end is not None
    assert window.begin < window.end
