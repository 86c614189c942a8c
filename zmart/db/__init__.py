"""Postgres: connecting, the statements, how the schema came to be, reading the feed."""
