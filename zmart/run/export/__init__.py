"""Writes the log and the marts as Parquet files for analysts, and imports an exported log into an empty database."""
