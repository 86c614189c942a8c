-- Reconciliation: what a node says the program holds is kept for a while, to compare the marts with. And alerts remember
-- who looks after them, and what of them has been posted.

grant select, insert, delete on raw.accounts to zmart_keeper;

alter table ops.alerts add column acknowledged_by text;
alter table ops.alerts add column posted_at timestamptz;
alter table ops.alerts add column resolution_posted_at timestamptz;
-- What is over is old news.
update ops.alerts set posted_at = raised_at, resolution_posted_at = resolved_at where resolved_at is not null;
comment on column ops.alerts.posted_at is 'When it was last posted to ALERT_WEBHOOK_URL; null while it was not.';
comment on column ops.alerts.resolution_posted_at is 'When it was posted that it is over.';
comment on column ops.alerts.acknowledged_at is 'When a person said that they look after it; it stays open, and quiet.';
comment on column ops.alerts.acknowledged_by is 'Who, as they call themselves.';

create function ops.acknowledge_alert(p_alert_no bigint, p_by text) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    with acknowledged as (
        update ops.alerts set acknowledged_at = clock_timestamp(), acknowledged_by = p_by
        where alert_no = p_alert_no and resolved_at is null and acknowledged_at is null
        returning alert_no
    )
    select exists (select from acknowledged);
end;
comment on function ops.acknowledge_alert is 'Say that one looks after an open alert; false where it is not open, or acknowledged already.';
revoke all on function ops.acknowledge_alert from public;
grant execute on function ops.acknowledge_alert to zmart_keeper;
