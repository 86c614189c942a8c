"""Dagster: what an operator sees, starts and is told.

The marts follow the log without it. What is here looks at them from outside: it shows the log and every model as
assets with their lineage, folds a mart again when asked, proves every hour that live equals rebuilt, and tells a person
when something is wrong. `definitions.py` puts the parts together; docs/operations.md is the operator's page.
"""
