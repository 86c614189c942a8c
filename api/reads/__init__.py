"""Reads answers from Postgres: statements, pages, batching and caches."""
