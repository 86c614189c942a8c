create or replace function ops.resolve_alert(p_kind text, p_subject text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    update ops.alerts set resolved_at = clock_timestamp()
    where kind = p_kind and subject = p_subject and resolved_at is null;
end;
comment on function ops.resolve_alert is 'Closes the open alert of this kind and subject, if there is one.';

grant execute on function ops.resolve_alert to zmart_ingest, zmart_keeper;
