"""Provides the ASGI middleware: access log, security headers, rate limits, client addresses."""
