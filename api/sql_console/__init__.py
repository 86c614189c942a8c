"""Runs users' SQL: `validator` decides which statements are allowed, `executor` runs them.

There are four barriers, each sufficient for most mistakes: the role `analyst`, which can read the marts and write
nothing; a read-only transaction of two seconds on one of two connections, reset after each use; a list of functions, so
that no function is called that acts on the server instead of on rows; and limits on rows and bytes.
"""
