"""Defines the Dagster code location, in which operators see, start and check the background work.

The marts follow the log without Dagster. This package works on them from outside: it shows the log and every model as
assets with their lineage, rebuilds a mart on request, proves every hour that live equals rebuilt, and sends alerts to
operators. `definitions.py` combines the parts; docs/operations.md is the operator's page.
"""
