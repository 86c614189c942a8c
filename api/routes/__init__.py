"""The endpoints, one module per subject; handlers say what is asked and what to call it."""
