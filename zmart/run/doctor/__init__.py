"""Checks whether a start would succeed, and reports the next step where it would not."""
