"""Contains the shared parts on which ingest, devchain, orchestration and api are built."""
