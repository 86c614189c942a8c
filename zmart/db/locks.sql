-- name: writer_wait
-- How long the first session has waited for the right to append, and who holds it; no row while nobody waits.
select waited_seconds, holder_pid, holder_login, holder_name from raw.writer_wait();
