"""Publishes the log to NATS JetStream: `zmart relay`, described in docs/operating/relay.md."""
