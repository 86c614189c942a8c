"""Reads the chain beside the webhooks: fetches what is missing and proves the log complete."""
