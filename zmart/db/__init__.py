"""Connects to Postgres, loads SQL statements, migrates the schema and reads the feed."""
