"""Ingests transactions from the chain into the log: deliveries are verified, decoded, committed, then acknowledged."""
