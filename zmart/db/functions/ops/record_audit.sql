create or replace function ops.record_audit(p_who text, p_action text, p_subject text, p_reason text, p_details jsonb) returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    insert into ops.audit (who, action, subject, reason, details)
    values (p_who, p_action, p_subject, p_reason, p_details)
    returning audit_no;
end;
comment on function ops.record_audit is 'Records a decision of an operator and returns its number.';

grant execute on function ops.record_audit to zmart_ingest, zmart_keeper;
