-- Statements of zmart/run/deploy/history.py.

-- name: lock_history
-- Allow one process at a time to work on the history, until this transaction ends. `migrate` writes rows of this table, which
-- the mode does not hold up. It is no advisory lock, because every role that can connect could take that.
lock table zmart_migrations.functions in share update exclusive mode nowait;

-- name: disable_idle_timeout
-- The transaction that holds the lock does nothing else for as long as the work takes.
set local idle_in_transaction_session_timeout = 0;
