"""Defines the endpoints, one module per subject; each handler declares its parameters and calls the code behind it."""
