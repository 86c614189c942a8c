"""Speaks the Yellowstone gRPC protocol: transactions as a node executes them, streamed, resumable by slot."""
