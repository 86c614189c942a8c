"""Saves the database in a folder and restores it: `zmart backup` and `zmart restore`."""
