-- name: raise_alert
-- Open an alert, or count one more occurrence of the open one.
select ops.raise_alert(%(kind)s, %(subject)s, %(severity)s, %(message)s);

-- name: resolve_alert
-- Resolve the open alert of a kind and subject, if there is one.
select ops.resolve_alert(%(kind)s, %(subject)s);

-- name: open_subjects
-- The subjects of the open alerts of a kind.
select subject from ops.alerts where kind = %(kind)s and resolved_at is null;

-- name: list_alerts
-- Alerts that are open, or all of them, the gravest first.
select alert_no, kind, subject, severity, message, occurrences, raised_at, last_at, acknowledged_at, acknowledged_by, resolved_at
from ops.alerts
where resolved_at is null or %(shows_all)s
order by
    resolved_at is not null,
    acknowledged_at is not null,
    array_position(array['critical', 'warning', 'info'], severity),
    raised_at desc
limit %(limit)s;

-- name: acknowledge
-- Record that somebody looks after an alert; false where it is not open, or acknowledged already.
select ops.acknowledge_alert(%(alert_no)s, %(by)s);

-- name: close
-- Close an alert; where its cause is still there, the next check raises it again.
update ops.alerts set resolved_at = clock_timestamp() where alert_no = %(alert_no)s and resolved_at is null;
