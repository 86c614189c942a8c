"""Runs the backend on one machine: the embedded Postgres, the supervisor, deployments and rebuilds."""
