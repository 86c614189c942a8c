"""Implements a chain for development: the program's rules, a ledger, its RPC, webhooks and demo actors."""
