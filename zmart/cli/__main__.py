"""Runs `zmart` as `python -m zmart.cli`."""

from __future__ import annotations

from . import main

if __name__ == "__main__":
    main()
