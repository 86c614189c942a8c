"""Deploys the dbt models to Postgres and rebuilds marts from the log."""
