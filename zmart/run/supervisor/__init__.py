"""Starts the services as processes, restarts them and stops them all."""
