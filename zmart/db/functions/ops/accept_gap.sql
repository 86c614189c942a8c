-- The writer's lock: what arrives meanwhile would fill a gap that is then recorded as open.
create or replace function ops.accept_gap(
    p_from_slot bigint, p_to_slot bigint, p_who text, p_reason text, p_details jsonb,
    -- One element for each transaction: signature, slot, kind, and market_nos (null if unknown).
    p_transactions jsonb
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_gap_no bigint;
begin
    lock table raw.writer in exclusive mode;
    perform from jsonb_to_recordset(p_transactions) as g (signature text, slot bigint, kind text)
    where
        not g.slot between p_from_slot and p_to_slot
        or (g.kind = 'unlisted') is distinct from exists (
            select from raw.transactions as t
            where t.signature = g.signature and t.slot = g.slot and t.err is null and t.retracted_at is null
        )
        or exists (select from ops.gap_transactions as o where o.signature = g.signature and o.closed_at is null);
    if found then
        return null;
    end if;
    insert into ops.accepted_gaps (from_slot, to_slot, audit_no)
    values (
        p_from_slot, p_to_slot,
        ops.record_audit(p_who, 'gap accept', format('slots %s to %s', p_from_slot, p_to_slot), p_reason, p_details)
    )
    returning gap_no into v_gap_no;
    insert into ops.gap_transactions (gap_no, signature, slot, kind, market_nos)
    select v_gap_no, g.signature, g.slot, g.kind, g.market_nos
    from jsonb_to_recordset(p_transactions) as g (signature text, slot bigint, kind text, market_nos int []);
    return v_gap_no;
end
$$;
comment on function ops.accept_gap is
'Records that an operator accepts a gap, and returns its number. Null if one of its transactions has been filled or accepted meanwhile.';

grant execute on function ops.accept_gap to zmart_ingest;
