create or replace function ops.raise_alert(p_kind text, p_subject text, p_severity text, p_message text) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    insert into ops.alerts as a (kind, subject, severity, message)
    values (p_kind, p_subject, p_severity, p_message)
    on conflict (kind, subject) where resolved_at is null
    do update set occurrences = a.occurrences + 1, last_at = clock_timestamp(), message = excluded.message
    returning alert_no;
end;
comment on function ops.raise_alert is 'Opens an alert, or counts one more occurrence of the open one, and returns its number.';

grant execute on function ops.raise_alert to zmart_ingest, zmart_keeper;
