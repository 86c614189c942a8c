"""Writes decoded rows to the log: group commit, the writer, and the form of what it stores."""
