"""What starts, keeps and stops things: the embedded Postgres, the supervisor, rebuilds."""
