"""Serves the webhook endpoint: authentication, the HTTP app and its problem details."""
