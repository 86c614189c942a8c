-- name: mark_session
-- Leave a mark in the session, and say which backend runs it.
select set_config('zmart.session_mark', %(mark)s, false), pg_backend_pid();

-- name: session
-- The mark of this session, and its backend.
select current_setting('zmart.session_mark', true), pg_backend_pid();
