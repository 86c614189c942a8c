create or replace function raw.request_signatures(p_signatures text [], p_reason text, p_slots bigint []) returns int
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows int;
begin
    if coalesce(cardinality(p_signatures), 0) = 0 then
        return 0;
    end if;
    -- The lock is taken only now. The search for missing signatures may take long, and the log must not wait for it.
    lock table raw.writer in exclusive mode;
    insert into raw.pending_signatures as w (signature, reason, slot)
    select given.signature, p_reason, given.slot
    from unnest(p_signatures, p_slots) as given (signature, slot)
    order by given.signature
    on conflict (signature) do update
    set slot = excluded.slot, reason = case excluded.reason when 'differs' then 'differs' else w.reason end
    where w.slot is distinct from excluded.slot or excluded.reason = 'differs' and w.reason <> 'differs';
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;
comment on function raw.request_signatures is
'Requests signatures that the chain lists, with their slots, under the writer''s lock, and returns the number of rows written. The reason differs remains until the chain has decided.';

grant execute on function raw.request_signatures to zmart_ingest;
