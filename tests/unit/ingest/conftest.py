"""Default objects for ingest tests."""

from __future__ import annotations

import pytest
from ingest_cases import PROGRAM

from ingest.decode.decoder import Decoder


@pytest.fixture
def decoder() -> Decoder:
    """A decoder of our program."""
    return Decoder(PROGRAM)
