create or replace function raw.request_signatures(p_signatures text [], p_reason text, p_slots bigint []) returns int
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_wanted int;
begin
    if coalesce(cardinality(p_signatures), 0) = 0 then
        return 0;
    end if;
    -- Only now: finding out what is missing may take long, and the log must not wait for it.
    lock table raw.writer in exclusive mode;
    insert into raw.pending_signatures as w (signature, reason, slot)
    select given.signature, p_reason, given.slot
    from unnest(p_signatures, p_slots) as given (signature, slot)
    order by given.signature
    on conflict (signature) do update
    set slot = excluded.slot, reason = case excluded.reason when 'differs' then 'differs' else w.reason end
    where w.slot is distinct from excluded.slot or excluded.reason = 'differs' and w.reason <> 'differs';
    get diagnostics v_wanted = row_count;
    return v_wanted;
end
$$;
comment on function raw.request_signatures is
'Ask for signatures that the chain lists, with their slots, under the writer''s lock; how many rows that wrote. What differs stays so until the chain has decided.';

grant execute on function raw.request_signatures to zmart_ingest;
