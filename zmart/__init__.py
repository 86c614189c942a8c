"""The kernel: what ingest, devchain, orchestration and api stand on."""
