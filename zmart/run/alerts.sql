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
-- Say that somebody looks after an alert; false where it is not open, or acknowledged already.
select ops.acknowledge_alert(%(alert_no)s, %(by)s);

-- name: close
-- Close an alert; one whose trouble is still there is raised again by whoever looks for it.
update ops.alerts set resolved_at = clock_timestamp() where alert_no = %(alert_no)s and resolved_at is null;
