"""Speaks the Yellowstone gRPC protocol: transactions as a node executes them, streamed, resumable by slot."""

import os

# gRPC's threads are rebuilt in the child of a fork, which ended a child of `subprocess` with SIGSEGV before its exec
# (grpcio 1.81). No process of ours goes on in Python after a fork. Read when grpc is first used.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
