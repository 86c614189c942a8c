"""The assets: the log that is given, the models made from it, and their documentation."""
