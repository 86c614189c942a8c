create or replace function ops.acknowledge_alert(p_alert_no bigint, p_by text) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    with acknowledged as (
        update ops.alerts set acknowledged_at = clock_timestamp(), acknowledged_by = p_by
        where alert_no = p_alert_no and resolved_at is null and acknowledged_at is null
        returning alert_no
    )
    select exists(select from acknowledged);
end;
comment on function ops.acknowledge_alert is 'Acknowledges an open alert. Returns false if it is not open or already acknowledged.';

grant execute on function ops.acknowledge_alert to zmart_keeper;
