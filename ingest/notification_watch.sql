-- name: usage
-- How full the server's queue of notifications is, from 0 to 1.
select pg_notification_queue_usage();

-- name: end_listeners
-- End sessions of analysts that may hold the queue; returns their number.
select ops.end_listening_analysts(%(limit)s);
