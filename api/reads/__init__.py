"""Reads responses from Postgres: statements, pages, batching and caches."""
