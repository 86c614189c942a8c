"""Audits the chain of the log: seals history that has no chain yet, and computes the chain again."""
