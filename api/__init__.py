"""Serves the log's marts as REST responses and streams, in the format that clients of protocol.md 5 and 7 expect."""
