-- name: raise_alert
-- Open an alert, or count one more occurrence of the open one.
select ops.raise_alert(%(kind)s, %(subject)s, %(severity)s, %(message)s);

-- name: resolve_alert
-- Resolve the open alert of this kind and subject, if there is one.
select ops.resolve_alert(%(kind)s, %(subject)s);

-- name: open_subjects
-- Return the subjects of the open alerts of a kind.
select subject from ops.alerts where kind = %(kind)s and resolved_at is null;

-- name: list_alerts
-- Return the open alerts, or all of them, the most severe first.
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
-- Acknowledge an alert; false if it is not open or already acknowledged.
select ops.acknowledge_alert(%(alert_no)s, %(by)s);

-- name: close
-- Close an alert. If its cause persists, the next check raises it again.
update ops.alerts set resolved_at = clock_timestamp() where alert_no = %(alert_no)s and resolved_at is null;
