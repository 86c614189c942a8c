create or replace function raw.is_final(p_signature text, p_slot bigint) returns boolean
language sql stable parallel safe
begin atomic
    select
        p_slot <= coalesce(raw.finalized_through(), -1)
        and not exists (
            select from ops.gap_transactions as g where g.signature = p_signature and g.closed_at is null
        );
end;
comment on function raw.is_final is
'Returns whether a transaction of the log is final: its slot is, and it is in no open gap that an operator accepted.';

grant execute on function raw.is_final to zmart_ingest, zmart_keeper, zmart_api, analyst;
