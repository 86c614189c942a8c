create or replace function raw.conflicting_slots(p_after bigint) returns bigint []
language sql stable
begin atomic
    select array_agg(distinct fresh.order_key >> 24)
    from raw.events as fresh
    where
        fresh.seq > p_after
        and exists (
            select from raw.events as other
            where
                other.order_key >= (fresh.order_key >> 9) << 9 and other.order_key < ((fresh.order_key >> 9) + 1) << 9
                and other.transaction_no <> fresh.transaction_no and other.retracted_at is null
        );
end;
comment on function raw.conflicting_slots is
'Returns the slots in which an event after this seq has the same place as another transaction, or null.';

grant execute on function raw.conflicting_slots to zmart_ingest;
