-- One lock order for raw.wanted: whoever writes several of its rows and may have to wait for one holds raw.writer first, as an
-- append does. The walk's insert took rows in the order of its list, the append's delete in the order of its batch; they met in a
-- deadlock twice in the first twenty seconds of a new log, and deliveries got 503. An insert cannot skip what is locked, and an
-- append that deletes some signatures and inserts others has no order of signatures that a sorted insert could follow.

create function raw.want(p_signatures text [], p_reason text, p_slots bigint []) returns int
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
    insert into raw.wanted as w (signature, reason, slot)
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
comment on function raw.want is
'Ask for signatures that the chain lists, with their slots, under the writer''s lock; how many rows that wrote. What differs stays so until the chain has decided.';

revoke execute on function raw.want from public;
grant execute on function raw.want to zmart_ingest;
