"""Implements the `zmart` commands that change the log."""
