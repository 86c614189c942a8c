"""The assets of Dagster: the log, the models made from it, the keepers, the snapshots and the documentation."""
