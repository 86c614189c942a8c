"""Checks whether a start would succeed, and says what to do where it would not."""
